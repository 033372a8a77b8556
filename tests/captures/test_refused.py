"""Nothing is shown but what the block computed: right rows, or a refusal with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from nlviz.captures.capture import Capture, read_capture
from nlviz.errors import BlockRefused, NlvizError, NoNonLocalBlocks
from nlviz.networks.block import NonLocalBlock
from tests.nets import FRAMES, awake, frame_net, noise_clip

CLIP = noise_clip(2, 32, 48)
HEADS, TOKENS = 3, 4 * 4 + 1

Rows = Callable[[], Tensor]
Product = Callable[[Tensor, Tensor, Tensor, float], tuple[Rows, Tensor]]


class Written(Attention):
    """timm's attention with a product of one's own; keeps how to get the rows of it."""

    product: Product

    def forward(
        self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).view(b, n, 3, self.num_heads, c // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        self.rows, y = self.product(q, k, v, self.scale)
        return self.proj(y.transpose(1, 2).reshape(b, n, c))


def by(
    change: Callable[[Tensor], Tensor], logits: Callable[[Tensor], Tensor] | None = None
) -> Product:
    """Return a written product whose logits, and whose rows, are changed."""

    def product(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Rows, Tensor]:
        s = (q * scale) @ k.mT
        rows = change((s if logits is None else logits(s)).softmax(-1))
        return rows.clone, rows @ v

    return product


def fused(mask: Tensor | None = None, **options: object) -> Product:
    """Return torch's fused product, and its rows under a mask, computed when they are asked for."""

    def product(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Rows, Tensor]:
        def rows() -> Tensor:
            s = q @ k.mT * scale
            if mask is not None and mask.dtype != torch.bool:
                s = s + mask
            elif mask is not None:
                s = s.masked_fill(~mask, -torch.inf)
            return s.softmax(-1)

        given = {} if "is_causal" in options else {"attn_mask": mask}
        return rows, F.scaled_dot_product_attention(q, k, v, **given, **options)

    return product


def late_q(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Rows, Tensor]:
    """Multiply, then change q in place, which the logits do not see."""
    q = q.clone()
    s = q @ k.mT
    q.mul_(7)
    rows = s.softmax(-1)
    return rows.clone, rows @ v


DRAW = torch.Generator().manual_seed(4)
BIAS = torch.randn(1, 1, TOKENS, TOKENS, generator=DRAW)
GATE = torch.rand(TOKENS, generator=DRAW)
MIX = torch.randn(HEADS, HEADS, generator=DRAW)
BAND = torch.ones(TOKENS, TOKENS).tril(5).bool()
PADDING = torch.arange(TOKENS) < 12
BY_HEAD = torch.rand(HEADS, TOKENS, TOKENS, generator=DRAW) < 0.6
BY_HEAD[..., 0] = True

PRODUCTS: dict[str, Product] = {
    "plain": by(lambda rows: rows),
    "in place, nothing": by(lambda rows: rows.mul_(1)),
    "fused": fused(),
    "a bias": by(lambda rows: rows, lambda s: s + BIAS),
    "a bias in place": by(lambda rows: rows, lambda s: s.add_(BIAS)),
    "a scale in place": by(lambda rows: rows, lambda s: s.mul_(0.5)),
    "a mask in place": by(lambda rows: rows, lambda s: s.masked_fill_(~BAND, -1e4)),
    "a gate": by(lambda rows: rows * GATE),
    "a gate in place": by(lambda rows: rows.mul_(GATE)),
    "a gate near 1": by(lambda rows: rows * (1 + 1e-3 * GATE)),
    "talking heads": by(lambda rows: torch.einsum("bhnk,hm->bmnk", rows, MIX)),
    "dropout": by(lambda rows: F.dropout(rows, 0.3, training=True)),
    "top 3": by(lambda rows: rows.where(rows >= rows.topk(3, -1).values[..., -1:], 0.0)),
    "a mask, fused": fused(BAND),
    "causal, fused": fused(torch.ones(TOKENS, TOKENS).tril().bool(), is_causal=True),
    "dropout, fused": fused(dropout_p=0.4),
    "a mask that masks nothing, fused": fused(BAND | True),
    "a mask of zeros, fused": fused(torch.zeros(TOKENS, TOKENS)),
    "padding, fused": fused(PADDING.expand(TOKENS, TOKENS)),
    "padding of each frame, fused": fused(torch.stack([PADDING, ~PADDING])[:, None, None]),
    "a bias of each head, fused": fused(BIAS[0] * torch.rand(HEADS, 1, 1, generator=DRAW)),
    "a mask of each head, fused": fused(BY_HEAD),
    "q changed late": late_q,
}


def transformer(product: Product) -> VisionTransformer:
    torch.manual_seed(0)
    net = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=HEADS, num_classes=5
    )
    net.blocks[0].attn = Written(48, num_heads=HEADS, qkv_bias=True)
    net.blocks[0].attn.product = product
    for p in net.parameters():
        p.data = torch.randn(p.shape) * 0.3
    return net.eval()


@pytest.mark.parametrize("name", PRODUCTS)
def test_attention_written_by_hand_is_shown_as_it_was(name: str) -> None:
    net = transformer(PRODUCTS[name])
    capture = nlviz.capture(net, CLIP)
    assert list(capture.affinities) == ["blocks.0", "blocks.1"]
    assert capture.refused == {}
    got = capture.affinities["blocks.0"]
    rows = net.blocks[0].attn.rows()
    apart = got.token_rows()
    for frame in range(2):
        mine = got.rows(range(16 * frame, 16 * (frame + 1)))
        patches = mine[..., 2 + 16 * frame : 2 + 16 * (frame + 1)]
        torch.testing.assert_close(patches, rows[frame, :, 1:, 1:])
        torch.testing.assert_close(mine[..., frame], rows[frame, :, 1:, 0])
        of_class = apart[:, frame, 2 + 16 * frame : 2 + 16 * (frame + 1)]
        torch.testing.assert_close(of_class, rows[frame, :, 0, 1:])
    error = got.parity_error()
    assert error is not None
    assert (error < 1e-4) == (name != "dropout, fused")
    if name != "dropout, fused":
        assert capture.receipts["blocks.0"].holds
    else:
        assert "Dropout was left on" in got.note


@pytest.mark.parametrize("name", ["a gate", "talking heads", "a mask, fused"])
def test_values_and_sums_are_saved_with_the_capture(name: str, tmp_path: Path) -> None:
    capture = nlviz.capture(transformer(PRODUCTS[name]), CLIP)
    read = read_capture(capture.save(tmp_path / "c.nlviz"))
    for before, after in zip(capture.affinities.values(), read.affinities.values(), strict=True):
        assert torch.equal(before.dense(), after.dense())
        assert before.parity_error() == after.parity_error() is not None


def squared(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Rows, Tensor]:
    """Multiply with rows that a distance gives: where they belong, their output shows."""
    rows = (-torch.cdist(q, k)).softmax(-1)
    return rows.clone, rows @ v


def outside(q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Rows, Tensor]:
    """Sum the values one key after the other, by no product."""
    rows = (-torch.cdist(q, k)).softmax(-1)
    y = torch.zeros_like(q)
    for j in range(k.shape[-2]):
        y = y + rows[..., j, None] * v[..., j, None, :]
    return rows.clone, y


def test_rows_of_a_distance_are_an_effective_operator() -> None:
    net = transformer(squared)
    got = nlviz.capture(net, CLIP).affinities["blocks.0"]
    rows = net.blocks[0].attn.rows()  # type: ignore[operator, union-attr]
    mine = got.rows(range(16, 32))  # of the second frame
    torch.testing.assert_close(mine[..., 2 + 16 :], rows[1, :, 1:, 1:], atol=1e-3, rtol=1e-3)
    assert "effective operator" in f"{got.note} {got.pairwise}".lower()


def test_one_block_that_is_not_read_leaves_the_others() -> None:
    capture = nlviz.capture(transformer(outside), CLIP)
    assert list(capture.affinities) == ["blocks.1"]
    with pytest.raises(BlockRefused, match=r"blocks\.0 is not shown"):
        capture.affinities["blocks.0"]
    assert "blocks.0" not in capture.receipts
    assert any("blocks.0 is not shown" in note for note in capture.all_notes)


def test_when_no_block_can_be_shown_the_first_reason_is_told() -> None:
    net = transformer(outside)
    net.blocks[1].attn = net.blocks[0].attn
    with pytest.raises(BlockRefused, match=r"sums no values with it .*and 1 more block"):
        nlviz.capture(net, CLIP)


def test_what_a_users_hook_makes_of_y_is_not_explained_by_the_rows() -> None:
    net = frame_net()
    net.non_local_layer1.attend.register_forward_hook(lambda m, args, y: y * 2)
    with pytest.raises(BlockRefused, match="rows times values must give what layer1 computed"):
        nlviz.capture(net, CLIP, input_spec=FRAMES)


def test_a_block_that_overflows_is_told() -> None:
    net = frame_net("embedded_gaussian")
    with torch.no_grad():
        net.non_local_layer1.theta.bias.fill_(torch.nan)
    with pytest.raises(BlockRefused, match="finite numbers"):
        nlviz.capture(net, CLIP, input_spec=FRAMES)


def test_receipts_and_refusals_are_saved_with_the_capture(tmp_path: object) -> None:
    capture = nlviz.capture(transformer(squared), CLIP)
    read = read_capture(capture.save(f"{tmp_path}/c.nlviz"))
    assert read.receipts == capture.receipts
    assert read.refused == capture.refused
    assert read.all_notes == capture.all_notes
    receipt = read.receipts["blocks.1"]
    assert (receipt.heads, receipt.precision) == (HEADS, "float32")
    assert receipt.queries >= 2 * HEADS  # of each frame and head
    view = nlviz.View.of(read, "blocks.1", frame=0, y=3, x=4)
    assert view.to_dict()["receipt"]["error"] == receipt.error
    assert nlviz.View.from_json(view.to_json()) == view


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.one, self.two = (awake(NonLocalBlock(8, dimension=2)).eval() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(self.stem(x))).mean((2, 3))


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_graphs_are_named() -> None:
    x = torch.zeros(2, 3, 32, 48)
    with pytest.raises(NoNonLocalBlocks, match="is a graph"):
        nlviz.capture(torch.jit.trace(Plain().eval(), x), CLIP, input_spec=FRAMES)
    net = Plain().eval()
    net.two = torch.jit.trace(net.two, torch.zeros(2, 8, 8, 12))
    capture: Capture = nlviz.capture(net, CLIP, input_spec=FRAMES)
    assert list(capture.affinities) == ["one"]
    assert "two is a graph" in capture.refused["two"]


def test_what_runs_elsewhere_is_not_said_to_have_run() -> None:
    class Direct(Plain):
        def forward(self, x: Tensor) -> Tensor:
            return self.two.forward(self.one.forward(self.stem(x))).mean((2, 3))

    class Mapped(Plain):
        def forward(self, x: Tensor) -> Tensor:
            return torch.vmap(lambda f: super(Mapped, self).forward(f[None])[0])(x)

    with pytest.raises(NlvizError, match="must be called as a module"):
        nlviz.capture(Direct().eval(), CLIP, input_spec=FRAMES)
    with pytest.raises(NlvizError, match=r"runs inside torch\.vmap"):
        nlviz.capture(Mapped().eval(), CLIP, input_spec=FRAMES)


def test_a_block_that_failed_and_was_tried_again_is_right() -> None:
    class Tries(Plain):
        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            try:
                self.one(x[:, :4])
            except NlvizError:
                x = x + 0
            return self.two(self.one(x)).mean((2, 3))

    got = nlviz.capture(Tries().eval(), CLIP, input_spec=FRAMES)
    want = nlviz.capture(Plain().eval(), CLIP, input_spec=FRAMES)
    assert list(got.affinities) == ["one", "two"]
    assert torch.equal(got.affinities["two"].theta, want.affinities["two"].theta)
