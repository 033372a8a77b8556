"""One picture as its file holds it, and the way from there to what a screen shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from nlviz.clips.pictures.colours import Colours, in_srgb
from nlviz.clips.pictures.levels import Extent, Samples, Scale, extent_of

Frame = npt.NDArray[np.uint8]
Alpha = Literal["none", "straight", "premultiplied"]

TURN_TAG = 274  # EXIF's and TIFF's orientation


@dataclass(frozen=True, eq=False)
class Stored:
    """A picture as its file holds it.

    Attributes:
        image: its pixels in 8 bits, of whatever mode, or None.
        samples: (H, W, C) numbers of any other type, or None; C is 1 or 3, and one more with alpha.
        bits: of a sample in the file.
        inverted: whether the largest number is black.
        alpha: what the last sample is: no alpha, or alpha that colours are multiplied by or not.
        scale: black and white, where the file itself says them.
        turn: orientation as EXIF counts it, from 1 to 8.
        colours: what its numbers mean.
        notes: sentences that a user must know.
    """

    image: Image.Image | None = None
    samples: Samples | None = None
    bits: int = 8
    inverted: bool = False
    alpha: Alpha = "none"
    scale: Scale | None = None
    turn: int = 1
    colours: Colours = field(default_factory=Colours)
    notes: tuple[str, ...] = ()

    @property
    def extent(self) -> Extent | None:
        """Extent of its numbers, or None where the file says black and white."""
        eight = self.samples is not None and self.samples.dtype == np.uint8 and self.bits == 8
        if self.samples is None or self.scale is not None or eight:
            return None
        whole = self.samples.dtype.kind != "f"  # then what is opaque is as much as what is white
        return extent_of(self.samples if whole else self._colour(self.samples), self.bits)

    def noted(self, *notes: str) -> Stored:
        """Return the picture with further notes."""
        return replace(self, notes=(*self.notes, *notes))

    def _colour(self, samples: Samples) -> Samples:
        return samples[..., :-1] if self.alpha != "none" else samples

    def shown(self, scale: Scale | None) -> tuple[Frame, tuple[str, ...]]:
        """Return the picture as (H, W, 3) RGB, laid on white and turned, with its notes.

        Args:
            scale: for its samples, where neither 8 bits nor the file say it.
        """
        scale = self.scale or scale or _EIGHT
        if self._is_srgb and self.samples is not None:
            return scale.levels(self.samples), self.notes
        image = self.image if self.samples is None else self._in_eight_bits(scale)
        assert image is not None  # one of both is there
        rgb, more = in_srgb(image, self.colours)
        return np.array(on_white(_turned(rgb, self.turn))), (*self.notes, *more)

    @property
    def _is_srgb(self) -> bool:
        """Whether its samples need nothing but a scale, as most large ones do."""
        plain = self.colours == Colours() and self.alpha == "none" and self.turn == 1
        three = self.samples is not None and self.samples.shape[-1] == 3
        return plain and three and not self.inverted

    def _in_eight_bits(self, scale: Scale) -> Image.Image:
        assert self.samples is not None
        opaque = Scale(0.0, 1.0) if self.samples.dtype.kind == "f" else scale
        levels = scale.levels(self._colour(self.samples))
        if self.inverted:
            levels = 255 - levels
        if self.alpha == "none":
            return Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)
        alpha = opaque.levels(self.samples[..., -1:])
        if self.alpha == "premultiplied":
            share = np.maximum(alpha, 1) / 255.0
            levels = np.clip(np.floor(levels / share + 0.5), 0, 255).astype(np.uint8)
        return Image.fromarray(np.concatenate([levels, alpha], axis=-1))


_EIGHT = Scale(0.0, 255.0)


def on_white(image: Image.Image) -> Image.Image:
    """Return an 8-bit picture as RGB, what is transparent laid on white."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


_TURNS: dict[int, Callable[[Image.Image], Image.Image]] = {
    2: lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda i: i.transpose(Image.Transpose.ROTATE_180),
    4: lambda i: i.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda i: i.transpose(Image.Transpose.TRANSPOSE),
    6: lambda i: i.transpose(Image.Transpose.ROTATE_270),
    7: lambda i: i.transpose(Image.Transpose.TRANSVERSE),
    8: lambda i: i.transpose(Image.Transpose.ROTATE_90),
}


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return _TURNS[orientation](image) if orientation in _TURNS else image
