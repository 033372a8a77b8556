"""Changes of a region of a clip: what it shows is taken out and filled in.

A grey patch is something that no network saw in training, so what an answer does then may be about
the patch (Hooker et al. 2019, "ROAR", arXiv 1806.10758). Fills keep the picture a picture:

    inpaint     from the region's rim, Bertalmio et al. 2001, doi 10.1109/CVPR.2001.990497 (OpenCV)
    neighbours  from the nearest frame that shows the place, else in-painted
    blur        the frame itself without its details
    mean        the mean colour of what is left of the frame

Frame of reference: pixels and frames of the clip, from 0; masks are (T, H, W) or (H, W).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast, get_args

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.affinity.grid import TokenGrid
from nlviz.clips.clip import Clip, Frames
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError, OutsideClip
from nlviz.interventions.change import ClipChange
from nlviz.interventions.time import check_pixels, with_frames
from nlviz.picture import resized, scaled
from nlviz.sentences import counted, fixed, listed

Fill = Literal["inpaint", "neighbours", "blur", "mean"]
FILLS: tuple[Fill, ...] = get_args(Fill)
FILL_SAID: dict[Fill, str] = {
    "inpaint": "in-painted from its rim",
    "neighbours": "filled from the frames beside it",
    "blur": "blurred",
    "mean": "painted in the frame's mean colour",
}
SIDE = 180  # shorter side in pixels at which larger frames are in-painted
RADIUS = 3  # pixels around each that in-painting looks at
BLUR = 12  # of the shorter side, one standard deviation of the blur is this part

Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class MaskRegion(ClipChange):
    """Take a region out of a clip and fill it in.

    Attributes:
        region: (T, H, W) or (H, W) truths, or (top, left, bottom, right) in pixels, half-open.
        frames: in which frames; None for all.
        fill: how it is filled, one of ``FILLS``.

    >>> import numpy as np
    >>> clip = Clip.from_frames(np.full((2, 30, 40, 3), 90, np.uint8))
    >>> change = MaskRegion((5, 8, 15, 20), frames=(1,), fill="mean")
    >>> change.said
    "a region of frame 1 is painted in the frame's mean colour"
    >>> bool((change.apply(clip).frames == 90).all())
    True
    """

    region: Mask | Box
    frames: tuple[int, ...] | None = None
    fill: Fill = "inpaint"

    @classmethod
    def of_cells(
        cls, grid: TokenGrid, cells: Iterable[int], shape: Shape, *, fill: Fill = "inpaint"
    ) -> MaskRegion:
        """Return the change that takes cells of a grid out, ones that were painted for instance.

        Args:
            grid: the cells' grid.
            cells: their flat indices.
            shape: frames, height and width of the clip.
            fill: how they are filled.

        >>> grid = TokenGrid((2, 3, 5), (1, 8, 8), (0, 3.5, 3.5))
        >>> MaskRegion.of_cells(grid, [16], (2, 24, 40)).said
        'a region of frame 1 is in-painted from its rim'
        """
        chosen = np.zeros(grid.shape, bool)
        for cell in cells:
            chosen[grid.unravel(cell)] = True
        return cls(pixels_of_cells(grid, chosen, shape), fill=fill)

    @property
    def said(self) -> str:
        """What is changed, as a clause."""
        frames = self.frames
        if isinstance(self.region, np.ndarray) and self.region.ndim == 3:
            own = np.flatnonzero(self.region.any((1, 2)))
            shown = [int(n) for n in own if frames is None or n in frames]
            frames = None if len(shown) == len(self.region) else tuple(shown)
        if frames is None:
            where = "every frame"
        elif len(frames) > 4:
            where = counted(len(frames), "frame")
        elif len(frames) == 1:
            where = f"frame {frames[0]}"
        else:
            where = f"frames {listed([str(n) for n in frames], 'and')}"
        return f"a region of {where} is {FILL_SAID.get(self.fill, self.fill)}"

    def mask(self, shape: Shape) -> Mask:
        """Return which pixels are taken out of a clip of this shape, (T, H, W).

        Raises:
            NlvizError: when the region is empty or lies outside of the clip.
        """
        t, h, w = shape
        if isinstance(self.region, np.ndarray):
            region = self.region
            if region.shape not in ((h, w), shape) or region.dtype != np.bool_:
                raise NlvizError(
                    f"a region must be truths of shape {(h, w)} or {shape}, got {region.dtype} "
                    f"{region.shape}"
                )
        else:
            top, left, bottom, right = self.region
            if not (0 <= top < bottom <= h and 0 <= left < right <= w):
                raise OutsideClip(
                    f"a region must have 0 <= top < bottom <= {h} and 0 <= left < right <= {w}, "
                    f"got {', '.join(f'{n:g}' for n in self.region)}"
                )
            y, x = np.arange(h) + 0.5, np.arange(w) + 0.5
            region = np.logical_and.outer((y > top) & (y < bottom), (x > left) & (x < right))
        found = np.zeros(shape, bool)
        chosen = range(t) if self.frames is None else self.frames
        for frame in chosen:
            if not 0 <= frame < t:
                raise NlvizError(f"a frame must be between 0 and {t - 1}, got {frame}")
            found[frame] = region if region.ndim == 2 else region[frame]
        if not found.any():
            raise NlvizError(
                "a region must cover the middle of at least one pixel; take a larger one"
            )
        return found

    def apply(self, clip: Clip) -> Clip:
        """Return the clip with the region filled in."""
        check_pixels(clip)
        mask = self.mask(clip.shape)
        said = f"{self.said} ({fixed(100 * float(mask.mean()), 1)} % of its pixels)"
        return with_frames(clip, filled(clip.frames, mask, self.fill), said)


def pixels_of_cells(grid: TokenGrid, cells: Mask, shape: Shape) -> Mask:
    """Return the pixels that belong to cells of a grid, (T, H, W): each to its nearest cell.

    Args:
        grid: where the cells lie.
        cells: (t, h, w) which of them.
        shape: frames, height and width of the clip.

    Raises:
        NlvizError: when the tokens are no cells of a picture.

    >>> grid = TokenGrid((2, 1, 2), (2, 4, 4), (0.5, 1.5, 1.5))
    >>> cells = np.array([[[True, False]], [[False, False]]])
    >>> pixels_of_cells(grid, cells, (4, 4, 8)).sum((1, 2))
    array([16, 16,  0,  0])
    """
    if grid.kind != "grid":
        raise NlvizError(
            "a region is made of cells of a picture, and these tokens are words, boxes or nodes; "
            "give it as a mask or a box of pixels"
        )
    at = (
        axis.nearest(np.arange(n), count)
        for axis, n, count in zip(grid.axes, shape, grid.shape, strict=True)
    )
    return cells[np.ix_(*at)]


def filled(frames: Frames, mask: Mask, fill: Fill = "inpaint") -> Frames:
    """Return frames with some pixels taken out and filled in; all others stay as they are.

    Where nothing of a frame is left, in-painting takes the frames beside it, and where nothing of
    the clip is left, its mean colour.

    Args:
        frames: (T, H, W, 3) RGB uint8.
        mask: (T, H, W) what is taken out.
        fill: one of ``FILLS``.

    Raises:
        NlvizError: for another fill.

    >>> frames = np.full((2, 20, 30, 3), 90, np.uint8)
    >>> frames[0, 4:9, 5:9] = 250
    >>> mask = frames[..., 0] == 250
    >>> [int(filled(frames, mask, fill).max()) for fill in ("inpaint", "neighbours", "mean")]
    [90, 90, 90]
    """
    if fill not in FILLS:
        raise NlvizError(f"a fill is one of {', '.join(FILLS)}, got {fill!r}")
    out = frames.copy()
    if fill == "neighbours":
        out, mask = _from_neighbours(out, mask)
        fill = "inpaint"
    gone = mask.all((1, 2))
    if bool(gone.any()) and fill in ("inpaint", "mean"):
        left = frames[~mask]
        middle = (left if len(left) else frames.reshape(-1, 3)).mean(0)
        for n in np.flatnonzero(gone):
            near = np.flatnonzero(~gone)
            # A whole frame has no rim: the nearest one that has something left is filled for it.
            source = int(near[np.argmin(np.abs(near - n))]) if len(near) else -1
            out[n] = middle.round() if source < 0 else _fill(frames[source], mask[source], fill)
    for n in np.flatnonzero(mask.any((1, 2)) & ~(gone & (fill in ("inpaint", "mean")))):
        out[n] = _fill(out[n], mask[n], fill)
    return out


def _fill(frame: Frames, mask: npt.NDArray[np.bool_], fill: Fill) -> Frames:
    if not mask.any():
        return frame
    if fill == "mean":
        made: Frames = np.broadcast_to(frame[~mask].mean(0).round(), frame.shape).astype(np.uint8)
    elif fill == "blur":
        # At a smaller size, whose details the blur takes away anyhow.
        small = resized(frame, scaled(mask.shape, min(SIDE / min(mask.shape), 1.0), least=1))
        soft = cv2.GaussianBlur(small, (0, 0), min(small.shape[:2]) / BLUR)
        made = cast(Frames, cv2.resize(soft, mask.shape[::-1]))
    else:
        made = _inpainted(frame, mask)
    return np.where(mask[..., None], made, frame)


def _inpainted(frame: Frames, mask: npt.NDArray[np.bool_]) -> Frames:
    """Fill from the rim; large frames at a smaller size, as what is filled has no details."""
    size = scaled(mask.shape, min(SIDE / min(mask.shape), 1.0), least=1)
    if size == mask.shape:
        return cast(Frames, cv2.inpaint(frame, mask.astype(np.uint8), RADIUS, cv2.INPAINT_NS))
    # Pixels that mix what is kept with what is taken out count as taken out, so nothing leaks.
    wide = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) > 0
    if wide.all():  # narrow gaps between regions: only the full size has a rim
        return cast(Frames, cv2.inpaint(frame, mask.astype(np.uint8), RADIUS, cv2.INPAINT_NS))
    small = cv2.inpaint(resized(frame, size), wide.astype(np.uint8), RADIUS, cv2.INPAINT_NS)
    return cast(
        Frames,
        cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR),
    )


def _from_neighbours(frames: Frames, mask: Mask) -> tuple[Frames, Mask]:
    """Take each pixel from the nearest frame that shows it; return what none shows, too."""
    out, left = frames.copy(), mask.copy()
    for away in range(1, len(frames)):
        for step in (-away, away):  # of two as near, the earlier
            for n in range(len(frames)):
                if not 0 <= n + step < len(frames):
                    continue
                shown = left[n] & ~mask[n + step]
                out[n][shown] = frames[n + step][shown]
                left[n] &= ~shown
    return out, left
