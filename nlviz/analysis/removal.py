"""What a network says of a clip without some of its cells: one pass for each set of cells."""

from __future__ import annotations

import math
import time
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlviz.affinity.asked import Query, query_number, query_said, rows_at
from nlviz.analysis.attribution import class_of
from nlviz.analysis.compared_maps import check_cells
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.interventions.regions import FILLS, Fill, filled, pixels_of_cells
from nlviz.interventions.time import check_pixels, with_frames
from nlviz.interventions.values import values_of
from nlviz.progress import Progress

Of = Literal["answer", "output"]
OF: tuple[Of, ...] = ("answer", "output")

Cells = npt.NDArray[np.bool_]


class Removals:
    """Takes cells out of a clip and measures what is left, remembering what it measured.

    Args:
        model: the network.
        capture: of the whole clip.
        block: whose key cells are taken out.
        query: whose output is measured, and whose map is tried.
        of: ``answer``: the probability of the class; ``output``: how far the block's output at the
            query is still what it was, 1 - |y' - y| / (|y'| + |y|), in [0, 1].
        target: index or name of the class; by default the most probable one.
        fill: what stands in the place of cells.

    Raises:
        NlvizError: when the network gives no class scores, or keys are no cells.
    """

    def __init__(
        self,
        model: Model,
        capture: Capture,
        block: str,
        query: Query,
        *,
        of: Of = "answer",
        target: int | str | None = None,
        fill: Fill = "inpaint",
    ) -> None:
        if of not in OF:
            raise NlvizError(f"what is measured is one of {', '.join(OF)}, got {of!r}")
        if fill not in FILLS:
            raise NlvizError(f"a fill is one of {', '.join(FILLS)}, got {fill!r}")
        check_pixels(capture.clip)
        affinity = capture.affinities[block]
        check_cells(affinity)
        if capture.logits is None and of == "answer":
            raise NlvizError(
                f"{model.about.name} gives no score per class, so there is no answer to measure; "
                "measure the block's output instead (of='output')"
            )
        self.model, self.capture, self.block = model, capture, block
        self.of, self.fill = of, fill
        self.affinity = affinity
        self.number = query_number(affinity, query)
        self.said = query_said(affinity, self.number)
        self.target, self.label = (None, "")
        if capture.logits is not None:
            self.target, self.label = class_of(capture, target)
        self.passes = 0
        self.expected = 1
        self.report = Progress()
        self._began = time.perf_counter()
        self._known: dict[bytes, float] = {}
        self._output = self._output_of(capture) if of == "output" else None

    def value(self, cells: Cells) -> float:
        """Return the measure of the clip without these cells, (t, h, w)."""
        key = np.packbits(cells).tobytes()
        if key not in self._known:
            self._known[key] = self._measured(cells)
        return self._known[key]

    def without(self, order: npt.NDArray[np.int64], count: int) -> Cells:
        """Return the first cells of an order, (t, h, w)."""
        cells = np.zeros(self.affinity.keys.size, bool)
        cells[order[:count]] = True
        return cells.reshape(self.affinity.keys.shape)

    def _measured(self, cells: Cells) -> float:
        if not cells.any():
            return self._of(self.capture)
        left = (time.perf_counter() - self._began) / max(self.passes, 1)
        left *= max(self.expected - self.passes, 0)
        when = f", about {math.ceil(left)} s left" if self.passes else ""
        done = min(self.passes / self.expected, 1.0)
        self.report(f"Pass {self.passes + 1} of {self.expected}{when}", done)
        self.passes += 1
        source = self.capture.source
        clip = self.capture.clip if source is None else source.clip
        mask = pixels_of_cells(self.affinity.keys, cells, clip.shape)
        changed = with_frames(clip, filled(clip.frames, mask, self.fill), "cells are taken out")
        if self.of == "answer":
            return self._probability(self.model.logits(changed))
        queries, generate = (None, 0) if source is None else (source.queries, source.generate)
        again = self.model.capture(changed, queries=queries, generate=generate, blocks=[self.block])
        return self._of(again)

    def _of(self, capture: Capture) -> float:
        if self._output is None:
            assert capture.logits is not None
            return self._probability(capture.logits)
        y, before = self._output_of(capture), self._output
        size = float(y.norm() + before.norm())
        return 1.0 - float((y - before).norm()) / size if size > 0 else 1.0

    def _probability(self, logits: Tensor) -> float:
        shares = logits.double()
        independent = self.capture.about.independent
        shares = shares.sigmoid() if independent else shares.softmax(-1)
        assert self.target is not None
        return float(shares[self.target])

    def _output_of(self, capture: Capture) -> Tensor:
        """Return the block's output at the query: its row times the values, heads side by side."""
        affinity = capture.affinities[self.block]
        row = rows_at(affinity, [self.number]).double().cpu()
        y = row @ values_of(capture, self.block)[self.block].to(row)
        return torch.as_tensor(y).flatten()
