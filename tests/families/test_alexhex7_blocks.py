"""AlexHex7's blocks in a network: modes that nothing but the result tells, maps, groups."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nlviz.errors import NlvizError
from tests.families.checking import captured, check
from tests.families.stand_ins import (
    Around,
    NONLocalBlock3D,
    Segments,
    _NonLocalBlockND,
    shaken,
)

MODES = ("embedded_gaussian", "dot_product", "gaussian", "concatenation")
POOLED = {1: (2, 1, 1), 2: (5, 4, 5), 3: (5, 4, 5)}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("pool", "norm"), [(True, True), (False, False)])
def test_rows_are_the_blocks_own(n: int, mode: str, pool: bool, norm: bool) -> None:
    block = shaken(_NonLocalBlockND(6, n, mode, pool=pool, norm=norm))
    keys = POOLED[n] if pool else None
    check(block, n, family="alexhex7", pairwise=mode, keys=keys)


def test_a_copy_with_a_scale_is_seen_by_what_it_computes() -> None:
    block = shaken(_NonLocalBlockND(6, 3, "embedded_gaussian", scale=3**-0.5), seed=4)
    check(
        block, 3, family="alexhex7", pairwise="embedded_gaussian", keys=(5, 4, 5),
        scale=3**-0.5,
    )  # fmt: skip


def test_a_block_that_returns_its_map() -> None:
    block = shaken(NONLocalBlock3D(6))
    check(
        block, 3, family="alexhex7", pairwise="embedded_gaussian", keys=(5, 4, 5),
        return_nl_map=True,
    )  # fmt: skip


def test_segments_of_a_clip_see_only_themselves() -> None:
    net = Segments(shaken(NONLocalBlock3D(6)), frames=3).eval()
    affinity = captured(net, 2, frames=6)
    assert affinity.queries.shape == (6, 9, 11)
    assert affinity.keys.shape == (6, 4, 5)
    assert affinity.support.frames_per_group == 3
    rows = torch.block_diag(*net.nl.rows.detach())
    torch.testing.assert_close(affinity.dense()[0], rows, rtol=0, atol=1e-5)


def test_a_block_that_computes_something_else_is_refused() -> None:
    class NONLocalBlock2D(_NonLocalBlockND):
        def forward(self, x: Tensor, return_nl_map: bool = False) -> Tensor:
            sharper = super().forward(x * 2)
            return sharper - x

    class Sharper(_NonLocalBlockND):
        def __init__(self) -> None:
            super().__init__(6, 2, "embedded_gaussian", scale=5.0)

    fine = shaken(NONLocalBlock2D(6, 2, "embedded_gaussian"))
    captured(Around(fine, 2).eval(), 2)
    net = Around(shaken(Sharper()), 2).eval()
    with torch.no_grad():
        net.stem.weight.mul_(4)
    with pytest.raises(NlvizError, match=r"trunk\.nl computed"):
        captured(net, 2)


def test_many_sequences_over_time_have_no_one_map() -> None:
    class PerPixel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = torch.nn.Conv2d(3, 6, 5, stride=4, padding=2)
            self.nl = shaken(_NonLocalBlockND(6, 1, "dot_product"))

        def forward(self, x: Tensor) -> Tensor:
            return self.nl(self.stem(x).flatten(2).permute(2, 1, 0))

    with pytest.raises(NlvizError, match="one sequence"):
        captured(PerPixel().eval(), 1)
