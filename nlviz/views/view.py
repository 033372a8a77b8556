"""Views: what is needed to draw a picture again, as a file and as an address.

{"format": "nlviz.view", "version": 1,
 "model": {"name", "digest"},
 "clip": {"name", "digest", "start", "stride", "frames", "size"},
 "block": "...", "query": {"frame", "y", "x"}, "display": {...}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.clips.point import Point
from nlviz.errors import InvalidView, OutsideClip
from nlviz.views.display import Display, is_number, number, parsed

if TYPE_CHECKING:
    from nlviz.captures.model import Capture
from nlviz.errors import UnreadableClip
from nlviz.resources import bundled_inputs

__all__ = ["ClipRef", "Display", "ModelRef", "View", "read_view"]

FORMAT = "nlviz.view"
VERSION = 1
ADDRESS_FRAMES = 8  # in an address without a number of frames, so that a short one stays cheap
MOST_FRAMES = 4096
_CURE = "save the view again, or correct the file"


@dataclass(frozen=True)
class ModelRef:
    """Which model: its name, and the sha256 of its weights or an empty text."""

    name: str
    digest: str = ""


@dataclass(frozen=True)
class ClipRef:
    """Which clip, and which frames of it.

    Attributes:
        name: a bundled name, a path, or what an upload was called.
        digest: sha256 of the file's bytes, or empty.
        start: seconds from the beginning.
        stride: every stride-th frame, or None for frames spread evenly.
        frames: number of frames asked for, or None for all.
        size: shorter side in pixels, or None for the file's own.
    """

    name: str
    digest: str = ""
    start: float = 0.0
    stride: int | None = None
    frames: int | None = None
    size: int | None = None


@dataclass(frozen=True)
class View:
    """Everything that is needed to draw a picture again.

    Attributes:
        model: the model.
        clip: the clip and its sampling.
        block: name of the block.
        query: where the query is; the key, where the direction is ``to``.
        display: how it is shown.

    >>> view = View(ModelRef("lite-nl"), ClipRef("a.jpg"), "stage4", Point(0, 96, 140.5))
    >>> View.from_json(view.to_json()) == view
    True
    >>> view.to_query_params()
    {'clip': 'a.jpg', 'model': 'lite-nl', 'block': 'stage4', 'at': '0,96,140.5', 'frames': 'all'}
    """

    model: ModelRef
    clip: ClipRef
    block: str
    query: Point
    display: Display = field(default_factory=Display)

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
        capture.affinities[block]  # an unknown name is told here
        capture.clip.check(frame=frame, y=y, x=x)
        clip, sampling = capture.clip, capture.clip.sampling
        return cls(
            ModelRef(capture.about.name, capture.about.digest),
            ClipRef(clip.name, clip.digest, **asdict(sampling)),
            block,
            Point(frame, y, x),
            display if isinstance(display, Display) else Display.from_dict(display or {}),
        )

    def to_json(self) -> str:
        """Return the view as JSON text, readable and with every option."""
        whole = {"format": FORMAT, "version": VERSION, **asdict(self)}
        whole["query"] = self.query._asdict()
        return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> View:
        """Return the view that a JSON text describes.

        Raises:
            InvalidView: when the text is no JSON, no view, of another version, or a field has a
                wrong type or a value out of range.
        """
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidView(f"a view must be JSON text ({error}); {_CURE}") from None
        if not isinstance(whole, dict) or whole.get("format") != FORMAT:
            found = whole.get("format") if isinstance(whole, dict) else type(whole).__name__
            raise InvalidView(f'a view has "format": "{FORMAT}", this has {found!r}; {_CURE}')
        if whole.get("version") != VERSION:
            raise InvalidView(
                f"this nlviz reads views of version {VERSION}, this one has version "
                f"{whole.get('version')!r}; save the view again with this nlviz"
            )
        model, clip, query = (_object(whole, name) for name in ("model", "clip", "query"))
        return cls(
            ModelRef(_text(model, "model", "name"), _digest(model, "model")),
            _clip_ref(
                {**clip, "digest": _digest(clip, "clip"), "name": _text(clip, "clip", "name")}
            ),
            _text(whole, "", "block"),
            _place({name: query.get(name) for name in Point._fields}),
            Display.from_dict(whole.get("display", {})),
        )

    def to_query_params(self) -> dict[str, str]:
        """Return the view as parameters of an address; digests and defaults are left out."""
        clip = self.clip
        at = self.query.text
        params = {"clip": clip.name, "model": self.model.name, "block": self.block, "at": at}
        if clip.start:
            params["start"] = _short(clip.start)
        if clip.stride is not None:
            params["stride"] = str(clip.stride)
        if clip.frames != ADDRESS_FRAMES:
            params["frames"] = "all" if clip.frames is None else str(clip.frames)
        if clip.size is not None:
            params["size"] = str(clip.size)
        return params | {k: str(v) for k, v in self.display.changed().items()}

    @classmethod
    def from_query_params(cls, params: Mapping[str, str]) -> View:
        """Return the view that an address describes; parameters of others are ignored.

        Raises:
            InvalidView: when clip, block or query are missing, or a value makes no sense.

        >>> View.from_query_params({"clip": "a.mp4", "block": "stage4", "at": "3,96,140"}).query
        Point(frame=3.0, y=96.0, x=140.0)
        """
        missing = [name for name in ("clip", "block", "at") if not params.get(name)]
        if missing:
            raise InvalidView(
                f"an address needs clip, block and at=frame,y,x; {' and '.join(missing)} missing"
            )
        frames = params.get("frames", str(ADDRESS_FRAMES))
        clip = {
            "name": params["clip"],
            "start": number("start", params.get("start", "0"), float),
            "frames": None if frames == "all" else number("frames", frames, int),
            **{n: number(n, params[n], int) for n in ("stride", "size") if n in params},
        }
        names = [f.name for f in fields(Display)]
        return cls(
            ModelRef(params.get("model", "lite-nl")),
            _clip_ref(clip),
            params["block"],
            _parsed(params["at"]),
            Display(**{n: parsed(n, params[n]) for n in names if n in params}),
        )


SavedView = View  # beside LiveView and ThirtyViews, the one that is a file


def read_view(path: str | Path) -> View:
    """Read a view file.

    Raises:
        InvalidView: when there is no such file, or it is no view of this version.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidView(f"the view {str(path)!r} cannot be read ({reason}); {_CURE}") from None
    try:
        return View.from_json(text)
    except InvalidView as error:
        raise InvalidView(f"{path.name}: {error}") from None


def _object(whole: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = whole.get(name)
    if not isinstance(value, dict):
        raise InvalidView(f"a view's {name} must be an object, got {value!r}; {_CURE}")
    return value


def _text(of: Mapping[str, Any], path: str, name: str) -> str:
    value = of.get(name)
    if not isinstance(value, str) or not value:
        label = f"{path}.{name}" if path else name
        raise InvalidView(f"a view's {label} must be a text, got {value!r}; {_CURE}")
    return value


def _digest(of: Mapping[str, Any], path: str) -> str:
    value = of.get("digest", "")
    if not isinstance(value, str):
        raise InvalidView(f"a view's {path}.digest must be a text, got {value!r}; {_CURE}")
    return value


def _clip_ref(clip: Mapping[str, Any]) -> ClipRef:
    ref = ClipRef(**{f.name: clip[f.name] for f in fields(ClipRef) if f.name in clip})
    if not is_number(ref.start) or ref.start < 0:
        raise InvalidView(f"a clip's start must be 0 seconds or more, got {ref.start!r}; {_CURE}")
    for name, least, most in (
        ("stride", 1, 10**6),
        ("frames", 1, MOST_FRAMES),
        ("size", 16, 10**4),
    ):
        value = getattr(ref, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and least <= value <= most):
            raise InvalidView(
                f"a clip's {name} must be a whole number from {least} to {most}, or null, "
                f"got {value!r}; {_CURE}"
            )
    return ref


def _parsed(at: str) -> Point:
    try:
        return Point.parse(at)
    except OutsideClip:
        raise InvalidView(
            f"at must be frame,y,x, three numbers from 0, got {at[:40]!r}; try at=0,96,140"
        ) from None


def _place(query: Mapping[str, Any]) -> Point:
    for name, value in query.items():
        if not is_number(value) or value < 0:
            raise InvalidView(f"a query's {name} must be a number from 0, got {value!r}; {_CURE}")
    return Point(**query)


def _short(value: float) -> str:
    """Return a number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else str(value)


def find_clip(view: View, *, beside: Path, given: Path | None = None) -> Path:
    """Return the file of a view's clip, which has the digest that the view names.

    Args:
        view: the view.
        beside: folder of the view; looked into when the clip's name is not a bundled one.
        given: this file rather than one found by name.

    Raises:
        UnreadableClip: when no file is found.
        InvalidView: when the files found have another digest.
    """
    from nlviz.files.local import digest_of  # not above: it costs the import of torch

    name, digest = view.clip.name, view.clip.digest
    if given is not None:
        places = [given]
    else:
        places = [p for p in (bundled_inputs().get(name), beside / name, Path(name)) if p]
    found = [p for p in places if p.is_file()]
    if not found:
        raise UnreadableClip(
            f"the view needs the clip {str(given or name)!r}, which is "
            + ("not there" if given else "neither bundled nor beside the view")
            + "; give its path with --clip"
        )
    for path in found:
        if not digest or digest_of(path) == digest:
            return path
    raise InvalidView(
        f"the view's clip has the sha256 {digest[:12]}..., {found[0].name} has "
        f"{digest_of(found[0])[:12]}...; give the original file with --clip, or empty the view's "
        "clip.digest to draw it on this one"
    )
