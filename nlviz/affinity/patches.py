"""Non-local means as an affinity, and its relatives: rows come from the pixels of a picture.

    d_ij = mean over the patch and the channels of (x_{i+k} - x_{j+k})^2
    f_ij = exp(-max(d_ij - 2 sigma^2, 0) / h^2) exp(-|i - j|^2 / (2 spatial^2))

Sources: Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005, and
https://www.ipol.im/pub/art/2011/bcm_nlm/; with patches of one pixel and the second factor it is the
bilateral filter (Tomasi and Manduchi, ICCV 1998).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.base import Affinity, Indices
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import ALL_KEYS, Support, Window
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError

NL_MEANS = Pairwise("nl_means")


@dataclass(frozen=True, eq=False, repr=False)
class PatchAffinity(Affinity):
    """Rows derived from the pixels of a picture: non-local means and the bilateral filter.

    Borders are mirrored without repeating the edge pixel, for patches and for windows. Where a
    window reaches beyond the border, what the mirrored keys weigh is given to the pixels that they
    mirror, so that a row times the pixels is what a filter of the mirrored picture returns.

    Attributes:
        name: what to call it.
        picture: (T, H, W, C) values in their own units; may be smaller than the clip.
        patch: odd side of the patch in pixels of the picture.
        h: decay in units of the picture; infinity weighs all patches alike.
        step, offset: token (a, b, c) sits at picture pixel (a, offset + b step, offset + c step).
        queries, keys: the same tokens in the clip's frames and pixels; both grids are one.
        support: all keys, or a window of keys (with a step of 1).
        sigma: standard deviation of noise whose share 2 sigma^2 is taken off d_ij.
        patch_sigma: pixels of a Gaussian that weighs the patch; None weighs it evenly.
        spatial: pixels of a Gaussian of the distance in the picture; None leaves it out.
    """

    name: str
    picture: Float[Tensor, "t h w c"]
    patch: int
    h: float
    step: int
    offset: int
    queries: TokenGrid
    keys: TokenGrid
    pairwise: Pairwise = NL_MEANS
    support: Support = ALL_KEYS
    clip_shape: Shape | None = None
    sigma: float = 0.0
    patch_sigma: float | None = None
    spatial: float | None = None

    @cached_property
    def shares(self) -> Float[Tensor, "patch patch"]:
        """The share of each pixel of a patch in d_ij; they sum to 1."""
        away = torch.arange(self.patch, dtype=torch.double) - self.patch // 2
        one = torch.ones_like(away)
        if self.patch_sigma is not None:
            one = torch.exp(-(away**2) / (2 * self.patch_sigma**2))
        both = one[:, None] * one
        return both / both.sum()

    def distances(self, indices: Indices) -> Float[Tensor, "n keys"]:
        """Return d_ij in squared units of the picture from these queries to all keys.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        index = self._checked(indices)
        pad, channels = self.patch // 2, self.picture.shape[-1]
        padded = _mirrored(self.picture, pad)
        places = self._pixels(index)
        own = torch.stack(
            [padded[a, :, y : y + self.patch, x : x + self.patch] for a, y, x in places.tolist()]
        )
        from_first = padded[:, :, self.offset :, self.offset :]
        _, h, w = self.keys.shape
        # |p - q|^2 = |p|^2 + |q|^2 - 2 p.q: a convolution instead of all patches in memory.
        kernels = own * self.shares
        cross = F.conv2d(from_first, kernels, stride=self.step)[:, :, :h, :w]
        box = self.shares.expand(1, channels, -1, -1)
        squares = F.conv2d(from_first.square(), box, stride=self.step)[:, :, :h, :w]
        total = squares - 2 * cross + (own * kernels).sum((1, 2, 3))[:, None, None]
        return total.transpose(0, 1).flatten(1).clamp_(min=0).div_(channels).float()

    def logits(self, indices: Indices) -> Float[Tensor, "1 n keys"]:
        """Return log f_ij from these queries; -inf where a query may not reach.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        index = self._checked(indices)
        if self.support.window is not None:
            return torch.stack([self._folded(int(i)) for i in index]).log().float()[None]
        logits = self._log_f(self.distances(index).double())
        if self.spatial is not None:
            logits -= self._apart(index) / (2 * self.spatial**2)
        return logits.float()[None]

    def rows(self, indices: Indices) -> Float[Tensor, "1 n keys"]:
        """Return the rows of these queries: O(keys x patch^2) each.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        if self.support.window is None:
            return self.pairwise.normalise(self.logits(indices))
        f = torch.stack([self._folded(int(i)) for i in self._checked(indices)])
        return (f / f.sum(1, keepdim=True)).float()[None]

    def column(self, key: int) -> Float[Tensor, "1 queries"]:
        """Return the weight that every query gives to the key with this flat index."""
        reaching = self.support.reaching(self.queries, self.keys, key)
        if reaching is None:
            return super().column(key)
        found = torch.zeros(1, self.queries.size)
        for some in torch.split(reaching.nonzero()[:, 0], 16):
            found[:, some] = self.rows(some)[..., key]
        return found

    def window_f(self, index: int) -> tuple[Float[Tensor, "t rows columns"], int]:
        """Return f_ij over a query's window, mirrored keys included, and its first frame.

        Raises:
            OutsideClip: when the index is not on the grid.
        """
        self._check(index, self.queries, "query")
        window = self.support.window
        if window is None:
            raise NlvizError("this affinity has no window: each query reaches all keys")
        a, y, x = self.queries.unravel(index)
        ahead = len(self.picture) if window.frames is None else window.frames
        first, behind = max(a - ahead, 0), min(a + ahead + 1, len(self.picture))
        rows, columns = window.size
        side = self.patch - 1
        seen = self._wide[first:behind, :, y : y + rows + side, x : x + columns + side].double()
        patches = seen.unfold(2, self.patch, 1).unfold(3, self.patch, 1)
        own = patches[a - first, :, window.rows, window.columns]
        apart = (patches - own[:, None, None]).square_().mul_(self.shares)
        log_f = self._log_f(apart.sum((1, 4, 5)) / self.picture.shape[-1])
        if self.spatial is not None:
            down = torch.arange(rows, dtype=torch.double) - window.rows
            along = torch.arange(columns, dtype=torch.double) - window.columns
            log_f -= (down[:, None] ** 2 + along**2) / (2 * self.spatial**2)
        return log_f.exp(), first

    def _folded(self, index: int) -> Float[Tensor, " keys"]:
        """Return f over all keys, that of mirrored keys given to those that they mirror."""
        f, first = self.window_f(index)
        _, y, x = self.queries.unravel(index)
        rows, columns = (
            line[at : at + size]
            for line, at, size in zip(self._mirrors, (y, x), f.shape[1:], strict=True)
        )
        _, h, w = self.keys.shape
        frames = torch.arange(first, first + len(f))
        at = (frames[:, None, None] * h + rows[:, None]) * w + columns
        folded = torch.zeros(self.keys.size, dtype=torch.double)
        return folded.index_add_(0, at.flatten(), f.flatten())

    @cached_property
    def _wide(self) -> Float[Tensor, "t c wide_h wide_w"]:
        """The picture with a mirrored border for patches and windows."""
        window = self.support.window or Window(0, 0)
        pad = self.patch // 2
        return _mirrored(self.picture, window.rows + pad, window.columns + pad, self.picture.dtype)

    @cached_property
    def _mirrors(self) -> tuple[Tensor, Tensor]:
        """The row and the column that each one of the picture with its border mirrors."""
        window = self.support.window or Window(0, 0)
        (_, h, w, _) = self.picture.shape
        rows, columns = (
            torch.from_numpy(_reflected(n, far))
            for n, far in ((h, window.rows), (w, window.columns))
        )
        return rows, columns

    def _log_f(self, distances: Tensor) -> Tensor:
        return distances.sub(2 * self.sigma**2).clamp_(min=0).div_(-(self.h**2))

    def _apart(self, index: Tensor) -> Float[Tensor, "n keys"]:
        """Return squared distances (n, keys) in pixels of the picture, alike in every frame."""
        all_keys = self._pixels(torch.arange(self.keys.size))[:, 1:].double()
        return torch.cdist(self._pixels(index)[:, 1:].double(), all_keys).square_()

    def _pixels(self, index: Tensor) -> Tensor:
        """Return (frame, y, x) of tokens in pixels of the picture."""
        _, h, w = self.keys.shape
        at = torch.stack([index // (h * w), index // w % h, index % w], 1)
        return at * torch.tensor([1, self.step, self.step]) + torch.tensor(
            [0, self.offset, self.offset]
        )

    def _checked(self, indices: Indices) -> Tensor:
        index = torch.as_tensor(indices, dtype=torch.long)
        for end in index.aminmax() if index.numel() else ():
            self._check(int(end), self.queries, "query")
        return index


def _reflected(size: int, margin: int) -> npt.NDArray[np.int64]:
    """Return which of ``size`` places each one is, with a mirrored margin at both ends."""
    return np.pad(np.arange(size), margin, mode="reflect")


def _mirrored(
    picture: Float[Tensor, "t h w c"],
    rows: int,
    columns: int | None = None,
    dtype: torch.dtype = torch.double,
) -> Float[Tensor, "t c wide_h wide_w"]:
    """Return a picture with a mirrored border, in double precision by default."""
    _, h, w, _ = picture.shape
    down = torch.from_numpy(_reflected(h, rows))
    along = torch.from_numpy(_reflected(w, rows if columns is None else columns))
    return picture[:, down][:, :, along].permute(0, 3, 1, 2).to(dtype)


def patch_affinity(
    picture: npt.NDArray[Any],
    *,
    clip_shape: tuple[int, int, int],
    h: float,
    patch: int = 7,
    step: int = 4,
    name: str = "nl_means",
    sigma: float = 0.0,
    patch_sigma: float | None = None,
    spatial: float | None = None,
    window: int | None = None,
    frames: int | None = None,
) -> PatchAffinity:
    """Return the affinity of the patches of a picture, which may be a smaller copy of a clip.

    Args:
        picture: (T, H, W, C) integers or floats; h, sigma are in its units.
        clip_shape: frames, height and width of the clip that it is a copy of.
        h: decay; infinity weighs all patches alike.
        patch: odd side of the patch in pixels of the picture.
        step: distance of tokens in pixels of the picture.
        name: what to call it.
        sigma: standard deviation of the noise, whose bias 2 sigma^2 is taken off distances.
        patch_sigma: pixels of a Gaussian over the patch, or None.
        spatial: pixels of a Gaussian of the distance in the picture, or None; with it the pairwise
            function is called ``bilateral``.
        window: odd side of the window around a query in pixels of the picture, or None for all.
        frames: odd number of frames of the window, cut off at the ends; None for all.

    Raises:
        NlvizError: when a number makes no sense for the picture.

    >>> picture = np.zeros((2, 24, 32, 3), np.uint8)
    >>> a = patch_affinity(picture, clip_shape=(2, 48, 64), h=10.0)
    >>> a, a.keys.centre(0)
    (Affinity(nl_means, nl_means, 96 queries (2x6x8) x 96 keys), Point(frame=0.0, y=4.5, x=4.5))
    """
    t, height, width, _ = picture.shape
    centre = step // 2
    for what, size in (("patch", patch), ("window", window), ("frames", frames)):
        if size is not None and (size < 1 or size % 2 == 0):
            raise NlvizError(f"{what} must be odd, so that it has a middle, got {size}")
    if not h > 0:
        raise NlvizError(f"h must be above 0 grey levels, got {h:g}")
    if not 0 <= sigma < math.inf:
        raise NlvizError(f"sigma must be 0 or more grey levels, got {sigma:g}")
    for what, pixels in (("patch_sigma", patch_sigma), ("spatial", spatial)):
        if pixels is not None and not pixels > 0:
            raise NlvizError(f"{what} must be above 0 pixels, got {pixels:g}")
    if step < 1 or (step > 1 and window is not None):
        allowed = "at least 1 pixel" if window is None else "1 pixel with a window"
        raise NlvizError(f"step must be {allowed}, got {step}")
    if frames is not None and window is None:
        raise NlvizError(f"frames={frames} limits a window in time; give window, too")
    if step > 1 and min(height, width) <= max(centre, patch // 2):
        raise NlvizError(
            f"half of patch and step must be smaller than the picture of {width}x{height} px, got "
            f"patch {patch} and step {step}"
        )
    scale = (clip_shape[1] / height, clip_shape[2] / width)
    grid = TokenGrid(
        (t, -(-(height - centre) // step), -(-(width - centre) // step)),
        (1.0, step * scale[0], step * scale[1]),
        (0.0, (centre + 0.5) * scale[0] - 0.5, (centre + 0.5) * scale[1] - 0.5),
    )
    support = ALL_KEYS
    if window is not None:
        ahead = None if frames is None else frames // 2
        support = Support(window=Window(window // 2, window // 2, ahead))
    floats = picture if picture.dtype.kind == "f" else picture.astype(np.float32)
    return PatchAffinity(
        name=name,
        picture=torch.from_numpy(np.ascontiguousarray(floats)),
        patch=patch,
        h=h,
        step=step,
        offset=centre,
        queries=grid,
        keys=grid,
        pairwise=NL_MEANS if spatial is None else Pairwise("bilateral"),
        support=support,
        clip_shape=clip_shape,
        sigma=sigma,
        patch_sigma=patch_sigma,
        spatial=spatial,
    )
