"""Any network that holds a non-local block: names, layouts and places of its cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from nlviz.captures.your_network import capture
from nlviz.clips.clip import Clip
from nlviz.families import adapter_for, family_of
from nlviz.families.reading.adapter import InputSpec, prepare
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.insert import insert
from nlviz.networks.lite_nl import LiteNL
from tests.nets import CLIPS, FRAMES, clip_net, frame_net, noise_clip


def test_blocks_are_named_after_their_layer_or_their_place() -> None:
    assert list(adapter_for(frame_net()).blocks(frame_net())) == ["layer1"]
    assert list(adapter_for(clip_net()).blocks(clip_net())) == ["nl"]
    block = NonLocalBlock(3, dimension=2)
    assert list(adapter_for(block).blocks(block)) == ["block"]


def test_every_family_takes_its_own_networks() -> None:
    assert family_of(LiteNL()).name == "lite-nl"
    assert family_of(frame_net()).name == "non-local-block"
    assert family_of(LiteNL(), family="non-local-block").name == "non-local-block"


def test_layout_follows_the_first_convolution() -> None:
    for net, shape in ((frame_net(), (4, 3, 224, 288)), (clip_net(), (1, 3, 4, 224, 288))):
        tensor = adapter_for(net).prepare(net, noise_clip(), None).tensor
        assert tensor.shape == shape


@pytest.mark.parametrize(("layer", "stride"), [("layer1", 4), ("layer2", 8), ("layer3", 16)])
def test_cells_of_a_resnet_are_placed_by_its_convolutions(layer: str, stride: int) -> None:
    net = torchvision.models.resnet18(weights=None).eval()
    insert(net, after=layer, pairwise="gaussian", pool=2)
    spec = InputSpec(size=96, multiple=32, layout="frames")
    clip = noise_clip(2, 192, 256)  # twice the network's input
    affinity = capture(net, clip, input_spec=spec).affinities[layer]
    assert affinity.queries.shape == (2, 96 // stride, 128 // stride)
    # Cell m lies at stride * m of the input (facts of torchvision's stem), 2 i + 0.5 of the clip.
    for index in (0, affinity.queries.size - 1):
        a, b, c = affinity.queries.unravel(index)
        want = (a, 2 * stride * b + 0.5, 2 * stride * c + 0.5)
        assert affinity.queries.centre(index) == pytest.approx(want)
    # Keys pooled 2 x 2 lie in the middle of four cells, at 2 stride u + stride / 2.
    assert affinity.keys.shape == (2, 48 // stride, 64 // stride)
    assert affinity.keys.centre(0) == pytest.approx((0, stride + 0.5, stride + 0.5))


def test_cells_of_3d_networks_are_placed_in_time_too() -> None:
    affinity = capture(clip_net(), noise_clip(8, 32, 48), input_spec=CLIPS).affinities["nl"]
    assert affinity.queries.shape == (4, 8, 12)
    assert affinity.queries.stride == (2.0, 4.0, 4.0)
    assert affinity.queries.origin == (0.0, 0.0, 0.0)


def test_functions_between_layers_and_block_are_followed() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
            self.block = NonLocalBlock(4, dimension=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.block(nn.functional.interpolate(self.stem(x), size=(4, 8)))

    affinity = capture(Odd(), noise_clip(1, 32, 64), input_spec=FRAMES).affinities["block"]
    assert affinity.queries.shape == (1, 4, 8)
    # the convolution's cells lie at 2m, and every fourth of them is taken, from the first on
    assert affinity.queries.centre(0) == pytest.approx((0, 0, 0))
    assert affinity.queries.stride == (1.0, 8.0, 8.0)
    assert affinity.note == ""


def test_a_network_that_cannot_be_followed_gets_cells_spread_evenly_and_says_so() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 8, stride=8)
            self.block = NonLocalBlock(4, dimension=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.block(torch.from_numpy(self.stem(x).detach().numpy() + 1))

    affinity = capture(Odd(), noise_clip(1, 32, 64), input_spec=FRAMES).affinities["block"]
    assert affinity.queries.shape == (1, 4, 8)
    assert affinity.queries.centre(0) == pytest.approx((0, 3.5, 3.5))
    assert affinity.queries.stride == (1.0, 8.0, 8.0)
    assert "neither followed nor measured" in affinity.note


@pytest.mark.parametrize("size", [(32, 48), (31, 77), (200, 50), (64, 64)])
def test_preparing_places_pixels_of_the_input_in_the_clip(size: tuple[int, int]) -> None:
    height, width = size
    spec = InputSpec(size=32, multiple=8, mean=(0, 0, 0), std=(1, 1, 1), white=255)
    ramp = np.linspace(0, 255, width)[None, None, :, None].repeat(height, 1).repeat(3, 3)
    prepared = prepare(Clip.from_frames(np.repeat(ramp, 2, 0).astype(np.uint8)), spec)
    assert prepared.clip_shape == (2, height, width)
    h, w = prepared.tensor.shape[-2:]
    assert h % 8 == w % 8 == 0
    for n, full, axis in ((h, height, prepared.y), (w, width, prepared.x)):
        first, last = axis.origin, axis.origin + axis.stride * (n - 1)
        assert first - axis.stride / 2 == pytest.approx(-0.5)
        assert last + axis.stride / 2 == pytest.approx(full - 0.5)
    # The value of an input pixel is the ramp's value where the axis says that it lies.
    at = prepared.x.origin + prepared.x.stride * np.arange(w)
    inner = slice(1, -1)
    np.testing.assert_allclose(
        prepared.tensor[0, 0, 0, h // 2].numpy()[inner], (at * 255 / (width - 1))[inner], atol=3.0
    )


def test_a_block_whose_channels_come_last_lies_on_no_grid_and_says_so() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.block = nn.Conv2d(3, 4, 8, stride=8), NonLocalBlock(6, dimension=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.block(self.stem(x).permute(0, 2, 3, 1))

    spec = InputSpec(size=48, multiple=8, layout="frames")
    affinity = capture(Last(), noise_clip(1, 48, 72), input_spec=spec).affinities["block"]
    assert "lies on no grid of the picture" in affinity.note


def test_two_pathways_put_cells_where_the_larger_picture_says() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slow = nn.Conv3d(3, 8, (1, 4, 4), (1, 4, 4))
            self.fast = nn.Conv3d(3, 4, (5, 4, 4), (4, 4, 4), (2, 0, 0))
            self.nl = NonLocalBlock(12)

        def forward(self, pathways: list[torch.Tensor]) -> torch.Tensor:
            slow, fast = pathways
            return self.nl(torch.cat([self.slow(slow), self.fast(fast)], 1))

    def make(clip: Clip) -> list[torch.Tensor]:
        x = torch.tensor(clip.frames).permute(3, 0, 1, 2)[None] / 255
        return [x[:, :, ::4], x]

    found = capture(Two().eval(), noise_clip(8, 32, 48), prepare=make)
    queries = found.affinities["nl"].queries
    assert (queries.shape, queries.off) == ((2, 8, 12), (0, 0, 0))
    assert queries.stride == (4, 4, 4)
    assert queries.origin == (0, 1.5, 1.5)
    assert any("2 pictures" in note for note in found.notes)
