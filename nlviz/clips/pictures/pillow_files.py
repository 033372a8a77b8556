"""Pictures that Pillow opens: JPEG, PNG, WebP, AVIF, JPEG 2000, BMP, PNM and some more."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL import __version__ as PIL_VERSION

from nlviz.clips.pictures.colours import Colours
from nlviz.clips.pictures.levels import Scale
from nlviz.clips.pictures.limits import checked_size, too_many_pixels
from nlviz.clips.pictures.many import Pictures
from nlviz.clips.pictures.stored import TURN_TAG, Stored
from nlviz.errors import UnreadableClip

Source = Path | BytesIO

# Others go to FFmpeg: some of Pillow's plugins take a video for theirs, or run another program.
_KINDS = (
    *("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "JPEG2000", "AVIF"),
    *("ICO", "ICNS", "PSD", "QOI", "SGI", "SUN", "DDS", "FITS"),
)
_HEAD = 1 << 18  # bytes in which a file says what its numbers mean
_ADOBE_RGB = 2  # of EXIF's ColorSpace


def open_picture(source: Source) -> Pictures | None:
    """Open a picture file, or one of moving pictures; return None for all that FFmpeg reads.

    Raises:
        UnreadableClip: when the picture is broken or too large.
    """
    try:
        with Image.open(source, formats=_kinds_for(source)) as image:
            return _opened(image, source)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels("more than 89 million") from None
    except UnidentifiedImageError:
        return None
    except UnreadableClip:
        raise
    except Exception as error:  # plugins raise what they like on broken files
        raise broken(error) from None


def _kinds_for(source: Source) -> tuple[str, ...]:
    """Return the kinds to try; of a Targa file only the name says what it is."""
    named = isinstance(source, Path) and source.suffix.lower() in (".tga", ".icb", ".vda", ".vst")
    return ("TGA",) if named else _KINDS


def broken(error: object) -> UnreadableClip:
    """Return the error that says that a picture is broken."""
    return UnreadableClip(f"the picture is broken ({error}); save it again")


def _opened(image: Image.Image, source: Source) -> Pictures | None:
    checked_size(image.width, image.height)
    reader = f"Pillow {PIL_VERSION}"
    pages = getattr(image, "n_frames", 1)
    if image.format == "GIF" and pages > 1:
        return None  # FFmpeg's
    if image.format in ("PNG", "WEBP", "AVIF") and pages > 1:
        return _moving(image, source, reader)
    if image.format == "MPO":
        return _several_jpegs(image, source, reader)
    notes = []
    if image.format == "PSD" and pages > 1:
        notes.append("Its layers are shown merged, as the file was saved.")
    if image.format in ("ICO", "ICNS"):
        notes.append("Of its sizes the largest is shown.")
    if image.format == "WEBP":  # to open one a second time takes a third of its time
        stored = stored_of(image, source)
        return Pictures(1, lambda _: stored, reader)
    return Pictures(1, lambda _: _page(source, None), reader, notes=tuple(notes))


def _page(source: Source, number: int | None) -> Stored:
    with Image.open(source, formats=(*_kinds_for(source), "MPO")) as image:
        if number is not None:
            image.seek(number)
        return stored_of(image, source)


def stored_of(image: Image.Image, source: Source) -> Stored:
    """Return an opened picture as its file holds it.

    Raises:
        UnreadableClip: when it is broken.
    """
    head = head_of(source)
    deep = _deep_png(image, head)
    try:
        if deep:
            samples: Any = _by_opencv(source, head)
        else:
            image.load()
            samples = np.asarray(image) if image.mode in _DEEP else None
        turn = image.getexif().get(TURN_TAG, 1)
    except Exception as error:  # plugins raise what they like on broken files
        raise broken(error) from None
    colours, notes = colours_of(image, head), notes_of(image, head)
    if samples is None:
        _scale_transparency(image, head)
        return Stored(image, turn=turn, colours=colours, notes=notes)
    alpha = samples.ndim == 3 and samples.shape[2] in (2, 4)
    clear = image.info.get("transparency")
    if not alpha and isinstance(clear, int) and samples.ndim == 2:
        opaque = np.where(samples == clear, 0, 65535).astype(samples.dtype)
        samples, alpha = np.stack([samples, opaque], -1), True
    return Stored(
        samples=samples.reshape(*samples.shape[:2], -1),
        bits=16 if image.mode != "F" else 32,
        alpha="straight" if alpha else "none",
        scale=Scale(0.0, 65535.0) if image.format == "PPM" and image.mode == "I" else None,
        turn=turn,
        colours=colours,
        notes=notes,
    )


_DEEP = ("I;16", "I;16L", "I;16B", "I", "F")


def head_of(source: Source) -> bytes:
    """Return the beginning of a file."""
    if isinstance(source, BytesIO):
        source.seek(0)
        head = source.read(_HEAD)
        source.seek(0)
        return head
    with source.open("rb") as file:
        return file.read(_HEAD)


def _deep_png(image: Image.Image, head: bytes) -> bool:
    """Return whether it is a PNG of 16 bits a colour, of which Pillow keeps 8."""
    return image.format == "PNG" and head[24] == 16 and head[25] != 0


def _by_opencv(source: Source, head: bytes) -> Any:
    data = source.getvalue() if isinstance(source, BytesIO) else source.read_bytes()
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError("its pixels do not decode")
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(found.shape[-1] if found.ndim == 3 else 1)
    return found if order is None else found[..., order]


def _scale_transparency(image: Image.Image, head: bytes) -> None:
    """Bring the transparent grey of a PNG of 2 or 4 bits to Pillow's 8 bits."""
    clear = image.info.get("transparency")
    if image.format == "PNG" and image.mode == "L" and isinstance(clear, int):
        image.info["transparency"] = clear * 255 // (2 ** head[24] - 1)


def colours_of(image: Image.Image, head: bytes) -> Colours:
    """Return what a picture, whose file begins with ``head``, says of its colours."""
    primaries, transfer = _code_points(head)
    if image.format == "PNG" and ("srgb" in image.info or primaries):
        return Colours(image.info.get("icc_profile"), None, primaries, transfer)
    gamma = image.info.get("gamma") if image.format == "PNG" else None
    return Colours(image.info.get("icc_profile"), gamma, primaries, transfer)


def _code_points(head: bytes) -> tuple[int, int]:
    """Return the code points of primaries and transfer that a HEIC, AVIF or PNG names, or 0."""
    if head[4:8] == b"ftyp":
        found = re.search(rb"colrnclx(..)(..)", head, re.DOTALL)
        return (int.from_bytes(found[1]), int.from_bytes(found[2])) if found else (0, 0)
    if head[:4] == b"\x89PNG":
        found = re.search(rb"\x00\x00\x00\x04cICP(.)(.)", head.split(b"IDAT")[0], re.DOTALL)
        return (found[1][0], found[2][0]) if found else (0, 0)
    return 0, 0


def notes_of(image: Image.Image, head: bytes) -> tuple[str, ...]:
    """Return what must be said of a picture whose file begins with ``head``."""
    notes = []
    exif = image.getexif()
    if "icc_profile" not in image.info and exif:
        space = exif.get_ifd(0x8769).get(0xA001)
        if space == _ADOBE_RGB or exif.get_ifd(0xA005).get(1) == "R03":
            notes.append("Its camera says Adobe RGB without a profile; it is shown as sRGB.")
    if image.format in ("JPEG", "MPO") and (b"hdrgm" in head or b"21496:-1" in head):
        notes.append("Its gain map for bright screens is left out.")
    return tuple(notes)


def _moving(image: Any, source: Source, reader: str) -> Pictures:
    """Return the pictures of an animated PNG, WebP or AVIF, each with its time."""
    first = 1 if image.info.get("default_image") else 0  # shown by what cannot move
    lengths = []
    for number in range(first, image.n_frames):
        image.seek(number)
        image.load()
        lengths.append(_milliseconds(image.info.get("duration")))
    starts = np.concatenate([[0.0], np.cumsum(lengths)])[:-1] / 1000
    return Pictures(
        len(lengths),
        _forward(source, first),
        reader,
        times=tuple(float(t) for t in starts),
    )


def _milliseconds(duration: Any) -> float:
    # Browsers show what has no length, or one too short to see, for a tenth of a second.
    value = float(duration or 0)
    return value if value > 10 else 100.0


def _forward(source: Source, first: int) -> Callable[[int], Stored]:
    """Return a reader that goes on from the picture before, since each builds on others."""
    held: list[Any] = []

    def read(number: int) -> Stored:
        if not held or held[0].tell() > number + first:
            held[:] = [Image.open(source, formats=_KINDS)]
        image = held[0]
        for step in range(image.tell(), number + first + 1):
            image.seek(step)
            image.load()
        return stored_of(image, source)

    return read


def _several_jpegs(image: Any, source: Source, reader: str) -> Pictures:
    """Return the pictures of an MPO that have the size of the first: stereo pairs, bursts."""
    same, size = [0], image.size
    for number in range(1, image.n_frames):
        try:
            image.seek(number)
            kind = image.mpinfo[0xB002][number]["Attribute"]["MPType"]
        except Exception:  # damaged directories are common; the first picture is whole
            break
        if image.size == size and "Thumbnail" not in str(kind) and not _gain_map(image):
            same.append(number)
    left = image.n_frames - len(same)
    notes = [
        f"Of its {image.n_frames} pictures {left} {'is' if left == 1 else 'are'} left out: "
        "smaller, of another kind or damaged."
    ]
    if len(same) > 1:
        notes.append("Its pictures are views of one moment or of a burst, taken as frames.")
    return Pictures(
        len(same),
        lambda number: _page(source, same[number]),
        reader,
        notes=tuple(notes if left else notes[1:]),
    )


def _gain_map(image: Any) -> bool:
    return b"hdrgm" in image.info.get("xmp", b"") or "hdrgm" in str(image.info.get("xmp", ""))
