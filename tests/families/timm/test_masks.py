"""Masks and biases through timm's own ways in: rows are those of its unfused attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from tests.families.timm.test_vit import COLUMNS, FRAMES, HEADS, ROWS, clip, eva, vit
from tests.nets import noise_clip

DRAW = torch.Generator().manual_seed(7)
Mask = Callable[[int], Any]  # of so many tokens


def hidden(n: int, *keys: int) -> Tensor:
    """All may be seen but these keys."""
    found = torch.ones(n, n, dtype=torch.bool)
    found[:, list(keys)] = False
    return found


def prefix_apart(n: int) -> Tensor:
    """Tokens without a place see all, patches see patches alone."""
    prefix = n - ROWS * COLUMNS
    found = torch.ones(n, n, dtype=torch.bool)
    found[prefix:, :prefix] = False
    return found


def by_head(n: int) -> Tensor:
    found = torch.rand(1, HEADS, n, n, generator=DRAW) < 0.5
    found[..., 0] = True
    return found


MASKS: dict[str, Mask] = {
    "zeros": lambda n: torch.zeros(n, n),
    "all True": lambda n: torch.ones(n, n, dtype=torch.bool),
    "keys hidden": lambda n: hidden(n, n - 1, n - 4, n - 5),
    "keys hidden by a number": lambda n: torch.where(hidden(n, n - 1, n - 2), 0.0, -1e4),
    "keys hidden by the lowest number": lambda n: torch.where(
        hidden(n, n - 1), 0.0, torch.finfo(torch.float32).min
    ),
    "of each frame": lambda n: torch.stack([hidden(n, n - 1), hidden(n, 4)])[:, None],
    "one row for all": lambda n: hidden(n, n - 3)[:1][None, None],
    "causal": lambda n: torch.ones(n, n, dtype=torch.bool).tril(),
    "tokens without a place apart": prefix_apart,
    "a class token that is not seen": lambda n: hidden(n, 0),
    "a bias": lambda n: torch.randn(n, n, generator=DRAW),
    "a bias of keys": lambda n: torch.randn(n, generator=DRAW).expand(1, 1, n, n),
    "a bias of each head": lambda n: torch.randn(1, HEADS, n, n, generator=DRAW),
    "a mask of each head": by_head,
}


class Masked(nn.Module):
    """Gives a mask to all blocks as timm does it, and another one to each where there are two."""

    def __init__(self, net: Any, masks: list[Tensor]) -> None:
        super().__init__()
        self.net, self.masks = net, masks
        for block, mask in zip(net.blocks, masks[1:], strict=False):
            block.register_forward_pre_hook(
                lambda module, args, given, mask=mask: (args, {**given, "attn_mask": mask}),
                with_kwargs=True,
            )

    def forward(self, x: Tensor) -> Tensor:
        found = self.net.forward_features(x, attn_mask=self.masks[0])
        return self.net.forward_head(found)


def rows_of(net: Any, run: Callable[[], Any], block: int) -> Tensor:
    """Return what timm's own unfused attention multiplies with, (frames, heads, n, n)."""
    seen: list[Tensor] = []
    attention = net.blocks[block].attn
    for each in net.blocks:
        each.attn.fused_attn = False
    handle = attention.attn_drop.register_forward_hook(lambda m, a, out: seen.append(out.clone()))
    with torch.no_grad():
        run()
    handle.remove()
    for each in net.blocks:
        each.attn.fused_attn = True
    return seen[0]


def check(affinity: nlviz.Affinity, rows: Tensor, patches: int) -> None:
    """Compare all rows, those of tokens without a place too, in every frame."""
    frames, prefix = len(rows), rows.shape[-1] - patches
    apart = affinity.token_rows()
    for f in range(frames):
        cells = slice(frames * prefix + f * patches, frames * prefix + (f + 1) * patches)
        own = slice(f * prefix, (f + 1) * prefix)
        mine = affinity.rows(range(f * patches, (f + 1) * patches))
        for found, wanted in ((mine, rows[f, :, prefix:]), (apart[:, own], rows[f, :, :prefix])):
            torch.testing.assert_close(found[..., cells], wanted[..., prefix:], rtol=0, atol=1e-5)
            torch.testing.assert_close(found[..., own], wanted[..., :prefix], rtol=0, atol=1e-5)
        others = mine.sum(-1) - mine[..., cells].sum(-1) - mine[..., own].sum(-1)
        assert float(others.abs().max()) < 1e-5


@pytest.mark.parametrize("make", [vit, eva])
@pytest.mark.parametrize("name", MASKS)
def test_a_mask_of_timms_is_exact(make: Any, name: str) -> None:
    net = make()
    taken = clip()
    tokens = ROWS * COLUMNS + net.num_prefix_tokens
    mask = MASKS[name](tokens)
    outer = Masked(net, [mask]).eval()
    model = nlviz.Model(outer)
    capture = model.capture(taken)
    assert list(capture.affinities) == ["net.blocks.0", "net.blocks.1"]
    assert capture.refused == {}
    x = model.prepared(taken).tensor
    assert len(x) == FRAMES
    for i, affinity in enumerate(capture.affinities.values()):
        check(affinity, rows_of(net, lambda: outer(x), i), ROWS * COLUMNS)
        assert capture.receipts[affinity.name].holds
    with torch.no_grad():
        assert capture.logits is not None
        torch.testing.assert_close(capture.logits, outer(x).mean(0), rtol=0, atol=0)


def test_hidden_keys_are_out_of_reach_and_not_zero() -> None:
    net = vit()
    tokens = ROWS * COLUMNS + net.num_prefix_tokens
    capture = nlviz.capture(Masked(net, [hidden(tokens, tokens - 1)]).eval(), clip(1))
    found = capture.affinities["net.blocks.0"].map(frame=0, y=4, x=5)
    assert found.reachable is not None
    assert not found.reachable[0, -1, -1]
    assert found.reachable.sum() == ROWS * COLUMNS - 1


def test_each_block_may_have_a_mask_of_its_own() -> None:
    net = vit()
    tokens = ROWS * COLUMNS + net.num_prefix_tokens
    outer = Masked(net, [hidden(tokens, 3), hidden(tokens, 5), torch.zeros(tokens, tokens)]).eval()
    model = nlviz.Model(outer)
    x = model.prepared(clip()).tensor
    capture = model.capture(clip())
    reach = [a.support for a in capture.affinities.values()]
    assert type(reach[0]) is not type(reach[1])
    for i, affinity in enumerate(capture.affinities.values()):
        check(affinity, rows_of(net, lambda: outer(x), i), ROWS * COLUMNS)


class OfPatches(nn.Module):
    """Gives patches, their places and how many are real to a network of any size of picture."""

    def __init__(self, net: Any, padding: int, *, keywords: bool) -> None:
        super().__init__()
        self.net, self.padding, self.keywords = net, padding, keywords

    def given(self, x: Tensor) -> dict[str, Tensor]:
        b, c, h, w = x.shape
        cells = x.reshape(b, c, h // 16, 16, w // 16, 16).permute(0, 2, 4, 3, 5, 1)
        at = torch.cartesian_prod(torch.arange(h // 16), torch.arange(w // 16))
        more = (0, 0, 0, self.padding)
        return {
            "patches": F.pad(cells.reshape(b, len(at), -1), more),
            "patch_coord": F.pad(at.expand(b, -1, -1), more),
            "patch_valid": F.pad(torch.ones(b, len(at), dtype=torch.bool), (0, self.padding)),
        }

    def forward(self, x: Tensor) -> Tensor:
        given = self.given(x)
        if self.keywords:
            return self.net(given.pop("patches"), **given)
        return self.net(given)


def naflex(**options: Any) -> Any:
    import timm

    torch.manual_seed(0)
    small = {"embed_dim": 24, "depth": 2, "num_heads": HEADS, "num_classes": 5}
    net = timm.create_model("naflexvit_base_patch16_gap", **small, **options)
    for p in net.parameters():
        p.data = torch.randn(p.shape) * 0.3
    return net.eval()


def test_naflex_takes_pictures_in_their_aspect() -> None:
    net = naflex()
    model = nlviz.Model(net)
    assert model.input_spec is not None
    assert (model.input_spec.size, model.input_spec.sides) == (384, None)
    model.input_spec = nlviz.InputSpec(size=48, multiple=16, layout="frames")
    taken = noise_clip(2, 48, 112)
    capture = model.capture(taken)
    assert list(capture.affinities) == ["blocks.0", "blocks.1"]
    affinity = capture.affinities["blocks.1"]
    assert affinity.queries.shape == (2, 3, 7)
    assert affinity.queries.origin == (0, 7.5, 7.5)
    assert capture.features["blocks.1"].shape == (24, 2, 3, 7)
    x = model.prepared(taken).tensor
    check(affinity, rows_of(net, lambda: net(x), 1), 21)


@pytest.mark.parametrize("key_only", [False, True])
@pytest.mark.parametrize("padding", [0, 4])
def test_padding_of_naflex_is_no_place_and_out_of_reach(key_only: bool, padding: int) -> None:
    net = naflex(use_key_only_attn_mask=key_only)
    outer = OfPatches(net, padding, keywords=key_only).eval()
    spec = nlviz.InputSpec(sides=(48, 80), layout="frames")
    model = nlviz.Model(outer, input_spec=spec)
    taken = noise_clip(2, 48, 80)
    affinity = model.capture(taken).affinities["net.blocks.1"]
    assert affinity.queries.shape == (2, 3, 5)
    registers = 4
    assert affinity.keys.prefix == 2 * (registers + padding)
    x = model.prepared(taken).tensor
    rows = rows_of(net, lambda: outer(x), 1)
    # Padding stands behind the patches in the network, and before them in an affinity.
    order = [*range(registers), *range(registers + 15, registers + 15 + padding)]
    order += range(registers, registers + 15)
    check(affinity, rows[:, :, order][..., order], 15)
    if padding:
        hidden_keys = affinity.rows([0, 8, 14])[..., registers : registers + padding]
        assert float(hidden_keys.abs().max()) == 0
