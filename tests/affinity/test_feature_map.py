"""Features laid on the clip, and the cosine of every two cells of all frames."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.feature_map import FeatureMap, keys_as_features
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.errors import NlvizError

T, H, W, C = 2, 3, 5, 7
GRID = TokenGrid((T, H, W), (1, 8, 6), (0, 3.5, 2.5))


@pytest.fixture
def features() -> FeatureMap:
    drawn = torch.randn(C, T, H, W, generator=torch.Generator().manual_seed(0)) + 0.5
    apart = torch.randn(2 * T, C, generator=torch.Generator().manual_seed(1))
    return FeatureMap("layer", drawn, GRID, apart, ("cls", "registers.0") * T)


def between(x: Tensor, y: Tensor) -> Tensor:
    return F.cosine_similarity(x[:, None].double(), y[None].double(), dim=-1)


@pytest.mark.parametrize("minus_mean", [False, True])
def test_rows_are_cosines(features: FeatureMap, minus_mean: bool) -> None:
    x = features.values.flatten(1).mT
    x = x - x.mean(0) if minus_mean else x
    affinity = features.cosine(minus_mean=minus_mean)
    rows = affinity.dense()[0]
    torch.testing.assert_close(rows.double(), between(x, x), atol=1e-6, rtol=0)
    assert float(rows.abs().max()) <= 1
    assert ("mean feature" in affinity.note) == minus_mean
    for key in (0, 11, T * H * W - 1):
        torch.testing.assert_close(affinity.column(key)[0], rows[:, key], atol=1e-6, rtol=0)


def test_a_map_holds_a_similarity(features: FeatureMap) -> None:
    affinity = features.cosine()
    found = affinity.map(frame=1, y=11, x=20)
    index = GRID.nearest(frame=1, y=11, x=20)
    assert found.values == "similarity" and found.signed and not found.normalised
    assert found.uniform == 1.0  # a similarity is shared out over nothing
    assert "cosine similarity" in found.title
    assert found.weights.ravel()[index] == pytest.approx(1, abs=1e-6)
    assert found.top(1)[0].multiple == pytest.approx(1, abs=1e-6)
    back = affinity.map(frame=1, y=11, x=20, direction="to")
    torch.testing.assert_close(torch.from_numpy(back.weights), torch.from_numpy(found.weights))
    asked = affinity.map(frame=1, y=11, x=20, values="similarity")
    assert (asked.weights == found.weights).all()


def test_tokens_without_a_place_can_be_asked_for(features: FeatureMap) -> None:
    assert features.apart is not None
    cosines = between(features.apart, features.vectors)
    found = features.cosine().map(token="registers.0", frame=1)
    expected = cosines[3].reshape(T, H, W).float()
    torch.testing.assert_close(torch.from_numpy(found.weights), expected, atol=1e-6, rtol=0)
    assert found.values == "similarity" and found.signed
    assert found.off_grid == 0


def test_a_feature_of_zeros_is_like_nothing() -> None:
    values = torch.ones(C, 1, 1, 3)
    values[:, 0, 0, 1] = 0
    rows = FeatureMap("layer", values, TokenGrid((1, 1, 3))).cosine().dense()[0]
    assert rows[1].tolist() == [0, 0, 0]
    assert rows[0].tolist() == pytest.approx([1, 0, 1])


def test_keys_of_an_attention_are_features() -> None:
    heads, d, prefix = 3, 4, 1
    generator = torch.Generator().manual_seed(2)
    theta, phi = torch.randn(2, heads, prefix + T * H * W, d, generator=generator)
    grid = TokenGrid(GRID.shape, GRID.stride, GRID.origin, prefix)
    attention = EmbeddedAffinity(
        "blocks.1",
        Pairwise("embedded_gaussian", 0.5),
        theta,
        phi,
        grid,
        grid,
        Support(frames_per_group=1),
        token_names=("cls",),
    )
    for of, vectors in (("keys", phi), ("queries", theta)):
        together = vectors.transpose(0, 1).flatten(1)
        found = keys_as_features(attention, of=of)  # type: ignore[arg-type]
        rows = found.cosine().dense()[0]
        expected = between(together[prefix:], together[prefix:])
        torch.testing.assert_close(rows.double(), expected, atol=1e-6, rtol=0)
        assert found.apart is not None and torch.equal(found.apart, together[:prefix])
    one = keys_as_features(attention, head=2)
    torch.testing.assert_close(one.vectors, phi[2, prefix:])
    with pytest.raises(NlvizError, match="head must be between 0 and 2, got 3"):
        keys_as_features(attention, head=3)


def test_a_grid_of_other_cells_is_refused() -> None:
    with pytest.raises(NlvizError, match=r"features are \(channels, t, h, w\)"):
        FeatureMap("layer", torch.zeros(C, T, W, H), GRID)
