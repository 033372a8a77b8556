"""How large a picture may be."""

from __future__ import annotations

from nlviz.errors import UnreadableClip

MAX_PIXELS = 64_000_000  # of one picture or frame; beyond it lie scans and decompression bombs


def checked_size(width: int, height: int) -> None:
    """Check the size of a picture or frame.

    Raises:
        UnreadableClip: when it has too many pixels, or not one.
    """
    if width < 1 or height < 1:
        raise UnreadableClip(
            f"a picture needs at least one pixel, this one has {width} x {height}; is it complete?"
        )
    if width * height > MAX_PIXELS:
        raise too_many_pixels(f"{width} x {height}")


def too_many_pixels(size: str) -> UnreadableClip:
    """Return the error that refuses a picture or frame of this size."""
    return UnreadableClip(
        f"a picture may have {MAX_PIXELS // 1_000_000} million pixels, this one has {size}; "
        "make it smaller first"
    )
