"""Learned positions at another size of picture than in training, as three code bases resize them.

A transformer's table of positions has a row for each patch of the pictures that it was trained on.
For other pictures it is resized as a picture is, bicubically, and each code base does that in its
own way; the rows of attention that follow differ visibly. With n patches of a side in training and
m now, cell i of the new table looks at

    timm           (i + 1/2) n / m - 1/2          averaged over n / m cells where m < n
    transformers   (i + 1/2) n / m - 1/2          at four cells, whatever m
    dino           (i + 1/2) n / (m + 0.1) - 1/2  at four cells

``dino`` is what Caron et al. 2021 (DINO), Zhou et al. 2022 (iBOT) and Oquab et al. 2023 (DINOv2)
compute, where 0.1 is added to the number of cells, for rounding's sake; DINOv2 with registers
computes as timm does, and He et al. 2022 (MAE) as transformers does.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

WAYS: Mapping[str, str] = MappingProxyType(
    {
        "timm": "bicubic, antialiased, as timm and DINOv2 with registers do",
        "dino": "bicubic with the offset of 0.1, as DINO, iBOT and DINOv2 do",
        "transformers": "bicubic, as transformers and MAE do",
    }
)
_OFFSET = 0.1  # of https://github.com/facebookresearch/dino/issues/8


def resized_positions(
    table: Float[Tensor, "1 all channels"],
    before: tuple[int, int],
    after: tuple[int, int],
    way: str,
) -> Float[Tensor, "1 now channels"]:
    """Return a table of positions for another grid of patches.

    Args:
        table: of the tokens without a place, which keep theirs, then of the patches row by row.
        before: rows and columns of the table's patches.
        after: rows and columns of the patches of the picture.
        way: one of ``WAYS``.

    >>> table = torch.arange(10.0).reshape(1, 10, 1)
    >>> resized_positions(table, (3, 3), (2, 4), "dino").shape
    torch.Size([1, 9, 1])
    >>> resized_positions(table, (3, 3), (3, 3), "dino") is table
    True
    """
    if tuple(before) == tuple(after):
        return table
    apart = table.shape[1] - before[0] * before[1]
    grid = table[:, apart:].float().reshape(1, *before, -1).permute(0, 3, 1, 2)
    if way == "dino":
        factors = [(m + _OFFSET) / n for m, n in zip(after, before, strict=True)]
        found = F.interpolate(grid, scale_factor=factors, mode="bicubic")
    else:
        found = F.interpolate(grid, size=after, mode="bicubic", antialias=way == "timm")
    patches = found.permute(0, 2, 3, 1).flatten(1, 2).to(table.dtype)
    return torch.cat([table[:, :apart], patches], 1)
