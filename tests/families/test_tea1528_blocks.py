"""Blocks with tea1528's parts in a network."""

from __future__ import annotations

import pytest

from tests.families.checking import check
from tests.families.stand_ins import NLBlockND, shaken

MODES = {
    "embedded": "embedded_gaussian",
    "dot": "dot_product",
    "gaussian": "gaussian",
    "concatenate": "concatenation",
}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm", [True, False])
def test_rows_are_the_blocks_own(n: int, mode: str, norm: bool) -> None:
    block = shaken(NLBlockND(6, n, mode, norm=norm))
    check(block, n, family="tea1528", pairwise=MODES[mode])
