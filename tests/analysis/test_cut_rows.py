"""Links that are cut, against a softmax whose logits are -inf there, and against brute force."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nlviz.analysis.cut_rows import greedy_cuts, output_changes, single_changes

HEADS, KEYS, DV = 3, 11, 5


def row_and_values(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return logits of a query and values."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(HEADS, KEYS, generator=generator, dtype=torch.float64)
    return logits, torch.randn(HEADS, KEYS, DV, generator=generator, dtype=torch.float64)


def summed(rows: Tensor, values: Tensor) -> Tensor:
    return torch.stack([sum(rows[h, k] * values[h, k] for k in range(KEYS)) for h in range(HEADS)])


@pytest.mark.parametrize("heads", [None, (2,), (0, 2)])
def test_a_softmax_row_is_that_of_logits_without_these_keys(heads: tuple[int, ...] | None) -> None:
    logits, values = row_and_values()
    cuts = torch.rand(7, KEYS, generator=torch.Generator().manual_seed(1)) < 0.4
    before = summed(logits.softmax(-1), values)
    wanted = []
    for cut in cuts:
        hidden = logits.clone()
        for head in range(HEADS) if heads is None else heads:
            hidden[head, cut] = -math.inf
        after = summed(hidden.softmax(-1), values)
        wanted.append(float((after - before).norm() / before.norm()))
    row = logits.softmax(-1).float()
    found = output_changes(row, values.float(), cuts, shared=True, heads=heads)
    assert found.tolist() == pytest.approx(wanted, rel=1e-4)


def test_other_rows_lose_what_is_cut_and_no_more() -> None:
    row, values = row_and_values()
    cut = torch.zeros(1, KEYS, dtype=torch.bool)
    cut[0, [2, 7]] = True
    lost = sum(row[:, k, None] * values[:, k] for k in (2, 7))
    wanted = float(lost.norm() / summed(row, values).norm())
    assert float(output_changes(row, values, cut, shared=False)) == pytest.approx(wanted, rel=1e-5)


def test_nothing_cut_changes_nothing_and_all_cut_leaves_nothing() -> None:
    logits, values = row_and_values()
    cuts = torch.stack([torch.zeros(KEYS, dtype=torch.bool), torch.ones(KEYS, dtype=torch.bool)])
    found = output_changes(logits.softmax(-1), values, cuts, shared=True)
    assert found[0] == 0
    assert float(found[1]) == pytest.approx(1.0, rel=1e-6)


def test_what_little_is_left_of_a_sharp_row_is_summed_exactly() -> None:
    """All but 1e-9 of the weight is on one key; without it the rest is a row of its own."""
    logits, values = row_and_values()
    logits[:, 4] += 25
    hidden = logits.clone()
    hidden[:, 4] = -math.inf
    before, after = (summed(x.softmax(-1), values) for x in (logits, hidden))
    wanted = float((after - before).norm() / before.norm())
    row = logits.softmax(-1).float()
    found = single_changes(row, values.float(), torch.tensor([4]), shared=True)
    assert float(found) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("sharp", [1.0, 60.0])
@pytest.mark.parametrize("shared", [True, False])
def test_greedy_takes_the_best_of_all_that_are_left(shared: bool, sharp: float) -> None:
    logits, values = row_and_values(3)
    logits *= sharp
    row = logits.softmax(-1) if shared else logits
    candidates = torch.tensor([0, 1, 3, 4, 6, 8, 9, 10])
    found = greedy_cuts(row, values, candidates, 3, shared=shared)
    gone: list[int] = []
    for key, change in zip(found.keys, found.changes, strict=True):
        sizes = {}
        for other in candidates.tolist():
            if other in gone:
                continue
            cut = torch.zeros(1, KEYS, dtype=torch.bool)
            cut[0, [*gone, other]] = True
            sizes[other] = float(output_changes(row, values, cut, shared=shared))
        assert key == max(sizes, key=sizes.__getitem__)
        assert change == pytest.approx(sizes[key], rel=1e-4)
        gone.append(key)


def test_links_that_stand_in_for_each_other_show_together_only() -> None:
    """Two keys with one value share the weight: without one, the other gives nearly the same."""
    values = torch.zeros(1, 4, 2)
    values[0, :2, 0], values[0, 2:, 1] = 1.0, 1.0
    row = torch.tensor([[0.495, 0.495, 0.005, 0.005]])
    alone = single_changes(row, values, torch.tensor([0, 1]), shared=True)
    both = greedy_cuts(row, values, torch.arange(4), 2, shared=True)
    assert set(both.keys) == {0, 1}
    assert both.changes[-1] > 10 * float(alone.sum())


def test_the_last_link_of_a_shared_row_stays() -> None:
    logits, values = row_and_values()
    found = greedy_cuts(logits.softmax(-1), values, torch.arange(KEYS), 99, shared=True)
    assert len(found.keys) == len(set(found.keys)) == KEYS - 1
