"""LeGrad is the gradient at the rows themselves, whoever computes them and however."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.analysis.attribution import attribution
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import InputSpec
from tests.families.small_transformers import small
from tests.nets import CLIPS, clip_net, noise_clip


def stirred(net: nn.Module) -> nn.Module:
    """Give every weight a size at which attention chooses."""
    torch.manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return net.eval()


def vit(**options: Any) -> VisionTransformer:
    torch.manual_seed(0)
    sizes = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 3}
    net = VisionTransformer(**{**sizes, "num_classes": 7, **options})
    stirred(net)
    return net


def written_out(net: nn.Module) -> list[Tensor]:
    """Let the attention of a ViT keep its rows, with their gradients; returns where they go."""
    rows: list[Tensor] = []

    def forward(self: Any, x: Tensor, attn_mask: Any = None, **rest: Any) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.num_heads, c // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        a = ((q @ k.mT) * self.scale).softmax(-1)
        if a.requires_grad:
            a.retain_grad()
            rows.append(a)
        return self.proj((a @ v).transpose(1, 2).reshape(b, n, c))

    for block in net.blocks:
        block.attn.forward = types.MethodType(forward, block.attn)
    return rows


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_it_is_the_gradient_at_the_rows_of_every_layer(pool: str) -> None:
    net, clip = vit(global_pool=pool), noise_clip(1, 32, 48)
    model = Model(net)
    found = attribution(model, clip, method="legrad", target=2)  # fused
    rows = written_out(net)
    again = attribution(model, clip, method="legrad", target=2)  # written out
    rows.clear()
    net(model.prepared(clip).tensor)[0, 2].backward()
    want = sum(a.grad[0].clamp(min=0).mean((0, 1)) for a in rows) / len(rows)
    assert found.values.shape == found.grid.shape == (1, 4, 6)
    np.testing.assert_allclose(found.values[0], want[1:].reshape(4, 6), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(again.values, found.values, rtol=1e-4, atol=1e-9)
    assert found.layers == ("blocks.0", "blocks.1", "blocks.2") and not found.left_out
    assert found.passes == 1 and not found.signed


def test_of_a_non_local_block_it_is_the_gradient_at_its_rows() -> None:
    net, clip = clip_net(), noise_clip(6, 48, 80)
    model = Model(net, input_spec=CLIPS)
    found = attribution(model, clip, method="legrad", target=3)
    x = net.stem(model.prepared(clip).tensor)
    theta, phi, g = (t[0, 0] for t in net.nl.embed(x))
    a = (net.nl.logit_scale() * theta @ phi.mT).softmax(-1).detach().requires_grad_()
    y = (a @ g).mT.reshape(1, -1, *x.shape[2:])
    z = net.nl.bn(net.nl.out(y)) + x
    score = net.head(net.norm(z).mean((2, 3, 4)))[0, 3]
    (gradient,) = torch.autograd.grad(score, a)
    want = gradient.clamp(min=0).mean(0).reshape(found.grid.shape)
    assert len(found.layers) == 1
    assert found.grid == model.capture(clip).affinities["nl"].keys
    np.testing.assert_allclose(found.values, want, rtol=1e-3, atol=1e-9)


def test_windows_reach_their_own_keys_alone() -> None:
    torch.manual_seed(0)
    net = SwinTransformer(
        img_size=(32, 48), patch_size=4, window_size=4, embed_dim=12, depths=(2,), num_heads=(3,),
        num_classes=5,
    )  # fmt: skip
    stirred(net)
    spec = InputSpec(size=32, multiple=16, layout="frames")
    model, clip = Model(net, input_spec=spec), noise_clip(1, 32, 48)
    found = attribution(model, clip, method="legrad", target=1)
    assert found.grid.shape == (1, 8, 12)
    # The first layer's windows are followed by shifted ones: written out, they give the same.
    for block in net.layers[0].blocks:
        block.attn.fused_attn = False
    again = attribution(model, clip, method="legrad", target=1)
    np.testing.assert_allclose(again.values, found.values, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", ["timesformer", "videomae"])
def test_video_transformers_have_it_on_all_frames(name: str) -> None:
    net = stirred(small(name))
    model = Model(net)
    frames = {"timesformer": 3, "videomae": 6}[name]
    found = attribution(model, noise_clip(frames, 40, 56), method="legrad", target=0)
    assert len(found.values) > 1
    assert found.values.shape == found.grid.shape
    assert (found.values.reshape(len(found.values), -1).max(1) > 0).all()
    assert len(found.layers) >= 2 and not found.left_out


class Detached(nn.Module):
    """Attention whose rows have no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 8, stride=8)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).mT
        with torch.no_grad():
            y = F.scaled_dot_product_attention(x, x, x)
        return self.head((x + y).mean(1))


@pytest.mark.parametrize(
    ("net", "spec", "says"),
    [
        (Detached(), InputSpec(size=32, layout="frames"), "none arrives"),
        (clip_net(pairwise="dot_product"), CLIPS, "its blocks are dot_product"),
    ],
)
def test_where_there_is_none_it_is_said(net: nn.Module, spec: InputSpec, says: str) -> None:
    with pytest.raises(NlvizError, match=says) as raised:
        attribution(Model(net.eval(), input_spec=spec), noise_clip(2, 32, 48), method="legrad")
    assert "occlusion" in str(raised.value)


def test_what_is_given_back_is_the_network_as_it_was() -> None:
    net, clip = vit(), noise_clip(1, 32, 48)
    model = Model(net)
    before = model.logits(clip)
    attribution(model, clip, method="legrad")
    assert torch.equal(model.logits(clip), before)
    assert all(p.grad is None for p in net.parameters())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in net.modules())
