"""The layers of MUSE and of its plain twin.

MUSE is Zhao et al. 2019, "MUSE: Parallel Multi-Scale Attention for Sequence to Sequence Learning",
arXiv 1911.09483. With x normed before the layer (pre-norm) and v shared by attention and
convolution,

    y = x + W_1 Attention(q, k, v) + W_2 sum_k softmax(alpha)_k DynamicConv_k(v) + FFN(x)

where [W_1 W_2] is the paper's W_o on the two side by side. The kernel of a dynamic convolution (Wu
et al. 2019, arXiv 1901.10430) at a place comes from v at that place alone: softmax over taps of a
linear map. In a decoder, plain attention to the source follows. Written from the papers.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

KERNELS = (3, 15)
Sequences = Float[Tensor, "batch n channels"]
Heads = Float[Tensor, "batch heads n d"]


class Attend(nn.Module):
    """y = softmax(q k^T / sqrt(d)) v, a module of its own so that a hook sees q, k, v and y."""

    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal

    def forward(self, q: Heads, k: Float[Tensor, "batch heads m d"], v: Tensor) -> Heads:
        """Return what each query gathers from the values."""
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)


class DynamicConvolution(nn.Module):
    """y_t = sum_j w_tj v_(t + j - pad), each head with its kernel w_t = softmax(Linear(v_t)).

    Args:
        heads, width: heads, and channels of each.
        kernel: number of taps, odd.
        causal: whether the last tap stands on t itself; else the middle one does.

    >>> conv = DynamicConvolution(heads=2, width=3, kernel=5, causal=True)
    >>> conv(torch.ones(1, 2, 7, 3))[0, 1, -1].detach().round(decimals=4)
    tensor([1., 1., 1.])
    """

    def __init__(self, *, heads: int, width: int, kernel: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.kernel, self.causal = heads, kernel, causal
        self.taps = nn.Linear(heads * width, heads * kernel)

    def weights(self, v: Heads) -> Float[Tensor, "batch heads n taps"]:
        """Return the kernel of each place; its taps sum to 1."""
        batch, heads, n, d = v.shape
        logits = self.taps(v.transpose(1, 2).reshape(batch, n, heads * d))
        found: Tensor = logits.reshape(batch, n, heads, self.kernel).transpose(1, 2).softmax(-1)
        return found

    @property
    def before(self) -> int:
        """How many places the first tap lies before its own."""
        return self.kernel - 1 if self.causal else self.kernel // 2

    def forward(self, v: Heads) -> Heads:
        """Return the convolved values; beyond the ends of the sequence they are zero."""
        return banded(self.weights(v), self.before) @ v


def banded(
    weights: Float[Tensor, "batch heads n taps"], before: int
) -> Float[Tensor, "batch heads n n"]:
    """Return kernels as the matrix that does the same: tap j of row t in column t + j - before.

    Taps beyond either end of the sequence have no column, so rows there sum to less than 1.

    >>> banded(torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]), 1)[0, 0]
    tensor([[2., 3.],
            [4., 5.]])
    """
    batch, heads, n, taps = weights.shape
    # Rows of n + taps, read as rows of one less, move each row on by one place.
    skewed = F.pad(weights, (0, n)).flatten(2)[..., : n * (n + taps - 1)]
    return skewed.reshape(batch, heads, n, n + taps - 1)[..., before : before + n]


class SelfAttention(nn.Module):
    """Attention of a sequence to itself; of MUSE, beside dynamic convolutions of the same values.

    Args:
        channels, heads: of the sequence.
        causal: whether a place sees those before it and itself alone.
        kernels: of the dynamic convolutions; none for plain attention.
    """

    def __init__(
        self, channels: int, heads: int, *, causal: bool, kernels: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.attend = Attend(causal=causal)
        self.w_1 = nn.Linear(channels, channels)
        self.convolutions = nn.ModuleList(
            DynamicConvolution(heads=heads, width=channels // heads, kernel=k, causal=causal)
            for k in kernels
        )
        if kernels:
            self.alpha = nn.Parameter(torch.zeros(len(kernels)))
            self.w_2 = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Sequences) -> Sequences:
        """Return W_1 attention, plus W_2 of the mixed convolutions where there are some."""
        q, k, v = (_in_heads(part, self.heads) for part in self.qkv(x).chunk(3, -1))
        found: Tensor = self.w_1(_joined(self.attend(q, k, v)))
        if self.convolutions:
            mixing = self.mixing()
            mixed = sum(mixing[i] * conv(v) for i, conv in enumerate(self.convolutions))
            found = found + self.w_2(_joined(mixed))
        return found

    def mixing(self) -> Float[Tensor, " kernels"]:
        """Return softmax(alpha), the weight of each convolution in the mix."""
        return self.alpha.softmax(0)


class CrossAttention(nn.Module):
    """Plain attention of a target to the source."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.attend = Attend(causal=False)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Sequences, memory: Float[Tensor, "batch m channels"]) -> Sequences:
        """Return what each place of the target gathers from the source."""
        k, v = (_in_heads(part, self.heads) for part in self.kv(memory).chunk(2, -1))
        found: Tensor = self.out(_joined(self.attend(_in_heads(self.q(x), self.heads), k, v)))
        return found


class FeedForward(nn.Sequential):
    """A pointwise network of two layers: the same at every place."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__(nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels))


class Layer(nn.Module):
    """One layer of either network, with cross-attention behind it in a decoder.

    Args:
        channels, heads: of the sequence.
        inner: channels inside the feed-forward network.
        kernels: of the dynamic convolutions, which then run beside attention and the feed-forward
            network, all on the same x; none for the plain Transformer, in which the feed-forward
            network comes last.
        decoder: whether the layer is causal and looks at a source.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        inner: int,
        *,
        kernels: tuple[int, ...] = (),
        decoder: bool = False,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = SelfAttention(channels, heads, causal=decoder, kernels=kernels)
        if decoder:
            self.cross_norm = nn.LayerNorm(channels)
            self.cross = CrossAttention(channels, heads)
        if not kernels:
            self.feed_norm = nn.LayerNorm(channels)
        self.feed = FeedForward(channels, inner)
        self.parallel, self.decoder = bool(kernels), decoder

    def forward(
        self, x: Sequences, memory: Float[Tensor, "batch m channels"] | None = None
    ) -> Sequences:
        """Return the sequence after the layer."""
        normed = self.norm(x)
        x = x + self.attention(normed)
        if self.parallel:
            x = x + self.feed(normed)
        if memory is not None:
            x = x + self.cross(self.cross_norm(x), memory)
        return x if self.parallel else x + self.feed(self.feed_norm(x))


def _in_heads(x: Sequences, heads: int) -> Heads:
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _joined(x: Heads) -> Sequences:
    return x.transpose(1, 2).flatten(2)
