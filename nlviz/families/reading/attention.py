"""Attention over patches: where its tokens lie, in which order, and which keys a query reaches.

Frames go through such a network as a batch, (frames, heads, tokens, d); each has its own class and
register tokens, which have no place, before its patches, row by row. An affinity holds the tokens
of all frames in one sequence: those without a place first, frame by frame, then all patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Everything, FrameGroups, Support
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import Prepared, place
from nlviz.networks.attention_calls import Product
from nlviz.networks.hooks import Call


@dataclass(frozen=True)
class PatchTokens:
    """The tokens of one attention.

    Attributes:
        frames: of the batch.
        height, width: rows and columns of patches in a frame.
        prefix: tokens of a frame without a place, before its patches.

    >>> PatchTokens(2, 3, 5, prefix=1).in_order(torch.zeros(2, 4, 16, 7)).shape
    torch.Size([4, 32, 7])
    """

    frames: int
    height: int
    width: int
    prefix: int = 0

    def grid(self, prepared: Prepared) -> TokenGrid:
        """Return the grid of the patches in the clip; they tile the network's input evenly."""
        size = prepared.tensor.shape[-2:]
        y, x = (
            place(Axis(full / cells, (full / cells - 1) / 2), axis)
            for full, cells, axis in (
                (size[0], self.height, prepared.y),
                (size[1], self.width, prepared.x),
            )
        )
        shape = (self.frames, self.height, self.width)
        return TokenGrid.of_axes(shape, Axis(), y, x, prefix=self.frames * self.prefix)

    def in_order(self, x: Float[Tensor, "frames heads tokens d"]) -> Float[Tensor, "heads n d"]:
        """Return the tokens of all frames in the order of an affinity."""
        if self.frames == 1:
            return x[0].contiguous()
        parts = (x[:, :, : self.prefix], x[:, :, self.prefix :])
        return torch.cat([rearrange(part, "t heads n d -> heads (t n) d") for part in parts], 1)

    def laid_out(self, x: Float[Tensor, "frames tokens channels"]) -> Float[Tensor, "c t h w"]:
        """Return the features of the patches on their grid."""
        patches = x[:, self.prefix :]
        return rearrange(patches, "t (h w) c -> c t h w", h=self.height, w=self.width)

    @property
    def support(self) -> Support:
        """The keys that a query reaches: all tokens of its own frame."""
        return FrameGroups(1, own_prefix=True) if self.frames > 1 else Everything()


def only_product(name: str, call: Call) -> Product:
    """Return the product q k^T that ran inside a module.

    Raises:
        NlvizError: when there was not exactly one, or a mask took part.
    """
    products = call.products
    if len(products) != 1 or products[0].fault:
        seen = f"{len(products)} were seen" if len(products) > 1 else "none was seen"
        raise NlvizError(
            f"{name} must compute one softmax(q k^T) v without a mask, "
            f"{products[0].fault if len(products) == 1 else seen}; what stands between its two "
            "products, or in another form than these, is not read, and what was scripted must be "
            "captured as it was before"
        )
    return products[0]


def attention_affinity(
    name: str, product: Product, tokens: PatchTokens, prepared: Prepared, *, prefix_name: str
) -> EmbeddedAffinity:
    """Return the affinity of an attention: q, k, v and y as they entered and left the product.

    Args:
        name: of the block.
        product: what was seen of it.
        tokens: where its tokens lie.
        prepared: the network's input.
        prefix_name: what the tokens without a place are called.

    Raises:
        NlvizError: when the batch does not hold all frames of the clip.
    """
    if tokens.frames != prepared.clip_shape[0]:
        raise NlvizError(
            f"a batch must hold the clip's {prepared.clip_shape[0]} frames, {name} saw "
            f"{tokens.frames}; give the network one batch of all frames"
        )
    grid = tokens.grid(prepared)
    theta, phi, values, output = (
        tokens.in_order(x) for x in (product.q, product.k, product.v, product.y)
    )
    return EmbeddedAffinity(
        name=name,
        pairwise=Pairwise("embedded_gaussian", product.scale),
        theta=theta,
        phi=phi,
        queries=grid,
        keys=grid,
        support=tokens.support,
        values=values,
        output=output,
        clip_shape=prepared.clip_shape,
        note=_note(prepared),
        prefix_name=prefix_name,
    )


def _note(prepared: Prepared) -> str:
    """Return what a reader must know: frames are apart, and the aspect may not be kept."""
    said = []
    if prepared.clip_shape[0] > 1:
        said.append("The network sees one frame at a time: a query reaches its own frame only.")
    if abs(prepared.y.stride / prepared.x.stride - 1) > 0.05:
        height, width = prepared.tensor.shape[-2:]
        said.append(
            f"It takes pictures of {width}×{height} px alone: the whole frame was resized to that "
            "without keeping its aspect."
        )
    return " ".join(said)
