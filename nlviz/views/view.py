"""Views of Explore: what is needed to draw a picture of an affinity again.

{"format": "nlviz.view", "version": 1, "page": "explore",
 "model": {"name", "digest"},
 "clip": {"name", "digest", "start", "stride", "frames", "size", "fps", "reader"},
 "block": "...", "query": {"frame", "y", "x"}, "display": {...}, "notes": ["..."], "receipt": {...}}

An input that is a text stands in ``clip.text``, whole, so that no other file is needed; what a
network is told beside a clip stands in ``text``. Both are absent where there is no text. Token i of
a text is the query {"frame": 0, "y": 0, "x": i}.

``reader``, ``notes`` and ``receipt`` (see ``nlviz.affinity.receipt``) say what was known when the
view was saved; drawing does not use them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from nlviz.clips.inputs import digest_of_input, is_input
from nlviz.clips.point import Point
from nlviz.errors import InvalidView, UnreadableClip
from nlviz.files.checked_json import FromZero, checked
from nlviz.files.checked_json import Text as Name
from nlviz.resources import bundled_graphs, bundled_inputs
from nlviz.views.display import DISPLAY_PARAMETERS, Display
from nlviz.views.page_view import (
    AT,
    CURE,
    PageView,
    Parameter,
    Place,
)
from nlviz.views.refs import (
    Boxes,
    ClipRef,
    Frames,
    ModelRef,
    Rate,
    Side,
    Stride,
    Words,
    boxes_text,
    read_boxes,
)

if TYPE_CHECKING:
    from nlviz.captures.model import Capture

__all__ = ["ClipRef", "Display", "ModelRef", "View"]

ADDRESS_FRAMES = 8  # in an address without a number of frames, so that a short one stays cheap
TEXT_NAME = "text"  # what a text is called that an address brings


class _File(msgspec.Struct):
    model: ModelRef
    clip: ClipRef
    block: Name
    query: Place
    display: Any = {}
    notes: tuple[str, ...] = ()
    receipt: dict[str, Any] | None = None
    text: Words | None = None


@dataclass(frozen=True)
class View(PageView):
    """Everything that is needed to draw a picture again.

    Attributes:
        model: the model.
        clip: the clip and its sampling.
        block: name of the block.
        query: where the query is; the key, where the direction is ``to``.
        display: how it is shown.
        notes: what had to be known of frames and pass when the view was saved.
        receipt: what was checked of the block at capture, by field; None where nothing was.
        text: what the network was told beside the clip; None for networks of clips or texts alone.

    >>> view = View(ModelRef("lite-nl"), ClipRef("a.jpg"), "stage4", Point(0, 96, 140.5))
    >>> View.from_json(view.to_json()) == view
    True
    >>> view.to_query_params()
    {'clip': 'a.jpg', 'model': 'lite-nl', 'block': 'stage4', 'at': '0,96,140.5', 'frames': 'all'}
    """

    page: ClassVar[str] = "explore"
    path: ClassVar[str] = ""
    address_parameters: ClassVar[Mapping[str, Parameter]] = {
        "clip": Parameter(Name),
        "text": Parameter(Words),
        "boxes": Parameter(
            Boxes, read_boxes, boxes_text, rule="frame,top,left,bottom,right, several after ;"
        ),
        "model": Parameter(Name),
        "block": Parameter(Name),
        "at": AT,
        "start": Parameter(FromZero, float, lambda value: _short(value)),
        "stride": Parameter(Stride, int),
        "frames": Parameter(Frames, int, words={"all": None}),
        "size": Parameter(Side, int),
        "fps": Parameter(Rate, float, lambda value: _short(value)),
        **DISPLAY_PARAMETERS,
    }

    model: ModelRef
    clip: ClipRef
    block: str
    query: Point
    display: Display = field(default_factory=Display)
    notes: tuple[str, ...] = field(default=(), compare=False)
    receipt: Mapping[str, Any] | None = field(default=None, compare=False)
    text: str | None = None

    @classmethod
    def of(
        cls,
        capture: Capture,
        block: str,
        *,
        frame: float,
        y: float,
        x: float,
        display: Display | Mapping[str, Any] | None = None,
    ) -> View:
        """Return the view of one query of a capture.

        Raises:
            UnknownBlock: when the capture has no such block.
            OutsideClip: when the query is not inside the clip.
            InvalidView: when a display option has no such value.
        """
        capture.affinities[block]  # an unknown name is refused here
        capture.clip.check(frame=frame, y=y, x=x)
        clip, beside = capture.clip, capture.text
        receipt = capture.receipts.get(block)
        return cls(
            ModelRef(capture.about.name, capture.about.digest),
            ClipRef.of(clip),
            block,
            Point(frame, y, x),
            display if isinstance(display, Display) else Display.from_dict(display or {}),
            capture.all_notes,
            None if receipt is None else asdict(receipt),
            None if beside is None or beside is clip else beside.written,
        )

    @property
    def input(self) -> ClipRef:
        """The file that the view is of."""
        return self.clip

    def to_dict(self) -> dict[str, Any]:
        """Return the view as what JSON can hold, with every option."""
        whole = {**asdict(self), "query": self.query._asdict()}
        for part in (whole, whole["clip"]):  # as views were before there were texts
            if part["text"] is None:
                del part["text"]
        if not self.clip.boxes:
            del whole["clip"]["boxes"]
        return whole

    @classmethod
    def from_dict(cls, whole: Mapping[str, Any]) -> View:
        """Return the view that a mapping from JSON describes; other fields are ignored.

        Raises:
            InvalidView: when a field is missing, has a wrong type or a value out of range.
        """
        found = checked(whole, _File, of="a view's", cure=CURE, error=InvalidView)
        display = Display.from_dict(found.display)
        point = found.query.point
        told = found.notes, found.receipt
        return cls(found.model, found.clip, found.block, point, display, *told, found.text)

    def to_query_params(self) -> dict[str, str]:
        """Return the view as parameters of an address; digests and defaults are left out."""
        clip = self.clip
        values: dict[str, Any] = {} if clip.text is not None else {"clip": clip.name}
        if (words := clip.text or self.text) is not None:
            values["text"] = words
        values |= {"model": self.model.name, "block": self.block, "at": self.query}
        names = ("start", "stride", "size", "fps", "boxes")
        sampling = {name: getattr(clip, name) for name in names}
        values |= {name: value for name, value in sampling.items() if value}
        if clip.text is None and clip.frames != ADDRESS_FRAMES:
            values["frames"] = clip.frames
        values |= self.display.changed()
        return {name: self.address_parameters[name].text(value) for name, value in values.items()}

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> View:
        """Return the view of the values of an address's parameters.

        Raises:
            InvalidView: when clip and text, block or query are missing.
        """
        words = values.get("text")
        needed = ("block", "at") if words else ("clip", "block", "at")
        missing = [name for name in needed if not values.get(name)]
        if missing:
            raise InvalidView(
                "an address needs clip or text, block and at=frame,y,x; "
                f"{' and '.join(missing)} missing"
            )
        names = ("start", "stride", "size", "fps", "boxes")
        sampling = {n: values[n] for n in names if n in values}
        alone = "clip" not in values
        clip = (
            ClipRef(TEXT_NAME, text=words)
            if alone
            else ClipRef(values["clip"], frames=values.get("frames", ADDRESS_FRAMES), **sampling)
        )
        return cls(
            ModelRef(values.get("model", "lite-nl")),
            clip,
            values["block"],
            values["at"],
            Display(**{n: values[n] for n in DISPLAY_PARAMETERS if n in values}),
            text=None if alone else words,
        )


SavedView = View  # the name to go with LiveView and ThirtyViews


def _short(value: float) -> str:
    """Return a number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else str(value)


def find_clip(view: PageView, *, beside: Path, given: Path | None = None) -> Path:
    """Return the file of a view's clip or picture, which has the digest that the view names.

    Args:
        view: the view.
        beside: folder of the view; looked into when the clip's name is not a bundled one.
        given: this file rather than one found by name.

    Raises:
        UnreadableClip: when no file is found.
        InvalidView: when the files found have another digest.
    """
    name, digest = view.input.name, view.input.digest
    if given is not None:
        places = [given]
    else:
        bundled = {**bundled_inputs(), **bundled_graphs()}.get(name)
        places = [p for p in (bundled, beside / name, Path(name)) if p]
    found = [p for p in places if is_input(p)]
    if not found:
        raise UnreadableClip(
            f"the view needs the clip {str(given or name)!r}, which is "
            + ("not there" if given else "neither bundled nor beside the view")
            + "; give its path with --clip"
        )
    for path in found:
        if not digest or digest_of_input(path) == digest:
            return path
    other = digest_of_input(found[0])
    raise InvalidView(
        f"the view's clip has the sha256 {digest[:12]}..., {found[0].name} has "
        f"{other[:12]}...; give the original file with --clip, or empty the view's "
        "digest to draw it on this one"
    )
