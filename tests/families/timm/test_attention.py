"""Windows, shifts, grids of far cells, pooled keys, class attention of timm: rows and grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.bias import OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.stored import StoredAffinity
from tests.nets import noise_clip

CLIP = noise_clip(2, 32, 48)
SPEC = nlviz.InputSpec(sides=(32, 48), layout="frames")


def stirred(net: Any) -> Any:
    """Random numbers also where a network starts at zero: tables of position, gates."""
    torch.manual_seed(2)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return net.eval()


def swin() -> Any:
    from timm.models.swin_transformer import SwinTransformer

    return stirred(
        SwinTransformer(
            img_size=(32, 48),
            patch_size=4,
            window_size=4,
            embed_dim=12,
            depths=(2,),
            num_heads=(3,),
            num_classes=5,
        )
    )


def windows_of(rows: int, columns: int, size: int, shift: int) -> Tensor:
    """The window of each cell after a cyclic shift; cells that it brings together stay apart."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    moved_y, moved_x = (y - shift) % rows, (x - shift) % columns
    window = moved_y // size * (columns // size) + moved_x // size
    wrapped = (moved_y >= rows - shift) * 2 + (moved_x >= columns - shift) if shift else 0
    return window * 4 + wrapped


@pytest.mark.parametrize(("block", "shift"), [(0, 0), (1, 2)])
def test_swins_windows_and_their_shift(block: int, shift: int) -> None:
    net = swin()
    capture = nlviz.capture(net, CLIP, input_spec=SPEC)
    found = capture.affinities[f"layers.0.blocks.{block}.attn"]
    assert isinstance(found, EmbeddedAffinity)
    assert isinstance(found.support, KeySets)
    assert isinstance(found.bias, OffsetBias)
    assert (found.queries.shape, found.heads) == ((2, 8, 12), 3)
    assert (found.queries.stride, found.queries.origin) == ((1, 4, 4), (0, 1.5, 1.5))
    window = windows_of(8, 12, 4, shift).flatten()
    frame = torch.arange(2).repeat_interleave(96)
    same = (window.repeat(2)[:, None] == window.repeat(2)) & (frame[:, None] == frame)
    every = torch.arange(found.queries.size)
    mask = found.support.mask(found.queries, found.keys, every)
    assert torch.equal(mask, same)

    # The rows in plain operations: qkv of the normalised tokens, scale, table of offsets, window.
    layer = net.layers[0].blocks[block]
    inputs: dict[str, Tensor] = {}
    handle = layer.norm1.register_forward_hook(lambda m, a, y: inputs.update(x=y))
    again = nlviz.capture(net, CLIP, input_spec=SPEC).affinities[found.name]
    handle.remove()
    tokens = inputs["x"].reshape(2 * 96, 12)
    q, k, _ = layer.attn.qkv(tokens).unflatten(-1, (3, 3, 4)).permute(1, 2, 0, 3)
    cells = torch.stack(torch.meshgrid(torch.arange(8), torch.arange(12), indexing="ij"), -1)
    away = (cells.reshape(-1, 1, 2) - cells.reshape(1, -1, 2)).repeat(2, 2, 1)
    # timm's table: 2 x 4 - 1 = 7 offsets a side, from query minus key
    at = (away[..., 0].clamp(-3, 3) + 3) * 7 + away[..., 1].clamp(-3, 3) + 3
    table = layer.attn.relative_position_bias_table[at.flatten()].reshape(192, 192, 3)
    logits = q @ k.mT * 4**-0.5 + table.permute(2, 0, 1)
    wanted = logits.masked_fill(~same, -torch.inf).softmax(-1)
    torch.testing.assert_close(again.rows(every), wanted, atol=1e-5, rtol=1e-4)


def test_maxvits_grid_reaches_far_cells() -> None:
    import timm

    net = stirred(
        timm.create_model("maxvit_rmlp_pico_rw_256", img_size=64, num_classes=5, pretrained=False)
    )
    clip = noise_clip(1, 64, 64)
    spec = nlviz.InputSpec(sides=(64, 64), layout="frames")
    capture = nlviz.capture(net, clip, input_spec=spec)
    near = capture.affinities["stages.0.blocks.0.attn_block.attn"]
    far = capture.affinities["stages.0.blocks.0.attn_grid.attn"]
    assert near.queries.shape == far.queries.shape == (1, 16, 16)
    size = net.stages[0].blocks[0].attn_block.partition_size[0]
    reached = [a.map(frame=0, y=20, x=36).reachable for a in (near, far)]
    rows = [np.unique(np.nonzero(r)[1]) for r in reached if r is not None]
    assert np.array_equal(rows[0], np.arange(size) + rows[0][0])
    assert np.array_equal(np.diff(rows[1]), np.full(size - 1, 16 // size))
    assert not capture.refused


def test_class_attention_and_mixed_heads_of_cait() -> None:
    from timm.models.cait import Cait

    net = stirred(
        Cait(img_size=(32, 48), patch_size=8, embed_dim=12, depth=2, num_heads=3, num_classes=5)
    )
    capture = nlviz.capture(net, CLIP, input_spec=SPEC)
    mixed = capture.affinities["blocks.0.attn"]
    assert isinstance(mixed, StoredAffinity)
    assert "kept as the network computed" in mixed.note
    assert float((mixed.dense().sum(-1) - 1).abs().max()) > 0.01  # heads are mixed: no distribution
    own = capture.affinities["blocks_token_only.0.attn"]
    assert own.token_names == ("cls", "cls")
    assert "the row is that of its cls" in own.note
    found = own.map(token="cls")
    assert found.weights.shape == (2, 4, 6)
    assert found.off_grid + found.weights.sum() == pytest.approx(1, abs=1e-5)
    first = own.map(token="cls", frame=1, head=2)
    assert first.reachable is not None
    assert not first.reachable[0].any()


def test_channel_attention_is_named_and_not_drawn() -> None:
    from timm.models.xcit import Xcit

    net = stirred(
        Xcit(img_size=(32, 48), patch_size=8, embed_dim=24, depth=1, num_heads=3, num_classes=5)
    )
    capture = nlviz.capture(net, CLIP, input_spec=SPEC)
    assert "between channels" in capture.refused["blocks.0.attn"]
    assert all("cls_attn" in name for name in capture.affinities)


def test_a_capture_keeps_the_blocks_that_are_asked_for() -> None:
    net = swin()
    capture = nlviz.capture(net, CLIP, input_spec=SPEC, blocks=["layers.0.blocks.1.attn"])
    assert list(capture.affinities) == ["layers.0.blocks.1.attn"]
    with pytest.raises(nlviz.NlvizError, match="no block is called"):
        nlviz.capture(net, CLIP, input_spec=SPEC, blocks=["layers.0.blocks.7.attn"])


def test_the_output_is_the_same_bit_for_bit_and_a_silenced_block_changes_it() -> None:
    net = swin()
    model = nlviz.Model(net, input_spec=SPEC)
    capture = model.capture(CLIP)
    assert capture.logits is not None
    assert torch.equal(capture.logits, model.logits(CLIP))
    name = "layers.0.blocks.1.attn"
    projection: nn.Linear = net.layers[0].blocks[1].attn.proj
    kept = projection.weight.detach().clone()
    projection.weight.data.zero_()
    wanted = model.logits(CLIP)
    projection.weight.data.copy_(kept)
    torch.testing.assert_close(model.logits(CLIP, bypass=name), wanted)


@pytest.mark.parametrize("of", ["timm", "torchvision"])
def test_windows_at_sizes_that_they_do_not_divide(of: str) -> None:
    """What fills windows up has no place, and merging an odd row goes on in its line."""
    sides = (44, 60)
    if of == "timm":
        from timm.models.swin_transformer import SwinTransformer

        net = stirred(
            SwinTransformer(
                img_size=sides,
                patch_size=4,
                window_size=4,
                embed_dim=12,
                depths=(2, 2),
                num_heads=(2, 3),
                num_classes=5,
                strict_img_size=False,
            )
        )
    else:
        from torchvision.models.swin_transformer import SwinTransformer as Torchs

        net = stirred(Torchs([4, 4], 12, [2, 2], [2, 3], [4, 4], num_classes=5))
    spec = nlviz.InputSpec(sides=sides, layout="frames")
    capture = nlviz.capture(net, noise_clip(1, *sides), input_spec=spec)
    assert not capture.refused
    found = [a.queries for a in capture.affinities.values()]
    assert [q.shape for q in found] == 2 * [(1, 11, 15)] + 2 * [(1, 6, 8)]
    assert [q.origin for q in found] == 2 * [(0, 1.5, 1.5)] + 2 * [(0, 3.5, 3.5)]
    assert all(q.off == (0, 0, 0) for q in found)
    for affinity in capture.affinities.values():
        rows = affinity.rows(range(affinity.queries.size))
        torch.testing.assert_close(rows.sum(-1), torch.ones(rows.shape[:2]))
