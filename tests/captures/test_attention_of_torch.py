"""Rows of PyTorch's own attention layers against the weights that they give when asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.video.swin_transformer import SwinTransformer3d

import nlviz
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families.reading.attention_adapter import AttentionAdapter
from tests.nets import noise_clip

T, H, W, HEADS, WIDTH = 2, 3, 5, 4, 28
N = T * H * W
CLIP = noise_clip(T, 4 * H, 4 * W)
SPEC = nlviz.InputSpec(sides=(4 * H, 4 * W), layout="clip")
CAUSAL = nn.Transformer.generate_square_subsequent_mask(N)
PADDING = (torch.arange(N) % 7 == 3)[None]


class Patches(nn.Module):
    """Patches of a clip as tokens, a part that attends, and class scores."""

    def __init__(self, part: nn.Module, **options: Any) -> None:
        super().__init__()
        self.patch = nn.Conv3d(3, WIDTH, (1, 4, 4), (1, 4, 4))
        self.part, self.options = part, options
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = 5 * self.patch(x).flatten(2).mT
        x = (
            self.part(x, x, x, **self.options)[0]
            if self.is_packed
            else self.part(x, **self.options)
        )
        return self.head(x.mean(1))

    @property
    def is_packed(self) -> bool:
        return isinstance(self.part, nn.MultiheadAttention)


@contextmanager
def told(net: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Let every nn.MultiheadAttention give its weights, head by head."""
    handles = []
    for name, module in net.named_modules():
        if isinstance(module, nn.MultiheadAttention):

            def ask(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
                return args, {**kwargs, "need_weights": True, "average_attn_weights": False}

            def keep(module: nn.Module, args: Any, output: Any, name: str = name) -> None:
                weights[name] = output[1]

            handles.append(module.register_forward_pre_hook(ask, with_kwargs=True))
            handles.append(module.register_forward_hook(keep))
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
        for handle in handles:
            handle.remove()


def encoder(layers: int, *, nested: bool = False) -> nn.Module:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 24, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=nested)


@pytest.mark.parametrize(
    ("part", "options"),
    [
        (nn.MultiheadAttention(WIDTH, HEADS, batch_first=True), {}),
        (nn.MultiheadAttention(WIDTH, HEADS, batch_first=True), {"need_weights": False}),
        (nn.MultiheadAttention(WIDTH, HEADS, batch_first=True), {"attn_mask": CAUSAL}),
        (
            nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, bias=False),
            {"key_padding_mask": PADDING},
        ),
        (encoder(2), {}),
        (encoder(2), {"mask": CAUSAL, "is_causal": True}),
        (encoder(1), {"src_key_padding_mask": PADDING}),
        (encoder(2, nested=True), {"src_key_padding_mask": PADDING}),
    ],
)
def test_rows_are_those_that_the_layer_gives_when_asked(
    part: nn.Module, options: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    net = Patches(part, **options).eval()
    model = Model(net, adapter=AttentionAdapter(), input_spec=SPEC)
    weights: dict[str, Tensor] = {}
    with torch.no_grad(), told(net, weights):
        net(model.prepared(CLIP).tensor)
    found = model.capture(CLIP).affinities
    assert list(found) == list(weights)
    for name, affinity in found.items():
        rows = affinity.rows(range(N))
        assert (rows - weights[name][0]).abs().max() < 1e-5
        # What a mask hides is not reached, which is more than a weight of zero.
        hidden = weights[name][0, 0] == 0
        reached = affinity.support.mask(affinity.queries, affinity.keys, torch.arange(N))
        assert not hidden.any() if reached is None else (reached == ~hidden).all()


def test_weights_that_one_more_key_of_zeros_takes_part_in() -> None:
    part = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, add_zero_attn=True)
    net = Patches(part).eval()
    model = Model(net, adapter=AttentionAdapter(), input_spec=SPEC)
    weights: dict[str, Tensor] = {}
    with torch.no_grad(), told(net, weights):
        net(model.prepared(CLIP).tensor)
    try:
        rows = model.capture(CLIP).affinities["part"].rows(range(N))
    except NlvizError as error:
        assert "is not shown" in str(error)
    else:
        assert (rows[..., -N:] - weights["part"][0, ..., :N]).abs().max() < 1e-5


def test_the_fused_and_the_written_attention_of_timm_give_the_same_rows() -> None:
    torch.manual_seed(0)
    net = timm.create_model("vit_tiny_patch16_224", img_size=(48, 80), depth=2).eval().double()
    clip = noise_clip(1, 48, 80)
    spec = nlviz.InputSpec(sides=(48, 80), layout="frames")
    model = Model(net, adapter=AttentionAdapter(), input_spec=spec)
    fused = model.capture(clip).affinities
    kept: list[Tensor] = []
    for block in net.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda m, args, y: kept.append(args[0][0]))
    written = model.capture(clip).affinities
    for (name, a), b, weights in zip(fused.items(), written.values(), kept[:2], strict=True):
        assert name.startswith("blocks.")
        for found in (a, b):
            rows = torch.cat([found.token_rows(), found.rows(range(3 * 5))], 1)
            assert (rows - weights).abs().max() < 1e-9


@pytest.mark.parametrize(("height", "width"), [(44, 60), (28, 52)])
def test_windows_that_are_filled_up_hold_the_picture_alone(height: int, width: int) -> None:
    torch.manual_seed(0)
    net = SwinTransformer([4, 4], 12, [2], [3], [7, 7], num_classes=2).eval()
    spec = nlviz.InputSpec(sides=(height, width), layout="frames")
    model = Model(net, adapter=AttentionAdapter(), input_spec=spec)
    found = model.capture(noise_clip(1, height, width)).affinities
    assert len(found) == 2
    for affinity in found.values():
        assert affinity.queries.shape == affinity.keys.shape == (1, height // 4, width // 4)
        assert max(affinity.queries.off) < 1e-6
        rows = torch.cat([affinity.token_rows(), affinity.rows(range(affinity.queries.size))], 1)
        assert np.allclose(rows.sum(-1), 1, atol=1e-5)


def test_cells_that_are_cut_off_stay_and_what_fills_up_behind_them_does_not() -> None:
    torch.manual_seed(0)
    net = SwinTransformer([4, 4], 6, [1, 1, 2], [1, 2, 3], [7, 7], num_classes=2).eval()
    spec = nlviz.InputSpec(sides=(100, 132), layout="frames")
    model = Model(net, adapter=AttentionAdapter(), input_spec=spec)
    capture = model.capture(noise_clip(1, 100, 132))
    assert not capture.refused
    shapes = [affinity.queries.shape for affinity in capture.affinities.values()]
    assert shapes == [(1, 25, 33), (1, 13, 17), (1, 7, 9), (1, 7, 9)]


def test_windows_of_a_clip_that_are_filled_up_hold_the_clip_alone() -> None:
    torch.manual_seed(0)
    net = SwinTransformer3d([2, 4, 4], 12, [2], [3], [2, 7, 7], num_classes=2).eval()
    spec = nlviz.InputSpec(sides=(36, 52), layout="clip")
    model = Model(net, adapter=AttentionAdapter(), input_spec=spec)
    for affinity in model.capture(noise_clip(6, 36, 52)).affinities.values():
        assert affinity.queries.shape == affinity.keys.shape == (3, 9, 13)
