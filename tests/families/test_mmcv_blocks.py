"""Blocks with mmcv's parts in a network; ``tests/originals`` has mmcv's own."""

from __future__ import annotations

import pytest

from tests.families.checking import check
from tests.families.stand_ins import _NonLocalNd, shaken

MODES = ("embedded_gaussian", "dot_product", "gaussian", "concatenation")
POOLED = {1: (2, 1, 1), 2: (5, 4, 5), 3: (5, 4, 5)}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("pool", "norm"), [(True, True), (False, False)])
def test_rows_are_the_blocks_own(n: int, mode: str, pool: bool, norm: bool) -> None:
    block = shaken(_NonLocalNd(6, n, mode, pool=pool, norm=norm))
    scale = 3**-0.5 if mode == "embedded_gaussian" else 1.0
    keys = POOLED[n] if pool else None
    check(block, n, family="open-mmlab", pairwise=mode, keys=keys, scale=scale)


def test_the_scale_can_be_off_and_was_inverted_once() -> None:
    how = {"family": "open-mmlab", "pairwise": "embedded_gaussian", "keys": (5, 4, 5)}
    off = _NonLocalNd(6, 3, "embedded_gaussian", use_scale=False)
    check(shaken(off), 3, **how)
    inverted = _NonLocalNd(6, 3, "embedded_gaussian", inverted=True)
    check(shaken(inverted, seed=3), 3, **how, scale=3**0.5)
