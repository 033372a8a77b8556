"""Attention of timm's transformers: rows from the weights themselves, and the network untouched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

import nlviz
from nlviz.analysis.health import block_health

PATCH, ROWS, COLUMNS, HEADS, WIDTH, FRAMES = 8, 4, 7, 3, 24, 2
SIZE = (ROWS * PATCH, COLUMNS * PATCH)


def shaken(net: nn.Module) -> Any:
    torch.manual_seed(0)
    for p in net.parameters():
        p.data = torch.randn(p.shape) * (0.3 if p.dim() > 1 else 0.5)
    return net.eval()


def vit(**options: Any) -> VisionTransformer:
    return shaken(
        VisionTransformer(
            **{
                "img_size": SIZE,
                "patch_size": PATCH,
                "embed_dim": WIDTH,
                "depth": 2,
                "num_heads": HEADS,
                "num_classes": 5,
                "reg_tokens": 2,
                **options,
            }
        )
    )


def eva(**options: Any) -> Eva:
    """DINOv3's kind: rotary embeddings go on q and k of the patches before the product."""
    return shaken(
        Eva(
            img_size=SIZE,
            patch_size=PATCH,
            embed_dim=WIDTH,
            depth=2,
            num_heads=HEADS,
            num_classes=5,
            num_reg_tokens=4,
            use_rot_pos_emb=True,
            **options,
        )
    )


def clip(frames: int = FRAMES, size: tuple[int, int] = (64, 112)) -> nlviz.Clip:
    pixels = np.random.default_rng(0).integers(0, 256, (frames, *size, 3))
    return nlviz.Clip.from_frames(pixels.astype(np.uint8))


def matrix(net: Any, shot_input: Tensor, block: int) -> Tensor:
    """Return (frames, heads, tokens, tokens): what timm's own unfused attention multiplies with."""
    seen: list[Tensor] = []
    attention = net.blocks[block].attn
    fused = [b.attn.fused_attn for b in net.blocks]
    for b in net.blocks:
        b.attn.fused_attn = False
    handle = attention.attn_drop.register_forward_hook(lambda m, a, out: seen.append(out) or None)
    with torch.no_grad():
        net(shot_input)
    handle.remove()
    for b, was in zip(net.blocks, fused, strict=True):
        b.attn.fused_attn = was
    (found,) = seen
    return found


def input_of(net: Any, taken: nlviz.Clip) -> Tensor:
    model = nlviz.Model(net)
    return model.adapter.prepare(net, taken, None).tensor


@pytest.mark.parametrize("make", [vit, eva])
@pytest.mark.parametrize("fused", [True, False])
def test_rows_are_what_the_network_multiplies_with(make: Any, fused: bool) -> None:
    net = make()
    for block in net.blocks:
        block.attn.fused_attn = fused
    taken = clip()
    shot = nlviz.capture(net, taken)
    assert list(shot.affinities) == ["blocks.0", "blocks.1"]
    for i in range(2):
        affinity = shot.affinities[f"blocks.{i}"]
        assert isinstance(affinity, nlviz.EmbeddedAffinity)
        assert affinity.heads == HEADS
        assert affinity.queries.shape == (FRAMES, ROWS, COLUMNS)
        expected = matrix(net, input_of(net, taken), i)
        prefix = expected.shape[-1] - ROWS * COLUMNS
        assert affinity.keys.prefix == FRAMES * prefix
        rows = affinity.dense()
        for frame in range(FRAMES):
            own = slice(frame * ROWS * COLUMNS, (frame + 1) * ROWS * COLUMNS)
            apart = slice(frame * prefix, (frame + 1) * prefix)
            on_grid = rows[:, own, FRAMES * prefix :][:, :, own]
            torch.testing.assert_close(
                on_grid, expected[frame, :, prefix:, prefix:], rtol=0, atol=1e-5
            )
            torch.testing.assert_close(
                rows[:, own, apart], expected[frame, :, prefix:, :prefix], rtol=0, atol=1e-5
            )
        assert torch.allclose(rows.sum(-1), torch.ones(()), atol=1e-5)
        error = affinity.parity_error()
        assert error is not None
        assert error < 1e-5


def test_rows_follow_from_the_weights_of_qkv() -> None:
    net = vit(qk_norm=True)
    taken = clip(frames=1)
    shot = nlviz.capture(net, taken)
    x = input_of(net, taken)
    seen: list[Tensor] = []
    attention: Any = net.blocks[0].attn
    handle = attention.register_forward_pre_hook(lambda m, a: seen.append(a[0]))
    with torch.no_grad():
        net(x)
    handle.remove()
    qkv = seen[0][0] @ attention.qkv.weight.T + attention.qkv.bias
    q, k, _ = qkv.reshape(-1, 3, HEADS, WIDTH // HEADS).permute(1, 2, 0, 3)

    def normed(t: Tensor, norm: Any) -> Tensor:
        centred = t - t.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt()
        return centred / spread * norm.weight + norm.bias

    q, k = normed(q, attention.q_norm), normed(k, attention.k_norm)
    expected = (q @ k.mT / (WIDTH / HEADS) ** 0.5).softmax(-1)[:, 3:]
    found = shot.affinities["blocks.0"].dense()
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-5)
    wrong = (q @ k.mT / WIDTH**0.5).softmax(-1)[:, 3:]
    assert not torch.allclose(found, wrong, atol=1e-3)


@pytest.mark.parametrize("make", [vit, eva])
def test_the_network_computes_the_same_with_and_without_a_capture(make: Any) -> None:
    net = make()
    taken = clip()
    with torch.no_grad():
        before = net(input_of(net, taken)).mean(0)
    shot = nlviz.capture(net, taken)
    assert shot.logits is not None
    assert torch.equal(shot.logits, before.float())
    with torch.no_grad():
        assert torch.equal(net(input_of(net, taken)).mean(0), before)


def test_a_query_reaches_its_own_frame_and_its_own_tokens_without_a_place() -> None:
    shot = nlviz.capture(vit(), clip())
    affinity = shot.affinities["blocks.1"]
    attention = affinity.map(frame=1, y=20, x=70)
    mass = attention.per_frame()
    assert mass[0] == 0
    assert 0 < attention.off_grid < 1
    assert mass[1] + attention.off_grid == pytest.approx(1, abs=1e-5)
    first = affinity.map(frame=0, y=20, x=70, head=2)
    assert first.per_frame()[1] == 0
    assert affinity.queries.centre(0) == (0, 7.5, 7.5)
    assert affinity.queries.stride[1:] == (16.0, 16.0)


def test_pictures_of_another_aspect_are_resized_and_said() -> None:
    shot = nlviz.capture(vit(), clip(1, (60, 60)))
    affinity = shot.affinities["blocks.0"]
    assert isinstance(affinity, nlviz.EmbeddedAffinity)
    assert affinity.queries.stride[1:] == pytest.approx((15.0, 60 / 7))
    assert "without keeping its aspect" in (affinity.note or "")
    flexible = nlviz.capture(vit(dynamic_img_size=True), clip(1, (64, 64)))
    assert flexible.affinities["blocks.0"].queries.shape == (1, 4, 4)


def test_attention_can_be_bypassed_and_its_health_is_known() -> None:
    net = vit()
    model = nlviz.Model(net)
    shot = model.capture(clip(1))
    x = input_of(net, clip(1))
    projection: Any = net.blocks[1].attn.proj
    kept = [p.detach().clone() for p in projection.parameters()]
    for p in projection.parameters():
        p.data.zero_()
    with torch.no_grad():
        expected = net(x)[0]
    for p, was in zip(projection.parameters(), kept, strict=True):
        p.data.copy_(was)
    assert torch.allclose(model.logits(clip(1), bypass="blocks.1"), expected, atol=1e-5)
    health = block_health(model, shot, "blocks.1")
    assert health.state == "alive"
    assert health.size is not None
    assert health.size > 0


class Arranged(torch.nn.Module):
    """Arranges the tokens of a transformer in another way before its blocks."""

    def __init__(self, net: Any, arrange: Any) -> None:
        super().__init__()
        self.net, self.arrange = net, arrange
        net.norm_pre.register_forward_hook(lambda module, args, x: arrange(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.net.forward_features(x)


def prompts(x: Tensor) -> Tensor:
    """Put five learned tokens behind the patches, as prompt tuning does."""
    return torch.cat([x, torch.ones(5, x.shape[-1]).expand(len(x), -1, -1)], 1)


def column_by_column(x: Tensor) -> Tensor:
    patches = x[:, 1:].unflatten(1, (ROWS, COLUMNS)).transpose(1, 2).flatten(1, 2)
    return torch.cat([x[:, :1], patches], 1)


@pytest.mark.parametrize(("arrange", "apart"), [(prompts, 6), (column_by_column, 1)])
def test_tokens_are_found_in_any_order(arrange: Any, apart: int) -> None:
    """Where other tokens stand behind the patches, or these in another order, rows stay theirs."""
    taken = clip()
    net = vit(reg_tokens=0).eval()
    plain = nlviz.capture(vit(reg_tokens=0).eval(), taken).affinities["blocks.0"]
    found = nlviz.capture(Arranged(net, arrange), taken).affinities["net.blocks.0"]
    assert found.queries.shape == plain.queries.shape == (FRAMES, ROWS, COLUMNS)
    assert found.queries.stride == pytest.approx(plain.queries.stride)
    assert found.queries.origin == pytest.approx(plain.queries.origin)
    assert found.keys.prefix == FRAMES * apart
    mine, theirs = (a.map(frame=1, y=21, x=67, head=1).weights for a in (found, plain))
    # More tokens take a share of every row; among the patches the weights keep their ratios.
    np.testing.assert_allclose(mine / mine.sum(), theirs / theirs.sum(), rtol=1e-3, atol=1e-7)


def dropped(x: Tensor) -> Tensor:
    return torch.cat([x[:, :1], x[:, 1::2]], 1)


def merged(x: Tensor) -> Tensor:
    """Every second patch becomes the mean with its neighbour; the neighbour stays."""
    patches = x[:, 1:]
    return torch.cat([x[:, :1], (patches + patches.roll(1, 1)) / 2], 1)


@pytest.mark.parametrize(
    ("arrange", "told"),
    [
        (dropped, "do not fill a grid of 2 x 4 x 7|drops, merges or moves"),
        (merged, "fill a grid|straight lines|same place"),
    ],
)
def test_tokens_that_are_no_picture_are_refused(arrange: Any, told: str) -> None:
    with pytest.raises(nlviz.NlvizError, match=told):
        nlviz.capture(Arranged(vit(reg_tokens=0).eval(), arrange), clip())


@pytest.mark.parametrize(("stride", "pad"), [(4, 0), (6, 0), (8, 3)])
def test_patches_that_overlap_lie_where_their_convolution_puts_them(stride: int, pad: int) -> None:
    net = vit(reg_tokens=0, dynamic_img_size=True).eval()
    net.patch_embed.proj.stride, net.patch_embed.proj.padding = (stride, stride), (pad, pad)
    spec = nlviz.InputSpec(sides=(64, 112), layout="frames")
    queries = nlviz.capture(net, clip(1), input_spec=spec).affinities["blocks.0"].queries
    shape = tuple((n + 2 * pad - PATCH) // stride + 1 for n in (64, 112))
    assert queries.shape == (1, *shape)
    assert queries.stride == (1, stride, stride)
    first = (PATCH - 1) / 2 - pad
    assert queries.origin == (0, first, first)


def test_what_is_kept_is_kept_and_counted_beforehand() -> None:
    """Values, y and features stay with this family; with the other, queries and keys alone."""
    from nlviz.families.reading.attention_adapter import AttentionAdapter

    net, taken = vit(), clip()
    model = nlviz.Model(net)
    lean = nlviz.Model(net, adapter=AttentionAdapter(), input_spec=model.adapter.input_spec(net))
    capture, less = (m.capture(taken) for m in (model, lean))
    tokens = FRAMES * (ROWS * COLUMNS + net.num_prefix_tokens)
    one = 2 * tokens * WIDTH * 4  # q, or k, of both blocks
    estimates = [m.estimate(taken).kept for m in (model, lean)]
    assert estimates[0] >= 5 * one > 2 * one
    assert 2 * one <= estimates[1] < 3 * one
    for name, affinity in capture.affinities.items():
        assert affinity.values is not None and affinity.output is not None
        other = less.affinities[f"{name}.attn"]
        assert other.values is None and other.output is None
        torch.testing.assert_close(affinity.dense(), other.dense(), rtol=0, atol=0)
    assert list(capture.features) == list(capture.affinities)
    assert less.features == {}
    some = model.capture(taken, blocks=["blocks.1"])
    assert list(some.affinities) == list(some.features) == ["blocks.1"]
    torch.testing.assert_close(some.features["blocks.1"], capture.features["blocks.1"])
