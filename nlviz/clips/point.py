"""A place in a clip: frame, y, x in pixels of the sampled clip."""

from __future__ import annotations

from nlviz.errors import OutsideClip

Triple = tuple[float, float, float]


Shape = tuple[int, int, int]


def check_inside(extent: Shape, *, frame: float, y: float, x: float) -> None:
    """Check that a place lies inside a clip of (frames, height, width).

    Raises:
        OutsideClip: when it does not.
    """
    for name, value, size in zip(("frame", "y", "x"), (frame, y, x), extent, strict=True):
        if not 0 <= value <= size - 1:
            raise OutsideClip(
                f"{name} must be between 0 and {size - 1} in this clip, got {value:g}"
            )
