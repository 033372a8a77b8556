"""Interlaced film: two moments woven into the lines of one frame.

A frame is shown at the moment of its first field: where the two fields differ, the lines of the
second one are computed from those around them; where they agree, both are kept. Each frame is
treated by itself, so it looks the same whichever others are read.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from nlviz.clips.decoded import Frames

Mask = npt.NDArray[np.bool_]

# Contrast between lines, in levels of luma, from which eyes see a comb (as TIVTC and FFmpeg's
# fieldmatch have it).
CONTRAST = 9
# Teeth on top of each other that make a comb: texture of a photo has hardly ever that many.
TEETH = 6
# Lines and columns around a comb in which fainter teeth belong to it.
_REACH = (33, 65)
# Share of a frame's pixels from which combs are no chance: progressive film has less than 0.2 %.
_PLENTY = 0.02
# FFmpeg's field orders in which the top field comes first, and the others.
_TOP_FIRST, _BOTTOM_FIRST = (2, 5), (3, 4)
# Decoders that say of each frame whether it is interlaced; of others the container says it.
_SAY_SO = {
    *("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3", "dvvideo", "prores"),
    *("ffv1", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "theora", "gif", "mjpeg"),
    *("dnxhd", "cavs", "vvc"),
}


def parity_of(frame: Any, codec: str, field_order: int) -> str | None:
    """Return which field comes first, or None for a progressive frame.

    Args:
        frame: as PyAV decodes it.
        codec: FFmpeg's name of the decoder.
        field_order: FFmpeg's number of what the container says.

    Returns:
        ``auto`` where the frame itself knows, ``tff`` or ``bff`` where the container does.
    """
    if frame.interlaced_frame:
        return "auto"
    if codec in _SAY_SO:
        return None
    return {
        **dict.fromkeys(_TOP_FIRST, "tff"),
        **dict.fromkeys(_BOTTOM_FIRST, "bff"),
    }.get(field_order)


def is_single_field(frame: Any, codec: str) -> bool:
    """Return whether a decoded frame is one field, of half the lines, as HEVC stores them."""
    return codec == "hevc" and bool(frame.interlaced_frame)


def woven(luma: Frames) -> Mask:
    """Return where the two fields of a frame differ, (H, W) of its luma.

    >>> moved = np.full((24, 70), 30, np.uint8)
    >>> moved[4:20:2, 10:30], moved[5:20:2, 14:34] = 200, 200
    >>> bool(woven(moved)[12, 11]), bool(woven(moved)[12, 31]), bool(woven(moved)[12, 60])
    (True, True, False)
    """
    combs = _combs(luma)
    if not combs.any():
        return combs
    near = _widened(combs, _REACH)
    return _widened(_teeth(luma) & near | combs, (5, 9))


def _widened(mask: Mask, size: tuple[int, int]) -> Mask:
    return np.asarray(cv2.dilate(mask.view(np.uint8), np.ones(size, np.uint8)), np.bool_)


def looks_woven(luma: Frames) -> bool:
    """Return whether so much of a frame's luma is combed that it is no chance."""
    # Combs are as high in every fourth column; the rest would cost time and say the same.
    return len(luma) >= 240 and bool(_combs(luma[:, ::4]).mean() > _PLENTY)


def _lines(luma: Frames) -> list[npt.NDArray[np.int16]]:
    """Return the lines two above, above, at, below and two below each line."""
    padded = np.pad(luma.astype(np.int16), ((2, 2), (0, 0)), mode="reflect")
    return [padded[n : n + len(luma)] for n in range(5)]


def _teeth(luma: Frames) -> Mask:
    """Return where lines differ from both their neighbours, in the same direction."""
    up2, up, here, down, down2 = _lines(luma)
    above, below = here - up, here - down
    apart = ((above > CONTRAST) & (below > CONTRAST)) | ((above < -CONTRAST) & (below < -CONTRAST))
    wave = np.abs(up2 + 4 * here + down2 - 3 * (up + down))
    mask: Mask = apart & (wave > 6 * CONTRAST)
    return mask


def _combs(luma: Frames) -> Mask:
    """Return where lines differ more from their neighbours than from the lines of their field."""
    up2, up, here, down, down2 = _lines(luma)
    above, below = here - up, here - down
    between = np.minimum(np.abs(above), np.abs(below))
    within = np.maximum(np.abs(up - down), np.maximum(np.abs(here - up2), np.abs(here - down2)))
    teeth = ((above > 0) == (below > 0)) & (between > CONTRAST) & (within < between)
    whole = cv2.morphologyEx(teeth.view(np.uint8), cv2.MORPH_OPEN, np.ones((TEETH, 1), np.uint8))
    return np.asarray(whole, np.bool_)


def first_field(frame: Any, parity: str) -> Any:
    """Return a frame of which the first field was kept and the lines between computed.

    The lines follow edges: FFmpeg's filter estdif.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 25),
    )
    filled = graph.add("estdif", f"mode=frame:parity={parity}:deint=all")
    sink = graph.add("buffersink")
    source.link_to(filled)
    filled.link_to(sink)
    graph.configure()
    graph.push(frame)
    graph.push(None)
    return graph.pull()
