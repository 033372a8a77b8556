"""A clip with a map over it: ``nlviz.overlay(clip, attention).save("look.gif")``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import masses
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.files.local import suffix_of, write_whole
from nlviz.picture import strip_html
from nlviz.progress import Listener
from nlviz.render.colour_scale import scale_of
from nlviz.render.frame_maps import Look
from nlviz.render.shown import Shown
from nlviz.sentences import times_text
from nlviz.words.rows import share_text

KINDS = ("png", "pdf", "svg", "gif", "mp4", "rrd")  # what an overlay is saved as


@dataclass(frozen=True, eq=False)
class Overlay(Shown):
    """A clip with a map over its frames, which can be saved.

    Attributes:
        clip: the clip.
        attention: the map.
        look: how it is drawn.
        title: first line of a film strip.
        about: second line, what the model was trained for.
        notes: further sentences of the caption.
        objects: what is drawn over the frames, between map and marks.
        sweep: gives the maps of the queries that a movie of a text or a graph goes through.
    """

    def save(self, path: str | Path) -> Path:
        """Write the overlay: .png, .pdf, .svg a film strip, .gif, .mp4 the clip under the map.

        .rrd is a recording of frames, map and links for the viewer of Rerun.

        Returns:
            The path.

        Raises:
            NlvizError: for another ending, when the file cannot be written, or when rerun-sdk is
                not installed.
        """
        kind = suffix_of(path, KINDS, what="an overlay")
        return write_whole(path, self.to_bytes(kind))

    def to_bytes(
        self, kind: str, *, metadata: str | None = None, progress: Listener | None = None
    ) -> bytes:
        """Return the bytes of a ``png``, ``pdf``, ``svg``, ``gif``, ``mp4`` or ``rrd`` file.

        Args:
            kind: of the file.
            metadata: JSON of the view, which the three figures and a recording carry.
            progress: called with a sentence and a share in [0, 1] while a movie is drawn.

        Raises:
            NlvizError: for another kind, or when what it needs is not installed.
        """
        if kind == "rrd":
            from nlviz.render.recording import recording

            return recording(self, view=metadata, progress=progress)
        if kind in ("gif", "mp4"):
            from nlviz.render import movie, token_movie

            if self.attention.keys.kind in ("line", "nodes"):
                make = token_movie.gif if kind == "gif" else token_movie.mp4
            else:
                make = movie.gif if kind == "gif" else movie.mp4
            return make(self, progress=progress)
        # Movies do without matplotlib, which takes half a second to import.
        from nlviz.render import figure

        if kind == "png":
            return figure.png(self, metadata=metadata)
        if kind in ("pdf", "svg"):
            return figure.vector(self, "pdf" if kind == "pdf" else "svg", metadata=metadata)
        raise NlvizError(f"an overlay is saved as {', '.join(KINDS)}, got {kind!r}")

    def __repr__(self) -> str:
        return f"Overlay({self.attention!r} on {self.clip!r})"

    def _repr_html_(self) -> str:
        if self.attention.keys.kind in ("line", "nodes"):
            from nlviz.render.figure import sheet_of

            figure = np.asarray(sheet_of(self).image(), np.uint8)
            return strip_html([figure], captions=[""], title=self.attention.title)
        shares = masses(self.attention, len(self.clip.frames))
        labels = times_text([float(time) for time in self.clip.times])
        captions = [
            f"{label}: {share_text(self.attention, share)}" + (" (query)" * (i == self.query_frame))
            for i, (label, share) in enumerate(zip(labels, shares, strict=True))
        ]
        end = self.look.scale.ends[1]
        return strip_html(
            list(self.frames),
            captions=captions,
            title=f"{self.attention.title}, scale ends at {end}",
            notes=list(dict.fromkeys((*self.clip.notes, *self.notes))),
        )


def overlay(
    clip: Clip,
    attention: AttentionMap,
    *,
    smooth: bool = False,
    strength: float = 0.85,
    top: float | None = None,
    scale: Literal["map", "frame", "log"] = "map",
    links: int | None = None,
    sweep: Sequence[AttentionMap] = (),
) -> Overlay:
    """Lay a map over its clip, its text or its graph.

    Args:
        clip: the clip, the text or the graph that the map was computed on.
        attention: the map.
        smooth: interpolate between the centres of the keys rather than show them as cells.
        strength: opacity of the strongest weight, in [0, 1].
        top: end of the colour scale in multiples of uniform attention; None finds one.
        scale: one colour scale for the whole map, one per frame, or a logarithmic one over three
            decades up to the strongest key.
        links: how many of the strongest links a figure shows as arrows or arcs; by default none on
            cells of pictures, and 8 between words, boxes or nodes.
        sweep: maps of other queries, through which a movie of a text or a graph goes.

    Raises:
        NlvizError: when an option is out of range.

    >>> import numpy as np
    >>> from nlviz.affinity.grid import TokenGrid
    >>> clip = Clip.from_frames(np.zeros((2, 24, 40, 3), np.uint8))
    >>> weights = np.full((2, 3, 5), 1 / 30, np.float32)
    >>> keys = TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5))
    >>> overlay(clip, AttentionMap(weights, (1, 11.5, 19.5), keys)).frames.shape
    (2, 24, 40, 3)
    """
    if not 0 <= strength <= 1:
        raise NlvizError(f"strength must be between 0 and 1, got {strength}")
    if scale not in ("map", "frame", "log"):
        raise NlvizError(f"scale must be 'map', 'frame' or 'log', got {scale!r}")
    if scale == "log" and top is not None:
        raise NlvizError("a logarithmic scale ends at the strongest key; leave top out")
    if links is not None and links < 0:
        raise NlvizError(f"links must be 0 or more, got {links}")
    if links is None:
        links = 0 if attention.keys.kind == "grid" else 8
    colours = scale_of(attention, top=top, per_frame=scale == "frame", logarithmic=scale == "log")
    marked = not attention.token
    look = Look(colours, smooth=smooth, strength=strength, links=links, marked=marked)
    maps = (lambda: sweep) if sweep else None
    return Overlay(clip, attention, look, title=f"{clip.name} · {attention.title}", sweep=maps)
