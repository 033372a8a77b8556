"""Queries of one input over keys of another: parity with the formula, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nlviz.affinity.bias import KeyBias, OffsetBias
from nlviz.affinity.causal import Causal
from nlviz.affinity.crossed import crossed_affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.position_terms import AxisBias, PairBias
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import FrameGroups
from nlviz.affinity.token_line import TokenLine
from nlviz.errors import NlvizError, OutsideClip

HEADS, D = 3, 5
SMALL = TokenGrid((2, 3, 4), (1, 8, 8), (0, 3.5, 3.5))
SMALL_KEYS = TokenGrid((2, 1, 2), (1, 16, 16), (0, 7.5, 7.5))
LARGE = TokenGrid((3, 5, 6), (1, 8, 8), (0, 3.5, 3.5))
LARGE_KEYS = TokenGrid((3, 2, 3), (1, 16, 16), (0, 7.5, 7.5))


def block(
    seed: int,
    queries: TokenGrid = SMALL,
    keys: TokenGrid = SMALL_KEYS,
    pairwise: str = "embedded_gaussian",
    **more: object,
) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(seed)
    d = 1 if pairwise == "concatenation" else D
    theta, phi = (
        torch.randn(HEADS, grid.size + grid.prefix, d, generator=generator)
        for grid in (queries, keys)
    )
    t, h, w = queries.shape
    return EmbeddedAffinity(
        "block", Pairwise(pairwise, 0.6), theta, phi, queries, keys,
        clip_shape=(t, 8 * h, 8 * w), **more,
    )  # fmt: skip


@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "dot_product", "concatenation"])
def test_rows_are_those_of_the_formula(pairwise: str) -> None:
    one, other = block(1, pairwise=pairwise), block(2, LARGE, LARGE_KEYS, pairwise)
    found = crossed_affinity(one, other).rows([7, 20])
    for n, i in enumerate((7, 20)):
        for head in range(HEADS):
            theta, phi = one.theta[head, i].double(), other.phi[head].double()
            logits = theta + phi[:, 0] if pairwise == "concatenation" else 0.6 * phi @ theta
            row = {
                "embedded_gaussian": logits.exp() / logits.exp().sum(),
                "dot_product": logits / LARGE_KEYS.size,
                "concatenation": logits.clamp(min=0) / LARGE_KEYS.size,
            }[pairwise]
            torch.testing.assert_close(found[head, n].double(), row, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"support": FrameGroups(1)},
        {"bias": KeyBias(torch.randn(HEADS, 4))},
        {"queries": replace(SMALL, prefix=2), "keys": replace(SMALL_KEYS, prefix=2)},
    ],
    ids=["plain", "support", "bias by key", "tokens without a place"],
)
def test_an_input_crossed_with_itself_is_the_block_itself(more: dict) -> None:
    one = block(1, **more)
    both = crossed_affinity(one, one)
    assert torch.equal(both.dense(), one.dense())
    assert torch.equal(both.token_rows(), one.token_rows())
    assert torch.equal(both.column(3), one.column(3))


def test_what_is_added_by_key_is_that_of_the_keys_and_by_place_that_of_the_queries() -> None:
    numbers = torch.randn(2, HEADS, SMALL_KEYS.size)
    one, other = (block(n, bias=KeyBias(numbers[n])) for n in (0, 1))
    rows = crossed_affinity(one, other).logits([5])[:, 0]
    plain = 0.6 * torch.einsum("hd,hkd->hk", one.theta[:, 5], other.phi)
    torch.testing.assert_close(rows, plain + numbers[1])
    # Decomposed positions are products of the query with a table: they are the query's.
    t, y, x = (torch.randn(2, HEADS, SMALL.size, n) for n in SMALL.shape)
    one, other = (block(n, keys=SMALL, bias=AxisBias(t[n], y[n], x[n])) for n in (0, 1))
    rows = crossed_affinity(one, other).logits([5])[:, 0]
    added = one.bias.at(SMALL, SMALL, torch.tensor([5]))[:, 0]
    plain = 0.6 * torch.einsum("hd,hkd->hk", one.theta[:, 5], other.phi)
    torch.testing.assert_close(rows, plain + added)


def test_no_key_is_the_query_and_places_are_those_of_their_own_clip() -> None:
    both = crossed_affinity(block(1), block(2, LARGE, LARGE_KEYS))
    found = both.map(frame=1, y=20, x=30)
    assert not found.has_own
    assert found.weights.shape == LARGE_KEYS.shape
    assert "across inputs" in found.title
    column = both.map(frame=2, y=39, x=47, direction="to")
    assert column.weights.shape == SMALL.shape
    assert column.weights.sum() > 0
    with pytest.raises(OutsideClip):
        both.map(frame=2, y=39, x=47)
    with pytest.raises(OutsideClip):
        both.map(frame=2, y=40, x=47, direction="to")


def test_half_precision_meets_single() -> None:
    one, other = block(1), block(2)
    half = replace(other, theta=other.theta.half(), phi=other.phi.half())
    rows = crossed_affinity(one, half).rows([3])
    torch.testing.assert_close(rows, crossed_affinity(one, other).rows([3]), atol=2e-3, rtol=0)


OFFSETS = torch.randn(HEADS, 3, 5, 7)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (block(1), replace(block(2), name="other"), "meet in one block"),
        (block(1), block(2, pairwise="dot_product"), "meet in one block"),
        (block(1, support=FrameGroups(1)), block(2, LARGE, LARGE_KEYS, support=FrameGroups(1)),
         "2×3×4 queries and 3×2×3 keys"),
        (block(1, keys=SMALL, bias=OffsetBias(OFFSETS)), block(2, LARGE, LARGE),
         "number for the places"),
        (block(1, support=FrameGroups(1)), block(2), "lets queries reach other keys"),
        (block(1, keys=SMALL, bias=OffsetBias(OFFSETS)),
         block(2, keys=SMALL, bias=OffsetBias(OFFSETS + 1)), "other numbers"),
        (block(1, bias=KeyBias(torch.zeros(1, 4))), block(2), "adds to its logits key"),
        (block(1, keys=SMALL, bias=PairBias(torch.zeros(1, 1, 2), torch.zeros(24).long(),
                                            torch.zeros(24).long())),
         block(2, keys=SMALL, bias=PairBias(torch.ones(1, 1, 2), torch.zeros(24).long(),
                                            torch.zeros(24).long())), "other numbers"),
    ],
    ids=["name", "f", "support", "offsets", "supports", "tables", "one bias", "pairs"],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_with_the_cure(one, other, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NlvizError, match=said):
        crossed_affinity(one, other)


def test_texts_of_one_length_meet_and_others_do_not() -> None:
    a, b, c = (
        TokenLine.of(words.split()) for words in ("a dog barks", "a cat runs", "it is so it")
    )
    one, other, longer = (block(n, g, g, support=Causal()) for n, g in enumerate((a, b, c)))
    rows = crossed_affinity(one, other).rows([1])
    assert float(rows[..., 2].abs().max()) == 0
    with pytest.raises(NlvizError, match="of words"):
        crossed_affinity(one, longer)


def test_kept_weights_are_no_embeddings() -> None:
    kept = StoredAffinity.__new__(StoredAffinity)
    object.__setattr__(kept, "name", "edges")
    with pytest.raises(NlvizError, match="edges is not held as these"):
        crossed_affinity(block(1), kept)
