"""Blocks with PyTorchVideo's and SlowFast's parts; ``tests/originals`` has the real ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.families.checking import check
from tests.families.stand_ins import NonLocal, Nonlocal, shaken


@pytest.mark.parametrize("kind", [NonLocal, Nonlocal])
@pytest.mark.parametrize(("mode", "ours"), [("softmax", "embedded_gaussian"), ("dot_product",) * 2])
@pytest.mark.parametrize(("pool", "keys"), [(None, None), ((1, 2, 2), (5, 4, 5))])
def test_rows_are_the_blocks_own(kind: Any, mode: str, ours: str, pool: Any, keys: Any) -> None:
    scale = 3**-0.5 if mode == "softmax" else 1.0
    block = shaken(kind(6, mode, pool=pool))
    if pool is None and kind is Nonlocal:
        del block.pool
        block.__dict__["pool"] = None
    check(block, 3, family="slowfast", pairwise=ours, keys=keys, scale=scale)


def test_keys_may_be_pooled_over_time_too() -> None:
    block = shaken(NonLocal(6, "softmax", pool=(2, 2, 2)))
    affinity = check(
        block, 3, family="slowfast", pairwise="embedded_gaussian", keys=(2, 4, 5),
        scale=3**-0.5,
    )  # fmt: skip
    assert affinity.keys.stride == (2.0, 8.0, 8.0)
    assert affinity.keys.centre(0)[0] == 0.5
