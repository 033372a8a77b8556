"""Packs pictures of one scene into the bytes that the lens shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.errors import InvalidView
from nlviz.picture import encode
from nlviz.web.payloads.container import pack

LARGEST = 4096  # pixels a side; a dozen pictures beyond it are too much for a browser

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LensPicture:
    """One picture of a comparison.

    Attributes:
        key: its name in the comparison, unlike any other.
        label: what the reader calls it.
        caption: what is said below, as its PSNR and SSIM.
        picture: (H, W) or (H, W, 3) uint8, as it is shown.
        noise: its method noise as a picture of the same height and width; 128 stands for zero.
        best: whether it is marked as the best.

    >>> LensPicture("noisy", "Noisy", "20.2 dB", np.zeros((3, 5), np.uint8)).best
    False
    """

    key: str
    label: str
    caption: str
    picture: Bytes
    noise: Bytes | None = None
    best: bool = False


def lens_payload(
    pictures: Sequence[LensPicture],
    *,
    noise_note: str,
    noise_scale: float | None = None,
    before: str | None = None,
    after: str | None = None,
    channel: str | None = None,
    point: tuple[int, int] | None = None,
) -> bytes:
    """Return the bytes of one comparison.

    Args:
        pictures: in the order in which they are shown, all of one height and width.
        noise_note: what mid-grey, black and white mean in the method noise, in a sentence.
        noise_scale: grey levels that white stands for there; with it, values of the method noise
            are shown in grey levels, else as they are in the picture.
        before: key of the picture left of the divider, the first when None.
        after: key of the picture right of the divider, the last when None.
        channel: name under which a mounted lens can be moved.
        point: (y, x) of the pixel at which the lens is pinned from the start.

    Raises:
        InvalidView: when there is no picture, a key is there twice or unknown, a picture is not
            uint8 or of another size than the first, or the point lies outside.

    >>> grey = np.full((3, 5), 77, np.uint8)
    >>> blob = lens_payload([LensPicture("noisy", "Noisy", "", grey)], noise_note="")
    >>> from nlviz.web.payloads.container import unpack
    >>> head, arrays = unpack(blob)
    >>> head["lens"]["height"], head["lens"]["width"], head["lens"]["before"]
    (3, 5, 'noisy')
    """
    keys = [each.key for each in pictures]
    if not keys:
        raise InvalidView("a comparison needs at least one picture, none was given")
    if twice := [key for n, key in enumerate(keys) if key in keys[:n]]:
        raise InvalidView(f"each picture needs a key of its own, {twice[0]!r} is there twice")
    height, width = _size(pictures[0].picture, keys[0])
    if max(height, width) > LARGEST:
        raise InvalidView(
            f"the lens shows pictures of up to {LARGEST} pixels a side, these have "
            f"{height} x {width}; cut out the part to compare"
        )
    arrays: dict[str, npt.NDArray[Any]] = {}
    entries = []
    for n, each in enumerate(pictures):
        shown = {"picture": each.picture} | ({} if each.noise is None else {"noise": each.noise})
        for kind, values in shown.items():
            if _size(values, each.key) != (height, width):
                raise InvalidView(
                    f"all pictures of a lens must be of one size: the {kind} of {each.key!r} has "
                    f"{values.shape[0]} x {values.shape[1]} pixels, the first {height} x {width}"
                )
            arrays[f"{kind}{n}"] = np.frombuffer(encode(values), np.uint8)
        entries.append(
            {
                "key": each.key,
                "label": each.label,
                "caption": each.caption,
                "best": each.best,
                "picture": f"picture{n}",
                "noise": None if each.noise is None else f"noise{n}",
            }
        )
    for key in (before, after):
        if key is not None and key not in keys:
            raise InvalidView(f"there is no picture {key!r}; there are {', '.join(keys)}")
    if point is not None and not (0 <= point[0] < height and 0 <= point[1] < width):
        raise InvalidView(f"the point {point} lies outside the pictures of {height} x {width}")
    lens = {
        "height": height,
        "width": width,
        "pictures": entries,
        "noise_note": noise_note,
        "noise_scale": noise_scale,
        "before": before or keys[0],
        "after": after or keys[-1],
        "point": None if point is None else {"y": int(point[0]), "x": int(point[1])},
    }
    return pack({"lens": lens, "channel": channel}, arrays)


def _size(picture: Bytes, key: str) -> tuple[int, int]:
    """Return height and width, or say what is no picture."""
    grey = picture.ndim == 2
    if picture.dtype != np.uint8 or not (grey or (picture.ndim == 3 and picture.shape[2] == 3)):
        raise InvalidView(
            "a picture of the lens must be (H, W) or (H, W, 3) of uint8, "
            f"{key!r} is {picture.shape} of {picture.dtype}"
        )
    if not picture.size:
        raise InvalidView(f"a picture of the lens must have a pixel, {key!r} is {picture.shape}")
    return picture.shape[0], picture.shape[1]
