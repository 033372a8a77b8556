"""Non-local means as an affinity: its rows come from the pixels of a picture.

f_ij = exp(-d_ij / h^2), where d_ij is the mean squared difference of the patches around i and j.
Source: Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity import Indices, RowsMixin
from nlviz.errors import NlvizError
from nlviz.geometry import Shape, TokenGrid
from nlviz.pairwise import Pairwise
from nlviz.support import ALL_KEYS, Support

NL_MEANS = Pairwise("nl_means")


@dataclass(frozen=True, eq=False, repr=False)
class PatchAffinity(RowsMixin):
    """Non-local means: rows derived from the pixels of a picture.

    f_ij = exp(-d_ij / h^2), where d_ij is the mean, over the pixels and channels of a square patch,
    of the squared difference between the patches around i and j; borders are mirrored without
    repeating the edge pixel. Source: Buades, Coll and Morel 2005, and
    https://www.ipol.im/pub/art/2011/bcm_nlm/.

    Attributes:
        name: what to call it.
        picture: (T, H, W, C) grey levels in [0, 255]; may be smaller than the clip.
        patch: odd side of the patch in pixels of the picture.
        h: decay in grey levels.
        step, offset: token (a, b, c) sits at picture pixel (a, offset + b step, offset + c step).
        queries, keys: the same tokens in the clip's frames and pixels; both grids are one.
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

    @cached_property
    def _patches(self) -> Float[Tensor, "tokens values"]:
        """The patch around each token, in double precision: distances are small differences."""
        pad = self.patch // 2
        chw = torch.nn.functional.pad(
            self.picture.permute(0, 3, 1, 2).double(), (pad, pad, pad, pad), mode="reflect"
        )
        (_, h, w), step, offset = self.keys.shape, self.step, self.offset
        chw = chw[:, :, offset:, offset:]
        patches = chw.unfold(2, self.patch, step)[:, :, :h].unfold(3, self.patch, step)[:, :, :, :w]
        return patches.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).flatten(1)

    def distances(self, indices: Indices) -> Float[Tensor, "n keys"]:
        """Return d_ij in squared grey levels from these queries to all keys.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        index = torch.as_tensor(indices, dtype=torch.long)
        for end in index.aminmax() if index.numel() else ():
            self._check(int(end), self.queries, "query")
        keys = self._patches
        own = keys[index]
        # |p - q|^2 = |p|^2 + |q|^2 - 2 p.q: one product instead of a pass for each pixel of a patch
        total = (own @ keys.T).mul_(-2).add_(keys.square().sum(1))
        total.add_(own.square().sum(1)[:, None])
        return total.clamp_(min=0).div_(keys.shape[1]).float()

    def rows(self, indices: Indices) -> Float[Tensor, "1 n keys"]:
        """Return the rows of these queries: O(keys x patch^2) each.

        Raises:
            OutsideClip: when an index is not on the grid.
        """
        return self.pairwise.normalise(-self.distances(indices) / self.h**2)[None]


def patch_affinity(
    picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    *,
    clip_shape: tuple[int, int, int],
    h: float,
    patch: int = 7,
    step: int = 4,
    name: str = "nl_means",
) -> PatchAffinity:
    """Return the non-local means affinity of a picture that is a smaller copy of a clip.

    Args:
        picture: (T, H, W, C) uint8.
        clip_shape: frames, height and width of the clip that it is a copy of.
        h: decay in grey levels.
        patch: odd side of the patch in pixels of the picture.
        step: distance of tokens in pixels of the picture.
        name: what to call it.

    Raises:
        NlvizError: when patch, h or step make no sense for the picture.

    >>> picture = np.zeros((2, 24, 32, 3), np.uint8)
    >>> a = patch_affinity(picture, clip_shape=(2, 48, 64), h=10.0)
    >>> a, a.keys.centre(0)
    (Affinity(nl_means, nl_means, 96 queries (2x6x8) x 96 keys), (0.0, 4.5, 4.5))
    """
    t, height, width, _ = picture.shape
    centre = step // 2
    if patch < 1 or patch % 2 == 0:
        raise NlvizError(f"patch must be odd, so that it has a middle pixel, got {patch}")
    if not h > 0:
        raise NlvizError(f"h must be above 0 grey levels, got {h:g}")
    if step < 1:
        raise NlvizError(f"step must be at least 1 pixel, got {step}")
    if min(height, width) <= max(centre, patch // 2):
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
    return PatchAffinity(
        name=name,
        picture=torch.from_numpy(picture.astype(np.float32)),
        patch=patch,
        h=h,
        step=step,
        offset=centre,
        queries=grid,
        keys=grid,
        clip_shape=clip_shape,
    )
