"""Tokens to pixels and back, and the arithmetic of receptive fields against gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.errors import OutsideClip
from nlviz.networks.hooks import recorded

sizes = st.integers(1, 9)
strides = st.floats(0.25, 40, allow_nan=False)
origins = st.floats(-20, 60, allow_nan=False)
grids = st.builds(
    TokenGrid,
    st.tuples(sizes, sizes, sizes),
    st.tuples(strides, strides, strides),
    st.tuples(origins, origins, origins),
    prefix=st.integers(0, 3),
)


@given(grids, st.data())
def test_the_nearest_token_to_a_centre_is_that_token(grid: TokenGrid, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, grid.size - 1))
    frame, y, x = grid.centre(index)
    assert grid.nearest(frame=frame, y=y, x=x) == index


@given(grids, st.data())
def test_places_inside_a_cell_belong_to_it(grid: TokenGrid, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, grid.size - 1))
    inside = [data.draw(st.floats(-0.49, 0.49)) for _ in range(3)]
    frame, y, x = (
        c + s * i for c, s, i in zip(grid.centre(index), grid.stride, inside, strict=True)
    )
    assert grid.nearest(frame=frame, y=y, x=x) == index
    top, left, bottom, right = grid.box(index)
    assert top <= y + 0.5 <= bottom
    assert left <= x + 0.5 <= right


@given(grids, st.tuples(*[st.floats(-200, 500)] * 3))
def test_nearest_is_nearest(grid: TokenGrid, place: tuple[float, float, float]) -> None:
    frame, y, x = place
    found = grid.centre(grid.nearest(frame=frame, y=y, x=x))
    for axis in range(3):
        centres = grid.origin[axis] + grid.stride[axis] * np.arange(grid.shape[axis])
        best = np.abs(centres - place[axis]).min()
        assert abs(found[axis] - place[axis]) == pytest.approx(best, abs=1e-9)


@given(strides, origins, sizes, st.lists(st.floats(-200, 500), max_size=7))
def test_an_axis_finds_the_nearest_cell_of_every_place(
    stride: float, origin: float, count: int, places: list[float]
) -> None:
    axis = Axis(stride, origin)
    away = np.abs(np.array(places)[:, None] - axis.centres(count)[None])
    found = away[np.arange(len(places)), axis.nearest(places, count)]
    np.testing.assert_allclose(found, away.min(1), atol=1e-9)


def test_ties_go_to_the_lower_index() -> None:
    grid = TokenGrid((1, 1, 4), (1, 8, 8), (0, 3.5, 3.5))
    assert [grid.nearest(frame=0, y=0, x=x) for x in (7, 7.5, 8, 15.5)] == [0, 0, 1, 1]


def test_flat_indices_run_over_t_then_y_then_x() -> None:
    grid = TokenGrid((2, 3, 5))
    assert [grid.unravel(i) for i in (0, 4, 5, 15, 29)] == [
        (0, 0, 0), (0, 0, 4), (0, 1, 0), (1, 0, 0), (1, 2, 4),
    ]  # fmt: skip
    assert [grid.nearest(frame=a, y=b, x=c) for a, b, c in np.ndindex(2, 3, 5)] == list(range(30))


@given(grids, st.tuples(*[st.integers(1, 3)] * 3))
def test_a_pooled_key_lies_in_the_middle_of_the_tokens_it_came_from(
    grid: TokenGrid, kernel: tuple[int, int, int]
) -> None:
    if any(k > n for k, n in zip(kernel, grid.shape, strict=True)):
        return
    pooled = grid.pooled(kernel)
    index = np.arange(grid.size).reshape(1, 1, *grid.shape)
    assert pooled.shape == tuple(
        nn.functional.max_pool3d(torch.from_numpy(index).float(), kernel).shape[2:]
    )
    for key in (0, pooled.size - 1):
        a, b, c = pooled.unravel(key)
        (kt, ky, kx) = kernel
        block = index[
            0, 0, a * kt : (a + 1) * kt, b * ky : (b + 1) * ky, c * kx : (c + 1) * kx
        ].ravel()
        middle = np.mean([grid.centre(int(i)) for i in block], axis=0)
        assert pooled.centre(key) == pytest.approx(tuple(middle), abs=1e-6)


@pytest.mark.parametrize("index", [-1, 30])
def test_indices_off_the_grid_are_refused(index: int) -> None:
    with pytest.raises(OutsideClip, match="between 0 and 29"):
        TokenGrid((2, 3, 5)).centre(index)


@pytest.mark.parametrize("place", [math.nan, math.inf, -math.inf])
def test_a_place_must_be_a_number(place: float) -> None:
    with pytest.raises(OutsideClip, match="finite"):
        TokenGrid((2, 3, 5)).nearest(frame=0, y=place, x=0)


# Receptive fields ---------------------------------------------------------------------------------


def spread_of_gradient(
    net: nn.Module, layer: nn.Module, cell: Sequence[int], shape: Sequence[int]
) -> list[tuple[float, float]]:
    """Return (first, last) input index that a feature cell depends on, per axis."""
    seen: list[torch.Tensor] = []
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    hook = layer.register_forward_hook(lambda m, a, out: seen.append(out))
    net(x)
    hook.remove()
    (seen[0][(0, slice(None), *cell)].sum()).backward()
    used = x.grad.abs().sum(1)[0]  # type: ignore[union-attr]
    ranges = []
    for axis in range(used.dim()):
        others = [d for d in range(used.dim()) if d != axis]
        at = (used.sum(others) > 0).nonzero()[:, 0]
        ranges.append((float(at[0]), float(at[-1])))
    return ranges


def linear(net: nn.Module) -> nn.Module:
    """Make all kernels ones and all ReLUs transparent, so that the whole field has a gradient."""
    for m in net.modules():
        if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            nn.init.constant_(m.weight, 1e-3)
    return net.eval()


def places(net: nn.Module, layer: nn.Module, shape: Sequence[int]) -> tuple[tuple[int, Axis], ...]:
    class Probe(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    probe = Probe()
    with torch.no_grad(), recorded(net, {"probe": probe}, trace=True) as calls:
        hook = layer.register_forward_hook(lambda m, a, out: probe(out))
        try:
            net(torch.zeros(shape))
        finally:
            hook.remove()
    return calls["probe"].axes


class MyConv(nn.Conv2d):
    """A convolution with a name of its own, as users write them."""


NETS = {
    "odd kernels": nn.Sequential(
        nn.Conv2d(3, 4, 7, stride=2, padding=3),
        nn.AvgPool2d(3, 2, 1),
        nn.Conv2d(4, 4, 3, padding=1),
    ),
    "no padding": nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.Conv2d(4, 4, 3), nn.AvgPool2d(2)),
    "even kernels": nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.Conv2d(4, 4, 2, stride=2)),
    "dilation": nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=2, dilation=2), nn.Conv2d(4, 4, 3, dilation=3)
    ),
    "unequal axes": nn.Sequential(
        nn.Conv2d(3, 4, (3, 5), stride=(2, 3), padding=(1, 0)),
        nn.Conv2d(4, 4, (1, 3), padding=(0, 1)),
    ),
    "padding by name": nn.Sequential(
        nn.Conv2d(3, 4, 5, padding="same"), nn.Conv2d(4, 4, 3, stride=2, padding="valid")
    ),
    "subclass": nn.Sequential(MyConv(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1)),
    "padding of its own": nn.Sequential(
        nn.ZeroPad2d(3), nn.Conv2d(3, 4, 7, stride=2), nn.ReflectionPad2d(1), nn.Conv2d(4, 4, 3)
    ),
    "three dimensions": nn.Sequential(
        nn.Conv3d(3, 4, (5, 7, 7), stride=(2, 2, 2), padding=(2, 3, 3)),
        nn.AvgPool3d((2, 3, 3), (2, 2, 2), (0, 1, 1)),
    ),
    "ceil mode": nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(5, 4, ceil_mode=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_cells_lie_in_the_middle_of_what_they_see(name: str) -> None:
    net = linear(NETS[name])
    three = any(isinstance(m, nn.Conv3d) for m in net)
    shape = (1, 3, 24, 66, 70) if three else (1, 3, 66, 70)
    axes = places(net, net[-1], shape)
    with torch.no_grad():
        out = net(torch.zeros(shape)).shape[2:]
    assert tuple(n for n, _ in axes) == tuple(out)
    cell = [n // 2 for n in out]
    for (first, last), m, (_, axis) in zip(
        spread_of_gradient(net, net[-1], cell, shape), cell, axes, strict=True
    ):
        assert axis.origin + axis.stride * m == pytest.approx((first + last) / 2)


@pytest.mark.parametrize(
    ("layer", "stride", "shape"),
    [("layer2", 8, (1, 3, 160, 192)), ("layer3", 16, (1, 3, 224, 256))],
)
def test_cells_of_a_resnet_lie_at_8m_and_16m(
    layer: str, stride: int, shape: tuple[int, ...]
) -> None:
    net = linear(torchvision.models.resnet18(weights=None))
    net.maxpool = nn.AvgPool2d(3, 2, 1)  # the same geometry, and a gradient everywhere
    module = getattr(net, layer)
    assert [axis for _, axis in places(net, module, shape)] == [Axis(stride, 0.0)] * 2
    # The field of 16m is 211 pixels wide: its gradient is looked at by its centre of mass.
    m = (shape[2] // stride // 2, shape[3] // stride // 2)
    x = torch.ones(shape).requires_grad_()
    seen: list[torch.Tensor] = []
    hook = module.register_forward_hook(lambda mod, a, out: seen.append(out))
    net(x)
    hook.remove()
    seen[0][0, :, m[0], m[1]].sum().backward()
    mass = x.grad.abs().sum(1)[0]  # type: ignore[union-attr]
    for axis in range(2):
        p = mass.sum(1 - axis)
        centre = float((p * torch.arange(len(p))).sum() / p.sum())
        assert centre == pytest.approx(stride * m[axis], abs=0.75 * stride / 8)


def test_a_placed_axis_is_in_the_other_frame_of_reference() -> None:
    # An input half as large as the clip: pixel i covers clip pixels 2i and 2i + 1.
    assert Axis(8.0, 3.5).placed(scale=2.0, offset=0.5) == Axis(16.0, 7.5)
