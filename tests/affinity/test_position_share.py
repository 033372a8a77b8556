"""Content and position of logits, each alone, against a dense reference."""

from __future__ import annotations

import pytest
import torch

from nlviz.affinity.bias import OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.position_share import has_terms, position_share, terms
from nlviz.affinity.support import FrameGroups
from nlviz.affinity.variants import VARIANTS
from nlviz.errors import NlvizError

GRID = TokenGrid((2, 3, 5), prefix=2)


def made(*, strength: float = 1.0, pairwise: str = "embedded_gaussian") -> EmbeddedAffinity:
    draw = torch.Generator().manual_seed(8)
    theta, phi = (torch.randn(3, 32, 4, generator=draw) for _ in range(2))
    table = strength * torch.randn(3, 3, 5, 9, generator=draw)
    kind = Pairwise(pairwise, 0.5)  # type: ignore[arg-type]
    bias = OffsetBias(table, apart=strength * torch.randn(3, 2, generator=draw))
    return EmbeddedAffinity("b", kind, theta, phi, GRID, GRID, FrameGroups(1), bias=bias)


def test_each_term_alone_is_its_softmax_and_both_add_up() -> None:
    a = made()
    content, position = terms(a)
    every = torch.arange(GRID.size)
    reach = a.support.mask_all(GRID, GRID, every)
    assert reach is not None
    products = 0.5 * a.theta[:, 2:] @ a.phi.mT
    assert a.bias is not None
    added = a.bias.at(GRID, GRID, every)
    for one, logits in ((content, products), (position, added), (a, products + added)):
        wanted = logits.masked_fill(~reach, -torch.inf).softmax(-1)
        torch.testing.assert_close(one.rows(every), wanted)
        torch.testing.assert_close(one.column(7), wanted[..., 9])


def test_the_share_is_that_of_the_variances() -> None:
    a = made(strength=3.0)
    share = position_share(a)
    reach = a.support.mask_all(GRID, GRID, torch.arange(GRID.size))
    assert reach is not None
    assert a.bias is not None
    products = (0.5 * a.theta[:, 2:] @ a.phi.mT).double()
    added = a.bias.at(GRID, GRID, torch.arange(GRID.size)).double()
    spread = [
        sum(
            float(x[head, q][reach[q]].var(correction=0))
            for head in range(3)
            for q in range(GRID.size)
        )
        for x in (products, added)
    ]
    assert share == pytest.approx(spread[1] / sum(spread), rel=1e-6)
    assert position_share(made(strength=0.0)) == 0.0


def test_what_has_no_terms_is_refused() -> None:
    dot = made(pairwise="dot_product")
    assert not has_terms(dot)
    assert position_share(dot) is None
    with pytest.raises(NlvizError, match="nothing is in b"):
        terms(dot)


def test_new_variants_leave_number_keys_as_they_were() -> None:
    assert [v.term for v in VARIANTS][:10] == [None] * 8 + ["content", "position"]
    assert not any(v.term for v in VARIANTS[10:])
