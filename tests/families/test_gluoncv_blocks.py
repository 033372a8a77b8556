"""Blocks with GluonCV's parts in a network."""

from __future__ import annotations

import pytest

from tests.families.checking import check
from tests.families.stand_ins import gluoncv, shaken


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("norm", [True, False])
def test_what_it_calls_gaussian_is_embedded_and_scaled(n: int, norm: bool) -> None:
    block = shaken(gluoncv(6, n, norm=norm))
    check(block, n, family="gluoncv", pairwise="embedded_gaussian", scale=3**-0.5)


def test_without_embeddings_features_are_compared() -> None:
    block = shaken(gluoncv(6, 3, embed=False))
    check(block, 3, family="gluoncv", pairwise="gaussian", scale=6**-0.5)
