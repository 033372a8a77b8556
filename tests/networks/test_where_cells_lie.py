"""Where cells lie, followed through networks and measured, against gradients and arithmetic."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.affinity.grid import Axis
from nlviz.networks.followed import NotFollowed
from nlviz.networks.places import Cells, NoLattice, lattice
from nlviz.networks.where_cells_lie import Walk, measured


class Here(nn.Module):
    """Stands where cells are looked for."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Ending(nn.Module):
    """A body, and a place behind it."""

    def __init__(self, body: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.here = body, Here()

    def forward(self, x: Tensor) -> Tensor:
        return self.here(self.body(x))


def laid(x: Tensor) -> Tensor:
    """Return (channels, t, h, w)."""
    return x.transpose(0, 1) if x.dim() == 4 else x[0]


def cells_of(net: Ending, shape: Sequence[int]) -> Cells:
    x = torch.zeros(tuple(shape))
    frames = shape[2] if len(shape) == 5 else shape[0]
    walk = Walk(net, net, x, {"here": net.here})
    places = walk.places(lambda calls: laid(calls["here"].args[0]))
    return lattice(places, (frames, shape[-2], shape[-1]))


def field(net: nn.Module, shape: Sequence[int], cell: Sequence[int]) -> list[float]:
    """Return the middle of the input that a cell depends on, by gradients, per axis."""
    x = torch.rand(tuple(shape), generator=torch.Generator().manual_seed(0)).requires_grad_()
    laid(net(x))[(slice(None), *cell)].sum().backward()
    used = laid(x.grad.abs()).sum(0)
    middles = []
    for axis in range(3):
        at = (used.sum([d for d in range(3) if d != axis]) > 0).nonzero()[:, 0]
        middles.append((float(at[0]) + float(at[-1])) / 2)
    return middles


def positive(net: nn.Module) -> nn.Module:
    """Make all kernels positive, so that the whole field has a gradient."""
    for m in net.modules():
        if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.constant_(m.weight, 1e-2)
    return net.eval()


class MyConv(nn.Conv2d):
    """A convolution with a name of its own, as users write them."""


def conv(*args: Any, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(*args, **options)


def blurred(x: Tensor) -> Tensor:
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64
    padded = F.pad(x, (1, 2, 1, 2), mode="reflect")
    return F.conv2d(padded, kernel.expand(x.shape[1], 1, 4, 4), stride=2, groups=x.shape[1])


class Patches(nn.Module):
    """Patches by ``F.unfold`` and a linear layer."""

    def __init__(self, side: int, stride: int, pad: int) -> None:
        super().__init__()
        self.options = {"kernel_size": side, "stride": stride, "padding": pad}
        self.linear = nn.Linear(3 * side * side, 5)

    def forward(self, x: Tensor) -> Tensor:
        side, stride, pad = self.options.values()
        h, w = ((n + 2 * pad - side) // stride + 1 for n in x.shape[-2:])
        tokens = self.linear(F.unfold(x, **self.options).mT)
        return tokens.mT.unflatten(2, (h, w))


class Focus(nn.Module):
    """Four neighbours side by side as channels, by slices."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(12, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x[..., ::2, ::2], x[..., 1::2, ::2]
        return self.conv(torch.cat([a, b, x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1))


class Gated(nn.Module):
    """A residual block with squeeze and excitation, whose branches have other strides."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(conv(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.SiLU())
        self.short, self.gate = conv(3, 4, 1, stride=2), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.main(x)
        gate = torch.sigmoid(self.gate(y.mean((2, 3))))
        y = y * gate[:, :, None, None]
        y += self.short(x)
        return torch.relu(y)


class SpaceToDepth(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.view(n, c, h // 4, 4, w // 4, 4).permute(0, 3, 5, 1, 2, 4)
        return x.reshape(n, 16 * c, h // 4, w // 4)


class HandNorm(nn.Module):
    """A normalisation over channels, written by hand, as ConvNeXt has it."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        return (x - mean) / torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)


NETS: dict[str, Callable[[], Any]] = {
    "odd kernels": lambda: nn.Sequential(
        conv(3, 4, 7, stride=2, padding=3), nn.AvgPool2d(3, 2, 1), conv(4, 4, 3, padding=1)
    ),
    "no padding": lambda: nn.Sequential(conv(3, 4, 5, stride=2), conv(4, 4, 3), nn.AvgPool2d(2)),
    "even kernels": lambda: nn.Sequential(conv(3, 4, 4, stride=4), conv(4, 4, 2, stride=2)),
    "stride 3": lambda: nn.Sequential(conv(3, 4, 5, stride=3, padding=1), conv(4, 4, 2)),
    "dilation": lambda: nn.Sequential(
        conv(3, 4, 3, stride=2, padding=2, dilation=2), conv(4, 4, 3, dilation=3)
    ),
    "unequal axes": lambda: nn.Sequential(
        conv(3, 4, (3, 5), stride=(2, 3), padding=(1, 0)), conv(4, 4, (1, 3), padding=(0, 1))
    ),
    "padding by name": lambda: nn.Sequential(
        conv(3, 4, 5, padding="same"), conv(4, 4, 3, stride=2, padding="valid")
    ),
    "subclass": lambda: nn.Sequential(
        MyConv(3, 4, 3, stride=2, padding=1), conv(4, 4, 3, padding=1)
    ),
    "padding of its own": lambda: nn.Sequential(
        nn.ZeroPad2d(3), conv(3, 4, 7, stride=2), nn.ReflectionPad2d(1), conv(4, 4, 3)
    ),
    "asymmetric padding": lambda: nn.Sequential(
        nn.ReplicationPad2d((1, 4, 0, 3)), conv(3, 4, 4, stride=2)
    ),
    "circular": lambda: nn.Sequential(
        conv(3, 4, 3, stride=2, padding=1, padding_mode="circular"), conv(4, 4, 2, stride=2)
    ),
    "three dimensions": lambda: nn.Sequential(
        nn.Conv3d(3, 4, (5, 7, 7), stride=(2, 2, 2), padding=(2, 3, 3)),
        nn.AvgPool3d((2, 3, 3), (2, 2, 2), (0, 1, 1)),
    ),
    "ceil mode": lambda: nn.Sequential(conv(3, 4, 3), nn.AvgPool2d(5, 4, ceil_mode=True)),
    "max_pool2d": lambda: lambda x: F.max_pool2d(F.avg_pool2d(x, 3, 2), 1, 2),
    "crop": lambda: lambda x: F.avg_pool2d(x, 4)[:, :, 2:-1, 3:],
    "slices": lambda: lambda x: F.avg_pool2d(x[:, :, 1::2, 1::3], 3, 2),
    "pad": lambda: lambda x: F.avg_pool2d(F.pad(x, (3, 0, 5, 2)), 3, 2),
    "negative pad": lambda: lambda x: F.avg_pool2d(F.pad(x, (-3, -1, -2, 0)), 3),
    "patches": lambda: Patches(7, 4, 2),
    "pixel unshuffle": lambda: nn.Sequential(nn.PixelUnshuffle(2), conv(12, 4, 3, stride=2)),
    "space to depth": lambda: nn.Sequential(SpaceToDepth(), conv(48, 4, 3, padding=1)),
    "focus": lambda: Focus(),
    "blur pool": lambda: nn.Sequential(conv(3, 4, 3, padding=1), Blur()),
    "channels last": lambda: nn.Sequential(conv(3, 4, 4, stride=4), Last()),
    "a batch of parts": lambda: lambda x: F.avg_pool2d(x[None].flatten(0, 1), 5, 3),
}  # fmt: skip


class Blur(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return blurred(x)


class Last(nn.Module):
    """Works on channels last, and returns to channels first."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(4), nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.permute(0, 2, 3, 1)).contiguous().permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", NETS)
def test_cells_lie_in_the_middle_of_what_they_see(name: str) -> None:
    torch.manual_seed(0)
    net = Ending(NETS[name]())
    positive(net)
    shape = (1, 3, 24, 52, 68) if name == "three dimensions" else (2, 3, 52, 68)
    cells = cells_of(net, shape)
    with torch.no_grad():
        out = laid(net(torch.zeros(shape))).shape[1:]
    assert cells.shape == tuple(out)
    assert cells.off == (0, 0, 0)
    for share in (0.4, 0.6):
        cell = [int(n * share) for n in out]
        for axis, m, middle in zip(
            (cells.t, cells.y, cells.x), cell, field(net, shape, cell), strict=True
        ):
            assert axis.origin + axis.stride * m == pytest.approx(middle)


# What has no field of its own: the places that arithmetic, or the meaning of the function, gives.
LINES: dict[str, tuple[Callable[[], Any], Axis]] = {
    "a residual block with a gate": (lambda: Gated(), Axis(2, 0)),
    "a normalisation by hand": (lambda: nn.Sequential(conv(3, 6, 4, 4), HandNorm()), Axis(4, 1.5)),
    "group norm": (lambda: nn.Sequential(conv(3, 6, 4, 4), nn.GroupNorm(2, 6)), Axis(4, 1.5)),
    "transposed": (
        lambda: nn.Sequential(conv(3, 6, 4, 4), nn.ConvTranspose2d(6, 5, 2, 2)), Axis(2, 0.5)
    ),
    "transposed with padding": (
        lambda: nn.Sequential(conv(3, 6, 4, 4), nn.ConvTranspose2d(6, 5, 4, 2, 1)), Axis(2, 0.5)
    ),
    "upsampled": (
        lambda: nn.Sequential(conv(3, 6, 4, 4), nn.Upsample(scale_factor=2)), Axis(2, 0.5)
    ),
    "interpolated": (
        lambda: lambda x: F.interpolate(x, scale_factor=0.25, mode="bilinear"), Axis(4, 1.5)
    ),
    "interpolated to the nearest": (
        lambda: lambda x: F.interpolate(x, scale_factor=0.25), Axis(4, 0)
    ),
    "corners aligned": (
        lambda: lambda x: F.interpolate(x, (7, 9), mode="bilinear", align_corners=True)[..., :9],
        Axis(6, 0),
    ),
    "adaptive": (lambda: nn.AdaptiveAvgPool2d((12, 16)), Axis(4, 1.5)),
    "a channel shift in time": (lambda: Shifted(), Axis(4, 1.5)),
    "written into": (lambda: Written(), Axis(4, 1.5)),
    "attention before": (lambda: Attending(), Axis(4, 1.5)),
}  # fmt: skip


class Shifted(nn.Module):
    """TSM: some channels come from the frame before, as many from the one behind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(3, 8, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        out = torch.zeros_like(x)
        out[:-1, :2] = x[1:, :2]
        out[1:, 2:4] = x[:-1, 2:4]
        out[:, 4:] = x[:, 4:]
        return out


class Written(nn.Module):
    """Changes tensors in place on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(3, 8, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x[:, :3] = x[:, :3] * 0.5
        x.mul_(3).add_(1).clamp_(min=0)
        y = torch.relu(x)
        z = y.clone()
        torch.maximum(z[..., 1:], y[..., 1:], out=z[..., 1:])
        y += x
        return y + z


class Attending(nn.Module):
    """Attention in three forms before the place, each on a residual path."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(3, 8, 4, 4)
        self.mha = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        tokens = x.flatten(2).mT
        tokens = tokens + (tokens @ tokens.mT).softmax(-1) @ tokens
        tokens = tokens + F.scaled_dot_product_attention(tokens, tokens, tokens)
        tokens = tokens + self.mha(tokens, tokens, tokens, need_weights=False)[0]
        weights = torch.einsum("nic,njc->nij", tokens, tokens).softmax(-1)
        tokens = tokens + torch.einsum("nij,njc->nic", weights, tokens)
        return tokens.mT.reshape(x.shape)


@pytest.mark.parametrize("name", LINES)
def test_functions_put_cells_where_they_mean_to(name: str) -> None:
    torch.manual_seed(0)
    make, axis = LINES[name]
    cells = cells_of(Ending(make()).eval(), (3, 3, 48, 64) if name != "corners aligned" else
                     (3, 3, 37, 49))  # fmt: skip
    assert cells.y == cells.x == axis
    assert cells.t == Axis(1, 0)
    assert max(cells.off) < 1e-6


def test_cells_of_video_networks() -> None:
    shape = (1, 3, 9, 48, 64)
    net = Ending(nn.Sequential(nn.Conv3d(3, 8, (3, 4, 4), (2, 4, 4), (1, 0, 0)), nn.ReLU()))
    assert cells_of(net, shape) == Cells((5, 12, 16), Axis(2, 0), Axis(4, 1.5), Axis(4, 1.5))
    pooled = Ending(lambda x: F.max_pool3d(x, (2, 3, 5)))
    assert cells_of(pooled, shape) == Cells((4, 16, 12), Axis(2, 0.5), Axis(3, 1), Axis(5, 2))
    folded = Ending(lambda x: F.avg_pool2d(x[0].transpose(0, 1), 4))
    assert cells_of(folded, shape) == Cells((9, 12, 16), Axis(1, 0), Axis(4, 1.5), Axis(4, 1.5))


@pytest.mark.parametrize(
    ("layer", "stride", "shape"),
    [("layer3", 8, (2, 3, 97, 131)), ("layer4", 16, (2, 3, 130, 99))],
)
def test_cells_of_a_resnet_lie_at_8m_and_16m(
    layer: str, stride: int, shape: tuple[int, ...]
) -> None:
    net = torchvision.models.resnet18(weights=None).eval()
    module = getattr(net, layer)
    walk = Walk(net, net, torch.zeros(shape), {"here": module})
    places = walk.places(lambda calls: laid(calls["here"].args[0]))
    cells = lattice(places, (2, *shape[-2:]))
    assert (cells.y, cells.x, cells.off) == (Axis(stride, 0), Axis(stride, 0), (0, 0, 0))


def test_what_is_not_followed_is_said_and_measured() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv(3, 16, 5, stride=4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.ifft2(torch.fft.fft2(self.conv(x))).real

    torch.manual_seed(0)
    net = Ending(Odd()).eval()
    with pytest.raises(NotFollowed, match="fft2"):
        cells_of(net, (1, 3, 65, 85))
    x = torch.randn(2, 3, 65, 85)
    cells = measured(net, net, x, net.here, lambda args: laid(args[0]))
    assert cells is not None
    for axis, n, off in ((cells.y, 16, cells.off[1]), (cells.x, 21, cells.off[2])):
        away = np.abs(axis.centres(n) - Axis(4, 2).centres(n)).max()
        assert away <= off < 4
    again = measured(net, net, x, net.here, lambda args: laid(args[0]))
    assert again == cells


def test_cells_that_were_rolled_are_told_apart_from_those_that_lie_on_lines() -> None:
    net = Ending(lambda x: torch.roll(F.avg_pool2d(x, 4), (2, 1), (2, 3)))
    cells = cells_of(net, (1, 3, 48, 64))
    assert (cells.y.stride, cells.x.stride) == (4, 4)
    assert cells.off[1] == pytest.approx(48)
    assert cells.off[2] == pytest.approx(64)


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 8, 8),
        lambda x: x.flip(3),
        lambda x: torch.zeros(1, 3, 5, 7),
    ],
)
def test_cells_on_no_lines_have_none(body: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises((NoLattice, NotFollowed)):
        cells_of(Ending(body), (1, 3, 48, 64))


def test_a_mean_over_tokens_is_no_place() -> None:
    """A mixer moves every token towards the middle, by what it adds of all the others."""
    torch.manual_seed(0)

    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.mix = conv(3, 8, 4, 4), nn.Linear(192, 192)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x + self.mix(x.flatten(2)).reshape(x.shape)

    with pytest.raises(NoLattice, match="mean over many"):
        cells_of(Ending(Mixer()), (1, 3, 48, 64))


def test_the_network_is_left_as_it_was() -> None:
    class Keeping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.here = conv(3, 4, 4, 4), Here()
            self.norm = nn.BatchNorm2d(4)
            self.register_buffer("count", torch.zeros(1))
            self.maps: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            self.last = self.conv(x)
            self.maps.append(self.last)
            self.count += 1
            return self.here(self.norm(self.last))

    torch.manual_seed(0)
    net = Keeping().eval()
    x = torch.randn(2, 3, 20, 28)
    before, y = copy.deepcopy(net.state_dict()), net(x)
    net.count.zero_()
    kept, last = list(net.maps), net.last
    before["count"].zero_()
    Walk(net, net, x, {"here": net.here})
    measured(net, net, x, net.here, lambda args: laid(args[0]))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert net.last is last
    assert len(net.maps) == len(kept) and net.maps[0] is kept[0]
    assert torch.equal(net(x), y)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("kind", ["c2d", "i3d", "slow", "caffe2", "slowfast"])
def test_residual_video_networks_declare_where_the_walk_finds_their_cells(kind: str) -> None:
    """Two ways to the same numbers: the specification's arithmetic, and positions followed."""
    from nlviz.families.video_resnet import axes
    from nlviz.networks.slowfast import SlowFast, SlowFastSpec
    from nlviz.networks.video_resnet import NonLocalSpec, VideoResNet, VideoResNetSpec

    blocks = {(3, 0): NonLocalSpec(), (4, 1): NonLocalSpec()}
    specs = {
        "c2d": VideoResNetSpec(depth=18, pool2=(2, 2), non_local=blocks),
        "i3d": VideoResNetSpec(
            depth=18, stem_kernel=5, stem_stride=2, pool2=(2, 2), non_local=blocks
        ),
        "slow": VideoResNetSpec(depth=18, non_local=blocks),
        "caffe2": VideoResNetSpec(depth=18, pool1_pad=0, pool2=(2, 2), non_local=blocks),
        "slowfast": VideoResNetSpec(depth=18, non_local=blocks),
    }
    net: Any = VideoResNet(specs[kind])
    if kind == "slowfast":
        net = SlowFast(SlowFastSpec(specs[kind], VideoResNetSpec(depth=18), alpha=4))
    frames = 16
    x = torch.zeros(1, 3, frames, 93, 130)
    found = Walk(net.eval(), net, x, net.non_local_blocks())
    for name, declared in axes(net, frames).items():
        cells = lattice(
            found.places(lambda calls, name=name: laid(calls[name].args[0])), (frames, 93, 130)
        )
        assert (cells.y, cells.x) == declared[1:], name
        if kind != "slowfast":  # its slow frames are spread to the ends, beside the fast ones
            assert cells.t == declared[0], name
        # its pooling takes maxima of slices, so a window at the border is a smaller one
        assert max(cells.off[1:]) < 1.4


def test_the_bundled_network_declares_its_cells_within_a_square_of_the_arithmetic() -> None:
    import nlviz
    from nlviz.networks.lite_nl import AXES

    net = nlviz.load_model("lite-nl", device="cpu").net
    found = Walk(net, net, torch.zeros(1, 3, 2, 96, 128), {n: getattr(net, n) for n in AXES})
    for name, axis in AXES.items():
        cells = lattice(
            found.places(lambda calls, name=name: laid(calls[name].args[0])), (2, 96, 128)
        )
        # TensorFlow's asymmetric padding: 8m + 7 and 16m + 15; its trained kernels undo the shift.
        assert cells.y == cells.x == Axis(axis.stride, axis.stride - 1)
        assert abs(cells.y.origin - axis.origin) < axis.stride / 2


def test_parts_that_were_traced_are_measured() -> None:
    import warnings

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is old, and in use
        body = torch.jit.trace(conv(3, 16, 4, 4).eval(), torch.zeros(1, 3, 48, 64))
    net = Ending(body).eval()
    with pytest.raises(NotFollowed):
        cells_of(net, (1, 3, 48, 64))
    x = torch.randn(1, 3, 48, 64)
    cells = measured(net, net, x, net.here, lambda args: laid(args[0]))
    assert cells is not None
    assert abs(cells.y.stride - 4) < 0.2 and abs(cells.x.stride - 4) < 0.2
