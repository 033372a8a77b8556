"""Which other links are cut: as many, drawn as they say, and at the same distances."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import KeyBias
from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Everything, Support
from nlviz.affinity.token_line import TokenLine
from nlviz.analysis.control_edges import (
    Refused,
    in_common,
    keys_at_distance,
    keys_of_mean_row,
    own_key,
    random_keys,
    reached_keys,
    strongest,
)

QUERIES = TokenGrid((3, 5, 7), (1, 8, 8), (0, 3.5, 3.5), prefix=2)
KEYS = TokenGrid((3, 4, 6), (1, 10, 10), (0, 3.5, 3.5), prefix=2)
LINE = TokenLine.of(tuple(f"w{n}" for n in range(17)))


def affinity(
    queries: TokenGrid, keys: TokenGrid, support: Support | None = None, **more: object
) -> Affinity:
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(2, queries.prefix + queries.size, 6, generator=generator)
    phi = torch.randn(2, keys.prefix + keys.size, 6, generator=generator)
    f = Pairwise("gaussian")
    return EmbeddedAffinity("b", f, theta, phi, queries, keys, support or Everything(), **more)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 106), st.integers(1, 30), st.integers(0, 99))
def test_as_many_keys_lie_at_each_distance(number: int, k: int, seed: int) -> None:
    a = affinity(QUERIES, KEYS)
    reached = reached_keys(a, number)
    cut = strongest(a.rows([number - 2])[:, 0], reached, k)
    drawn = keys_at_distance(a, number, cut, reached, seed)
    assert not isinstance(drawn, Refused)
    here = QUERIES.centre(number - 2)

    def distances(keys: torch.Tensor) -> Counter[object]:
        places = [None if key < 2 else KEYS.centre(key - 2) for key in keys.tolist()]
        return Counter(
            "apart"
            if p is None
            else (
                abs(p.frame - here.frame),
                int(torch.tensor(((p.y - here.y) ** 2 + (p.x - here.x) ** 2) ** 0.5 / 10).round()),
            )
            for p in places
        )

    assert distances(drawn) == distances(cut)
    assert len(set(drawn.tolist())) == k


def test_draws_differ_by_seed_and_only_by_seed() -> None:
    a = affinity(QUERIES, KEYS)
    reached = reached_keys(a, 50)
    cut = strongest(a.rows([48])[:, 0], reached, 12)
    draws = [keys_at_distance(a, 50, cut, reached, seed) for seed in (1, 2, 1)]
    one, other, again = (tuple(draw.tolist()) for draw in draws if not isinstance(draw, Refused))
    assert one == again != other
    assert tuple(random_keys(reached, 9, 4)) == tuple(random_keys(reached, 9, 4))


def test_random_keys_are_all_as_likely() -> None:
    drawn = torch.cat([random_keys(torch.arange(5, 15), 3, seed) for seed in range(400)])
    counts = torch.bincount(drawn, minlength=15)
    assert counts[:5].sum() == 0
    # 120 of each are expected; the standard deviation is 9.2.
    assert int(counts[5:].min()) > 80 and int(counts[5:].max()) < 160


def test_words_are_drawn_around_the_same_distance_and_never_from_the_future() -> None:
    a = affinity(LINE, LINE, Causal())
    reached = reached_keys(a, 12)
    assert reached.tolist() == list(range(13))
    cut = torch.tensor([12, 11, 5, 6])  # 0, 1, 7 and 6 words before it
    for seed in range(12):
        drawn = keys_at_distance(a, 12, cut, reached, seed)
        assert not isinstance(drawn, Refused)
        away = [12 - key for key in drawn.tolist()]
        steps = Counter(0 if d == 0 else 1 if d < 3 else 2 if d < 7 else 3 for d in away)
        assert steps == Counter({0: 1, 1: 1, 2: 1, 3: 1})


def test_keys_that_a_bias_hides_are_not_reached() -> None:
    hidden = torch.zeros(1, 74)
    hidden[0, [3, 40]] = -torch.inf
    a = affinity(QUERIES, KEYS, bias=KeyBias(hidden))
    assert sorted(set(range(74)) - set(reached_keys(a, 9).tolist())) == [3, 40]


def test_a_query_without_a_place_has_no_distances_but_random_ones() -> None:
    a = affinity(QUERIES, KEYS, token_names=("cls", "reg"))
    reached = reached_keys(a, 1)
    assert len(reached) == 74
    refused = keys_at_distance(a, 1, reached[:3], reached, 0)
    assert isinstance(refused, Refused) and "lies at no distance" in refused.why
    assert own_key(a, 1) == 1
    found = keys_of_mean_row(a, 1, reached, 4)
    assert not isinstance(found, Refused) and len(found) == 4


def test_the_mean_row_is_that_of_the_querys_own_group() -> None:
    a = affinity(QUERIES, KEYS, Support(frames_per_group=1))
    reached = reached_keys(a, 2 + 35 + 4)  # in frame 1
    found = keys_of_mean_row(a, 2 + 35 + 4, reached, 5)
    assert not isinstance(found, Refused)
    rows = a.rows(range(35, 70)).abs().mean((0, 1))
    assert set(found.tolist()) == set(rows.topk(5).indices.tolist())


def test_the_own_key_is_the_one_whose_cell_the_query_lies_in() -> None:
    a = affinity(QUERIES, KEYS)
    place = QUERIES.centre(48)
    wanted = KEYS.nearest(frame=place.frame, y=place.y, x=place.x) + 2
    assert own_key(a, 50) == wanted
    assert own_key(affinity(LINE, LINE), 5) == 5
    assert own_key(affinity(LINE, KEYS), 5) == -1


@pytest.mark.parametrize(("one", "other", "share"), [([1, 2], [2, 3], 0.5), ([], [1], 0.0)])
def test_shares_in_common(one: list[int], other: list[int], share: float) -> None:
    keys = (torch.tensor(one, dtype=torch.long), torch.tensor(other))
    assert in_common(*keys) == share
