"""Camera raw files built as TIFF (DNG, NEF, CR2, ARW, ...): the largest picture that they hold.

The numbers of the sensor are not developed here; a camera puts pictures of its own into the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from PIL import __version__ as PIL_VERSION

from nlviz.clips.pictures.colours import Colours
from nlviz.clips.pictures.limits import checked_size
from nlviz.clips.pictures.many import Pictures
from nlviz.clips.pictures.stored import TURN_TAG, Stored
from nlviz.errors import UnreadableClip

_DNG_VERSION = 50706
_OF_SENSORS = (32803, 34892)  # photometric: colour filter array, linear raw
_PACKED_BY_CAMERAS = (32767, 32769, 32770, 34713, 65000, 65535)  # of ARW, NEF, PEF and others
_JPEG_AT, _JPEG_LENGTH = 513, 514
_CR2_SLICES = 50752


@dataclass(frozen=True)
class _Jpeg:
    at: int
    length: int
    size: tuple[int, int]  # width, height


def is_raw(pages: Iterable[Any]) -> bool:
    """Return whether the pages of a TIFF file are those of a camera raw file."""
    return any(
        _DNG_VERSION in page.tags
        or _CR2_SLICES in page.tags
        or page.photometric in _OF_SENSORS
        or page.compression in _PACKED_BY_CAMERAS
        for page in _all(pages)
    )


def previews(file: Any, pages: list[Any]) -> Pictures:
    """Return the largest picture that the camera put into the file.

    Raises:
        UnreadableClip: when there is none.
    """
    everything = list(_all(pages))
    largest = max((p.imagewidth, p.imagelength) for p in everything)
    found = [jpeg for page in everything for jpeg in _jpegs(file, page)]
    plain = [
        p for p in everything if p.photometric == 2 and p.compression == 1 and p.bitspersample == 8
    ]
    cure = "export a TIFF, PNG or JPEG from the program that develops it"
    best = max(found, key=lambda jpeg: jpeg.size[0] * jpeg.size[1], default=None)
    small = max(plain, key=lambda page: page.imagewidth * page.imagelength, default=None)
    if best is None and small is None:
        raise UnreadableClip(
            f"this is a camera raw file ({largest[0]} x {largest[1]} px), whose numbers are not "
            f"developed here, and it holds no finished picture; {cure}"
        )
    turn = pages[0].tags.get(TURN_TAG)
    orientation = int(turn.value) if turn is not None else 1
    if best is not None and (
        small is None or best.size[0] * best.size[1] >= small.imagewidth * small.imagelength
    ):
        file.filehandle.seek(best.at)
        stored, size = _of_jpeg(file.filehandle.read(best.length), orientation), best.size
    else:
        assert small is not None
        size = (small.imagewidth, small.imagelength)
        image = Image.fromarray(small.asarray())
        stored = Stored(image, turn=orientation)
    checked_size(*size)
    note = (
        f"It is a camera raw file; its sensor's numbers ({largest[0]} x {largest[1]} px) are not "
        f"developed here. Shown is the picture of {size[0]} x {size[1]} px that the camera put "
        f"into it; for more, {cure}."
    )
    return Pictures(1, lambda _: stored, f"Pillow {PIL_VERSION}", notes=(note,))


def _all(pages: Iterable[Any]) -> Iterator[Any]:
    for page in pages:
        yield page
        if getattr(page, "subifds", None):
            yield from _all(list(page.pages))


def _jpegs(file: Any, page: Any) -> Iterator[_Jpeg]:
    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    places = places if len(places) == 1 else []
    at, length = page.tags.get(_JPEG_AT), page.tags.get(_JPEG_LENGTH)
    if at is not None and length is not None:
        places.append((int(np.ravel(at.value)[0]), int(np.ravel(length.value)[0])))
    for start, count in places:
        file.filehandle.seek(start)
        data = file.filehandle.read(count)
        if data[:2] != b"\xff\xd8":
            continue
        try:
            with Image.open(BytesIO(data), formats=("JPEG",)) as image:
                size = image.size
                image.load()  # fails for JPEG without loss, which sensors use
        except Exception:  # whatever is no picture for a screen
            continue
        yield _Jpeg(start, count, size)


def _of_jpeg(data: bytes, orientation: int) -> Stored:
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        image.load()
        turn = image.getexif().get(TURN_TAG, orientation)
        return Stored(image.copy(), turn=turn, colours=Colours(image.info.get("icc_profile")))
