"""Make the data of the lesson on averages: two crops of bundled photos with noise, and its figures.

    rim    a cup's rim from coffee.jpg: three smooth grounds with sharp borders
    eye    a cat's eye from cat.jpg: the glint in it is like nothing else around

Noise is Gaussian with a standard deviation of 25 grey levels and is not clipped. What filters do to
one pixel is measured over many draws of that noise, on a crop that holds all that their weights
depend on, by the library's own denoisers with their default parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.clips.clip import Clip, read_clip
from nlviz.denoise.affinities import affinity
from nlviz.denoise.image import picture_of
from nlviz.denoise.noise import add_noise
from nlviz.denoise.registry import denoise, find_denoiser
from nlviz.resources import asset
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.denoise_view import denoise_view

SIGMA = 25.0  # grey levels
SIDE = 64  # pixels of a crop's sides
RIM, EYE = ("coffee.jpg", 160, 230), ("cat.jpg", 86, 136)  # photo, first row, first column
PIXEL = (24, 24)  # of the rim: coffee, with the white border inside its window
OPENING = (40, 18)  # of the eye: its iris
SMALL = slice(8, 56)  # rows and columns of the rim on which h is set
FILTERS = ("mean", "gaussian", "bilateral", "non-local-means")
DRAWS = 500
MARGIN = 13  # pixels that non-local means needs around one: half its window, half its patch

Picture = npt.NDArray[np.float32]


def crop(of: tuple[str, int, int]) -> Picture:
    """Return a crop of a bundled photo in grey levels, (SIDE, SIDE).

    >>> crop(RIM).shape, float(crop(RIM)[PIXEL])
    ((64, 64), 169.0)
    """
    name, top, left = of
    frame = read_clip(asset(f"photos/{name}")).frames[0]
    grey = picture_of(frame, grey=True)[top : top + SIDE, left : left + SIDE]
    return grey.astype(np.float32)


def errors(clean: Picture, pixel: tuple[int, int], *, draws: int = DRAWS) -> dict[str, float]:
    """Return the root mean square error of each filter at a pixel, in grey levels.

    Args:
        clean: (H, W) grey levels.
        pixel: row and column, MARGIN or more pixels from the borders.
        draws: of the noise; their seeds are 0 and so on.
    """
    y, x = pixel
    around = clean[y - MARGIN : y + MARGIN + 1, x - MARGIN : x + MARGIN + 1]
    squares = dict.fromkeys(FILTERS, 0.0)
    for seed in range(draws):
        noisy = add_noise(around, SIGMA, seed=seed, data_range=255.0)
        for name in FILTERS:
            done = denoise(noisy, name, sigma=SIGMA, data_range=255.0)
            squares[name] += float(done[MARGIN, MARGIN] - clean[y, x]) ** 2
    return {name: (square / draws) ** 0.5 for name, square in squares.items()}


def view(noisy: Picture, clean: Picture, filters: tuple[str, ...], query: tuple[int, int]) -> bytes:
    """Return the live view of what filters average at each pixel of a noisy picture."""
    seen = np.rint(noisy).clip(0, 255).astype(np.uint8)
    clip = Clip.from_frames(np.repeat(seen[None, ..., None], 3, 3), name="noisy")
    shown = {name: affinity(noisy, name, sigma=SIGMA, data_range=255.0) for name in filters}
    labels = {name: find_denoiser(name).label for name in filters}
    y, x = query
    return denoise_view(clip, shown, labels=labels, query=(0, y, x), clean=clean)


def make() -> bytes:
    """Return the bytes of the lesson's data: some 5 seconds on one core."""
    rim, eye = crop(RIM), crop(EYE)
    noisy_rim = add_noise(rim, SIGMA, seed=3, data_range=255.0)
    noisy_eye = add_noise(eye, SIGMA, seed=3, data_range=255.0)
    found = errors(rim, PIXEL)
    numbers = {
        "sigma": SIGMA,
        "draws": DRAWS,
        "pixel_row": PIXEL[0],
        "pixel_column": PIXEL[1],
        **{f"error_{name.replace('-', '_')}": error for name, error in found.items()},
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "rim.clean": rim,
        "rim.noisy": noisy_rim,
        "small.clean": rim[SMALL, SMALL],
        "small.noisy": noisy_rim[SMALL, SMALL],
        "rim.view": as_bytes(view(noisy_rim, rim, FILTERS, PIXEL)),
        "eye.view": as_bytes(view(noisy_eye, eye, FILTERS[-1:], OPENING)),
    }
    return pack({"numbers": numbers}, arrays)


def as_bytes(container: bytes) -> npt.NDArray[np.uint8]:
    """Return a container as a section of another one."""
    return np.frombuffer(container, np.uint8)
