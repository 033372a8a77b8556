"""Receptive fields of the lesson ``paths``: what can be reached, and what the gradient says counts.

The field that can be reached follows from kernels and strides. The effective one is measured as
Luo et al. 2016 do (arXiv 1701.04128): the gradient of one output unit with respect to the input,
squared and averaged over inputs; here also over directions in the unit's channels, which are drawn
from a normal distribution, so that the mean is the sum over channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.networks.lite_nl import LiteNL

DEPTHS = (1, 2, 4, 8, 16, 32, 64)
RUNS = 48  # random networks of each depth
CHANNELS = 16
DIRECTIONS = 6  # of a unit's channels, for each clip
CELL = 4  # pixels of the input along a cell of a stored map

Features = Callable[[Tensor], Tensor]  # (1, 3, t, H, W) to (1, channels, t, h, w)


@dataclass(frozen=True)
class Layer:
    """One layer along one axis.

    Attributes:
        width: of its kernel.
        stride: its stride.
        before: zeros put before the input's first element.
    """

    width: int
    stride: int
    before: int


def reach(layers: Sequence[Layer], unit: int) -> tuple[int, int]:
    """Return the first and the last input element that an output unit can depend on.

    >>> reach([Layer(3, 1, 1)] * 4, 10)
    (6, 14)
    """
    first = last = unit
    for layer in reversed(layers):
        first = first * layer.stride - layer.before
        last = last * layer.stride - layer.before + layer.width - 1
    return first, last


def field(layers: Sequence[Layer]) -> int:
    """Return how many input elements an output unit can depend on: 1 + sum (k - 1) x strides below.

    >>> field([Layer(7, 2, 3), Layer(3, 2, 1), Layer(3, 1, 1)])
    19
    """
    first, last = reach(layers, 0)
    return last - first + 1


def layers_of(modules: Sequence[nn.Module], size: int) -> list[Layer]:
    """Return the layers of modules that stand one behind the other, along an axis of this size.

    Layers of kernel 1 and stride 1 mix channels alone and are left out, branches that shorten a
    residual's way too: they reach nothing that the main branch does not.
    """
    found = []
    for module in modules:
        if not isinstance(module, nn.Conv2d | nn.MaxPool2d):
            continue
        width, stride, padding = (_one(module, n) for n in ("kernel_size", "stride", "padding"))
        if width == stride == 1:
            continue
        out = -(-size // stride)
        if type(module).__name__ == "Conv2dSame":  # TensorFlow's padding: what is missing, behind
            padding = max((out - 1) * stride + width - size, 0) // 2
        found.append(Layer(width, stride, padding))
        size = out
    return found


def _one(module: nn.Module, name: str) -> int:
    value = getattr(module, name)
    value = value[0] if isinstance(value, tuple) else value
    return int(value) if not isinstance(value, str) else 0


def plain_field(
    layers: int, runs: int = RUNS, channels: int = CHANNELS
) -> Float[Tensor, "side side"]:
    """Return the mean squared gradient of one output of random 3 x 3 layers, its sum 1.

    Each run has new weights (He et al. 2015), a ReLU behind every layer but the last and normal
    noise as its input, which is as large as the field: nothing is padded.
    """
    total = torch.zeros(2 * layers + 1, 2 * layers + 1)
    for run in range(runs):
        draw = torch.Generator().manual_seed(1000 * layers + run)
        x = torch.randn(1, 3, *total.shape, generator=draw).requires_grad_()
        y = x
        for layer in range(layers):
            kernel = torch.randn(channels, y.shape[1], 3, 3, generator=draw)
            y = F.conv2d(y, kernel * (2 / (9 * y.shape[1])) ** 0.5)
            y = y.relu() if layer < layers - 1 else y
        (gradient,) = torch.autograd.grad(y[0, 0, 0, 0], x)
        squared = (gradient[0] ** 2).sum(0)
        total += squared / squared.sum() / runs
    return total


def squared_gradient(
    features: Features,
    clips: Sequence[Float[Tensor, "1 3 t height width"]],
    unit: tuple[int, int, int],
    directions: int = DIRECTIONS,
) -> Float[Tensor, "t height width"]:
    """Return the mean squared gradient of a unit (frame, row, column) in the pixels, its sum 1."""
    frame, row, column = unit
    draw = torch.Generator().manual_seed(0)
    total = torch.zeros(clips[0].shape[2:])
    for clip in clips:
        x = clip.clone().requires_grad_()
        found = features(x)[0, :, frame, row, column]
        mean = torch.zeros_like(total)
        for _ in range(directions):
            along = torch.randn(found.shape[0], generator=draw)
            (gradient,) = torch.autograd.grad(found @ along, x, retain_graph=True)
            mean += (gradient[0] ** 2).sum(0)
        total += mean / mean.sum() / len(clips)
    return total


def in_cells(
    field: Float[Tensor, "t height width"], side: int = CELL
) -> Float[Tensor, "t rows columns"]:
    """Return the sums over square cells of this many pixels."""
    return F.avg_pool2d(field, side) * side**2


def width(
    field: Float[Tensor, "height width"], middle: tuple[float, float], share: float = 0.95
) -> float:
    """Return the side of the smallest square around a point that holds a share of a field.

    Args:
        field: none negative.
        middle: row and column of the point, in elements; a half lies between two.
        share: in (0, 1).

    >>> width(torch.ones(3, 3) / 9, (1.0, 1.0), share=1 / 9)
    1.0
    """
    rows, columns = (torch.arange(n) - at for n, at in zip(field.shape, middle, strict=True))
    away = torch.maximum(rows.abs()[:, None], columns.abs()[None])
    held = 0.0
    for distance in sorted(set(away.flatten().tolist())):
        held += float(field[away == distance].double().sum())
        if held >= share * float(field.double().sum()):
            return 2.0 * float(distance) + 1.0
    return float(max(field.shape))


@dataclass(frozen=True)
class Network:
    """A network whose gradient is measured.

    Attributes:
        name: of its map in the lesson's data.
        features: the clip to features at stride 8.
        modules: its layers that reach beyond a cell, in order.
    """

    name: str
    features: Features
    modules: tuple[nn.Module, ...]


def networks(lite: LiteNL) -> tuple[Network, ...]:
    """Return the four networks of the lesson, all at stride 8.

    They are lite-nl's backbone without its block, an untrained ResNet-18, lite-nl with its block
    and its backbone untrained. timm starts every residual branch at zero unless it is asked not to;
    here it is asked.
    """
    torch.manual_seed(0)
    residual: Any = timm.create_model("resnet18", pretrained=False, zero_init_last=False).eval()
    untrained = LiteNL().eval()
    stem = (lite.backbone.conv_stem, *_convolutions(lite.backbone.blocks[:3]))

    def residual_features(clip: Tensor) -> Tensor:
        x = residual.maxpool(residual.act1(residual.bn1(residual.conv1(clip[0].transpose(0, 1)))))
        return residual.layer2(residual.layer1(x)).transpose(0, 1)[None]  # type: ignore[no-any-return]

    main = [residual.conv1, residual.maxpool]
    for block in (*residual.layer1, *residual.layer2):
        main += [block.conv1, block.conv2]

    return (
        Network("trained", _stage3(lite), stem),
        Network("residual", residual_features, tuple(main)),
        Network("block", lambda clip: lite.stage3(_stage3(lite)(clip)), stem),
        Network("untrained", _stage3(untrained), stem),
    )


def _stage3(net: LiteNL) -> Features:
    def features(clip: Tensor) -> Tensor:
        x = net.backbone.bn1(net.backbone.conv_stem(clip[0].transpose(0, 1)))
        for stage in net.backbone.blocks[:3]:
            x = stage(x)
        return x.transpose(0, 1)[None]  # type: ignore[no-any-return]

    return features


def _convolutions(stages: nn.Module) -> list[nn.Module]:
    return [module for module in stages.modules() if isinstance(module, nn.Conv2d)]
