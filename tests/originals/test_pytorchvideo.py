"""PyTorchVideo's own blocks against the adapter of live blocks and against this project's block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from nlviz.families.slowfast import ONE_PATHWAY
from nlviz.networks.block import NonLocalBlock
from tests.families.checking import captured
from tests.families.references import noise
from tests.families.stand_ins import Around
from tests.originals.importing import original
from tests.originals.stirring import assert_equal, differ, stirred


def blocks_of(mode: str, *, pool: int, norm: bool = True) -> tuple[Any, Any]:
    """Return PyTorchVideo's block and this project's, through the names of SlowFast's layout."""
    code = original("pytorchvideo.layers.nonlocal_net")
    theirs = code.create_nonlocal(
        dim_in=6, dim_inner=4, pool_size=(1, pool, pool), instantiation=mode,
        norm=nn.BatchNorm3d if norm else None,
    )  # fmt: skip
    state = {}
    for key, value in stirred(theirs, seed=pool).items():
        name = ONE_PATHWAY.name("s3.pathway0_nonlocal1." + key.replace("norm.", "bn."))
        assert name is not None
        state[name.removeprefix("res3.1.nl.")] = value
    ours = NonLocalBlock(
        6, inner=4, pairwise="embedded_gaussian" if mode == "softmax" else "dot_product",
        pool=pool, scale=mode == "softmax", norm=norm,
    )  # fmt: skip
    ours.load_state_dict(state)
    return theirs.double().eval(), ours.double().eval()


@pytest.mark.parametrize("mode", ["softmax", "dot_product"])
@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("norm", [True, False])
def test_this_projects_block_computes_the_same(mode: str, pool: int, norm: bool) -> None:
    theirs, ours = blocks_of(mode, pool=pool, norm=norm)
    x = noise(2, 6, 5, 7, 9).double()
    with torch.no_grad():
        assert_equal(ours(x), theirs(x))
        if pool > 1:
            ours.pool_first = False
            assert differ(ours(x), theirs(x))


@pytest.mark.parametrize("mode", ["softmax", "dot_product"])
@pytest.mark.parametrize("pool", [1, 2])
def test_rows_of_the_live_block(mode: str, pool: int) -> None:
    theirs, ours = blocks_of(mode, pool=pool)
    torch.manual_seed(0)
    net = Around(theirs.float(), 3).eval()
    with torch.no_grad():
        net.stem.weight.mul_(3)
    live = captured(net, 3)
    assert live.keys.shape == ((5, 4, 5) if pool > 1 else (5, 9, 11))
    net.trunk["nl"] = ours.float()
    own = captured(net, 3)
    assert float(own.dense().std()) > 1e-4
    torch.testing.assert_close(live.dense(), own.dense(), rtol=0, atol=1e-5)
