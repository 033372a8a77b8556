"""Networks that nothing is known of: what input they take, and where a block's cells lie."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from nlviz.clip import Clip
from nlviz.families.adapter import InputSpec, Prepared, place, prepare
from nlviz.geometry import Axis, Shape, TokenGrid
from nlviz.recording import Call


def prepare_for(
    net: nn.Module, clip: Clip, spec: InputSpec | None, blocks: Iterable[nn.Module]
) -> Prepared:
    """Return (1, 3, T, H, W) for a network of 3-D convolutions, (T, 3, H, W) else.

    Args:
        net: the network.
        clip: the input.
        spec: how to prepare it, where it is known.
        blocks: the non-local blocks, whose own convolutions are 3-D on 2-D networks, too.
    """
    if spec is None:
        inside = {m for block in blocks for m in block.modules()}
        three = any(isinstance(m, nn.Conv3d) for m in net.modules() if m not in inside)
        spec = InputSpec(layout="clip" if three else "frames")
    return prepare(clip, spec)


def shape_of(features: Tensor, dimension: int) -> Shape:
    """Return the cells (t, h, w) of features with 1, 2 or 3 axes behind batch and channels.

    A batch is the frames of one clip in two dimensions, its consecutive parts in three.

    >>> import torch
    >>> shape_of(torch.zeros(4, 8, 5, 7), 2), shape_of(torch.zeros(2, 8, 3, 5, 7), 3)
    ((4, 5, 7), (6, 5, 7))
    """
    batch, cells = features.shape[0], tuple(features.shape[2:])
    if dimension == 1:
        return (batch * cells[0], 1, 1)
    if dimension == 2:
        return (batch, cells[0], cells[1])
    return (batch * cells[0], cells[1], cells[2])


def grid_of(call: Call, dimension: int, prepared: Prepared) -> TokenGrid:
    """Return where the cells of a block's input lie in the clip.

    They lie where the convolutions before the block put them, or evenly spread where those could
    not be followed.

    Args:
        call: of the block.
        dimension: 1 (time), 2 (space) or 3.
        prepared: the network's input.
    """
    features: Tensor = call.args[0]
    shape = shape_of(features, dimension)
    seen = (features.shape[2], *shape[1:]) if dimension != 2 else shape  # of one part of the batch
    known = {n: axis for n, (_, axis) in zip(("x", "y", "t"), reversed(call.axes), strict=False)}
    if tuple(n for n, _ in call.axes) != seen[-len(call.axes) :]:
        known = {}
    size = prepared.tensor.shape[-2:]
    y, x = (
        known.get(axis) or Axis(full / cells, (full / cells - 1) / 2)
        for axis, full, cells in (("y", size[0], shape[1]), ("x", size[1], shape[2]))
    )
    return TokenGrid.of_axes(
        shape, known.get("t", Axis()), place(y, prepared.y), place(x, prepared.x)
    )
