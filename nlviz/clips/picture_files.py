"""Read picture files: 8 or 16 bits, grey, RGB, RGBA, palette or CMYK, turned as EXIF says."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from nlviz.errors import UnreadableClip

Frame = npt.NDArray[np.uint8]

MAX_PIXELS = 64_000_000  # of one picture or frame; beyond it lie scans and decompression bombs
# Others go to FFmpeg: some of Pillow's plugins take a video for theirs, or run another program.
_PICTURES = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000")


def read_still(source: Path | BytesIO) -> Frame | None:
    """Read a still picture as (H, W, 3) uint8 RGB; return None for animations and other files.

    Raises:
        UnreadableClip: when the picture is broken or too large.
    """
    try:
        image = Image.open(source, formats=_PICTURES)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels("more than 89 million") from None
    except UnidentifiedImageError:
        return None
    except Exception as error:  # plugins raise what they like on broken files
        raise UnreadableClip(f"the picture is broken ({error}); save it again") from None
    with image:
        # An animated picture is FFmpeg's; pages of a TIFF and views of an MPO are no frames.
        if getattr(image, "is_animated", False) and image.format not in ("TIFF", "MPO"):
            return None
        if image.width * image.height > MAX_PIXELS:
            raise too_many_pixels(f"{image.width} x {image.height}")
        try:
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
        except Exception as error:  # plugins raise what they like on broken files
            raise UnreadableClip(f"the picture is broken ({error}); save it again") from None


def too_many_pixels(size: str) -> UnreadableClip:
    """Return the error that refuses a picture or frame of this size."""
    return UnreadableClip(
        f"a picture may have {MAX_PIXELS // 1_000_000} million pixels, this one has {size}; "
        "make it smaller first"
    )


def _rgb(image: Image.Image) -> Frame:
    if image.mode in ("I;16", "I;16L", "I;16B", "I", "F"):
        grey = np.asarray(image, np.float64)
        top = 65535.0 if image.mode != "F" or grey.max() > 1 else 1.0
        grey = np.clip(grey * (255.0 / top), 0, 255).round()
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))
