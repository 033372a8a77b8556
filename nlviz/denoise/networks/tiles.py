"""Denoising networks on pictures of any size: in tiles, and the non-local block in blocks.

Convolutions see no more than a few cells around their own, so tiles with enough of their
surroundings give what the whole picture would. The non-local block would reach every cell: here
the queries of a block of 32 x 32 cells share their keys, the cells within 16 around the block (cut
off at the picture's border), which is about what the block saw in training. So time and memory
grow with the picture and not with its square. A cell is 2 x 2 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.networks.block import NonLocalBlock
from nlviz.networks.denoising import STRIDE, DenoisingNet
from nlviz.networks.products import softmax_product
from nlviz.progress import SILENT, Progress

BLOCK = 32  # cells
MARGIN = 16
TILE = 512  # a multiple of BLOCK
# What lies around a tile: a block that reaches into it, its keys, and the convolutions before and
# behind (8 and 9 cells); a multiple of BLOCK, so that blocks stay where they are.
AROUND = 64

Control = Literal["uniform", "own"]
Grid = Float[Tensor, "h w d"]
Values = Float[Tensor, "h w dv"]  # g may have fewer or more channels than theta and phi


class Embeddings(NamedTuple):
    """What entered the block's product and came out, laid on the cells."""

    theta: Grid
    phi: Grid
    g: Values
    y: Values


@dataclass(frozen=True)
class Stretch:
    """A part of one axis, in cells.

    Attributes:
        first, end: what is wanted of it.
        start, stop: what must be computed for that.
    """

    first: int
    end: int
    start: int
    stop: int

    @property
    def inner(self) -> slice:
        """What is wanted, within what is computed."""
        return slice(self.first - self.start, self.end - self.start)


def stretches(cells: int) -> list[Stretch]:
    """Return the parts of an axis.

    >>> [(s.start, s.first, s.end, s.stop) for s in stretches(700)]
    [(0, 0, 512, 576), (448, 512, 700, 700)]
    """
    return [
        Stretch(i, min(i + TILE, cells), max(i - AROUND, 0), min(i + TILE + AROUND, cells))
        for i in range(0, cells, TILE)
    ]


def windows(h: int, w: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yield the rows and columns of each block of queries, and of its keys.

    >>> [keys for _, keys in windows(20, 70)][1]
    (slice(0, 20, None), slice(16, 70, None))
    """

    def around(first: int, n: int) -> slice:
        return slice(max(first - MARGIN, 0), min(first + BLOCK + MARGIN, n))

    for i in range(0, h, BLOCK):
        for j in range(0, w, BLOCK):
            queries = slice(i, min(i + BLOCK, h)), slice(j, min(j + BLOCK, w))
            yield queries, (around(i, h), around(j, w))


def product(
    theta: Grid,
    phi: Grid,
    g: Values,
    *,
    scale: float | Tensor,
    control: Control | None = None,
    report: Progress = SILENT,
) -> Values:
    """Return y = f g / C in blocks.

    Args:
        theta: embeddings of the queries, on the cells.
        phi: of the keys.
        g: values of the keys.
        scale: factor of the logits.
        control: take another affinity: ``uniform`` over the keys that a query reaches, or ``own``,
            each query's own cell.
        report: called after each block.

    >>> theta = phi = torch.zeros(1, 3, 2)
    >>> product(theta, phi, torch.tensor([[[0.0], [3.0], [6.0]]]), scale=1.0)[..., 0]
    tensor([[3., 3., 3.]])
    """
    if control == "own":
        return g
    h, w = g.shape[:2]
    y = torch.empty_like(g)
    number = -(-h // BLOCK) * -(-w // BLOCK)
    for done, (queries, keys) in enumerate(windows(h, w), 1):
        if control == "uniform":
            y[queries] = g[keys].mean((0, 1))
        else:
            q, k, v = (
                x[at].reshape(1, 1, -1, x.shape[-1])
                for x, at in ((theta, queries), (phi, keys), (g, keys))
            )
            y[queries] = softmax_product(q, k, v, scale=scale).reshape(*y[queries].shape)
        report("The non-local block", done / number)
    return y


def embed(block: NonLocalBlock, x: Float[Tensor, "1 c h w"]) -> tuple[Grid, Grid, Values]:
    """Return theta, phi and g on the cells."""
    theta, phi, g = (e[0, 0].reshape(*x.shape[2:], -1) for e in block.embed(x))
    return theta, phi, g


def run(
    net: DenoisingNet,
    noisy: Float[Tensor, "1 3 height width"],
    sigma: float,
    *,
    control: Control | None = None,
    report: Progress = SILENT,
) -> tuple[Float[Tensor, "1 3 height width"], Embeddings | None]:
    """Run a network on one tile; return the picture and what the non-local block made of it.

    Args:
        net: the network, in evaluation.
        noisy: RGB in units where white is 1; height and width even.
        sigma: of the noise, in the same units.
        control: see :func:`product`; the local network does not have one.
        report: called between the parts of the work.
    """
    report("Convolutions", 0.0)
    low, x = net.features(noisy, noisy.new_tensor([sigma]))
    found = None
    block = net.block
    if isinstance(block, NonLocalBlock):
        theta, phi, g = embed(block, x)
        y = product(
            theta,
            phi,
            g,
            scale=block.logit_scale(),
            control=control,
            report=report.part(0.3, 0.7),
        )
        found = Embeddings(theta, phi, g, y)
        x = x + cast(Tensor, block.bn(block.out(y.permute(2, 0, 1)[None])))
    else:
        x = cast(Tensor, block(x))
    report("Convolutions", 0.7)
    return net.cleaned(noisy, low, x), found


def tiles(height: int, width: int) -> list[tuple[Stretch, Stretch]]:
    """Return the tiles of a picture of even height and width: stretches of rows and columns."""
    rows, columns = stretches(height // STRIDE), stretches(width // STRIDE)
    return [(a, b) for a in rows for b in columns]
