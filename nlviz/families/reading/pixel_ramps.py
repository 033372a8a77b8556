"""Pictures of positions in the pixels that a processor makes of a clip, whatever their axes.

A processor resizes, crops, pads, cuts into tiles or patches, and lays all side by side. What it
does to numbers is linear, so a clip whose pixels say where they lie comes out as pixels that still
say it: each entry of what the network takes is a place of the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from nlviz.clips.point import Shape
from nlviz.networks.followed import NotFollowed, Placed

Lay = Callable[[Tensor], Tensor]

NAMES = ("mass", "t", "y", "x", "yy", "xx")
LINEAR = 1e-3  # of the largest number, by which halves may leave half of what the whole gives
NOTHING = 1e-12  # frames or pixels: no place is 0, because pictures of zeros count as padding


class PixelRamps(Mapping[str, Tensor]):
    """Ones, frames, rows, columns and their squares as a network is given them; made when asked.

    Args:
        lay: makes the network's pixels of (T, 3, H, W) numbers in [0, 1].
        shape: frames, height and width of the clip.

    >>> patches = lambda x: x.unfold(3, 2, 2).flatten(0, 3)
    >>> PixelRamps(patches, (1, 1, 6))["x"].as_subclass(Tensor)[:3].round(decimals=3)
    tensor([[0., 1.],
            [2., 3.],
            [4., 5.]], dtype=torch.float64)
    """

    def __init__(self, lay: Lay, shape: Shape) -> None:
        self._lay, self._shape = lay, shape
        self._nothing: Tensor | None = None
        self._there: Tensor | None = None

    def __getitem__(self, name: str) -> Tensor:
        if name not in NAMES:
            raise KeyError(name)
        if self._nothing is None:
            self._nothing = self._laid(torch.zeros(self._shape))
            self._check()
            self._there = self._laid(self._ramp("mass")[0]) != self._nothing
        assert self._there is not None
        values, length = self._ramp(name)
        found = (self._laid(values) - self._nothing) * length
        if name != "mass":
            found = torch.where((found == 0) & self._there, NOTHING, found)
        return found.as_subclass(Placed)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def _ramp(self, name: str) -> tuple[Tensor, float]:
        if name == "mass":
            return torch.ones(self._shape), 1.0
        dim = "tyx".index(name[0])
        length = float(max(self._shape[dim] - 1, 1)) ** len(name)
        line = torch.arange(self._shape[dim], dtype=torch.float64) ** len(name) / length
        along = [1, 1, 1]
        along[dim] = len(line)
        return line.reshape(along).expand(self._shape), length

    def _laid(self, values: Tensor) -> Tensor:
        frames = values.float()[:, None].repeat(1, 3, 1, 1)
        return self._lay(frames).double()

    def _check(self) -> None:
        """Refuse a processor that rounds numbers, or does not leave them what they are."""
        t, y, x = (self._ramp(name)[0] for name in "tyx")
        ramp = (t + y + x) / 3
        nothing = self._nothing
        assert nothing is not None
        whole, half = (self._laid(ramp * share) - nothing for share in (1.0, 0.5))
        off = float((whole / 2 - half).abs().max())
        if not off <= LINEAR * float(whole.abs().max()):
            raise NotFollowed("its processor rounds the numbers of pixels")
