"""Blocks of other codes: what is not one of them, and what says other than it computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from nlviz.errors import NlvizError
from nlviz.families import FAMILIES
from nlviz.networks.block import NonLocalBlock
from tests.families.checking import captured
from tests.families.stand_ins import (
    Around,
    NLBlockND,
    NonLocal,
    Segments,
    _NonLocalBlockND,
    _NonLocalNd,
    gluoncv,
    shaken,
)
from tests.nets import awake

BLOCKS: dict[str, Any] = {
    "alexhex7": (lambda: _NonLocalBlockND(6, 3, "embedded_gaussian"), "W"),
    "open-mmlab": (lambda: _NonLocalNd(6, 3, "dot_product"), "conv_out"),
    "slowfast": (lambda: NonLocal(6, "softmax"), "conv_theta"),
    "gluoncv": (lambda: gluoncv(6, 3), "W"),
    "tea1528": (lambda: NLBlockND(6, 3, "dot"), "W_z"),
}


def louder(block: nn.Module) -> Any:
    """Return a network whose features are large enough that a scale matters."""
    torch.manual_seed(0)
    net = Around(block, 3).eval()
    with torch.no_grad():
        net.stem.weight.mul_(4)
    return net


@pytest.mark.parametrize("family", BLOCKS)
def test_one_family_alone_knows_a_block(family: str) -> None:
    make, part = BLOCKS[family]
    net = Around(make(), 3)
    named = [f for f in FAMILIES if f.blocks is not None and f.name != "attention"]
    assert [f.name for f in named if f.blocks is not None and f.blocks.blocks(net)] == [family]
    block: Any = net.trunk["nl"]
    setattr(block, f"{part}_", getattr(block, part))
    delattr(block, part)
    assert not any(f.blocks.blocks(net) for f in named if f.blocks is not None)


def lying(family: str) -> Any:
    """Return a block that computes as before, but whose flag says something else."""
    make, _ = BLOCKS[family]
    block: Any = shaken(make())
    flag, says = {
        "open-mmlab": ("mode", "embedded_gaussian"),
        "slowfast": ("instantiation", "dot_product"),
        "gluoncv": ("embed_dim", 100),
        "tea1528": ("mode", "embedded"),
    }[family]
    truth = getattr(block, flag)
    block.register_forward_pre_hook(lambda m, a: setattr(m, flag, truth))
    block.register_forward_hook(lambda m, a, z: setattr(m, flag, says))
    setattr(block, flag, says)
    return block


@pytest.mark.parametrize("family", [f for f in BLOCKS if f != "alexhex7"])
def test_a_flag_that_says_other_than_the_block_computes(family: str) -> None:
    captured(louder(shaken(BLOCKS[family][0]())), 3)
    with pytest.raises(NlvizError, match="they are off by"):
        captured(louder(lying(family)), 3)


def test_segments_through_this_projects_own_block() -> None:
    block = NonLocalBlock(6, dimension=3, pool=2, pool_first=False)
    net = awake(Segments(block, frames=3).eval())
    affinity = captured(net, 2, frames=6)
    assert affinity.queries.shape == (6, 9, 11)
    assert affinity.support.frames_per_group == 3
    assert affinity.values is not None
    assert affinity.output is not None
    torch.testing.assert_close(affinity.dense()[0] @ affinity.values[0], affinity.output[0])
