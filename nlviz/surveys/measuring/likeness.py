"""How far sampled rows rank the keys as the features do, and as non-local means of the pixels does.

Both are Spearman's rank correlation of the size of the row with what a control gives the same
query, laid on the coarser of their grids (``nlviz.common_ground``), over the keys that both reach,
``KEYS`` of them where there are more, spread evenly:

figure        control
``features``  cosine of the features that enter the block, pooled as its keys are
``nl_means``  exp(-d_ij / h^2), d_ij the mean squared difference of two patches of 7 x 7 pixels on a
              copy of the clip whose shorter side is 160 at most; h is chosen so that its rows are
              as concentrated as the sampled ones (Buades, Coll and Morel 2005)

Distances of patches are sums of whole numbers below 2^24, exact in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.base import spread_evenly
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.patches import patch_affinity
from nlviz.analysis.common_cells import coarser
from nlviz.analysis.controls import PATCH_SIDE, matched
from nlviz.clips.clip import Clip
from nlviz.picture import resized, scaled
from nlviz.surveys.measuring.keys import Keys, keys_in_common, laid_rows
from nlviz.surveys.measuring.places import nearest_cells
from nlviz.surveys.measuring.ranks import LEAST, Ranks, centred_ranks, correlations
from nlviz.surveys.measuring.rows import Asked

PATCH, STEP = 7, 4  # pixels of the small copy
MATCHED, SOME = 8, 1024  # queries and patches by which the concentration is matched
AT_ONCE = 2048  # patches that are cut out
FAR = 87.0  # exponents below which exp is no ordinary number in single precision

Correlations = npt.NDArray[np.float64]


class Likeness:
    """Compares the rows of one block with the features that enter it, and with the pixels.

    Args:
        patches: of the clip, cut out once for all blocks; None leaves non-local means out.
        asked: the rows.
    """

    def __init__(self, patches: Patches | None, asked: Asked) -> None:
        self.patches, self.asked = patches, asked

    @cached_property
    def _keys(self) -> Keys:
        return keys_in_common(self.asked)

    @cached_property
    def _ranks(self) -> Ranks:
        """Ranks of the rows on their own grid, over the keys that are compared."""
        return self._ranked(self._keys)

    def _ranked(self, keys: Keys) -> Ranks:
        rows = self.asked.rows[..., self.asked.prefix :]
        return centred_ranks(np.abs(keys.of(rows.cpu().numpy())), keys.keep)

    def features(self, cosine: Float[Tensor, "n keys"]) -> Correlations:
        """Return the agreement of each row with the features, (heads, n).

        Args:
            cosine: of the queries and all keys, by the features that enter the block.
        """
        values = self._keys.of(cosine[None].cpu().numpy())
        return _agreement(self._ranks, centred_ranks(values, self._keys.keep), self._keys)

    def nl_means(self, effective: Float[Tensor, "heads n"]) -> Correlations | None:
        """Return the agreement of each row with non-local means, (heads, n); None of no pixels.

        Args:
            effective: effective numbers of keys; not numbers where rows are no distributions.
        """
        affinity = self.asked.affinity
        kinds = {affinity.queries.kind, affinity.keys.kind}
        if self.patches is None or kinds != {"grid"}:
            return None
        mean = float(effective.nanmean())
        share = max(mean, 1.0) / affinity.keys.size if np.isfinite(mean) else 1 / 20
        grid = coarser(affinity.keys, self.patches.grid)
        keys, of_rows = self._keys, None
        if grid != affinity.keys:
            rows, keys = laid_rows(self.asked, grid)
            of_rows = centred_ranks(keys.of(rows), keys.keep)
        places = _centres(affinity.queries, self.asked)
        means, there = self.patches.means(places, share, grid, keys.cells)
        if not there.all():
            keys, of_rows = keys.without(~there), None
        if of_rows is None:
            of_rows = self._ranks if keys is self._keys else self._ranked(keys)
        of_pixels = centred_ranks(keys.of_cells(means[None]), keys.keep)
        return _agreement(of_rows, of_pixels, keys)


@dataclass(frozen=True, eq=False)
class Patches:
    """The patches of a small copy of a clip.

    Attributes:
        grid: where they lie in the clip.
        size: height, width and channels of the copy, its mirrored border included.
        lines: (n, PATCH * channels) its numbers, from each on as many as a line of a patch has;
            they share their memory.
    """

    grid: TokenGrid
    size: tuple[int, int, int]
    lines: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, clip: Clip) -> Patches:
        """Return the patches of a clip.

        >>> clip = Clip.from_frames(np.zeros((2, 48, 64, 3), np.uint8))
        >>> Patches.of(clip).grid.shape
        (2, 12, 16)
        """
        _, height, width = clip.shape
        size = scaled((height, width), min(PATCH_SIDE / min(height, width), 1.0), least=16)
        picture = np.stack([resized(f, size) for f in clip.frames])
        of_one = picture[..., :1]  # where patches lie is asked, not what they hold
        whole = patch_affinity(of_one, clip_shape=clip.shape, h=1.0, patch=PATCH, step=STEP)
        around = (PATCH // 2, PATCH // 2)
        wide = np.pad(picture, ((0, 0), around, around, (0, 0)), mode="reflect")
        values = np.ascontiguousarray(wide[:, whole.offset :, whole.offset :])
        # Each line of a patch lies in one piece, of whose pixels the next patch has the rest.
        lines = np.lib.stride_tricks.sliding_window_view(values.ravel(), PATCH * values.shape[-1])
        return cls(whole.keys, values.shape[1:], lines)

    def _of(self, cells: npt.NDArray[np.int64]) -> Float[Tensor, "n d"]:
        """Return the pixels of some patches, cut out for it: whole numbers in [-128, 127]."""
        height, width, channels = self.size
        frame, down, along = np.unravel_index(cells, self.grid.shape)
        first = (frame * height + down * STEP) * width + along * STEP
        at = (first[:, None] + np.arange(PATCH) * width) * channels
        return torch.from_numpy(self.lines[at.ravel()].reshape(len(cells), -1)).float().sub_(128)

    def means(
        self,
        places: npt.NDArray[np.float64],
        share: float,
        onto: TokenGrid,
        cells: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return the mean of f over the patches in each of some cells, and where there are any.

        Args:
            places: (n, 3) of the queries, in sampled frames and pixels.
            share: effective number of patches that rows have in the mean, of all.
            onto: grid of the cells.
            cells: numbers of those that are wanted, ascending.
        """
        at = [
            axis.nearest(own.centres(n), count)
            for axis, own, n, count in zip(
                onto.axes, self.grid.axes, self.grid.shape, onto.shape, strict=True
            )
        ]
        cell_of = np.ravel_multi_index(np.meshgrid(*at, indexing="ij", sparse=True), onto.shape)
        number = np.full(onto.size, -1)
        number[cells] = np.arange(len(cells))
        into = number[cell_of.ravel()]
        kept = np.flatnonzero(into >= 0)
        asked = self._of(nearest_cells(self.grid, places))
        scale = self._scale(asked, share)
        sums = torch.zeros(len(cells), len(asked))
        for some in np.array_split(kept, max(len(kept) // AT_ONCE, 1)):
            weights = _distances(asked, self._of(some)).mul_(-scale).clamp_(min=-FAR).exp_()
            sums.index_add_(0, torch.from_numpy(into[some]), weights.mT.contiguous())
        many = np.bincount(into[kept], minlength=len(cells))
        sums /= torch.from_numpy(many).clamp(min=1)[:, None]
        return sums.mT.numpy(), many > 0

    def _scale(self, asked: Float[Tensor, "n d"], share: float) -> float:
        """Return 1 / h^2 at which rows of f are as concentrated as asked for."""
        some = spread_evenly(self.grid.size, SOME)
        few = _distances(asked[spread_evenly(len(asked), MATCHED)], self._of(some.numpy()))
        # With fewer than two of them in a row, all but the nearest patches would be ties.
        return matched(-few[None], max(share * len(some), 2.0))


def _distances(one: Float[Tensor, "n d"], other: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Return mean squared differences of patches: each difference is a whole number, and exact."""
    products = one @ other.mT
    squares = other.square().sum(1) - products
    return squares.add_(one.square().sum(1, keepdim=True) - products).div_(one.shape[1])


def _centres(grid: TokenGrid, asked: Asked) -> npt.NDArray[np.float64]:
    cells = asked.index.cpu().numpy()
    return np.stack([np.broadcast_to(c, grid.shape).ravel()[cells] for c in grid.centres()], 1)


def _agreement(one: Ranks, other: Ranks, keys: Keys) -> Correlations:
    """Return correlations; not a number where fewer than four keys are in common."""
    found = correlations(one, other)
    if keys.keep is None:
        return found if one.shape[-1] >= LEAST else np.full_like(found, np.nan)
    return np.where(keys.keep.sum(-1) >= LEAST, found, np.nan)
