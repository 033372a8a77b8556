"""Where tokens lie, against a probe that knows nothing of networks.

Under attention that returns zero no token sees another. Patches whose number has a bit set get
noise, bit after bit; the bits in which a query moves spell the number of its patch, and one that
never moves has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torchvision.models.video.swin_transformer import SwinTransformer3d

from nlviz.networks.attention.places import places_of_products

Triple = tuple[int, int, int]
PRODUCTS = (torch.matmul, torch.bmm, Tensor.matmul, Tensor.__matmul__)


class Apart(TorchFunctionMode):
    """Keeps the queries of each attention, and lets it return zero."""

    def __init__(self) -> None:
        super().__init__()
        self.queries: list[Tensor] = []
        self.last: Tensor | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func is F.scaled_dot_product_attention:
            self.queries.append(args[0].clone())
            return torch.zeros_like(output)
        if func in PRODUCTS:
            self.last = args[0].clone()
        if func in (F.softmax, torch.softmax, Tensor.softmax) and self.last is not None:
            self.queries.append(self.last)
            return torch.zeros_like(output)
        return output


def probed(net: nn.Module, x: Tensor, patch: Triple) -> list[np.ndarray]:
    """Return the number of the patch of each query, (entries, tokens) for each attention."""
    _, _, t, h, w = x.shape
    grid = tuple(n // p for n, p in zip((t, h, w), patch, strict=True))
    number = torch.arange(1, int(np.prod(grid)) + 1).reshape(1, 1, *grid)
    for axis, p in enumerate(patch):
        number = number.repeat_interleave(p, axis + 2)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))

    def queries(picture: Tensor) -> list[Tensor]:
        with torch.no_grad(), Apart() as apart:
            net(picture)
        return apart.queries

    plain = queries(x)
    codes = [np.zeros((q[..., 0].numel() // q.shape[-2], q.shape[-2]), np.int64) for q in plain]
    for bit in range(int(number.max()).bit_length()):
        moved = queries(x + noise * ((number >> bit) & 1))
        for code, q, still in zip(codes, moved, plain, strict=True):
            code |= ((q - still).abs().amax(-1) > 1e-6).numpy().reshape(code.shape) << bit
    return codes


def followed(net: nn.Module, x: Tensor, patch: Triple, count: int) -> list[np.ndarray]:
    """Return the number of the patch in which each query lies, by positions."""
    grid = [n // p for n, p in zip(x.shape[2:], patch, strict=True)]
    places = places_of_products(net, net, x).of
    found = []
    for number in sorted(places):
        at = places[number][0].at
        with np.errstate(invalid="ignore"):
            cell = np.nan_to_num(np.floor((at + 0.5) / np.array(patch)), nan=-1).astype(int)
        flat = (cell[..., 0] * grid[1] + cell[..., 1]) * grid[2] + cell[..., 2] + 1
        found.append(np.where(np.isnan(at[..., 0]), 0, flat))
    # A written attention has a second product, with the values.
    return found if len(found) == count else found[::2]


class OfFrame(nn.Module):
    """A network of pictures as one of clips of a frame."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(x[:, :, 0])
        return found


class FramesFirst(OfFrame):
    """A network of (1, T, 3, H, W) as one of clips."""

    def forward(self, x: Tensor) -> Any:
        return self.net(x.transpose(1, 2))


def vit() -> nn.Module:
    return OfFrame(timm.create_model("vit_tiny_patch16_224", img_size=(48, 80), depth=2))


def swin() -> nn.Module:
    sizes = {"embed_dim": 24, "depths": (2,), "num_heads": (3,), "window_size": 7}
    return OfFrame(SwinTransformer(img_size=(56, 84), patch_size=4, num_classes=2, **sizes))


def swin3d() -> nn.Module:
    return SwinTransformer3d([2, 4, 4], 12, [2], [3], [2, 7, 7], num_classes=2)


def timesformer() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.TimesformerConfig(
        image_size=48,
        num_frames=4,
        hidden_size=20,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=12,
    )
    return FramesFirst(transformers.TimesformerModel(config))


def videomae() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.VideoMAEConfig(
        image_size=48,
        num_frames=6,
        hidden_size=20,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
    )
    return FramesFirst(transformers.VideoMAEModel(config))


@pytest.mark.parametrize(
    ("build", "size", "patch"),
    [
        (vit, (1, 48, 80), (1, 16, 16)),
        (swin, (1, 56, 84), (1, 4, 4)),
        (swin3d, (8, 28, 56), (2, 4, 4)),
        (timesformer, (4, 48, 48), (1, 16, 16)),
        (videomae, (6, 48, 48), (2, 16, 16)),
    ],
)
def test_positions_and_the_probe_agree(
    build: Callable[[], nn.Module], size: Triple, patch: Triple
) -> None:
    torch.manual_seed(0)
    net = build().eval()
    x = torch.randn(1, 3, *size)
    wanted = probed(net, x, patch)
    found = followed(net, x, patch, len(wanted))
    assert len(found) == len(wanted) >= 2
    for ours, theirs in zip(found, wanted, strict=True):
        assert (ours == theirs).all()
        assert set(theirs.flatten()) - {0} == set(range(1, int(theirs.max()) + 1))
