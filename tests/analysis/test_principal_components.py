"""Principal components of features against a singular value decomposition of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nlviz.affinity.feature_map import FeatureMap
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.principal_components import Foreground, principal_components
from nlviz.errors import NlvizError


def drawn(channels: int, shape: tuple[int, int, int], seed: int = 0) -> FeatureMap:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(channels, *shape, generator=generator)
    values *= torch.linspace(3, 0.5, channels)[:, None, None, None]
    return FeatureMap("layer", values + 4, TokenGrid(shape))


@pytest.mark.parametrize(("channels", "unit_length"), [(7, False), (7, True), (61, False)], ids=str)
def test_parity_with_a_singular_value_decomposition(channels: int, unit_length: bool) -> None:
    features = drawn(channels, (2, 3, 5))
    found = principal_components(features, 4, unit_length=unit_length)
    x = features.values.double().flatten(1).mT.numpy()
    if unit_length:
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    x = x - x.mean(0)
    _, size, directions = np.linalg.svd(x, full_matrices=False)
    np.testing.assert_allclose(found.shares, (size**2 / (size**2).sum())[:4], atol=1e-9)
    for own, theirs in zip(found.directions.numpy(), directions, strict=False):
        assert abs(own @ theirs) == pytest.approx(1, abs=1e-9)
        assert own[np.abs(own).argmax()] > 0  # of two signs the one that is always taken
    scores = found.scores(features).flatten(1).mT
    np.testing.assert_allclose(scores, x @ found.directions.numpy().T, atol=1e-9)
    assert found.explained == pytest.approx(float(found.shares.sum()))


def test_colours_are_the_components_of_one_range_over_all_frames() -> None:
    features = drawn(7, (2, 3, 5))
    found = principal_components(features)
    colours = found.colours(features)
    assert colours.shape == (2, 3, 5, 3) and colours.dtype == np.uint8
    scores = found.scores(features)
    for c in range(3):
        order = np.argsort(scores[c].flatten().numpy())
        assert (np.diff(colours[..., c].ravel()[order].astype(int)) >= 0).all()
        assert colours[..., c].min() == 0 and colours[..., c].max() == 255


def test_one_basis_for_two_clips() -> None:
    one, two = drawn(7, (2, 3, 5)), drawn(7, (1, 4, 6), seed=1)
    found = principal_components([one, two])
    together = FeatureMap(
        "layer",
        torch.cat([one.vectors, two.vectors]).mT.reshape(7, 1, 1, -1),
        TokenGrid((1, 1, 54)),
    )
    alone = principal_components(together)
    torch.testing.assert_close(found.directions, alone.directions)
    colours = np.concatenate([found.colours(each).reshape(-1, 3) for each in (one, two)])
    assert (colours == alone.colours(together).reshape(-1, 3)).all()


def test_a_foreground_has_a_basis_of_its_own() -> None:
    features = drawn(7, (2, 3, 5))
    values = features.values.clone()
    values[2, :, 1:] += 30  # two rows of each frame stand out
    features = FeatureMap("layer", values, features.grid)
    found = principal_components(features, foreground=Foreground(0.5, "above"))
    inside = found.inside(features)
    assert inside[:, 1:].all() and not inside[:, 0].any()
    alone = FeatureMap("layer", values[:, :, 1:], TokenGrid((2, 2, 5)))
    torch.testing.assert_close(found.directions, principal_components(alone).directions)
    assert not found.colours(features)[:, 0].any()
    other = principal_components(features, foreground=Foreground(0.5, "below"))
    assert (other.inside(features) == ~inside).all()


def test_where_nothing_varies_there_is_no_colour() -> None:
    features = FeatureMap("layer", torch.ones(5, 1, 2, 3), TokenGrid((1, 2, 3)))
    found = principal_components(features)
    assert found.explained == 0
    assert (found.colours(features) == 128).all()


def test_two_components_leave_the_third_colour_at_half() -> None:
    features = drawn(2, (1, 3, 5))
    assert (principal_components(features, 2).colours(features)[..., 2] == 128).all()


def test_what_has_no_basis_is_refused() -> None:
    features = drawn(7, (2, 3, 5))
    with pytest.raises(NlvizError, match="between 1 and 7 components of 30 cells"):
        principal_components(features, 8)
    with pytest.raises(NlvizError, match=r"layer \(7\), layer \(6\)"):
        principal_components([features, drawn(6, (2, 3, 5))])
    with pytest.raises(NlvizError, match="the 7 channels of the basis, layer has 6"):
        principal_components(features).scores(drawn(6, (2, 3, 5)))
    with pytest.raises(NlvizError, match="finite"):
        principal_components(FeatureMap("layer", features.values / 0 * 0, features.grid))
    with pytest.raises(NlvizError, match="between 0 and 1"):
        Foreground(1.5)
