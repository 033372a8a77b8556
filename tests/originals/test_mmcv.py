"""mmcv's own blocks against the adapter of live blocks and against this project's block."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nlviz.families.open_mmlab import KEYS, zero_biases
from nlviz.networks.block import NonLocalBlock
from tests.families.checking import captured
from tests.families.references import noise
from tests.families.stand_ins import Around
from tests.originals.importing import original
from tests.originals.stirring import assert_equal, differ, stirred

MODES = ("embedded_gaussian", "dot_product", "gaussian", "concatenation")
GRIDS = {1: (13,), 2: (9, 11), 3: (5, 7, 9)}
IN = "backbone.layer2.1.non_local_block."


def blocks_of(n: int, mode: str, *, pool: bool, norm: bool, **options: Any) -> tuple[Any, Any]:
    """Return mmcv's block and this project's with its weights, through the layout's names."""
    mmcv = original("mmcv.cnn.bricks.non_local")
    norm_cfg = {"type": {1: "BN1d", 2: "BN2d", 3: "BN3d"}[n]} if norm else None
    make = getattr(mmcv, f"NonLocal{n}d")
    theirs = make(6, sub_sample=pool, norm_cfg=norm_cfg, mode=mode, **options)
    state = {}
    for key, value in stirred(theirs, seed=n).items():
        if key == "concat_project.conv.weight":
            state["w_f"] = value.flatten()
        else:
            name = KEYS.name(IN + key)
            assert name is not None
            state[name.removeprefix("res3.1.nl.")] = value
    if norm:
        filled = zero_biases({f"a.nl.{k}": v for k, v in state.items()})
        state["out.bias"] = filled["a.nl.out.bias"][0]
    scale = mode == "embedded_gaussian" and options.get("use_scale", True)
    ours = NonLocalBlock(
        6, dimension=n, pairwise=mode, pool=2 if pool else 1, pool_first=False,  # type: ignore[arg-type]
        scale=scale, norm=norm,
    )  # fmt: skip
    ours.load_state_dict(state)
    return theirs.double().eval(), ours.double().eval()


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("norm", [True, False])
def test_this_projects_block_computes_the_same(n: int, mode: str, pool: bool, norm: bool) -> None:
    theirs, ours = blocks_of(n, mode, pool=pool, norm=norm)
    x = noise(2, 6, *GRIDS[n]).double()
    with torch.no_grad():
        assert_equal(ours(x), theirs(x))
        if pool and mode != "gaussian":
            ours.pool_first = True
            assert differ(ours(x), theirs(x))


def test_the_scale_can_be_off() -> None:
    theirs, ours = blocks_of(3, "embedded_gaussian", pool=True, norm=True, use_scale=False)
    x = noise(2, 6, *GRIDS[3]).double()
    with torch.no_grad():
        assert_equal(ours(x), theirs(x))
        scaled, _ = blocks_of(3, "embedded_gaussian", pool=True, norm=True)
        assert differ(ours(x), scaled(x))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pool", [True, False])
def test_rows_of_the_live_block(n: int, mode: str, pool: bool) -> None:
    theirs, _ = blocks_of(n, mode, pool=pool, norm=True)
    rows: list[torch.Tensor] = []
    make_rows = getattr(theirs, mode)

    def watched(theta: torch.Tensor, phi: torch.Tensor) -> torch.Tensor:
        rows.append(make_rows(theta, phi).detach())
        return rows[-1]

    setattr(theirs, mode, watched)
    torch.manual_seed(0)
    affinity = captured(Around(theirs.float(), n).eval(), n)
    assert affinity.pairwise.name == mode
    torch.testing.assert_close(affinity.dense()[0], torch.block_diag(*rows[-1]), rtol=0, atol=1e-5)
