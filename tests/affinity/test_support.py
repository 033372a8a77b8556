"""Windows and groups against loops over places; every size is another."""

from __future__ import annotations

import pytest
import torch

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support, Window
from nlviz.errors import NlvizError

GRID = TokenGrid((4, 5, 7))
WINDOWS = [
    Window(rows=1, columns=2),
    Window(rows=1, columns=2, frames=1),
    Window(rows=2, columns=1, frames=0, block=3),
    Window(rows=0, columns=0),
]


def reached(window: Window, query: int, key: int) -> bool:
    """The rule of windows, for one query and one key."""
    (t, y, x), (a, b, c) = GRID.unravel(query), GRID.unravel(key)
    side = window.block
    top, left = y // side * side, x // side * side
    return (
        (window.frames is None or abs(a - t) <= window.frames)
        and top - window.rows <= b < top + side + window.rows
        and left - window.columns <= c < left + side + window.columns
    )


@pytest.mark.parametrize("window", WINDOWS)
def test_masks_are_the_rule(window: Window) -> None:
    support = Support(window=window)
    told = torch.tensor([[reached(window, q, k) for k in range(140)] for q in range(140)])
    mask = support.mask(GRID, GRID, torch.arange(140))
    assert mask is not None and torch.equal(mask, told)
    columns = [support.reaching(GRID, GRID, k) for k in range(140)]
    assert torch.equal(torch.stack([c for c in columns if c is not None], 1), told)


@pytest.mark.parametrize("window", WINDOWS)
def test_rows_of_a_window_are_softmaxes_of_its_keys(window: Window) -> None:
    generator = torch.Generator().manual_seed(3)
    theta, phi = (torch.randn(2, 140, 6, generator=generator) for _ in range(2))
    affinity = EmbeddedAffinity(
        "b", Pairwise("embedded_gaussian"), theta, phi, GRID, GRID, Support(window=window)
    )
    for query in (0, 45, 139):
        keys = [k for k in range(140) if reached(window, query, k)]
        row = torch.zeros(2, 140)
        row[:, keys] = torch.einsum("hd,hkd->hk", theta[:, query], phi[:, keys]).softmax(-1)
        torch.testing.assert_close(affinity.rows([query])[:, 0], row)
        shown = affinity.map(frame=GRID.centre(query)[0], y=GRID.unravel(query)[1], x=query % 7)
        assert shown.reachable is not None and int(shown.reachable.sum()) == len(keys)


def test_a_window_that_makes_no_sense_is_told() -> None:
    with pytest.raises(NlvizError, match=r"0 or more cells.*rows=-1"):
        Window(rows=-1, columns=2)
    with pytest.raises(NlvizError, match=r"not both.*frames_per_group=2"):
        Support(frames_per_group=2, window=Window(1, 1))
