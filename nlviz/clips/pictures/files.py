"""Open a file as a picture, by what its first bytes say."""

from __future__ import annotations

import cv2
import numpy as np

from nlviz.clips.pictures.heif_files import open_heif
from nlviz.clips.pictures.many import Pictures
from nlviz.clips.pictures.pillow_files import Source, head_of, open_picture
from nlviz.clips.pictures.refused import refuse_deep_jpeg, refuse_known
from nlviz.clips.pictures.stored import Stored
from nlviz.errors import UnreadableClip

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BY_OPENCV = (b"P7\n", b"PF\n")  # PAM, and PFM in colour


def open_pictures(source: Source) -> Pictures | None:
    """Open a file as a picture, a stack or moving pictures; return None for what FFmpeg reads.

    Raises:
        UnreadableClip: when it is broken, too large, or of a kind that is not read.
    """
    head = head_of(source)
    refuse_known(head)
    refuse_deep_jpeg(head)
    if head[:3] in _BY_OPENCV:
        return Pictures(1, lambda _: _portable(source, head), f"OpenCV {cv2.__version__}")
    if head[:4] in _TIFF:
        from nlviz.clips.pictures.tiff_files import open_tiff

        return open_tiff(source)
    return open_heif(source) or open_picture(source)


def _portable(source: Source, head: bytes) -> Stored:
    data = source.getvalue() if not hasattr(source, "read_bytes") else source.read_bytes()
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        found = None
    if found is None or not found.size:
        raise UnreadableClip("the picture is broken; save it again")
    samples = found if found.ndim == 3 else found[..., None]
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(samples.shape[-1])
    samples = samples if order is None else samples[..., order]
    alpha = samples.shape[-1] in (2, 4)
    return Stored(samples=samples, bits=samples.itemsize * 8, alpha="straight" if alpha else "none")
