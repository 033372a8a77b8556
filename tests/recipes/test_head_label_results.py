"""What the guide says of labels of heads is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from nlviz.recipes.head_label_results import tables
from nlviz.recipes.planted_heads import COLOURS, HEADS, SHAPE, clip_of_cells, palette, planted_heads
from nlviz.recipes.verdict_results import BEGIN, END

ROOT = Path(__file__).parents[2]
RECORDS = json.loads((ROOT / "tests/benchmarks/results/head-labels.json").read_text("utf-8"))


def test_the_guide_has_the_tables_of_the_results() -> None:
    page = (ROOT / "docs/guides/head-labels.md").read_text("utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == tables(RECORDS)


def test_every_head_that_can_be_planted_is_in_both_halves() -> None:
    for odd in (0, 1):
        truths = {tuple(r["truth"]) for r in RECORDS if r["seed"] % 2 == odd}
        assert {(name,) for name in HEADS} | {("dead",)} <= truths


def test_each_colour_of_a_frame_has_one_counterpart_in_every_other() -> None:
    cells = clip_of_cells(3).frames[:, ::4, ::4].reshape(SHAPE[0], -1, 3)
    white = (cells == 255).all(-1)
    assert white.sum() == 1
    for frame, hidden in zip(cells, white, strict=True):
        found = np.unique(frame[~hidden], axis=0)
        assert len(found) == COLOURS - hidden.sum()
        assert {tuple(c) for c in found.tolist()} <= {tuple(c) for c in palette().tolist()}


def test_planted_rows_do_what_their_names_say() -> None:
    """Straight from the rows, without any figure of a survey."""
    model, clip = planted_heads(5), clip_of_cells(17)
    capture = model.capture(clip)
    cells = torch.from_numpy(clip.frames[:, ::4, ::4].reshape(-1, 3).copy())
    query = int(np.flatnonzero(~(cells == 255).all(-1).numpy())[40])
    rows = {
        name: capture.affinities[f"blocks.{n}"].rows([query])[0, 0]
        for n, name in enumerate(model.net.order)
    }
    same = (cells == cells[query]).all(-1)
    known = torch.from_numpy(palette().copy())
    kind = ((cells[:, None] == known).all(-1).float().argmax(-1)) // 7
    assert float(rows["matching"][same].sum()) > 0.9
    assert float(rows["semantic"][kind == kind[query]].sum()) > 0.5
    assert float(rows["content"][kind == kind[query]].sum()) < 0.2
    assert float(rows["sink"][(cells == 255).all(-1)].sum()) > 0.6
    assert float(rows["itself"][query]) > 0.9
    assert float(rows["uniform"].max() / rows["uniform"].min()) < 2
