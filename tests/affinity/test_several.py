"""Rows of several products of one layer: at once, and one after another, against dense matrices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.lines import Lines
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.several import BETWEEN, compose, cross
from nlviz.affinity.support import FrameGroups, Support
from nlviz.errors import NlvizError

T, H, W = 3, 4, 5
N = T * H * W
GRID = TokenGrid((T, H, W), (1, 8, 8), (0, 3.5, 3.5))
F = Pairwise("embedded_gaussian", 0.6)


def part(
    name: str, support: Support, *, heads: int = 2, prefix: int = 0, seed: int = 0, d: int = 6
) -> EmbeddedAffinity:
    draw = torch.Generator().manual_seed(seed)
    theta, phi = torch.randn(2, heads, prefix + N, d, generator=draw)
    grid = TokenGrid(GRID.shape, GRID.stride, GRID.origin, prefix)
    names = ("cls",) * prefix
    return EmbeddedAffinity(
        name, F, theta, phi, grid, grid, support, clip_shape=(T, 8 * H, 8 * W), token_names=names
    )


def time_and_space() -> tuple[EmbeddedAffinity, EmbeddedAffinity]:
    """Time without class tokens, then each frame with its own."""
    own = FrameGroups(1, own_prefix=True)
    return part("time", Lines(("t",))), part("space", own, prefix=T, seed=1, d=7)


def matrix(affinity: Affinity) -> Tensor:
    """Return the mean over heads, (queries, keys), those without a place first."""
    return affinity.dense().double().mean(0)


def test_a_cross_is_both_rows_on_one_scale() -> None:
    time, space = time_and_space()
    both = cross([time, space])
    wanted = torch.cat([space.dense()[..., :T], time.dense() + space.dense()[..., T:]], -1)
    assert torch.allclose(both.dense(), wanted, atol=1e-6)
    assert (both.heads, both.keys.prefix, both.distributes) == (2, T, False)
    assert torch.allclose(both.dense().sum(-1), torch.tensor(2.0), atol=1e-5)
    shown = both.map(frame=1, y=12, x=20)
    assert shown.reachable is not None
    assert int(shown.reachable.sum()) == T + H * W - 1
    assert not shown.normalised
    index = GRID.nearest(frame=1, y=12, x=20)
    assert torch.equal(
        torch.from_numpy(shown.reachable).flatten(),
        both.support.mask(both.queries, both.keys, torch.tensor([index]))[0],  # type: ignore[index]
    )


def test_the_mass_of_each_row_is_stated() -> None:
    time, space = time_and_space()
    both = cross([time, space])
    index = GRID.nearest(frame=2, y=0, x=20)
    first, second = both.masses(index)
    rows = matrix(space)[index]
    assert (first.name, second.name) == ("temporal", "spatial")
    assert (first.on_grid, first.off_grid) == pytest.approx((1, 0), abs=1e-6)
    assert second.off_grid == pytest.approx(float(rows[:T].sum()), abs=1e-6)
    assert second.own == pytest.approx(float(rows[T + index]), abs=1e-6)
    for head, wanted in ((1, space.dense()[1, index, :T].sum()), ("mean", rows[:T].sum())):
        (_, of_head) = both.masses(index, head)  # type: ignore[arg-type]
        assert of_head.off_grid == pytest.approx(float(wanted), abs=1e-6)
    assert both.map(frame=2, y=0, x=20, head="max").title.startswith("time and space, from")
    shown = both.map(frame=2, y=0, x=20)
    assert shown.title == f"time and space (1.00 + {second.on_grid:.2f})"
    assert float(shown.weights.sum()) == pytest.approx(first.on_grid + second.on_grid, abs=1e-5)
    assert shown.off_grid == pytest.approx(second.off_grid, abs=1e-5)
    assert "each sums to 1" in both.note
    assert both.masses_text(index).startswith(
        f"Mass: temporal 1.00, spatial {second.on_grid:.2f} and"
    )


def test_heads_of_unequal_number_are_averaged() -> None:
    time, space = part("time", Lines(("t",)), heads=3), part("space", FrameGroups(1), seed=4)
    both = cross([time, space])
    assert both.heads == 1
    assert torch.allclose(both.dense()[0].double(), matrix(time) + matrix(space), atol=1e-6)


def test_a_composition_is_the_last_row_times_the_matrix_before_it() -> None:
    time, space = time_and_space()
    both = compose([time, space])
    last = matrix(space)
    wanted = torch.cat([last[:, :T], last[:, T:] @ matrix(time)], 1)
    assert torch.allclose(both.dense()[0].double(), wanted, atol=1e-6)
    assert torch.allclose(both.dense().sum(-1), torch.ones(1, N), atol=1e-5)
    assert not torch.allclose(wanted[:, T:], matrix(time) @ last[:, T:], atol=1e-3)
    assert both.name == "space after time"
    assert f"spatial after temporal, {BETWEEN}, heads averaged" in both.note
    assert "stays there" in both.note
    assert both.distributes
    tokens = space.token_rows().double().mean(0)
    wanted = torch.cat([tokens[:, :T], tokens[:, T:] @ matrix(time)], 1)
    assert torch.allclose(both.token_rows()[0].double(), wanted, atol=1e-6)
    shown = both.map(token="cls", frame=1)
    assert torch.allclose(
        torch.from_numpy(shown.weights).flatten().double(), wanted[1, T:], atol=1e-6
    )


def test_the_order_is_that_in_which_they_ran() -> None:
    row, column = part("row", Lines(("x",))), part("column", Lines(("y",)), seed=2)
    one, other = compose([row, column]), compose([column, row])
    assert torch.allclose(one.dense()[0].double(), matrix(column) @ matrix(row), atol=1e-6)
    assert torch.allclose(other.dense()[0].double(), matrix(row) @ matrix(column), atol=1e-6)
    assert "column after row" in one.note


def test_three_axes_one_after_another() -> None:
    parts = [part(a, Lines((a,)), seed=n) for n, a in enumerate(("t", "y", "x"))]  # type: ignore[arg-type]
    wanted = matrix(parts[2]) @ matrix(parts[1]) @ matrix(parts[0])
    assert torch.allclose(compose(parts).dense()[0].double(), wanted, atol=1e-6)
    assert float(cross(parts).dense().sum(-1).mean()) == pytest.approx(3, abs=1e-5)


def test_tokens_without_a_place_that_take_part_in_both_go_on() -> None:
    first = part("one", FrameGroups(3), prefix=1)
    second = part("two", FrameGroups(3), prefix=1, seed=3)
    both = compose([first, second])
    whole = torch.cat([first.token_rows(), first.dense()], 1).double().mean(0)
    assert both.keys.prefix == 1
    assert torch.allclose(both.dense()[0].double(), matrix(second) @ whole, atol=1e-6)
    assert "stays there" not in both.note


def test_what_cannot_be_put_together_is_told() -> None:
    time, space = time_and_space()
    with pytest.raises(NlvizError, match="two affinities or more, got 1"):
        cross([time])
    small = TokenGrid((1, 2, 3))
    other = EmbeddedAffinity("small", F, *torch.randn(2, 1, 6, 4), small, small)
    with pytest.raises(NlvizError, match=r"space is on \(3, 4, 5\) and small on \(1, 2, 3\)"):
        compose([space, other])
    counted = EmbeddedAffinity("counted", Pairwise("dot_product"), time.theta, time.phi, GRID, GRID)
    with pytest.raises(NlvizError, match="sum to 1, those of counted do not"):
        cross([time, counted])
    with pytest.raises(NlvizError, match="no logits"):
        cross([time, space]).map(frame=0, y=0, x=0, values="logits")
