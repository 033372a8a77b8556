"""Where the cells of the bundled network lie, and how its input is prepared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import nlviz
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.families.lite_nl import INPUT
from nlviz.networks.lite_nl import AXES, LiteNL


@pytest.fixture(scope="module")
def net(lite_nl: nlviz.Model) -> LiteNL:
    found = lite_nl.net
    assert isinstance(found, LiteNL)
    return found


@pytest.mark.parametrize(
    ("name", "cell", "pixels"), [("stage3", (13, 14), 1.5), ("stage4", (6, 7), 3.0)]
)
def test_axes_are_the_centroid_of_the_squared_gradient(
    net: LiteNL, name: str, cell: tuple[int, int], pixels: float
) -> None:
    """What a cell answers to is centred where the adapter says that the cell lies.

    Measured over several cells and inputs: 3.4 to 3.9 at stride 8, 9 to 9.8 at stride 16.
    """
    generator = torch.Generator().manual_seed(0)
    ratio = []
    mass: Tensor = torch.zeros(224, 256)
    for _ in range(6):  # smooth noise, as natural pictures are smooth
        coarse = torch.randn(1, 3, 28, 32, generator=generator)
        picture = torch.nn.functional.interpolate(coarse, (224, 256), mode="bicubic")
        picture.requires_grad_()
        features = net.block_inputs(picture[:, :, None])[name][0, :, 0]
        weights = torch.randn(len(features), generator=generator)
        (features[:, cell[0], cell[1]] * weights).sum().backward()
        mass += picture.grad.square().sum((0, 1))
        ratio.append(float(picture.grad.abs().max()))
    assert min(ratio) > 0
    for axis in range(2):
        p = mass.sum(1 - axis)
        centre = float((p * torch.arange(len(p))).sum() / p.sum())
        stride, origin = AXES[name].stride, AXES[name].origin
        assert centre == pytest.approx(origin + stride * cell[axis], abs=pixels)


def test_the_whole_picture_is_kept_and_the_grid_covers_it() -> None:
    model = Model(LiteNL().eval())
    for height, width in ((90, 160), (160, 90), (100, 100), (224, 400)):
        clip = Clip.from_frames(np.zeros((1, height, width, 3), np.uint8))
        prepared = model.adapter.prepare(model.net, clip, None)
        h, w = prepared.tensor.shape[-2:]
        assert min(h, w) == 224
        assert h % 16 == w % 16 == 0
        assert w / h == pytest.approx(width / height, rel=0.04)
        for name, affinity in model.capture(clip).affinities.items():
            grid = affinity.queries
            cell = {"stage3": 8, "stage4": 16}[name]
            assert grid.shape == (1, h // cell, w // cell)
            for axis, side in ((1, height), (2, width)):
                first = grid.origin[axis] - grid.stride[axis] / 2
                last = grid.origin[axis] + grid.stride[axis] * (grid.shape[axis] - 0.5)
                assert first == pytest.approx(-0.5, abs=1.5 * side / 100)
                assert last == pytest.approx(side - 0.5, abs=1.5 * side / 100)


def test_pixels_are_scaled_as_in_training() -> None:
    grey = np.full((1, 224, 224, 3), (0, 127, 255), np.uint8)
    tensor = Model(LiteNL()).adapter.prepare(LiteNL(), Clip.from_frames(grey), INPUT).tensor
    assert tensor.shape == (1, 3, 1, 224, 224)
    assert [round(float(v), 3) for v in tensor[0, :, 0, 0, 0]] == [-0.992, 0.0, 1.0]


def test_frames_see_each_other_only_in_the_blocks(net: LiteNL) -> None:
    torch.manual_seed(0)
    clip = torch.randn(1, 3, 3, 64, 64)
    other = clip.clone()
    other[:, :, 2] = 0
    with torch.no_grad():
        one, two = (net.block_inputs(c)["stage3"] for c in (clip, other))
    torch.testing.assert_close(one[:, :, :2], two[:, :, :2])


def test_rows_are_distributions_and_give_the_blocks_output(net: LiteNL) -> None:
    rng = np.random.default_rng(0)
    clip = Clip.from_frames(rng.integers(0, 256, (2, 64, 80, 3), np.uint8))
    found = Model(net).capture(clip)
    assert list(found.affinities) == ["stage3", "stage4"]
    for affinity in found.affinities.values():
        assert affinity.parity_error() < 1e-4
        rows = affinity.rows([0, affinity.queries.size - 1])
        torch.testing.assert_close(rows.sum(-1), torch.ones(1, 2))
        assert affinity.theta.norm(dim=-1).sub(1).abs().max() < 1e-4
