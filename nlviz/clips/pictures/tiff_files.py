"""TIFF files: numbers of every type, pages that are frames, and camera raw files built as TIFF.

tifffile reads directories and numbers; pictures that are more than numbers (JPEG, fax, YCbCr, Lab)
Pillow reads as a whole, in 8 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from nlviz.clips.pictures.camera_raw import is_raw, previews
from nlviz.clips.pictures.colours import Colours
from nlviz.clips.pictures.levels import Scale
from nlviz.clips.pictures.limits import checked_size
from nlviz.clips.pictures.many import Pictures
from nlviz.clips.pictures.pillow_files import Source, broken
from nlviz.clips.pictures.stored import TURN_TAG, Alpha, Stored
from nlviz.clips.pictures.tiff_segments import samples_of
from nlviz.errors import UnreadableClip

_READER = f"tifffile {tifffile.__version__}"
_LIBTIFF = (2, 3, 4, 6, 7, 32771, 32809, 34676, 34677, 50001)  # codecs of whole pictures in Pillow
_COLOUR_SPACES = (6, 8, 9, 10)  # YCbCr and three kinds of Lab
_NOT_A_FRAME = 1 | 4  # NewSubfileType: a reduced picture, a mask
_NODATA = 42113  # GDAL's


def open_tiff(source: Source) -> Pictures:
    """Open a TIFF file.

    Raises:
        UnreadableClip: when it is broken, too large, or holds no picture that can be read.
    """
    try:
        with _opened(source) as file:
            return _pictures(file, source)
    except UnreadableClip:
        raise
    except Exception as error:  # damaged directories raise what they like
        raise broken(error) from None


def _opened(source: Source) -> Any:
    if isinstance(source, BytesIO):
        source.seek(0)
        return tifffile.TiffFile(source, name="upload.tif")
    return tifffile.TiffFile(source)


def _pictures(file: Any, source: Source) -> Pictures:
    pages = list(file.pages)
    if is_raw(pages):
        return previews(file, pages)
    real = [
        n for n, page in enumerate(pages) if not page.subfiletype & _NOT_A_FRAME and _size(page)
    ]
    if not real:
        real = [n for n, page in enumerate(pages) if _size(page)]
    if not real:
        raise UnreadableClip("the TIFF file holds no picture; is the file complete?")
    largest = max(_size(pages[n])[0] * _size(pages[n])[1] for n in real)
    size = next(_size(pages[n]) for n in real if math.prod(_size(pages[n])) == largest)
    checked_size(size[1], size[0])
    same = [n for n in real if _size(pages[n]) == size]
    notes, times = [], None
    if len(same) < len(pages):
        notes.append(
            f"Of its {len(pages)} pages {len(same)} {'are' if len(same) > 1 else 'is'} shown, of "
            f"{size[1]} x {size[0]} px; the others are smaller, reduced pictures or masks."
        )
    stacked = _imagej_stack(file, pages)
    if stacked and len(same) == 1:
        count, rate = stacked
        times = None if rate is None else tuple(n / rate for n in range(count))
        read: Callable[[int], Stored] = lambda n: _of_stack(source, n, count)  # noqa: E731
        return Pictures(count, read, _READER, times, tuple(notes))
    if file.is_imagej and (rate := _rate_of(file)) is not None:
        times = tuple(n / rate for n in range(len(same)))
    return Pictures(len(same), lambda n: _page(source, same[n]), _READER, times, tuple(notes))


def _size(page: Any) -> tuple[int, int]:
    return int(page.imagelength), int(page.imagewidth)


def _rate_of(file: Any) -> float | None:
    """Return the frames per second that ImageJ wrote, or None."""
    about = file.imagej_metadata or {}
    rate, interval = about.get("fps"), about.get("finterval")
    if not rate and interval and str(about.get("unit", "sec")):
        rate = 1 / float(interval)
    return float(rate) if rate else None


def _imagej_stack(file: Any, pages: list[Any]) -> tuple[int, float | None] | None:
    """Return frames and rate of a stack for whose first page only ImageJ wrote a directory."""
    about = file.imagej_metadata if file.is_imagej else None
    if not about or int(about.get("images", 1)) <= 1 or len(pages) > 1:
        return None
    return int(about["images"]), _rate_of(file)


def _of_stack(source: Source, number: int, count: int) -> Stored:
    with _opened(source) as file:
        page = file.pages[0]
        whole = page.dtype.newbyteorder(file.byteorder)
        each = math.prod(page.shape) * whole.itemsize
        file.filehandle.seek(page.dataoffsets[0] + number * each)
        data = file.filehandle.read(each)
        if len(data) < each:
            raise UnreadableClip(
                f"the stack ends before its picture {number + 1} of {count}; is the file complete?"
            )
        samples = np.frombuffer(data, whole).reshape(page.shape)
        return stored_of(page, file, samples.astype(page.dtype))


def _page(source: Source, number: int) -> Stored:
    try:
        with _opened(source) as file:
            page = file.pages[number]
            if page.compression in _LIBTIFF or page.photometric in _COLOUR_SPACES:
                return _by_pillow(source, number, page)
            return stored_of(page, file)
    except UnreadableClip:
        raise
    except Exception as error:  # codecs raise what they like on broken data
        raise broken(error) from None


def _by_pillow(source: Source, number: int, page: Any) -> Stored:
    if page.bitspersample not in (1, 8):
        raise UnreadableClip(
            f"this TIFF holds {page.bitspersample}-bit {_name(page)} data, which nothing here "
            "decodes; save it without compression or with deflate"
        )
    if isinstance(source, BytesIO):
        source.seek(0)
    with Image.open(source, formats=("TIFF",)) as image:
        image.seek(number)
        image.load()  # turns it, too
        return Stored(image, colours=Colours(image.info.get("icc_profile")))


def _name(page: Any) -> str:
    return str(getattr(page.compression, "name", page.compression))


def stored_of(page: Any, file: Any, samples: Any = None) -> Stored:
    """Return a page of numbers as it is stored, read from the file unless they are given."""
    bits = page.bitspersample
    samples = samples_of(page) if samples is None else samples
    if samples.dtype == bool:
        samples, bits = samples.astype(np.uint8) * np.uint8(255), 8
    if samples.ndim == 4 or (samples.ndim == 3 and page.samplesperpixel == 1):
        raise UnreadableClip("the TIFF file has pages with a depth; save each slice as a page")
    if samples.ndim == 2:
        samples = samples[..., None]
    elif page.planarconfig == 2:
        samples = np.moveaxis(samples, 0, -1)
    palette = page.colormap
    if palette is not None and page.photometric == 3:
        samples, bits = np.moveaxis(palette, 0, -1)[samples[..., 0]], 16
        if not samples.dtype.itemsize == 2:
            bits = 8
    samples, alpha, notes = _meant(page, samples)
    if (empty := page.tags.get(_NODATA)) is not None:
        samples, note = _without_nodata(samples, str(empty.value))
        notes += note
    profile = page.tags.get(34675)
    colours = Colours(bytes(profile.value) if profile is not None else None)
    turn = page.tags.get(TURN_TAG)
    common: dict[str, Any] = {
        "alpha": alpha,
        "turn": int(turn.value) if turn is not None else 1,
        "colours": colours,
        "notes": notes,
    }
    if page.photometric == 5:  # inks
        return _of_inks(samples, bits, **common)
    scale = (
        Scale(0.0, 2.0**bits - 1) if bits not in (8, 16, 32, 64) or palette is not None else None
    )
    return Stored(samples=samples, bits=bits, inverted=page.photometric == 0, scale=scale, **common)


def _meant(page: Any, samples: Any) -> tuple[Any, Alpha, tuple[str, ...]]:
    """Return the samples that make a picture, what the last one is, and what was left out."""
    colours = {2: 3, 5: 4}.get(int(page.photometric), 1)
    if page.photometric == 3:
        return samples, "none", ()
    extra = [int(kind) for kind in page.extrasamples]
    alpha: Alpha = "none"
    kept = min(colours, samples.shape[-1])
    if len(extra) and samples.shape[-1] > colours and extra[0] in (1, 2):
        alpha = "premultiplied" if extra[0] == 1 else "straight"
        kept += 1
    left = samples.shape[-1] - kept
    if not left:
        return samples, alpha, ()
    shown = "the first is" if colours == 1 else f"the first {colours} are"
    note = f"Of its {samples.shape[-1]} channels {shown} shown."
    return samples[..., :kept], alpha, (note,)


def _without_nodata(samples: Any, text: str) -> tuple[Any, tuple[str, ...]]:
    """Return samples whose value for places without data is NaN."""
    try:
        empty = float(text.strip("\0 "))
    except ValueError:
        return samples, ()
    found = samples == empty
    if not found.any():
        return samples, ()
    out = samples.astype(np.float64)
    out[found] = np.nan
    return out, (f"Places without data ({text.strip(chr(0) + ' ')}) are shown black.",)


def _of_inks(samples: Any, bits: int, **common: Any) -> Stored:
    if samples.dtype.kind != "u" or samples.shape[-1] < 4:
        raise UnreadableClip("the TIFF file has inks of an unknown kind; save it as RGB")
    levels = Scale(0.0, 2.0**bits - 1).levels(samples[..., :4])
    image = Image.frombuffer("CMYK", levels.shape[1::-1], np.ascontiguousarray(levels).tobytes())
    common["notes"] += ("Its transparency is left out.",) if common.pop("alpha") != "none" else ()
    return Stored(image, **common)
