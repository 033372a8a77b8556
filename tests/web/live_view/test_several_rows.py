"""Rows of several products of one layer, and of lines of keys, in the browser against Python."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.lines import Lines
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.several import compose, cross
from nlviz.affinity.split import split
from nlviz.affinity.support import FrameGroups, Support, Window
from nlviz.affinity.variants import COMPOSED, CROSS, LEARNED, PAIRWISE, UNARY
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.sources import packed_sources
from tests.web.live_view.containers import header
from tests.web.live_view.test_rows import Cases, run_node
from tests.web.live_view.test_set_rows import reached

SHAPE = (4, 5, 7)
N = 140


def part(name: str, support: Support, *, heads: int = 3, prefix: int = 0) -> EmbeddedAffinity:
    draw = torch.Generator().manual_seed(len(name))
    theta, phi = torch.randn(2, heads, prefix + N, 6, generator=draw)
    grid = TokenGrid(SHAPE, (1.0, 16.0, 16.0), (0.0, 7.5, 7.5), prefix)
    f = Pairwise("embedded_gaussian", 0.7)
    names = ("cls",) * prefix
    return EmbeddedAffinity(name, f, theta, phi, grid, grid, support, token_names=names)


def layers() -> dict[str, tuple[EmbeddedAffinity, ...]]:
    own = FrameGroups(1, own_prefix=True)
    return {
        "divided": (part("time", Lines(("t",))), part("space", own, prefix=4)),
        "axial": tuple(part(axis * 3, Lines((axis,))) for axis in ("t", "y", "x")),  # type: ignore[arg-type]
        "unequal": (part("few", Lines(("t",)), heads=2), part("many", FrameGroups(1))),
    }


@pytest.mark.parametrize("name", layers())
def test_a_cross_and_a_composition_equal_python(name: str, tmp_path: Path) -> None:
    parts = layers()[name]
    cases = Cases()
    shown: list[tuple[Any, Affinity]] = [
        *((LEARNED, parts[-1]), (CROSS, cross(parts)), (COMPOSED, compose(parts)))
    ]
    cases.sources = packed_sources(shown, cases.sections)
    assert not any(source["server"] for source in cases.sources)
    sent = [section for section in cases.sections if section.endswith(".theta")]
    assert len(sent) == len(parts)  # each once
    grid = parts[-1].queries
    of = {"shape": grid.shape, "stride": grid.stride, "origin": grid.origin}
    for variant, affinity in shown:
        for token in (0, 36, 61, 104, 139):
            place = dict(zip(("frame", "y", "x"), grid.centre(token), strict=True))
            for head in (1, "mean", "max"):
                row = affinity.map(**place, head=head if affinity.heads > 1 else None)  # type: ignore[arg-type]
                view = {"source": variant.key, "head": head}
                total = float(row.weights.sum()) + row.off_grid
                cases.expect(
                    *(f"{variant.key} {token} {head}", token, reached(row), view, 1e-5),
                    of=of,
                    apart=row.off_grid,
                    mass=[float(mass) / total for mass in row.weights.sum((1, 2))],
                )
            if affinity.heads > 1 or variant is COMPOSED:
                continue
            whole = affinity.map(**place)
            share = whole.without("cell").left_out / float(whole.weights.sum())
            view = {"source": variant.key, "leave_out": "cell"}
            name = f"{variant.key} {token} without"
            cases.expect(name, token, reached(whole), view, 1e-5, of=of, excluded=share)
    if parts[-1].token_names:
        own = shown[2][1].map(token="cls")
        view = {"source": COMPOSED.key, "token": "cls"}
        cases.expect("token", 0, reached(own), view, 1e-5, of=of, apart=own.off_grid)
    path = tmp_path / "several.bin"
    path.write_bytes(pack(header(cases.clip, cases.sources, cases=cases.cases), cases.sections))
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(path))


def test_criss_cross_equals_python(tmp_path: Path) -> None:
    affinity = part("lines", Lines(("y", "x")), prefix=2)
    cases = Cases()
    parts = split(affinity)
    shown = {LEARNED: affinity, PAIRWISE: parts.pairwise, UNARY: parts.unary}
    cases.sources = packed_sources([*shown.items()], cases.sections)
    assert not any(source["server"] for source in cases.sources)
    grid = affinity.queries
    of = {"shape": grid.shape, "stride": grid.stride, "origin": grid.origin}
    asked = itertools.product(shown.items(), (0, 40, 87, 139), ("from", "to"), (0, "mean", "max"))
    for (variant, one), token, direction, head in asked:
        place = dict(zip(("frame", "y", "x"), grid.centre(token), strict=True))
        row = one.map(**place, head=head, direction=direction)  # type: ignore[arg-type]
        view = {"source": variant.key, "head": head, "direction": direction}
        name = f"{variant.key} {token} {head} {direction}"
        cases.expect(name, token, reached(row), view, 2e-5, of=of)
    path = tmp_path / "lines.bin"
    path.write_bytes(pack(header(cases.clip, cases.sources, cases=cases.cases), cases.sections))
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(path))


def test_what_the_browser_cannot_put_together_comes_from_the_server() -> None:
    near = part("near", Window(rows=1, columns=1, frames=0))
    time, space = part("time", Lines(("t",))), part("space", FrameGroups(1))
    small = {"limit": 2 * 2 * 3 * N * 6}  # the block's own alone
    arrays: dict[str, Any] = {}
    for shown, options in (
        ([(LEARNED, near), (CROSS, cross([time, near]))], {}),
        ([(LEARNED, space), (CROSS, cross([time, space]))], small),
    ):
        found = packed_sources(shown, arrays, query=(1.0, 40.0, 40.0), **options)  # type: ignore[arg-type]
        assert [source["server"] for source in found] == [False, True]
        row = arrays[found[1]["row"]]
        wanted = shown[1][1].rows([shown[1][1].queries.nearest(frame=1, y=40, x=40)])[:, 0]
        there = ~np.isnan(row)
        assert np.allclose(row[there], wanted.numpy()[there], atol=1e-6)
