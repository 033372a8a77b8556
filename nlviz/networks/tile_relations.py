"""A small network of one object relation module over tiles, whose two answers are known.

Every tile has a colour and a mark. The network says, for each tile, the mark of the other tile of
its colour (found by appearance) and that of the tile it is stacked with (found by geometry).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlviz.networks.object_relation import ObjectRelation
from nlviz.picture import resized

SIDE = 12  # rows and columns of pixels that the network sees of a tile
MARKS = 6
CHANNELS = 64
HEADS = 4
KEY = 16
GEOMETRY = 32


class TileRelations(nn.Module):
    """Tiles look at tiles, and say two marks each.

    Input: RGB of each tile, (value - 127.5) / 127.5 of [0, 255], resized to ``SIDE`` x ``SIDE``.

    >>> import torch
    >>> boxes = torch.tensor([[0.0, 0, 9, 7], [0, 20, 5, 31], [30, 2, 44, 9]])
    >>> TileRelations()(torch.zeros(3, 3, SIDE, SIDE), boxes, torch.zeros(3).long()).shape
    torch.Size([3, 2, 6])
    """

    def __init__(self) -> None:
        super().__init__()
        pixels = 3 * SIDE * SIDE
        self.embed = nn.Sequential(
            nn.Flatten(-3), nn.Linear(pixels, CHANNELS), nn.ReLU(), nn.Linear(CHANNELS, CHANNELS)
        )
        self.relation = ObjectRelation(CHANNELS, heads=HEADS, key=KEY, geometry=GEOMETRY)
        self.classify = nn.Sequential(
            nn.Linear(CHANNELS, 2 * CHANNELS), nn.ReLU(), nn.Linear(2 * CHANNELS, 2 * MARKS)
        )

    def forward(
        self,
        tiles: Float[Tensor, "*batch tiles 3 SIDE SIDE"],
        boxes: Float[Tensor, "*batch tiles 4"],
        picture: Int[Tensor, "*batch tiles"] | None = None,
    ) -> Float[Tensor, "*batch tiles 2 MARKS"]:
        """Return scores of the marks of the colour's and of the stack's other tile.

        Args:
            tiles: pixels of each tile.
            boxes: (top, left, bottom, right) in pixels of the picture, half-open.
            picture: the picture that each tile lies in, where they lie in several.
        """
        scores: Tensor = self.classify(self.relation(self.embed(tiles), boxes, picture))
        return rearrange(scores, "... (two marks) -> ... two marks", two=2)


def tile_pixels(
    page: npt.NDArray[np.uint8], boxes: npt.NDArray[Any]
) -> Float[Tensor, "tiles 3 SIDE SIDE"]:
    """Return the pixels of some boxes of a picture as the network takes them.

    Args:
        page: (H, W, 3) RGB.
        boxes: (tiles, 4) top, left, bottom, right in whole pixels, half-open.

    >>> tile_pixels(np.full((9, 9, 3), 255, np.uint8), np.array([[0, 0, 5, 7]])).unique()
    tensor([1.])
    """
    small = [
        resized(np.ascontiguousarray(page[top:bottom, left:right]), (SIDE, SIDE))
        for top, left, bottom, right in np.asarray(boxes).astype(int).tolist()
    ]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float().sub_(127.5).div_(127.5)
