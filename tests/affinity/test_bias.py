"""Every kind of bias against a dense reference, in Python and in the browser; sizes are unequal."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from nlviz.affinity.bias import Bias, KeyBias, OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.position_terms import AxisBias, PairBias
from nlviz.affinity.support import FrameGroups, Support, Window
from nlviz.errors import NlvizError
from nlviz.web.payloads.sources import packed_bias
from tests.web.live_view.test_rows import run_node

GRID = TokenGrid((2, 3, 5), prefix=2)
POOLED = TokenGrid((2, 1, 2), (1, 2, 2), prefix=3)
HEADS = 3


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def table_of_pairs(heads: int) -> PairBias:
    rows = torch.arange(GRID.size) * 7 % 11
    columns = torch.arange(POOLED.prefix + POOLED.size) * 5 % 6
    return PairBias(drawn(heads, 11, 6), rows, columns)


CASES: dict[str, tuple[Bias, TokenGrid, TokenGrid]] = {
    "key, shared": (KeyBias(drawn(1, 32)), GRID, GRID),
    "key, a number a head": (KeyBias(drawn(HEADS, 7)), GRID, POOLED),
    "offset, shared": (OffsetBias(drawn(1, 3, 5, 9)), GRID, GRID),
    "offset, a number a head": (OffsetBias(drawn(HEADS, 3, 5, 9)), GRID, GRID),
    "offset, tokens without a place": (
        OffsetBias(drawn(HEADS, 3, 5, 9), apart=drawn(HEADS, 2)),
        GRID,
        GRID,
    ),
    "offset, within windows": (OffsetBias(drawn(HEADS, 1, 3, 5)), GRID, GRID),
    "offset, far cells": (OffsetBias(drawn(1, 3, 3, 3), (1, 2, 3), drawn(1, 2)), GRID, GRID),
    "axes, shared": (AxisBias(drawn(1, 30, 2), drawn(1, 30, 1), drawn(1, 30, 2)), GRID, POOLED),
    "axes, a number a head": (
        AxisBias(*(drawn(HEADS, 30, n) for n in GRID.shape)),
        GRID,
        GRID,
    ),
    "pairs, shared": (table_of_pairs(1), GRID, POOLED),
    "pairs, a number a head": (table_of_pairs(HEADS), GRID, POOLED),
    "offset in a row": (OffsetBias(drawn(HEADS, 1, 1, 13)), *[TokenGrid((1, 1, 7))] * 2),
}
every = pytest.mark.parametrize("case", CASES)


def dense(case: str) -> Tensor:
    """(heads or 1, queries, all keys), number by number from what the kinds promise."""
    bias, queries, keys = CASES[case]
    out = torch.zeros(bias.heads, queries.size, keys.prefix + keys.size)
    for head, q, k in product(*map(range, out.shape)):
        if isinstance(bias, KeyBias):
            out[head, q, k] = bias.values[head, k]
        elif isinstance(bias, PairBias):
            out[head, q, k] = bias.table[head, bias.row_of[q], bias.column_of[k]]
        elif k < keys.prefix:
            if isinstance(bias, OffsetBias) and bias.apart is not None:
                out[head, q, k] = bias.apart[head, k]
        elif isinstance(bias, AxisBias):
            a, b, c = keys.unravel(k - keys.prefix)
            out[head, q, k] = bias.t[head, q, a] + bias.y[head, q, b] + bias.x[head, q, c]
        elif isinstance(bias, OffsetBias):
            pair = zip(keys.unravel(k - keys.prefix), queries.unravel(q), strict=True)
            away = [to - at for to, at in pair]
            steps = [Fraction(n, step) for n, step in zip(away, bias.step, strict=True)]
            reach = [n // 2 for n in bias.table.shape[1:]]
            if all(n.denominator == 1 and abs(n) <= m for n, m in zip(steps, reach, strict=True)):
                t, y, x = (int(n) + m for n, m in zip(steps, reach, strict=True))
                out[head, q, k] = bias.table[head, t, y, x]
    return out


@every
def test_rows_and_columns_are_the_dense_reference(case: str) -> None:
    bias, queries, keys = CASES[case]
    bias.check(queries, keys)
    whole, some = dense(case), torch.tensor([queries.size - 1, 0, queries.size // 2])
    assert torch.equal(bias.at(queries, keys, some).expand(-1, 3, -1), whole[:, some])
    for key in range(keys.size):
        column = bias.column(queries, keys, key).expand(-1, queries.size)
        assert torch.equal(column, whole[..., keys.prefix + key])


@every
@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "dot_product"])
@pytest.mark.parametrize("support", [Support(), FrameGroups(1), Window(1, 2, 0)], ids=repr)
def test_rows_of_an_affinity_have_it_in_their_logits(
    case: str, pairwise: str, support: Support
) -> None:
    bias, queries, keys = CASES[case]
    if isinstance(support, Window) and queries.shape != keys.shape:
        support = Support()
    theta, phi = (
        drawn(HEADS, queries.prefix + queries.size, 4),
        drawn(HEADS, dense(case).shape[2], 4),
    )
    a = EmbeddedAffinity(
        "b",
        Pairwise(pairwise, 0.5),
        theta,
        phi,
        queries,
        keys,
        support,
        bias=bias,  # type: ignore[arg-type]
    )
    every_query = torch.arange(queries.size)
    logits = 0.5 * theta[:, queries.prefix :] @ phi.mT + dense(case)
    mask = support.mask_all(queries, keys, every_query)
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    torch.testing.assert_close(a.logits(every_query), logits)
    rows = a.dense()
    if pairwise == "embedded_gaussian":
        torch.testing.assert_close(rows, logits.softmax(-1))
    key = keys.size // 2
    torch.testing.assert_close(a.column(key), rows[..., keys.prefix + key])


@every
def test_a_bias_is_its_tensor_and_back(case: str) -> None:
    bias, _, _ = CASES[case]
    assert torch.equal(bias.changed(lambda v: 2 * v).tensor, 2 * bias.tensor)
    if isinstance(bias, (KeyBias, OffsetBias)):
        again = Bias.of(bias.tensor)
        assert type(again) is type(bias)
        assert torch.equal(again.tensor, bias.tensor)


def test_the_browser_adds_the_same_numbers(tmp_path: Path) -> None:
    cases = []
    for name, (bias, _, keys) in CASES.items():
        arrays: dict[str, npt.NDArray[Any]] = {}
        told = packed_bias("one", bias, arrays)
        cases.append(
            {
                "name": name,
                "spec": {"bias": told, "keys": {"shape": keys.shape}, "prefix": keys.prefix},
                "sections": {
                    of: {"shape": array.shape, "data": array.ravel().tolist()}
                    for of, array in arrays.items()
                },
                "dense": dense(name).expand(HEADS, -1, -1).tolist(),
            }
        )
    path = tmp_path / "biases.json"
    path.write_text(json.dumps(cases))
    run_node("bias.test.mjs", NLVIZ_BIASES=str(path))


def test_a_matrix_and_what_does_not_fit_are_refused() -> None:
    theta = drawn(HEADS, 32, 4)
    for bias, rule in (
        (drawn(1, 30, 32), r"got shape \(1, 30, 32\), a matrix"),
        (drawn(1, 32), r"got shape \(1, 32\)"),
        (drawn(1, 1, 31), "for each of 32 keys, got 31"),
        (OffsetBias(drawn(1, 3, 5, 8)), r"has \(3, 5, 9\) numbers .* got \(3, 5, 8\)"),
    ):
        with pytest.raises(NlvizError, match=rule):
            EmbeddedAffinity(
                "b",
                Pairwise("gaussian"),
                theta,
                theta,
                GRID,
                GRID,
                bias=bias,  # type: ignore[arg-type]
            )
    with pytest.raises(NlvizError, match=r"between \(2, 3, 5\) queries .* \(2, 1, 2\) keys"):
        OffsetBias(drawn(1, 3, 5, 9)).check(GRID, POOLED)


def test_a_tensor_by_key_is_taken_as_it_was() -> None:
    theta, numbers = drawn(HEADS, 32, 4), drawn(1, 1, 32)
    a = EmbeddedAffinity(
        "b",
        Pairwise("gaussian"),
        theta,
        theta,
        GRID,
        GRID,
        bias=numbers,  # type: ignore[arg-type]
    )
    assert isinstance(a.bias, KeyBias)
    assert torch.equal(a.bias.tensor, numbers)
