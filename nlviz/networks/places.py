"""Where elements lie in a network's input, and the lines of cells among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlviz.affinity.grid import Axis
from nlviz.clips.point import Shape, Triple

Array = npt.NDArray[np.float64]

SPREAD = 1.5  # of a stride: a cell that is a mean over more than this is none of one place


class NoLattice(Exception):
    """Elements that lie on no lines of cells."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where elements lie in a network's input.

    Attributes:
        t, y, x: frames, rows and columns of the input; NaN for what has no place.
        spread: pixels over which an element is a mean, beyond what its kernels see.
    """

    t: Array
    y: Array
    x: Array
    spread: Array

    @property
    def placed(self) -> npt.NDArray[np.bool_]:
        """Which elements have a place; class tokens and prompts have none."""
        return ~np.isnan(self.y)


def joined(parts: Sequence[Places]) -> Places:
    """Return places one after another along their first axis."""
    t, y, x, spread = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("t", "y", "x", "spread")
    )
    return Places(t, y, x, spread)


@dataclass(frozen=True)
class Cells:
    """Where the cells of a feature map lie in a network's input.

    Attributes:
        shape: cells (t, h, w).
        t, y, x: in frames and pixels of the input.
        off: frames and pixels by which a cell may lie beside its place here.
    """

    shape: Shape
    t: Axis
    y: Axis
    x: Axis
    off: Triple = (0.0, 0.0, 0.0)


def lattice(places: Places, size: tuple[int, int, int]) -> Cells:
    """Return the straight lines on which cells (t, h, w) lie, and how far they leave them.

    Args:
        places: of the cells.
        size: frames, rows and columns of the input.

    Raises:
        NoLattice: when a cell has no place, is a mean over many, or cells lie on no lines.
    """
    if not places.placed.all():
        raise NoLattice("cells without a place")
    axes, off = [], []
    for dim, (name, full) in enumerate(zip("tyx", size, strict=True)):
        values: Array = getattr(places, name)
        axis = _line(values, dim, full)
        line = axis.centres(values.shape[dim]).reshape([-1 if d == dim else 1 for d in range(3)])
        most = float(np.abs(values - line).max())
        whole = np.arange(full).reshape([-1 if d == dim else 1 for d in range(3)])
        if name == "t" and len(whole) == full == values.shape[0] and full > 1:
            # A cell of each frame that also sees its neighbours, at the ends fewer: its own frame.
            if float(np.abs(values - whole).max()) < 0.75:
                axis, most = Axis(), 0.0
        axes.append(axis)
        off.append(most if most > 1e-6 * full else 0.0)
    t, y, x = axes
    limit = max(abs(y.stride), abs(x.stride))
    if not (y.stride > 0 and x.stride > 0) or float(places.spread.max()) > SPREAD * limit:
        raise NoLattice("cells that are a mean over many places")
    a, b, c = places.y.shape
    return Cells((a, b, c), t, y, x, (off[0], off[1], off[2]))


def _line(values: Array, dim: int, full: int) -> Axis:
    count = values.shape[dim]
    profile = np.moveaxis(values, dim, 0).reshape(count, -1)
    if count == 1:
        return Axis(float(full), round(float(np.median(profile)), 9))
    # The median step is that of most cells, also where a few were rolled to the other end.
    steps = np.diff(np.median(profile, 1))
    stride = float(np.median(steps))
    if np.abs(steps - stride).max() < 1e-6 * full:
        stride = float(steps.mean())
    origin = float(np.median(profile - stride * np.arange(count)[:, None]))
    return Axis(round(stride, 9), round(origin, 9))
