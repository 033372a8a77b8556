"""Video networks against torchvision's frame by frame, and against their own parts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models import resnet18, resnet50, resnet101

from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.networks.inflation import inflate
from nlviz.networks.presets import c2d, five_blocks, i3d, slow_only, ten_blocks, tsm
from nlviz.networks.slowfast import SlowFast, SlowFastSpec
from nlviz.networks.video_resnet import NonLocalSpec, VideoResNet, VideoResNetSpec

pytestmark = pytest.mark.slow

FAST = VideoResNetSpec(
    depth=50, stem_kernel=5, temporal={s: (3,) * n for s, n in ((2, 3), (3, 4), (4, 6), (5, 3))}
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def alive(net: VideoResNet | SlowFast, seed: int = 1) -> None:
    """Give every block an output, as training would."""
    draw = torch.Generator().manual_seed(seed)
    for block in net.non_local_blocks().values():
        for p in block.bn.parameters():
            p.data = torch.randn(p.shape, generator=draw) * 0.3


def with_statistics(net: torch.nn.Module) -> torch.nn.Module:
    """Give normalisations statistics that are not 0 and 1."""
    draw = torch.Generator().manual_seed(2)
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            mean, var = module.running_mean, module.running_var
            assert mean is not None
            assert var is not None
            mean.copy_(torch.randn(mean.shape, generator=draw) * 0.1)
            var.copy_(torch.rand(var.shape, generator=draw) + 0.5)
    return net.eval()


@pytest.mark.parametrize("depth", [18, 50, 101])
@torch.no_grad()
def test_c2d_of_one_frame_is_torchvisions_resnet(depth: int) -> None:
    torch.manual_seed(depth)
    theirs = with_statistics({18: resnet18, 50: resnet50, 101: resnet101}[depth]())
    ours = VideoResNet(c2d(depth, pool2=False, classes=1000)).eval()
    assert inflate(ours, theirs.state_dict()) == ()
    frames = noise(3, 3, 50, 70)
    found = torch.stack([ours(f[None, :, None])[0] for f in frames])
    expected = theirs(frames)
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5
    features = ours.features(frames.transpose(0, 1)[None])
    mean = ours.head(features.mean((2, 3, 4)))[0]
    assert float((mean - expected.mean(0)).abs().max() / expected.abs().max()) < 1e-5


@torch.no_grad()
def test_inflated_kernels_of_a_still_clip_give_the_pictures_answer_inside() -> None:
    torch.manual_seed(0)
    theirs = with_statistics(resnet18())
    spec = VideoResNetSpec(depth=18, stem_kernel=5, temporal={3: (3, 1)}, classes=7)
    ours = VideoResNet(spec).eval()
    stayed = inflate(ours, theirs.state_dict())
    assert stayed == ("head.weight", "head.bias")
    still = noise(1, 3, 1, 34, 46).expand(-1, -1, 11, -1, -1)
    middle = ours.features(still)[:, :, 5]
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(still[:, :, 0]))))
    x = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
    assert torch.allclose(middle, x, atol=1e-4)


def test_another_depth_is_refused() -> None:
    with pytest.raises(WeightsMismatch, match="torchvision's ResNet"):
        inflate(VideoResNet(c2d(18)), resnet50().state_dict())


@torch.no_grad()
def test_fresh_blocks_change_nothing_and_trained_ones_do() -> None:
    torch.manual_seed(0)
    plain = VideoResNet(c2d(50, classes=9)).eval()
    places = five_blocks(50)
    with_blocks = VideoResNet(c2d(50, places=places, classes=9)).eval()
    with_blocks.load_state_dict(plain.state_dict(), strict=False)
    clip = noise(2, 3, 4, 34, 46)
    assert torch.equal(plain(clip), with_blocks(clip))
    alive(with_blocks)
    assert not torch.allclose(plain(clip), with_blocks(clip), atol=1e-3)
    assert list(with_blocks.non_local_blocks()) == [f"res{s}.{i}" for s, i in places]


@torch.no_grad()
@pytest.mark.parametrize("changed", [{"pool_first": False}, {"scale": False}, {"pool": 1}])
def test_every_flag_of_a_block_counts(changed: dict[str, bool]) -> None:
    place = {(3, 1): NonLocalSpec()}
    torch.manual_seed(0)
    net = VideoResNet(VideoResNetSpec(depth=18, non_local=place, classes=9)).eval()
    alive(net)
    other = VideoResNet(
        VideoResNetSpec(depth=18, non_local={(3, 1): NonLocalSpec(**changed)}, classes=9)
    ).eval()
    other.load_state_dict(net.state_dict())
    clip = noise(1, 3, 3, 66, 82)
    assert not torch.allclose(net(clip), other(clip), atol=1e-5)


@torch.no_grad()
def test_groups_of_frames_see_only_themselves() -> None:
    torch.manual_seed(0)
    spec = {(3, 1): NonLocalSpec(frames_per_group=2, norm=False)}
    net = VideoResNet(VideoResNetSpec(depth=18, non_local=spec, classes=9)).eval()
    block = net.non_local_blocks()["res3.1"]
    block.out.weight.data = noise(*block.out.weight.shape) * 0.1
    x = noise(1, 128, 6, 5, 7)
    theta = torch.einsum("oc,ctyx->otyx", block.theta.weight.flatten(1), x[0])
    theta = theta + block.theta.bias.view(-1, 1, 1, 1)
    pooled = F.max_pool3d(x[0], (1, 2, 2))
    phi, g = (
        torch.einsum("oc,ctyx->otyx", m.weight.flatten(1), pooled) + m.bias.view(-1, 1, 1, 1)
        for m in (block.phi, block.g)
    )
    parts = []
    for first in (0, 2, 4):
        t, p, v = (a[:, first : first + 2].flatten(1) for a in (theta, phi, g))
        rows = (t.T @ p * 64**-0.5).softmax(-1)
        parts.append((v @ rows.T).reshape(64, 2, 5, 7))
    y = torch.cat(parts, 1)
    z = torch.einsum("oc,ctyx->otyx", block.out.weight.flatten(1), y)
    expected = x[0] + z + block.out.bias.view(-1, 1, 1, 1)
    assert torch.allclose(block(x)[0], expected, atol=1e-5)
    with pytest.raises(NlvizError, match="multiple of 2 frames"):
        block(noise(1, 128, 5, 5, 7))


@torch.no_grad()
def test_slow_fast_shares_a_clip_between_two_pathways() -> None:
    torch.manual_seed(0)
    slow = slow_only(50, places=((4, 1), (4, 3)), classes=9)
    net = SlowFast(SlowFastSpec(slow, FAST, alpha=4, fusion_kernel=7)).eval()
    alive(net)
    clip = noise(1, 3, 8, 34, 46)
    logits = net(clip)
    assert logits.shape == (1, 9)
    changed = clip.clone()
    changed[:, :, 3] += 1  # a frame that the slow pathway does not see
    assert not torch.allclose(net(changed), logits, atol=1e-5)
    for fuse in ("fuse1", "fuse2", "fuse3", "fuse4"):
        net.get_submodule(fuse).bn.weight.data.zero_()
        net.get_submodule(fuse).bn.bias.data.zero_()
    net.head.weight.data[:, 2048:] = 0
    assert torch.allclose(net(changed), net(clip), atol=1e-6)
    with pytest.raises(NlvizError, match="multiple of 4 frames"):
        net(clip[:, :, :7])


def test_specifications_that_make_no_network_are_told() -> None:
    with pytest.raises(NlvizError, match="18, 34, 50, 101"):
        VideoResNet(VideoResNetSpec(depth=26))
    with pytest.raises(NlvizError, match=r"res4\.6"):
        VideoResNet(c2d(50, places=((4, 6),)))
    with pytest.raises(NlvizError, match="temporal kernels of res3"):
        VideoResNet(VideoResNetSpec(depth=18, temporal={3: (3, 1, 3)}))
    with pytest.raises(NlvizError, match="34, 50 or 101"):
        five_blocks(18)


def test_places_are_the_published_ones() -> None:
    assert len(ten_blocks(50)) == len(ten_blocks(101)) == 10
    assert five_blocks(50, first=0) == ((3, 0), (3, 2), (4, 0), (4, 2), (4, 4))
    assert tsm().shift
    parameters = sum(
        p.numel()
        for b in VideoResNet(i3d(50, places=five_blocks())).non_local_blocks().values()
        for p in b.parameters()
    )
    assert parameters == 7_358_464  # the published difference of 35.4 M and 28.0 M
