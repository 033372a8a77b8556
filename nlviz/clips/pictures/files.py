"""Open a file as a picture, by what its first bytes say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from nlviz.clips.pictures.heif_files import open_heif
from nlviz.clips.pictures.many import Pictures
from nlviz.clips.pictures.pam_files import read_pam
from nlviz.clips.pictures.pillow_files import Source, head_of, open_picture
from nlviz.clips.pictures.refused import refuse_deep_jpeg, refuse_known
from nlviz.clips.pictures.stored import Stored
from nlviz.clips.video.picture_streams import is_picture_stream
from nlviz.errors import UnreadableClip

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PAM, _COLOURED_PFM = b"P7\n", b"PF\n"


def open_pictures(source: Source) -> Pictures | None:
    """Open a file as a picture, a stack or moving pictures; return None for what FFmpeg reads.

    Raises:
        UnreadableClip: when it is broken, too large, or of a kind that is not read.
    """
    if is_picture_stream(source):
        return None
    head = head_of(source)
    refuse_known(head)
    refuse_deep_jpeg(head)
    if head[:3] == _PAM:
        return Pictures(1, lambda _: read_pam(_bytes(source)), "nlviz")
    if head[:3] == _COLOURED_PFM:
        return Pictures(1, lambda _: _portable(source), f"OpenCV {cv2.__version__}")
    if head[:4] in _TIFF:
        from nlviz.clips.pictures.tiff_files import open_tiff

        return open_tiff(source)
    return open_heif(source) or open_picture(source)


def _bytes(source: Source) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source.getvalue()


def _portable(source: Source) -> Stored:
    try:
        found = cv2.imdecode(np.frombuffer(_bytes(source), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        found = None
    if found is None or not found.size or found.ndim != 3:
        raise UnreadableClip("the picture is broken; save it again")
    return Stored(samples=found[..., ::-1], bits=found.itemsize * 8)
