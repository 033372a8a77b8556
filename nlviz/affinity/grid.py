"""Where tokens lie in the clip: from cells of a feature map to pixels and seconds, and back.

Frame of reference: 0-based indices of pixels and sampled frames; the centre of pixel (y, x) is at
(y, x). A convolution of kernel k, stride s and leading padding p turns an axis whose cell m lies at
``origin + stride * m`` into one with ``stride' = stride * s`` and
``origin' = origin + stride * ((k - 1) / 2 - p)``.
Source: receptive field arithmetic, Araujo, Norris and Sim 2019, doi 10.23915/distill.00021.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nlviz.clips.point import Point, Shape, Triple
from nlviz.errors import OutsideClip

Centres = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """Where the cells of one axis lie: cell m is at ``origin + stride * m``.

    >>> Axis().through(kernel=7, stride=2, pad=3).through(kernel=3, stride=2, pad=1)
    Axis(stride=4.0, origin=0.0)
    """

    stride: float = 1.0
    origin: float = 0.0

    def through(self, *, kernel: int, stride: int, pad: int, dilation: int = 1) -> Axis:
        """Return the axis behind a convolution or pooling with this leading padding."""
        centre = dilation * (kernel - 1) / 2 - pad
        return Axis(self.stride * stride, self.origin + self.stride * centre)

    def placed(self, *, scale: float, offset: float) -> Axis:
        """Return the axis in a frame of reference where index i becomes ``scale * i + offset``."""
        return Axis(self.stride * scale, self.origin * scale + offset)

    def centres(self, count: int) -> npt.NDArray[np.float64]:
        """Return the places of the first ``count`` cells, (count,)."""
        return self.origin + self.stride * np.arange(count, dtype=np.float64)

    def nearest(self, places: npt.ArrayLike, count: int) -> npt.NDArray[np.int64]:
        """Return the index of the cell nearest to each place, among the first ``count`` cells.

        Ties go to the lower index; a place beyond the outermost centres belongs to the outermost
        cell. This is the one rule for all places, of queries, of keys and of pixels.

        >>> Axis(8.0, 3.5).nearest([-20, 7.5, 8, 99], 4)
        array([0, 0, 1, 3])
        """
        cells = (np.asarray(places, np.float64) - self.origin) / self.stride
        # Ceil of -0.5 sends ties to the lower index, where rounding would send half of them up.
        return np.ceil(cells - 0.5).clip(0, count - 1).astype(np.int64)


@dataclass(frozen=True)
class Line:
    """The words of tokens, in their order.

    Attributes:
        words: what each token is called.
        spans: the characters [start, end) of the text that each stands for; empty where the text
            is not known.
        special: numbers of those that are no part of what was written, ``<s>`` for instance.
    """

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...] = ()
    special: frozenset[int] = frozenset()

    @property
    def size(self) -> int:
        """Number of words."""
        return len(self.words)

    def to_json(self) -> dict[str, Any]:
        """Return the words as JSON can hold them."""
        special = sorted(self.special)
        return {"words": self.words, "spans": self.spans, "special": special}


@dataclass(frozen=True)
class TokenGrid:
    """Where a set of tokens lies in the clip.

    Words, boxes and nodes are kinds of it (``TokenLine``, ``TokenBoxes``, ``TokenNodes``) that
    answer the same questions: ``shape``, ``size``, ``centre``, ``nearest`` and ``box``.

    Token (a, b, c) is centred at ``origin + index * stride``, in sampled frames and clip pixels;
    its cell reaches half a stride to each side. Flat indices run over t, then y, then x, and do not
    count the prefix tokens.

    Attributes:
        shape: number of tokens (t, h, w).
        stride: distance between tokens (frames, pixels, pixels).
        origin: centre of token (0, 0, 0) (frame, y, x).
        prefix: number of leading tokens without a place (class token, registers).
        off: frames and pixels (frame, y, x) by which a token may lie beside its place here, where
            that was measured; 0 where it is exact.
        line: the words that the tokens without a place are, where they are words: of a network
            that takes a text beside the picture; ``line.size`` is ``prefix``.
    """

    kind: ClassVar[str] = "grid"
    shape: Shape
    stride: Triple = (1.0, 1.0, 1.0)
    origin: Triple = (0.0, 0.0, 0.0)
    prefix: int = 0
    off: Triple = (0.0, 0.0, 0.0)
    line: Line | None = None

    @classmethod
    def of_axes(
        cls,
        shape: Shape,
        t: Axis,
        y: Axis,
        x: Axis,
        *,
        prefix: int = 0,
        off: Triple = (0.0, 0.0, 0.0),
    ) -> TokenGrid:
        """Build a grid from one axis per dimension.

        >>> TokenGrid.of_axes((2, 3, 5), Axis(), Axis(8.0, 3.5), Axis(8.0, 3.5)).size
        30
        """
        stride, origin = (t.stride, y.stride, x.stride), (t.origin, y.origin, x.origin)
        return cls((shape[0], shape[1], shape[2]), stride, origin, prefix, off)

    @property
    def axes(self) -> tuple[Axis, Axis, Axis]:
        """The axes t, y and x."""
        t, y, x = (Axis(s, o) for s, o in zip(self.stride, self.origin, strict=True))
        return t, y, x

    @property
    def size(self) -> int:
        """Number of tokens that have a place."""
        return math.prod(self.shape)

    def centre(self, index: int) -> Point:
        """Return (frame, y, x) of the centre of the token with this flat index.

        Raises:
            OutsideClip: when the index is not one of the grid's.

        >>> TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5)).centre(16)
        Point(frame=1.0, y=3.5, x=11.5)
        """
        a, b, c = self.unravel(index)
        (st, sy, sx), (ot, oy, ox) = self.stride, self.origin
        return Point(float(ot + st * a), float(oy + sy * b), float(ox + sx * c))

    def centres(self) -> tuple[Centres, Centres, Centres]:
        """Return frame, y and x of all tokens, each of a shape that is broadcast to (t, h, w).

        >>> frame, y, x = TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5)).centres()
        >>> frame.shape, y.shape, x.shape, float(x[0, 0, 1])
        ((2, 1, 1), (1, 3, 1), (1, 1, 5), 11.5)
        """
        t, y, x = (a.centres(n) for a, n in zip(self.axes, self.shape, strict=True))
        return t[:, None, None], y[None, :, None], x[None, None]

    def unravel(self, index: int) -> Shape:
        """Return (a, b, c) of a flat index.

        Raises:
            OutsideClip: when the index is not one of the grid's.
        """
        if not 0 <= index < self.size:
            raise OutsideClip(
                f"a token index must be between 0 and {self.size - 1} on this grid, got {index}"
            )
        _, h, w = self.shape
        return (index // (h * w), index // w % h, index % w)

    def nearest(self, *, frame: float, y: float, x: float) -> int:
        """Return the flat index of the token whose centre is nearest to a place in the clip.

        Ties go to the lower index; a place beyond the outermost centres belongs to the outermost
        token.

        Raises:
            OutsideClip: when the place is not finite.

        >>> TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5)).nearest(frame=1, y=0, x=12)
        16
        """
        places = (frame, y, x)
        if not all(math.isfinite(p) for p in places):
            raise OutsideClip(f"frame, y and x must be finite numbers, got {frame}, {y}, {x}")
        a, b, c = (
            int(axis.nearest(place, count))
            for axis, place, count in zip(self.axes, places, self.shape, strict=True)
        )
        _, h, w = self.shape
        return (a * h + b) * w + c

    def place_in(self, index: int) -> Point:
        """Return a place in the clip that belongs to this token: its centre, where that does.

        Raises:
            OutsideClip: when the index is not one of the grid's.
        """
        return self.centre(index)

    def box(self, index: int) -> tuple[float, float, float, float]:
        """Return (top, left, bottom, right) of a token's cell, in pixels, half-open.

        The box may reach beyond the picture where the network padded its input.
        """
        _, y, x = self.centre(index)
        _, sy, sx = self.stride
        # +0.5: pixel 0 covers [-0.5, 0.5), pictures are drawn from corner 0.
        return (y - sy / 2 + 0.5, x - sx / 2 + 0.5, y + sy / 2 + 0.5, x + sx / 2 + 0.5)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each token that has a place, where they have names: words, objects, nodes."""
        return ()

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold of it, for the browser: kind, shape and places."""
        line = {} if self.line is None else {"line": self.line.to_json()}
        return {
            "kind": self.kind,
            "shape": self.shape,
            "stride": self.stride,
            "origin": self.origin,
            **line,
        }

    def pooled(self, kernel: Shape) -> TokenGrid:
        """Return the grid behind a max-pool of this kernel and stride, without padding.

        An odd axis loses its last token, as the pool does; the grid is not stretched over it.

        >>> pooled = TokenGrid((4, 7, 9), (1, 8, 8), (0, 0, 0)).pooled((1, 2, 2))
        >>> pooled.shape, pooled.stride, pooled.origin
        ((4, 3, 4), (1, 16, 16), (0.0, 4.0, 4.0))
        """
        (t, h, w), (kt, ky, kx) = self.shape, kernel
        (st, sy, sx), (ot, oy, ox) = self.stride, self.origin
        return replace(
            self,
            shape=(t // kt, h // ky, w // kx),
            stride=(st * kt, sy * ky, sx * kx),
            origin=(ot + st * (kt - 1) / 2, oy + sy * (ky - 1) / 2, ox + sx * (kx - 1) / 2),
        )
