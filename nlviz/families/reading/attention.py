"""Attention over patches: where its tokens lie, in which order, and which keys a query reaches.

Frames go through such a network as a batch, (frames, heads, tokens, d); each has its own class and
register tokens, which have no place, before its patches, row by row. An affinity holds the tokens
of all frames in one sequence: those without a place first, frame by frame, then all patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
from nlviz.networks.places import Cells, NoLattice, Places, lattice


@dataclass(frozen=True)
class PatchTokens:
    """The tokens of one attention.

    Attributes:
        frames: of the batch.
        height, width: rows and columns of patches in a frame.
        prefix: tokens of a frame without a place.
        order: the network's tokens of a frame, those without a place first, then the patches row
            by row; None where that is the network's own order.
        cells: where the patches lie in the network's input; None where they tile it.

    >>> PatchTokens(2, 3, 5, prefix=1).in_order(torch.zeros(2, 4, 16, 7)).shape
    torch.Size([4, 32, 7])
    """

    frames: int
    height: int
    width: int
    prefix: int = 0
    order: tuple[int, ...] | None = None
    cells: Cells | None = None

    def grid(self, prepared: Prepared) -> TokenGrid:
        """Return the grid of the patches in the clip."""
        size = prepared.tensor.shape[-2:]
        counts = (self.height, self.width)
        y, x = (Axis(n / m, (n / m - 1) / 2) for n, m in zip(size, counts, strict=True))
        t = Axis()
        if self.cells is not None:
            t, y, x = self.cells.t, self.cells.y, self.cells.x
        return TokenGrid.of_axes(
            (self.frames, *counts),
            place(t if self.frames > 1 else Axis(), prepared.t),
            place(y, prepared.y),
            place(x, prepared.x),
            prefix=self.frames * self.prefix,
        )

    def in_order(self, x: Float[Tensor, "frames heads tokens d"]) -> Float[Tensor, "heads n d"]:
        """Return the tokens of all frames in the order of an affinity."""
        if self.order is not None:
            x = x[:, :, list(self.order)]
        if self.frames == 1:
            return x[0].contiguous()
        parts = (x[:, :, : self.prefix], x[:, :, self.prefix :])
        return torch.cat([rearrange(part, "t heads n d -> heads (t n) d") for part in parts], 1)

    def laid_out(self, x: Float[Tensor, "frames tokens channels"]) -> Float[Tensor, "c t h w"]:
        """Return the features of the patches on their grid."""
        if self.order is not None:
            x = x[:, list(self.order)]
        patches = x[:, self.prefix :]
        return rearrange(patches, "t (h w) c -> c t h w", h=self.height, w=self.width)

    @property
    def support(self) -> Support:
        """The keys that a query reaches: all tokens of its own frame."""
        return FrameGroups(1, own_prefix=True) if self.frames > 1 else Everything()


def patch_tokens(
    name: str, places: Places, size: tuple[int, int, int], patches: int
) -> PatchTokens:
    """Return where the tokens of an attention lie, whatever their order.

    Args:
        name: of the attention.
        places: of its tokens, (frames, tokens).
        size: frames, rows and columns of the network's input.
        patches: of a frame, as they left the embedding.

    Raises:
        NlvizError: when not every patch is there, or they lie on no grid.
    """
    there = places.placed
    first = there[0]
    if int(first.sum()) != patches or not (there == first).all():
        raise NlvizError(
            f"every patch must reach the attention, {name} saw {int(first.sum())} of {patches} "
            "patches; a network that drops or merges patches has no map of the picture"
        )
    y, x = places.y[0], places.x[0]
    rows = len(np.unique(np.round(y[first], 3)))
    at = np.flatnonzero(first)
    at = at[np.lexsort((np.round(x[at], 3), np.round(y[at], 3)))]
    order = (*(int(i) for i in np.flatnonzero(~first)), *(int(i) for i in at))
    try:
        if patches % rows:
            raise NoLattice
        shape = (len(there), rows, patches // rows)
        grid = Places(
            *(getattr(places, k)[:, at].reshape(shape) for k in ("t", "y", "x", "spread"))
        )
        cells = lattice(grid, size)
        if max(cells.off) > 0:
            raise NoLattice
    except NoLattice:
        raise NlvizError(
            f"the patches of a picture must lie on a grid, those of {name} do not; a network that "
            "moves or merges patches has no map of the picture"
        ) from None
    same = order == tuple(range(len(first)))
    prefix = len(first) - patches
    return PatchTokens(*shape, prefix, None if same else order, cells)


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
            f'{products[0].fault if len(products) == 1 else seen}; family="attention" reads other '
            "forms, too, and what was scripted must be captured as it was before"
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
