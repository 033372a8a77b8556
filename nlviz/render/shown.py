"""What is drawn: a clip, a map, its look and its sentences, before any file format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import shown_frame
from nlviz.clips.clip import Clip
from nlviz.clips.detections import Detection
from nlviz.render.frame_maps import Look, map_frame, outlined, query_box
from nlviz.render.objects import with_objects

ACCENT = (64, 208, 242)  # of everything that belongs to the query; no colour map holds it


@dataclass(frozen=True, eq=False)
class Shown:
    """A clip with a map over its frames, which knows no file format.

    Attributes:
        clip: the clip.
        attention: the map.
        look: how it is drawn.
        title: first line of a film strip.
        about: second line, what the model was trained for.
        notes: further sentences of the caption.
        objects: what is drawn over the frames, between map and marks.
        sweep: gives the maps of the queries that a movie of a text or a graph goes through; None
            for a still.
    """

    clip: Clip
    attention: AttentionMap
    look: Look
    title: str = ""
    about: str = ""
    notes: tuple[str, ...] = ()
    objects: tuple[Detection, ...] = ()
    sweep: Callable[[], Sequence[AttentionMap]] | None = None

    @cached_property
    def frames(self) -> npt.NDArray[np.uint8]:
        """The frames under the map, (T, H, W, 3) RGB in [0, 255], the query's cell outlined."""
        out = np.empty_like(self.clip.frames)
        for index, frame in enumerate(self.clip.frames):
            out[index] = with_objects(
                map_frame(frame, self.clip, self.attention, index, self.look),
                self.objects_of(index),
                self.clip.shape[1:],
                lettering=False,
            )
        at = self.query_frame
        if self.look.marked:
            out[at] = outlined(out[at], query_box(self.attention, self.look), colour=ACCENT)
        out.flags.writeable = False
        return out

    def objects_of(self, frame: int) -> list[Detection]:
        """Return the objects of one frame."""
        return [found for found in self.objects if found.frame == frame]

    @property
    def query_frame(self) -> int:
        """The frame of the clip that the query lies in."""
        return shown_frame(self.attention.query[0], len(self.clip.frames))

    @property
    def thumbnail(self) -> npt.NDArray[np.uint8]:
        """The square of the clip around the query, (side, side, 3), at least 1.5 cells wide."""
        _, y, x = self.attention.query
        cell = self.look.cell or self.attention.cell or self.attention.keys.stride[1:]
        side = max(round(1.5 * max(cell)), 24)
        return self.clip.thumbnail(frame=self.query_frame, y=y, x=x, side=side)
