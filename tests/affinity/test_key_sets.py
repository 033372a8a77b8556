"""Sets of keys, terms of position, stored weights and class tokens against dense references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nlviz.affinity.bias import Bias, OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.position_terms import AxisBias, PairBias
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import Support
from nlviz.errors import NlvizError

QUERIES = TokenGrid((2, 3, 4), (1, 8, 8), (0, 3.5, 3.5), prefix=2)
KEYS = TokenGrid((2, 2, 3), (1, 12, 12), (0, 5.5, 5.5), prefix=5)
SQUARE = TokenGrid((1, 6, 9), prefix=3)
HEADS, D = 3, 7


def sets(queries: TokenGrid = QUERIES, keys: TokenGrid = KEYS) -> tuple[KeySets, torch.Tensor]:
    """Four random sets, and which keys each query reaches."""
    reach = torch.rand(4, keys.size + keys.prefix) > 0.4
    reach[:, 0] = True
    of = torch.randint(0, 4, (queries.size + queries.prefix,))
    return KeySets.of(of, reach, "A query reaches some keys."), reach[of]


def affinity(bias: Bias | None = None, apart: torch.Tensor | None = None) -> EmbeddedAffinity:
    torch.manual_seed(1)
    support, _ = sets()
    theta = torch.randn(HEADS, QUERIES.size + QUERIES.prefix, D)
    phi = torch.randn(HEADS, KEYS.size + KEYS.prefix, D)
    return EmbeddedAffinity(
        "b",
        Pairwise("embedded_gaussian", 0.6),
        theta,
        phi,
        QUERIES,
        KEYS,
        support=support,
        bias=bias,
        apart_bias=apart,
        token_names=("cls", "registers.0"),
        clip_shape=(2, 24, 32),
    )


def dense(a: EmbeddedAffinity, added: torch.Tensor | None = None) -> torch.Tensor:
    """All rows in plain operations, those of queries without a place first."""
    torch.manual_seed(1)
    _, reached = sets()
    logits = 0.6 * a.theta @ a.phi.mT
    if added is not None:
        logits = logits + added
    return logits.masked_fill(~reached, -torch.inf).softmax(-1)


def test_rows_columns_and_tokens_are_those_of_the_mask() -> None:
    a = affinity()
    wanted = dense(a)
    every = torch.arange(QUERIES.size)
    torch.testing.assert_close(a.rows(every), wanted[:, 2:])
    torch.testing.assert_close(a.token_rows(), wanted[:, :2])
    for key in (0, 4, KEYS.size - 1):
        torch.testing.assert_close(a.column(key), wanted[:, 2:, 5 + key])
        reaching = a.support.reaching(QUERIES, KEYS, key)
        assert reaching is not None
        assert torch.equal(reaching, wanted[0, 2:, 5 + key] > 0)
    assert torch.equal(a.support.counts(QUERIES, KEYS), (wanted[0, 2:] > 0).sum(-1))


def test_a_token_is_a_query_by_its_name() -> None:
    a = affinity()
    wanted = dense(a)
    found = a.map(token="registers.0", head=2)
    np.testing.assert_allclose(found.weights.ravel(), wanted[2, 1, 5:], rtol=1e-5)
    assert found.off_grid == pytest.approx(float(wanted[2, 1, :5].sum()), rel=1e-5)
    assert found.token == "registers.0"
    assert np.array_equal(a.map(token=1, head=2).weights, found.weights)
    assert np.array_equal(a.map(token="class").weights, a.map(token="cls").weights)
    assert found.reachable is not None
    assert np.array_equal(found.reachable.ravel(), wanted[2, 1, 5:].numpy() > 0)
    with pytest.raises(NlvizError, match=r"cls, registers\.0; got 'dist'"):
        a.map(token="dist")
    with pytest.raises(NlvizError, match="a query is a place"):
        a.map(frame=0)


def test_sets_survive_json_and_bad_ones_are_told() -> None:
    support, _ = sets()
    assert Support.from_json(support.to_json()) == support
    with pytest.raises(NlvizError, match="each of 26 queries"):
        KeySets((0,), ((0, 3),)).check(QUERIES, KEYS)
    with pytest.raises(NlvizError, match="hold some of 17 keys"):
        KeySets((0,) * 26, ((9, 9),)).check(QUERIES, KEYS)


def test_numbers_by_axes_and_by_pairs() -> None:
    t, y, x = (torch.randn(HEADS, QUERIES.size, n) for n in KEYS.shape)
    total = (t[..., None, None] + y[..., None, :, None] + x[..., None, None, :]).flatten(2)
    added = torch.zeros(HEADS, QUERIES.size + 2, KEYS.size + 5)
    added[:, 2:, 5:] = total
    a = affinity(AxisBias(t, y, x))
    torch.testing.assert_close(a.rows(range(QUERIES.size)), dense(a, added)[:, 2:])
    torch.testing.assert_close(a.column(4), dense(a, added)[:, 2:, 9])

    table = torch.randn(HEADS, 6, 4)
    rows, columns = torch.arange(QUERIES.size) % 6, torch.arange(KEYS.size + 5) % 4
    added[:, 2:] = table[:, rows][..., columns]
    apart = torch.randn(1, 2, KEYS.size + 5)
    added[:, :2] = apart
    a = affinity(PairBias(table, rows, columns), apart)
    torch.testing.assert_close(a.rows(range(QUERIES.size)), dense(a, added)[:, 2:])
    torch.testing.assert_close(a.column(4), dense(a, added)[:, 2:, 9])
    torch.testing.assert_close(a.token_rows(), dense(a, added)[:, :2])


@pytest.mark.parametrize(("step", "sizes"), [((1, 1, 1), (1, 5, 7)), ((1, 2, 3), (1, 3, 5))])
def test_a_table_of_offsets_smaller_than_the_grid(
    step: tuple[int, int, int], sizes: tuple[int, int, int]
) -> None:
    table, apart = torch.randn(2, *sizes), torch.randn(2, 3)
    bias = OffsetBias(table, step, apart)
    w = SQUARE.shape[2]
    wanted = torch.zeros(2, SQUARE.size, SQUARE.size)
    for i in range(SQUARE.size):
        for j in range(SQUARE.size):
            dy, dx = j // w - i // w, j % w - i % w
            b, c = dy // step[1] + sizes[1] // 2, dx // step[2] + sizes[2] // 2
            whole = dy % step[1] == 0 and dx % step[2] == 0
            if whole and 0 <= b < sizes[1] and 0 <= c < sizes[2]:
                wanted[:, i, j] = table[:, 0, b, c]
    found = bias.at(SQUARE, SQUARE, torch.arange(SQUARE.size))
    torch.testing.assert_close(found[..., 3:], wanted)
    torch.testing.assert_close(found[..., :3], apart[:, None].expand(-1, SQUARE.size, -1))
    torch.testing.assert_close(bias.column(SQUARE, SQUARE, 17), wanted[..., 17])


def test_kept_weights_are_laid_on_the_grids_of_their_groups() -> None:
    torch.manual_seed(0)
    queries, keys = TokenGrid((1, 2, 3), prefix=2), TokenGrid((1, 1, 5), prefix=1)
    weights = torch.rand(2, HEADS, 4, 3).half()  # two groups of four queries and three keys
    order = torch.tensor([[2, 0, 5, 7], [1, 3, 4, 6]])  # cells, two of them without a place
    group_of, place_of = torch.zeros(8, dtype=torch.long), torch.zeros(8, dtype=torch.long)
    for g in range(2):
        group_of[order[g]], place_of[order[g]] = g, torch.arange(4)
    key_of = torch.tensor([[0, 2, 4], [5, 1, 3]])
    a = StoredAffinity(
        "s",
        Pairwise("embedded_gaussian"),
        weights,
        group_of,
        place_of,
        key_of,
        queries,
        keys,
        token_names=("cls", "dist"),
    )
    wanted = torch.zeros(HEADS, 8, 6)
    for g in range(2):
        wanted[:, order[g][:, None], key_of[g][None]] = weights[g].float()
    torch.testing.assert_close(a.dense(), wanted[:, 2:])
    torch.testing.assert_close(a.token_rows(), wanted[:, :2])
    assert not a.distributes
    assert not a.map(frame=0, y=0, x=0).normalised
    sums = weights.float().sum(-1, keepdim=True)
    whole = replace(a, weights=(weights.float() / sums).half())
    assert whole.map(frame=0, y=0, x=0).normalised
    assert a.map(token="dist").off_grid == pytest.approx(float(wanted[:, 1, 0].mean()))
