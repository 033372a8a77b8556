"""A receipt holds when rows times values are what the block computed, and only then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.affinity.receipt import MOST, Receipt, receipt

HEADS, QUERIES, KEYS, D, DV = 3, 5 * 7, 2 * 4, 6, 11


def affinity(
    change: Callable[[Tensor], Tensor] = lambda rows: rows,
    *,
    pairwise: PairwiseName = "embedded_gaussian",
    dtype: torch.dtype = torch.float32,
    offset: float = 0.0,
) -> EmbeddedAffinity:
    """An affinity whose block multiplied changed rows with its values."""
    draw = torch.Generator().manual_seed(1)
    sizes = ((HEADS, QUERIES, D), (HEADS, KEYS, D), (HEADS, KEYS, DV))
    theta, phi, g = (torch.randn(size, generator=draw).to(dtype) for size in sizes)
    g = g + offset
    f = Pairwise(pairwise, 0.7)
    rows = f.normalise(f.logits(theta.double(), phi.double()))
    y = (change(rows) @ g.double()).to(dtype)
    grids = TokenGrid((1, 5, 7)), TokenGrid((1, 2, 4))
    return EmbeddedAffinity("block", f, theta, phi, *grids, values=g, output=y)


def checked(found: EmbeddedAffinity) -> Receipt:
    got = receipt(found)
    assert got is not None
    return got


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "dot_product"])
@pytest.mark.parametrize("offset", [0.0, 40.0])
def test_right_rows_hold_in_every_type(
    dtype: torch.dtype, pairwise: PairwiseName, offset: float
) -> None:
    got = checked(affinity(pairwise=pairwise, dtype=dtype, offset=offset))
    assert got.holds
    assert (got.queries, got.heads) == (16, HEADS)
    assert got.precision == str(dtype).removeprefix("torch.")
    assert got.tolerance <= MOST


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("offset", [0.0, 40.0])
def test_rows_with_something_behind_the_softmax_do_not(dtype: torch.dtype, offset: float) -> None:
    gate = torch.linspace(0.2, 1.3, KEYS, dtype=torch.float64)
    mixed = torch.randn(HEADS, HEADS, generator=torch.Generator().manual_seed(2)).double()
    changes = {
        "a gate": lambda rows: rows * gate,
        "talking heads": lambda rows: torch.einsum("hnk,hm->mnk", rows, mixed),
        "another order of the keys": lambda rows: rows.flip(-1),
        "another order of the heads": lambda rows: rows.roll(1, 0),
    }
    for name, change in changes.items():
        got = checked(affinity(change, dtype=dtype, offset=offset))
        assert not got.holds, name
        assert "rows times values must give what block computed" in got.refusal


def test_one_wrong_head_is_enough() -> None:
    def last_head(rows: Tensor) -> Tensor:
        rows = rows.clone()
        rows[-1] = rows[-1].roll(1, -1)
        return rows

    assert not checked(affinity(last_head)).holds


def test_values_that_are_alike_hide_nothing() -> None:
    """Of values around 90 a wrong row gives nearly the same y: the difference is what counts."""
    wrong = affinity(lambda rows: torch.full_like(rows, 1 / KEYS), offset=90.0)
    assert wrong.values is not None
    assert wrong.output is not None
    right = affinity(offset=90.0).output
    assert right is not None
    assert float((wrong.output - right).abs().max() / right.abs().max()) < MOST
    assert not checked(wrong).holds


def test_a_block_that_computed_no_number_is_not_shown() -> None:
    got = checked(affinity(lambda rows: rows * torch.nan))
    assert not got.holds
    assert "finite numbers" in got.refusal


def test_without_values_or_output_there_is_no_receipt() -> None:
    grids = TokenGrid((1, 5, 7)), TokenGrid((1, 2, 4))
    theta, phi = torch.zeros(1, 35, 2), torch.zeros(1, 8, 2)
    assert receipt(EmbeddedAffinity("block", Pairwise("gaussian"), theta, phi, *grids)) is None


@pytest.mark.parametrize("keys", [1344, 6272])
def test_values_of_a_still_background_are_summed_with_a_rounding_to_one_side(keys: int) -> None:
    """Float32 sums of thousands of nearly equal values are off by more than single roundings."""
    draw = torch.Generator().manual_seed(2)
    theta, phi = (0.1 * torch.randn((1, n, 4), generator=draw) for n in (35, keys))
    g = torch.full((1, keys, 4), 1.2503) + 1e-3 * torch.randn((1, keys, 4), generator=draw)
    g[:, ::37] += 2
    rows = (theta @ phi.mT).softmax(-1)
    total = torch.zeros(1, 35, 4)
    for part in range(keys):  # one after another, as the plainest code does
        total += rows[:, :, part, None] * g[:, None, part]
    grids = TokenGrid((1, 5, 7)), TokenGrid((1, 1, keys))
    found = EmbeddedAffinity("b", Pairwise("gaussian"), theta, phi, *grids, values=g, output=total)
    assert checked(found).holds
    wrong = EmbeddedAffinity(
        "b", Pairwise("gaussian"), theta, phi, *grids, values=g, output=0.99 * total
    )
    assert not checked(wrong).holds
