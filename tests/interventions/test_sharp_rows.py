"""Rows that are sharp: without their strongest edges, what is left is a softmax of its own."""

from __future__ import annotations

import math

import pytest
import torch

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.interventions.change import Rows
from nlviz.interventions.sharp_rows import at_temperature, shared_out, without

QUERIES, KEYS = TokenGrid((1, 2, 3), prefix=1), TokenGrid((1, 2, 5), prefix=1)


def sharp(scale: float) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(0)
    theta, phi = (torch.randn(2, n, 4, generator=generator) for n in (7, 11))
    f = Pairwise("embedded_gaussian", scale)
    return EmbeddedAffinity("sharp", f, theta, phi, QUERIES, KEYS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [1.0, 40.0, 300.0])
@pytest.mark.parametrize("heads", [None, (1,)])
def test_rows_are_those_of_masked_logits(
    scale: float, dtype: torch.dtype, heads: tuple[int, ...] | None
) -> None:
    affinity = sharp(scale)
    numbers, keys = torch.tensor([2, 5, 1]), torch.tensor([3, 0, 7, 10, -1, 1, 2, 9])
    logits = affinity.logits(numbers - 1)[:, :, keys.clamp(min=0)].double()
    logits[..., keys < 0] = -math.inf
    chosen = slice(None) if heads is None else list(heads)
    weights = logits.softmax(-1)[chosen].to(dtype)
    cut = torch.zeros(3, 8, dtype=torch.bool)
    cut.scatter_(1, weights.float().mean(0).topk(3).indices, True)
    of = torch.arange(2) if heads is None else torch.tensor(heads)
    found = shared_out(Rows(weights, of, numbers, keys, affinity), cut)
    wanted = logits[chosen].masked_fill(cut, -math.inf).softmax(-1)
    exact = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 6e-2}[dtype]
    assert bool(found.isfinite().all())
    assert float((found.double() - wanted).abs().max()) < exact


@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("factor", [0.5, 60.0])
def test_a_temperature_makes_sharp_rows_flat(scale: float, factor: float) -> None:
    affinity, numbers = sharp(scale), torch.tensor([2, 5, 1])
    logits = affinity.logits(numbers - 1).double()
    weights = logits.softmax(-1).float()
    rows = Rows(weights, torch.arange(2), numbers, torch.arange(11), affinity)
    found = at_temperature(rows, factor)
    wanted = (logits / factor).softmax(-1)
    assert float((found.double() - wanted).abs().max()) < 1e-4


def test_what_is_next_to_nothing_is_no_infinity() -> None:
    rows = torch.tensor([[[1.0, 1e-42, 3e-42]]])
    found = without(rows, torch.tensor([True, False, False]), softmax=True)
    assert found[0, 0].tolist() == pytest.approx([0.0, 0.25, 0.75], rel=1e-2)


def test_a_row_without_any_edge_is_nothing() -> None:
    affinity, numbers, keys = sharp(300.0), torch.tensor([4]), torch.arange(11)
    weights = affinity.rows([3])
    every = torch.ones(11, dtype=torch.bool)
    found = shared_out(Rows(weights, torch.arange(2), numbers, keys, affinity), every)
    assert float(found.abs().sum()) == 0.0
