"""Rows, columns and dense affinities against float64 loops; every size is another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nlviz.affinity.base import Affinity, Head, Indices
from nlviz.affinity.bias import Bias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.patches import patch_affinity
from nlviz.affinity.support import Support
from nlviz.errors import AffinityTooLarge, NlvizError, OutsideClip
from tests.reference import affinity_rows

NAMES = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")
QUERIES = TokenGrid((4, 3, 5), (1, 8, 6), (0, 3.5, 2.5))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def affinity(
    name: str = "embedded_gaussian",
    *,
    pool: tuple[int, int, int] = (1, 1, 1),
    heads: int = 3,
    d: int = 7,
    prefix: int = 0,
    bias: tuple[int, ...] | None = None,
    group: int | None = None,
    scale: float = 0.6,
) -> EmbeddedAffinity:
    queries = TokenGrid(QUERIES.shape, QUERIES.stride, QUERIES.origin, prefix=prefix)
    keys = queries.pooled(pool)
    d = 1 if name == "concatenation" else d
    n, m = queries.size + prefix, keys.size + prefix
    return EmbeddedAffinity(
        "block",
        Pairwise(name, scale),
        random(heads, n, d),
        random(heads, m, d, seed=1),
        queries,
        keys,
        support=Support(group),
        bias=None if bias is None else Bias.of(random(*(n or m for n in bias), seed=2)),
    )


def allowed(a: EmbeddedAffinity) -> np.ndarray:
    """Which keys a query may reach, frame by frame; tokens without a place are reached by all."""
    group = a.support.frames_per_group
    mask = np.ones((a.queries.size, a.keys.size + a.keys.prefix), bool)
    if group is None:
        return mask
    for i in range(a.queries.size):
        for j in range(a.keys.size):
            frame = int(a.queries.centre(i)[0])
            key_frame = int(np.floor(a.keys.centre(j)[0]))
            mask[i, j + a.keys.prefix] = frame // group == key_frame // group
    return mask


def reference(a: EmbeddedAffinity) -> np.ndarray:
    every = torch.arange(a.queries.size)
    return affinity_rows(
        a.pairwise.name,
        a.theta[:, a.queries.prefix :].numpy(),
        a.phi.numpy(),
        scale=a.pairwise.scale,
        bias=None if a.bias is None else a.bias.at(a.queries, a.keys, every).numpy(),
        allowed=allowed(a),
    )


CASES = {
    "plain": {},
    "pooled in space": {"pool": (1, 2, 2)},
    "pooled in time": {"pool": (2, 1, 1)},
    "one head": {"heads": 1},
    "bias": {"bias": (1, 1, 0), "pool": (1, 2, 2)},
    "bias per head": {"bias": (3, 1, 0)},
    "bias by offset": {"bias": (3, 7, 5, 9), "prefix": 1},
    "class token": {"prefix": 2},
    "class token, pooled": {"prefix": 1, "pool": (1, 2, 2)},
    "groups": {"group": 2},
    "groups that do not divide": {"group": 3, "pool": (1, 2, 2)},
    "groups, pooled in time, class token": {"group": 2, "pool": (2, 1, 2), "prefix": 1},
    "each frame alone": {"group": 1},
    "groups longer than the clip": {"group": 9},
    "wide": {"d": 33},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_rows_and_dense_and_columns_equal_the_formulas(name: str, case: str) -> None:
    a = affinity(name, **CASES[case])
    want = reference(a)
    dense = a.dense()
    np.testing.assert_allclose(dense.numpy(), want, rtol=2e-5, atol=2e-7)
    some = [7, 0, 59, 7]
    np.testing.assert_allclose(a.rows(some).numpy(), want[:, some], rtol=2e-5, atol=2e-7)
    for key in (0, a.keys.size - 1):
        np.testing.assert_allclose(
            a.column(key).numpy(), want[:, :, key + a.keys.prefix], rtol=2e-5, atol=2e-7
        )


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_bits_of_dense(name: str) -> None:
    a = affinity(name, pool=(1, 2, 2))
    torch.testing.assert_close(a.rows([5, 50]), a.dense()[:, [5, 50]], rtol=1e-5, atol=1e-7)


def test_log_normaliser_is_log_c() -> None:
    a = affinity(group=2)
    logits = a.logits(range(60))
    torch.testing.assert_close(
        (logits - a.log_normaliser[..., None]).exp(), a.rows(range(60)), rtol=1e-5, atol=1e-7
    )
    assert affinity("dot_product").log_normaliser is None


@pytest.mark.parametrize("indices", [range(3), [0, 1, 2], torch.arange(3), np.arange(3)])
def test_indices_of_any_kind(indices: object) -> None:
    a = affinity()
    torch.testing.assert_close(a.rows(indices), a.dense()[:, :3])  # type: ignore[arg-type]


def test_no_indices_give_no_rows() -> None:
    assert affinity().rows([]).shape == (3, 0, 60)


@pytest.mark.parametrize("index", [-1, 60])
def test_rows_outside_the_grid_are_refused(index: int) -> None:
    with pytest.raises(OutsideClip, match="between 0 and 59"):
        affinity().rows([3, index])
    with pytest.raises(OutsideClip, match="between 0 and 59"):
        affinity().column(index)


def test_map_lays_the_row_on_the_key_grid() -> None:
    a = affinity(pool=(1, 2, 2), prefix=1)
    m = a.map(frame=2, y=12, x=9)
    index = a.queries.nearest(frame=2, y=12, x=9)
    row = reference(a)[:, index].mean(0)
    assert m.weights.shape == a.keys.shape
    np.testing.assert_allclose(m.weights.ravel(), row[1:], rtol=2e-5)
    assert m.off_grid == pytest.approx(row[0], rel=1e-5)
    assert m.weights.sum() + m.off_grid == pytest.approx(1, abs=1e-6)
    assert m.query == a.queries.centre(index)
    assert m.normalised
    assert not m.signed


def test_heads_can_be_picked_averaged_or_maximised() -> None:
    a = affinity()
    rows = reference(a)[:, a.queries.nearest(frame=1, y=3, x=3)]
    for head, want in ((0, rows[0]), (2, rows[2]), ("mean", rows.mean(0)), ("max", rows.max(0))):
        m = a.map(frame=1, y=3, x=3, head=head)
        np.testing.assert_allclose(m.weights.ravel(), want, rtol=2e-5)
        assert m.normalised == (head != "max")


@pytest.mark.parametrize("head", [3, -1, "median"])
def test_a_head_that_is_not_there_is_refused(head: object) -> None:
    with pytest.raises(OutsideClip, match="head must be between 0 and 2"):
        affinity().map(frame=0, y=0, x=0, head=head)  # type: ignore[arg-type]


def test_a_place_outside_the_clip_is_refused() -> None:
    a = affinity()
    a = EmbeddedAffinity(
        a.name, a.pairwise, a.theta, a.phi, a.queries, a.keys, clip_shape=(4, 24, 30)
    )
    assert a.map(frame=3, y=23, x=29).weights.shape == (4, 3, 5)
    for place in ({"frame": 4}, {"frame": -1}, {"y": 24}, {"x": 29.5}, {"y": float("nan")}):
        for ask in (a.map, a.map_to):
            with pytest.raises(OutsideClip, match="must be between 0 and"):
                ask(**{"frame": 0, "y": 0, "x": 0, **place})


def test_map_shows_which_keys_are_out_of_reach() -> None:
    a = affinity(group=2)
    m = a.map(frame=0, y=0, x=0)
    assert m.reachable is not None
    assert m.reachable.any((1, 2)).tolist() == [True, True, False, False]
    assert (m.weights[2:] == 0).all()
    assert m.uniform == pytest.approx(1 / 30)
    back = a.map_to(frame=3, y=0, x=0)
    assert back.reachable is not None
    assert back.reachable.any((1, 2)).tolist() == [False, False, True, True]


def test_map_to_is_the_column_of_the_key() -> None:
    a = affinity(pool=(1, 2, 2))
    m = a.map_to(frame=1, y=5, x=20)
    key = a.keys.nearest(frame=1, y=5, x=20)
    np.testing.assert_allclose(
        m.weights.ravel(), reference(a)[:, :, key].mean(0), rtol=2e-5, atol=1e-8
    )
    assert m.weights.shape == a.queries.shape
    assert not m.normalised


@pytest.mark.parametrize("head", [None, 1, "max"])
def test_every_direction_and_kind_of_values_is_laid_out(head: Head) -> None:
    a = affinity(group=2, pool=(1, 2, 2), prefix=2)
    rows, logits = a.dense(), a.logits(range(a.queries.size))
    mean = torch.stack([rows[:, :30].mean(1), rows[:, 30:].mean(1)], 1)
    every = {"weights": rows, "logits": logits, "difference": rows - mean.repeat_interleave(30, 1)}
    query, key = a.queries.nearest(frame=1, y=5, x=20), a.keys.nearest(frame=1, y=5, x=20)
    over = {None: lambda v: v.mean(0), 1: lambda v: v[1], "max": lambda v: v.amax(0)}[head]
    for values, whole in every.items():
        for direction in ("from", "to"):
            m = a.map(frame=1, y=5, x=20, head=head, direction=direction, values=values)
            line = over(whole[:, query] if direction == "from" else whole[..., key + 2])
            apart = line[:2] if direction == "from" else line[:0]
            line = line[2:] if direction == "from" else line
            assert (m.values, m.direction) == (values, direction)
            within = logits[0, query, 2:] if direction == "from" else logits[0, :, key + 2]
            np.testing.assert_array_equal(m.reachable.ravel(), within.isfinite().numpy())
            found, wanted = m.weights.ravel(), line.nan_to_num(0.0, 0.0, 0.0).numpy()
            np.testing.assert_allclose(found, wanted, atol=2e-6)
            assert m.off_grid == pytest.approx(0 if values == "logits" else float(apart.sum()))
            assert m.normalised == (values == "weights" and direction == "from" and head != "max")
            assert m.signed == (values != "weights")
            assert m.balanced == (values == "difference" and direction == "from" and head != "max")
            said = {"weights": "", "logits": ", raw logits", "difference": ", minus the mean row"}
            way = {"from": "from this query", "to": "to this key"}[direction]
            assert m.title == f"block, {way}{said[values]}"


def test_an_affinity_without_logits_says_so() -> None:
    class Even(Affinity):
        name, pairwise, support, clip_shape = "even", Pairwise("gaussian"), Support(), None
        queries = keys = TokenGrid((1, 2, 3))

        def rows(self, indices: Indices) -> Tensor:
            return torch.full((1, len(indices), 6), 1 / 6)

    even = Even()
    assert even.map(frame=0, y=1, x=2).effective() == pytest.approx(6)
    assert abs(even.map(frame=0, y=1, x=2, values="difference").weights).max() < 1e-6
    with pytest.raises(NlvizError, match="even has no logits; show its rows"):
        even.map(frame=0, y=1, x=2, values="logits")


def test_dense_is_refused_above_a_gibibyte_with_the_sizes_in_the_message() -> None:
    grid = TokenGrid((8, 56, 56))
    a = EmbeddedAffinity(
        "res2", Pairwise("gaussian"), torch.ones(1, grid.size, 1), torch.ones(1, grid.size, 1),
        grid, grid,
    )  # fmt: skip
    with pytest.raises(AffinityTooLarge, match=r"1 x 25088 x 25088.*2\.3 GiB.*rows"):
        a.dense()


def test_parity_error_is_the_distance_of_output_from_rows_times_values() -> None:
    a = affinity()
    values = random(3, 60, 4, seed=5)
    y = a.dense() @ values
    kept = [a.name, a.pairwise, a.theta, a.phi, a.queries, a.keys]
    assert a.parity_error() is None
    assert EmbeddedAffinity(*kept, values=values, output=y).parity_error() < 1e-6
    wrong = y.clone()
    wrong[0, 0, 0] += 0.5 * y.abs().max()
    error = EmbeddedAffinity(*kept, values=values, output=wrong).parity_error(sample=60)
    assert error == pytest.approx(0.5, rel=0.5)


def test_affinities_follow_the_protocol_and_tell_their_sizes() -> None:
    assert isinstance(affinity(), Affinity)
    picture = np.zeros((2, 24, 32, 3), np.uint8)
    assert isinstance(patch_affinity(picture, clip_shape=(2, 24, 32), h=5.0), Affinity)
    assert repr(affinity(pool=(1, 2, 2))) == (
        "Affinity(block, embedded_gaussian, 60 queries (4x3x5) x 8 keys (4x1x2), 3 heads)"
    )
    assert "<img" in affinity()._repr_html_()


def test_columns_count_multiples_of_what_a_row_would_give_uniformly() -> None:
    theta, phi = torch.zeros(1, 24, 3), torch.zeros(1, 6, 3)
    queries, keys = TokenGrid((1, 4, 6), (1, 8, 8)), TokenGrid((1, 2, 3), (1, 16, 16))
    affinity = EmbeddedAffinity("b", Pairwise("embedded_gaussian"), theta, phi, queries, keys)
    column = affinity.map_to(frame=0, y=16, x=16)
    assert column.weights.shape == queries.shape
    assert column.top(1)[0].multiple == pytest.approx(1.0)
