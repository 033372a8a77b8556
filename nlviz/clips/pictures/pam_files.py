"""Read PAM, the portable arbitrary map of Netpbm, whose colours OpenCV reads in the wrong order."""

from __future__ import annotations

import numpy as np

from nlviz.clips.pictures.limits import MAX_PIXELS, too_many_pixels
from nlviz.clips.pictures.stored import Stored
from nlviz.errors import UnreadableClip


def read_pam(data: bytes) -> Stored:
    r"""Read a PAM file: grey or RGB, 1 to 16 bits, with or without alpha.

    Raises:
        UnreadableClip: when it is broken, too large, or holds something else.

    >>> head = b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
    >>> read_pam(head + bytes([200, 40, 60])).samples[0, 0].tolist()
    [200, 40, 60]
    """
    head, found, body = data.partition(b"\nENDHDR\n")
    lines = [line.split(maxsplit=1) for line in head.splitlines()[1:] if line[:1] != b"#"]
    said = {line[0]: line[1].strip() for line in lines if len(line) == 2}
    try:
        width, height, depth, top = (
            int(said[key]) for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
        )
    except (KeyError, ValueError):
        found = b""
    if not found or min(width, height, depth, top) < 1 or depth > 4 or top > 65535:
        raise UnreadableClip("the picture is broken, or no PAM of grey or RGB; save it again")
    if width * height > MAX_PIXELS:
        raise too_many_pixels(f"{width} x {height}")
    kind = np.dtype(np.uint8 if top < 256 else ">u2")
    if len(body) < width * height * depth * kind.itemsize:
        raise UnreadableClip("the picture is broken (it ends before its last pixel); save it again")
    samples = np.frombuffer(body, kind, width * height * depth).reshape(height, width, depth)
    whole = 255 if top < 256 else 65535
    if top != whole:
        samples = np.rint(np.minimum(samples, top) * (whole / top))
    return Stored(
        samples=samples.astype(np.uint8 if top < 256 else np.uint16),
        bits=8 * kind.itemsize,
        alpha="straight" if depth in (2, 4) else "none",
    )
