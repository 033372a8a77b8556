"""Where the cells of residual video networks lie in the clip, and what a capture of one gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import nlviz
from nlviz.errors import NlvizError
from nlviz.families.video_resnet import VideoResNetAdapter, axes, least_frames
from nlviz.networks.presets import c2d, i3d, slow_only
from nlviz.networks.slowfast import SlowFast, SlowFastSpec
from nlviz.networks.video_resnet import NonLocalSpec, VideoResNet, VideoResNetSpec

PLACES = ((3, 0), (4, 1))


def centre(net: VideoResNet, stage: int, cell: tuple[int, int, int]) -> tuple[float, float, float]:
    """Return the middle of what reaches a cell, by switching single pixels on in a linear net."""
    frames, side = 21, 107
    clip = torch.zeros(1, 3, frames, side, side, requires_grad=True)
    x = net.stem.conv(clip)
    for module in (net.stem.pool,):
        x = torch.nn.functional.avg_pool3d(x, module.kernel_size, module.stride, module.padding)
    if net.spec.pool2 and stage > 2:
        k, s = net.spec.pool2
        x = torch.nn.functional.avg_pool3d(x, (k, 1, 1), (s, 1, 1))
    for _ in range(3, stage + 1):
        x = torch.nn.functional.avg_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    x[0, 0, *cell].backward()
    assert clip.grad is not None
    found = clip.grad[0].abs().sum(0).nonzero().double()
    low, high = found.amin(0), found.amax(0)
    t, y, x_ = ((low + high) / 2).tolist()
    return t, y, x_


@pytest.mark.parametrize(
    ("spec", "time", "space"),
    [
        (dict(stem_kernel=5, stem_stride=2, pool1=(2, 2), pool2=(2, 2), pool1_pad=0), (8, 3), 2),
        (dict(stem_kernel=5, stem_stride=2, pool1=(1, 2), pool2=(2, 2)), (8, 2), 0),
        (dict(stem_kernel=5, pool2=(2, 2)), (2, 0.5), 0),
        (dict(), (1, 0), 0),
    ],
)
@pytest.mark.parametrize(("stage", "step"), [(3, 8), (4, 16)])
def test_cells_lie_where_the_arithmetic_of_the_published_codes_says(
    spec: dict[str, object], time: tuple[float, float], space: float, stage: int, step: int
) -> None:
    net = VideoResNet(VideoResNetSpec(depth=18, non_local={(stage, 0): NonLocalSpec()}, **spec))  # type: ignore[arg-type]
    t, y, x = axes(net, 32)[f"res{stage}.0"]
    assert (t.stride, t.origin) == time
    assert (y.stride, y.origin) == (x.stride, x.origin) == (step, space)
    cell = (1, 3, 4)
    torch.nn.init.ones_(net.stem.conv.weight)
    found = centre(net, stage, cell)
    expected = tuple(a.origin + a.stride * i for a, i in zip((t, y, x), cell, strict=True))
    assert found == expected


@pytest.mark.parametrize("size", [(224, 256), (250, 330)])
def test_keys_and_queries_have_their_own_grids(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    spec = VideoResNetSpec(
        depth=18, pool2=(2, 2), non_local={p: NonLocalSpec() for p in PLACES}, classes=5
    )
    net = VideoResNet(spec).eval()
    frames = np.random.default_rng(0).integers(0, 256, (4, *size, 3)).astype(np.uint8)
    clip = nlviz.Clip.from_frames(frames)
    shot = nlviz.capture(net, clip, input_spec=nlviz.InputSpec(size=96, multiple=2))
    first, second = shot.affinities["res3.0"], shot.affinities["res4.1"]
    h, w = first.queries.shape[1:]
    assert first.queries.shape[0] == 2
    assert first.keys.shape == (2, h // 2, w // 2)
    assert second.queries.shape[1:] == (-(-h // 2), -(-w // 2))
    scale = size[0] / 96
    assert first.queries.stride[1] == pytest.approx(8 * scale)
    assert first.queries.origin[1] == pytest.approx((scale - 1) / 2)
    assert first.keys.origin[1] == pytest.approx(4 * scale + (scale - 1) / 2)
    assert first.queries.origin[0] == 0.5
    assert first.rows([3]).sum().item() == pytest.approx(1, abs=1e-5)
    for affinity in (first, second):
        assert isinstance(affinity, nlviz.EmbeddedAffinity)
        error = affinity.parity_error()
        assert error is not None
        assert error < 1e-5


def test_grouped_blocks_reach_their_group_alone() -> None:
    torch.manual_seed(0)
    spec = VideoResNetSpec(depth=18, non_local={(3, 0): NonLocalSpec(frames_per_group=3)})
    frames = np.random.default_rng(0).integers(0, 256, (6, 64, 96, 3)).astype(np.uint8)
    shot = nlviz.capture(
        VideoResNet(spec).eval(),
        nlviz.Clip.from_frames(frames),
        input_spec=nlviz.InputSpec(size=64),
    )
    attention = shot.affinities["res3.0"].map(frame=4, y=30, x=50)
    mass = attention.per_frame()
    assert mass[:3].tolist() == [0, 0, 0]
    assert mass[3:].sum() == pytest.approx(1, abs=1e-5)
    assert shot.affinities["res3.0"].parity_error() < 1e-5  # type: ignore[attr-defined]


def test_the_slow_pathways_cells_lie_on_its_frames() -> None:
    torch.manual_seed(0)
    slow = slow_only(50, places=((4, 1),), classes=5)
    net = SlowFast(
        SlowFastSpec(slow, VideoResNetSpec(depth=50, stem_kernel=5), alpha=4, fusion_kernel=5)
    ).eval()
    frames = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    shot = nlviz.capture(net, nlviz.Clip.from_frames(frames), input_spec=nlviz.InputSpec(size=64))
    grid = shot.affinities["res4.1"].queries
    assert grid.shape == (2, 4, 4)
    assert (grid.stride[0], grid.origin[0]) == (7.0, 0.0)
    assert least_frames(net) == 4


def test_the_last_frame_of_a_clip_that_is_too_short_is_repeated_and_that_is_said() -> None:
    net = VideoResNet(i3d(50, frames=32, places=PLACES)).eval()
    assert least_frames(net) == 5
    short = nlviz.Clip.from_frames(np.zeros((3, 64, 64, 3), np.uint8))
    shot = nlviz.capture(net, short)
    assert shot.clip.shape[0] == len(shot.clip.times) == 5
    assert shot.clip.notes == (
        "The network takes no clip of 3 frames: the last one is repeated, up to 5.",
    )
    with pytest.raises(NlvizError, match="5 or more frames, this one has 3"):
        VideoResNetAdapter().prepare(net, short, None)
    assert nlviz.Model(VideoResNet(c2d(18, places=((3, 0),)))).blocks == ("res3.0",)


@pytest.mark.parametrize("crop", [224, 256])
@pytest.mark.parametrize(("pad", "first", "keys"), [(1, 0, (4, 8)), (0, 2, (6, 10))])
def test_published_crops_have_the_published_grids(
    crop: int, pad: int, first: int, keys: tuple[int, int]
) -> None:
    """Queries at 8m and 16m, or 2 further without padding; keys in the middle of four queries."""
    spec = c2d(18, places=((3, 1), (4, 0)), classes=5, caffe2=not pad)
    with torch.device("meta"):
        net = VideoResNet(spec)
    y = net.axes(3)[1], net.axes(4)[1]
    shot = nlviz.capture(
        VideoResNet(spec).eval(),
        nlviz.Clip.from_frames(np.zeros((2, crop, crop, 3), np.uint8)),
        input_spec=nlviz.InputSpec(size=crop),
    )
    for name, step, axis, key in zip(("res3.1", "res4.0"), (8, 16), y, keys, strict=True):
        affinity = shot.affinities[name]
        assert affinity.queries.shape == (1, crop // step, crop // step)
        assert affinity.queries.centre(0)[1:] == (first, first)
        assert (
            affinity.queries.centre(1)[1:]
            == (first, first + step)
            == (axis.origin, axis.origin + step)
        )
        assert affinity.keys.shape == (1, crop // step // 2, crop // step // 2)
        assert affinity.keys.centre(0)[1:] == (key, key)
        assert affinity.keys.stride[1:] == (2 * step, 2 * step)
        assert affinity.queries.centre(0)[0] == 0.5


def test_slow_fast_networks_take_whole_steps_of_the_slow_pathway() -> None:
    net = SlowFast(
        SlowFastSpec(
            VideoResNetSpec(depth=18, non_local={(3, 0): NonLocalSpec()}),
            VideoResNetSpec(depth=18),
            alpha=4,
        )
    )
    for frames, taken in ((3, 4), (7, 8)):
        clip = nlviz.Clip.from_frames(np.zeros((frames, 64, 64, 3), np.uint8))
        shot = nlviz.capture(net.eval(), clip)
        assert len(shot.clip.frames) == taken
        assert f"the last one is repeated, up to {taken}" in shot.clip.notes[0]
    with pytest.raises(NlvizError, match="multiple of 4 frames, got 7"):
        net(torch.zeros(1, 3, 7, 64, 64))


def test_a_bypassed_block_is_no_block() -> None:
    torch.manual_seed(0)
    net = VideoResNet(c2d(18, places=((3, 0),), classes=5)).eval()
    torch.nn.init.normal_(net.non_local_blocks()["res3.0"].bn.weight)
    bare = VideoResNet(c2d(18, classes=5)).eval()
    bare.load_state_dict({k: v for k, v in net.state_dict().items() if ".nl." not in k})
    model = nlviz.Model(net)
    clip = nlviz.Clip.from_frames(
        np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
    )
    prepared = model.adapter.prepare(net, clip, None).tensor
    with torch.no_grad():
        want = bare(prepared)
        torch.testing.assert_close(model.logits(clip, bypass="res3.0"), want[0])
        assert not torch.allclose(net(prepared), want, atol=1e-3)
