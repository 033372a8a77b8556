"""A view as a recording for the viewer of Rerun (https://rerun.io): one .rrd file.

What lies where in it, and in which units:

==========================  ====================================================================
``clip/frames``             the frames that were read, PNG, to the last bit
``clip/overlay``            the frames under the map, as ``nlviz.overlay`` draws them
``clip/map``                the map on its own grid, (h, w) float32, and the transform that lays it
                            on the pixels of the frames; ``uniform`` and ``unit`` beside it. Boxes,
                            where boxes are the keys
``clip/links``              the strongest keys of a frame: arrows from the query, with ``weight``
                            and ``multiple``
``clip/query``              the query's cell on its own frame, and its place on the others
``row/share``               share of the row's weight in each frame; ``row/uniform`` what it would
                            be if all keys had the same, ``row/strongest`` the strongest key there
``heads/00/map`` ...        the map of every head, where there are several
``about``                   what is shown and what must be known of it; the view as JSON
==========================  ====================================================================

Two time lines: ``frame``, the number of the sampled frame from 0, and ``time``, its seconds in the
film. Maps are in multiples of uniform attention unless ``unit`` says otherwise. A frame that shows
no key holds no map: nothing of the frame before is left standing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap, Link
from nlviz.affinity.by_frame import boxes_of, key_planes, masses, shown_frame
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.errors import NlvizError
from nlviz.files.extras import needs
from nlviz.files.local import digest_of
from nlviz.picture import encode
from nlviz.progress import Listener
from nlviz.render.colour_scale import ColourScale
from nlviz.render.frame_maps import query_box
from nlviz.render.movie import MASS
from nlviz.render.recording_layout import layout
from nlviz.render.shown import ACCENT, Shown
from nlviz.sentences import times_text
from nlviz.words.numbers import multiple_text, number_text
from nlviz.words.rows import row_sentence

APPLICATION = "nlviz"
LINKS = 20  # where a view shows none
MOST_HEADS = 64
_WHITE = (255, 255, 255)
_SHARE, _EVEN = MASS, (128, 136, 148)
_UNITS = {
    "uniform": "multiples of uniform attention",
    "absolute": "weights",
    "logit": "raw logits",
    "cosine": "cosine similarity",
}


def rerun_sdk() -> Any:
    """Return the SDK of Rerun.

    Raises:
        NlvizError: when it is not installed.
    """
    with needs("rerun-sdk", extra="rerun", what="A recording (.rrd)"):
        import rerun
    return rerun


def recording(
    drawn: Shown,
    *,
    heads: Mapping[int, AttentionMap] | None = None,
    view: str | None = None,
    progress: Listener | None = None,
) -> bytes:
    """Return the bytes of an .rrd file, see above for what is in it.

    The same picture gives the same values; the file itself differs in the numbers that Rerun gives
    its parts.

    Args:
        drawn: what is shown.
        heads: the map of each head, by its number, in the scale of the one that is shown.
        view: JSON of the view.
        progress: called with a sentence and a share in [0, 1].

    Raises:
        NlvizError: when rerun-sdk is not installed, or what is shown has no frames, as a text.
    """
    if drawn.attention.keys.kind in ("line", "nodes"):
        raise NlvizError(
            "a recording (.rrd) is of the frames of a clip, and words or nodes have none; save "
            ".html, .mp4 or .json"
        )
    rr = rerun_sdk()
    heads = {n: one for n, one in (heads or {}).items() if n < MOST_HEADS}
    made = digest_of(f"{drawn.title} {drawn.attention!r} {view}".encode())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "look.rrd"
        stream = rr.RecordingStream(APPLICATION, recording_id=made[:32], send_properties=False)
        stream.set_log_time_enabled(False)
        stream.set_log_tick_enabled(False)
        stream.save(path)
        stream.send_blueprint(layout(drawn, heads))
        stream.send_recording_name(drawn.title)
        _Writer(rr, stream, drawn, heads).write(view, progress)
        stream.flush()
        stream.disconnect()
        return path.read_bytes()


class _Writer:
    """Writes a picture into a stream, frame after frame."""

    def __init__(
        self, rr: Any, stream: Any, drawn: Shown, heads: Mapping[int, AttentionMap]
    ) -> None:
        self.rr, self.stream, self.drawn, self.heads = rr, stream, drawn, heads
        self.scale: ColourScale = drawn.look.scale
        count = len(drawn.clip.frames)
        attention = drawn.attention
        self.divisor = attention.uniform if self.scale.unit == "uniform" else 1.0
        self.planes = key_planes(attention.keys, count)
        self.masses = masses(attention, count) if self.scale.of_weights else None
        links = attention.top(drawn.look.links or LINKS, without=attention.own_keys)
        self.links: list[list[Link]] = [[] for _ in range(count)]
        for link in links:
            if link.weight > 0:
                self.links[shown_frame(link.frame, count)].append(link)
        self.strongest = max((link.weight for link in links), default=1.0)

    def write(self, view: str | None, progress: Listener | None) -> None:
        """Write all of it."""
        self._static(view)
        clip = self.drawn.clip
        for index, time in enumerate(clip.times):
            self.stream.set_time("frame", sequence=index)
            self.stream.set_time("time", duration=float(time))
            self._pictures(index)
            self._maps(index)
            self._links(index)
            if self.drawn.look.marked:
                self._query(index)
            self._scalars(index)
            if progress is not None:
                progress("Writing the recording", (index + 1) / len(clip.frames))

    def _log(self, path: str, *what: Any, static: bool = False) -> None:
        self.stream.log(path, *what, static=static)

    def _static(self, view: str | None) -> None:
        rr, attention = self.rr, self.drawn.attention
        self._log(
            "about", rr.TextDocument(self._about(view), media_type="text/markdown"), static=True
        )
        facts: dict[str, Any] = {
            "unit": _UNITS[self.scale.unit],
            "uniform": float(attention.uniform),
            "off_grid": float(attention.off_grid),
        }
        self._log("clip/map", rr.AnyValues(**facts), static=True)
        if attention.keys.kind == "grid":
            laid = self._laid(attention)
            for path in ("clip/map", *(f"heads/{n:02d}/map" for n in self.heads)):
                self._log(path, laid, static=True)
        names = {"share": "share of the weight", "uniform": "if all keys had the same"}
        for name, told in {
            **names,
            "strongest": f"strongest key, {_UNITS[self.scale.unit]}",
        }.items():
            if name == "strongest" or self.masses is not None:
                self._log(f"row/{name}", rr.SeriesLines(names=told), static=True)

    def _laid(self, attention: AttentionMap) -> Any:
        """Return the transform from cells to pixels; both are counted from the corner of the first.

        Cell (a, b) reaches from (a, b) to (a + 1, b + 1); the centre of pixel (y, x) is at
        (y + 0.5, x + 0.5) there, and at (y, x) in the grid's own frame of reference.
        """
        keys = attention.keys
        (_, sy, sx), (_, oy, ox) = keys.stride, keys.origin
        at = [ox + 0.5 - sx / 2, oy + 0.5 - sy / 2, 0.0]
        return self.rr.Transform3D(translation=at, scale=[sx, sy, 1.0])

    def _pictures(self, index: int) -> None:
        frame, overlay = self.drawn.clip.frames[index], self.drawn.frames[index]
        for path, picture in (("clip/frames", frame), ("clip/overlay", overlay)):
            png = encode(np.ascontiguousarray(picture), "png")
            self._log(path, self.rr.EncodedImage(contents=png, media_type="image/png"))

    def _maps(self, index: int) -> None:
        attention = self.drawn.attention
        if isinstance(attention.keys, TokenBoxes):
            self._boxes(index, attention.keys)
            return
        maps = {"clip/map": attention} | {f"heads/{n:02d}/map": a for n, a in self.heads.items()}
        plane = self.planes[index]
        for path, one in maps.items():
            if plane < 0:
                self._log(path, self.rr.Clear(recursive=False))
            else:
                self._log(path, self._image(one, plane))

    def _image(self, attention: AttentionMap, plane: int) -> Any:
        """Return one frame of a map as a picture whose values stay what they are."""
        values = (attention.weights[plane].astype(np.float64) / self.divisor).astype(np.float32)
        if attention.reachable is not None:
            values = np.where(attention.reachable[plane], values, np.float32("nan"))
        colours = self.rr.components.Colormap
        signed = self.scale.diverging
        lo, hi = self.scale.lo / self.divisor, self.scale.hi / self.divisor
        return self.rr.DepthImage(
            np.ascontiguousarray(values),
            meter=1.0,
            colormap=colours.CyanToYellow if signed else colours.Inferno,
            depth_range=[lo, hi],
            magnification_filter="linear" if self.drawn.look.smooth else "nearest",
        )

    def _boxes(self, index: int, keys: TokenBoxes) -> None:
        here = boxes_of(keys, index, len(self.drawn.clip.frames))
        weights = self.drawn.attention.weights.ravel()[here].astype(np.float64)
        corners = np.array([keys.boxes[i][1:] for i in here], np.float32).reshape(-1, 4)
        names = [f"{keys.names[i]} {self._said(w)}" for i, w in zip(here, weights, strict=True)]
        shares = np.clip(np.abs(self.scale.shares(weights.astype(np.float32), 0)), 0, 1)
        self._log(
            "clip/map",
            self.rr.Boxes2D(
                mins=corners[:, [1, 0]],
                sizes=corners[:, [3, 2]] - corners[:, [1, 0]],
                labels=names,
                colors=[(*_WHITE, 60 + round(195 * float(s))) for s in shares],
            ),
            self.rr.AnyValues(weight=weights, box=np.array(here, np.int64)),
        )

    def _said(self, weight: float) -> str:
        if self.scale.unit == "uniform":
            return multiple_text(weight / self.divisor)
        return number_text(weight)

    def _links(self, index: int) -> None:
        links, (_, y, x) = self.links[index], self.drawn.attention.query
        heads = np.array([(link.x + 0.5, link.y + 0.5) for link in links], np.float32).reshape(
            -1, 2
        )
        tail = np.array([x + 0.5, y + 0.5], np.float32)
        if not self.drawn.look.marked:  # a token without a place has no tail: its keys are marked
            tail = heads
        shares = [link.weight / self.strongest for link in links]
        self._log(
            "clip/links",
            self.rr.Arrows2D(
                origins=np.broadcast_to(tail, heads.shape),
                vectors=heads - tail,
                radii=[-(0.75 + 1.5 * share) for share in shares],  # below 0: points of the screen
                colors=[(*_WHITE, 120 + round(135 * share)) for share in shares],
                labels=[self._said(link.weight) for link in links],
                show_labels=False,
            ),
            self.rr.AnyValues(
                weight=np.array([link.weight for link in links], np.float64),
                multiple=np.array([link.multiple for link in links], np.float64),
                key=np.array([link.index for link in links], np.int64),
            ),
        )
        self._log(
            "clip/links/keys",
            self.rr.Points2D(
                heads,
                radii=[-(2.0 + 4.0 * share) for share in shares],
                colors=[(*_WHITE, 160 + round(95 * share)) for share in shares],
            ),
        )

    def _query(self, index: int) -> None:
        drawn, rr = self.drawn, self.rr
        _, y, x = drawn.attention.query
        own = drawn.query_frame
        label = "query"
        if index != own:
            label = f"query, at {times_text([float(t) for t in drawn.clip.times])[own]}"
        self._log(
            "clip/query",
            rr.Points2D(
                [(x + 0.5, y + 0.5)],
                radii=[-5.0 if index == own else -3.0],
                colors=[(*ACCENT, 255 if index == own else 150)],
                labels=[label],
            ),
        )
        top, left, bottom, right = query_box(drawn.attention, drawn.look)
        mins, sizes = ([(left, top)], [(right - left, bottom - top)]) if index == own else ([], [])
        self._log("clip/query/cell", rr.Boxes2D(mins=mins, sizes=sizes, colors=[ACCENT]))

    def _scalars(self, index: int) -> None:
        found: dict[str, float] = {}
        here, reach = self._keys_of(index)
        if self.masses is not None:
            found["share"] = float(self.masses[index])
            if not self.drawn.attention.balanced:
                found["uniform"] = reach * self.drawn.attention.uniform
        if here.size:
            found["strongest"] = float(here.max()) / self.divisor
        for name, value in found.items():
            self._log(f"row/{name}", self.rr.Scalars(value))

    def _keys_of(self, index: int) -> tuple[npt.NDArray[np.float64], float]:
        """Return the weights of the other keys that a frame shows, and how many keys it has.

        Frames that show the same frame of the grid share its keys, as they share their weight.
        """
        attention, planes = self.drawn.attention, self.planes
        keep = np.ones(attention.weights.shape, bool)
        if attention.reachable is not None:
            keep &= attention.reachable
        if isinstance(attention.keys, TokenBoxes):
            inside = np.zeros(attention.weights.shape, bool)
            inside.ravel()[boxes_of(attention.keys, index, len(self.drawn.clip.frames))] = True
            alike = 1
        else:
            inside = np.zeros(attention.weights.shape, bool)
            if planes[index] >= 0:
                inside[planes[index]] = True
            alike = max(planes.count(planes[index]), 1)
        keep &= inside
        count = float(keep.sum()) / alike
        for own in attention.own_keys:
            keep[attention.keys.unravel(own)] = False
        return attention.weights[keep].astype(np.float64), count

    def _about(self, view: str | None) -> str:
        drawn = self.drawn
        notes = dict.fromkeys((*drawn.clip.notes, *drawn.notes))
        lines = [f"# {drawn.title}", "", drawn.attention.title, ""]
        lines += [drawn.about, ""] if drawn.about else []
        lines += [f"This row: {row_sentence(drawn.clip, drawn.attention)}.", ""]
        lines += [f"- {note}" for note in notes]
        lines += ["", f"Maps are in {_UNITS[self.scale.unit]}; uniform attention is a weight of "]
        lines[-1] += f"{number_text(drawn.attention.uniform)}. Frames are as they were read."
        if view is not None:
            lines += ["", "The view, for `nlviz render`:", "", "```json", view, "```"]
        return "\n".join(lines)
