"""BM3D as its authors publish it; an optional peer, whose licence forbids commercial use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nlviz.denoise.denoiser import Denoiser, Parameter
from nlviz.denoise.image import Image
from nlviz.denoise.methods.builtin import threads
from nlviz.progress import Progress

LICENCE = "Tampere University: non-commercial use only"
_LEAST = 16  # pixels of a side; 8 x 8 end the process, so small pictures are mirrored to this
_MISSING = (
    "it needs the package bm3d, whose licence forbids commercial use; where that is no obstacle, "
    "pip install bm3d"
)


def _run(picture: Image, sigma: float, white: float, report: Progress, *, level: float) -> Image:
    import bm3d

    profile = bm3d.BM3DProfile()
    profile.num_threads = threads()
    height, width = picture.shape[:2]
    more = [(0, max(_LEAST - n, 0)) for n in (height, width)]
    # Its thresholds are made for pictures in [0, 1].
    source = np.pad(
        picture.astype(np.float64) / white, [*more, (0, 0)][: picture.ndim], mode="symmetric"
    )
    if picture.ndim == 2:
        done = bm3d.bm3d(source, level / white, profile)
    elif _coloured(source):
        done = bm3d.bm3d_rgb(source, level / white, profile)
    else:  # its transform of colours divides by their ranges
        done = np.stack(
            [bm3d.bm3d(source[..., c], level / white, profile) for c in range(3)], axis=-1
        )
    return np.asarray(done[:height, :width] * white, picture.dtype)


def _coloured(picture: npt.NDArray[np.float64]) -> bool:
    """Return whether lightness and both opponent colours vary over the picture."""
    red, green, blue = (picture[..., c] for c in range(3))
    return all(
        float(np.ptp(v)) > 1e-6 for v in (red + green + blue, red - blue, red - 2 * green + blue)
    )


DENOISERS = (
    Denoiser(
        "bm3d",
        "BM3D",
        "blocks alike are stacked, transformed in 3-D, shrunk (threshold, then Wiener), averaged",
        "Dabov, Foi, Katkovnik and Egiazarian 2007; Mäkinen et al. 2020 (package bm3d)",
        LICENCE,
        "Takes float. Not free software: its licence forbids commercial use.",
        {
            "level": Parameter(
                "noise that it is told; more smooths more", 1.0, 0.2, 3.0, 0.05, "sigma"
            )
        },
        _run,
        "level",
        scales=True,
        needs="bm3d",
        missing=_MISSING,
    ),
)
