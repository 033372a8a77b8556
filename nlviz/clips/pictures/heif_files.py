"""HEIC pictures, as phones take them, through libheif: tiles, turns, crops and alpha included."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nlviz.clips.pictures.levels import Scale
from nlviz.clips.pictures.limits import checked_size
from nlviz.clips.pictures.many import Pictures
from nlviz.clips.pictures.pillow_files import broken, colours_of, head_of, notes_of
from nlviz.clips.pictures.stored import Stored
from nlviz.errors import UnreadableClip

Source = Path | BytesIO

_SEQUENCES = (b"hevc", b"hevx", b"msf1")  # films, which are FFmpeg's; AVIF is Pillow's


def open_heif(source: Source) -> Pictures | None:
    """Open a HEIC picture; return None for other files.

    Raises:
        UnreadableClip: when the picture is broken or too large.
    """
    head = head_of(source)
    brands = head[8 : int.from_bytes(head[:4])]
    if head[4:8] != b"ftyp" or brands[:4] in _SEQUENCES or b"avi" in brands:
        return None
    import pillow_heif

    if not pillow_heif.is_supported(head):
        return None
    reader = f"Pillow with libheif {pillow_heif.libheif_version()}"
    try:
        found: Any = pillow_heif.open_heif(_file(source))
        checked_size(*found.size)
        count = len(found)
    except UnreadableClip:
        raise
    except Exception as error:  # libheif's binding raises what it likes on broken files
        raise broken(error) from None
    notes = (f"It holds {count} pictures; its main one is shown.",) if count > 1 else ()
    return Pictures(1, lambda _: _main(source, head), reader, notes=notes)


def _file(source: Source) -> Any:
    if isinstance(source, BytesIO):
        source.seek(0)
        return source
    return str(source)


def _main(source: Source, head: bytes) -> Stored:
    import pillow_heif

    try:
        found: Any = pillow_heif.open_heif(_file(source))
        image: Image.Image = found.to_pillow()
    except Exception as error:  # as above
        raise broken(error) from None
    # libheif has turned it; what EXIF says of its turn does not count in these files.
    colours, notes = colours_of(image, head), notes_of(image, head)
    if image.mode != "I;16":
        return Stored(image, colours=colours, notes=notes)
    bits = int(found.info.get("bit_depth", 16))  # laid at the upper end of 16
    white = Scale(0.0, float(2**16 - 2 ** (16 - bits)))
    samples = np.asarray(image)[..., None]
    return Stored(samples=samples, bits=16, scale=white, colours=colours, notes=notes)
