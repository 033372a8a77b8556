"""Folders, numbered patterns, globs and lists of pictures: which pictures, in which order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.clips import video_files
from nlviz.clips.pictures.files import open_pictures
from nlviz.clips.pictures.many import Pictures
from nlviz.clips.pictures.stored import Stored
from nlviz.errors import MissingClip, UnreadableClip
from nlviz.files.local import digest_of
from nlviz.sentences import listed

Item = str | Path | bytes | npt.NDArray[Any]

PICTURE_ENDINGS = frozenset(
    "png apng jpg jpeg jpe jfif mpo webp tif tiff bmp dib gif ppm pgm pbm pnm pam pfm jp2 j2k jpf "
    "avif heic heif hif qoi sgi rgb ras tga dpx cin dds pcx psd ico jxl exr hdr dng nef cr2 cr3 "
    "arw dcm fits".split()
)
_FILMS = frozenset("mp4 mov mkv webm avi mpg mpeg ts m2ts mts wmv flv m4v vob ogv 3gp".split())
_NAMED = 3  # as many of those left out are named


@dataclass(frozen=True, eq=False)
class PictureList:
    """Pictures that follow each other.

    Attributes:
        items: files, bytes of files, or arrays.
        name: what to call them.
        notes: what a user must know of the choice.
    """

    items: tuple[Item, ...]
    name: str
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The sha256 of the digests of all items, in order.

        Raises:
            UnreadableClip: when a file cannot be read.
        """
        return digest_of("\n".join(_digest(item) for item in self.items).encode())

    def opened(self) -> Pictures:
        """Return the pictures, each read when it is asked for.

        Raises:
            UnreadableClip: when the first cannot be read.
        """
        first = _opened(self.items[0])
        return Pictures(len(self.items), self._read, first.reader, notes=self.notes)

    def _read(self, number: int) -> Stored:
        item = self.items[number]
        try:
            found = _opened(item)
            stored = found.read(0)
        except UnreadableClip as error:
            raise type(error)(f"{_called(item, number)}: {error}") from None
        notes = found.notes
        if found.count > 1:
            notes += (f"{_called(item, number)} holds {found.count} pictures; its first is shown.",)
        return stored.noted(*notes)


def natural(name: str) -> tuple[Any, ...]:
    """Return what to sort names by, so that numbers in them count as numbers.

    >>> sorted(["img_10.png", "img_2.png", "Img_1.png"], key=natural)
    ['Img_1.png', 'img_2.png', 'img_10.png']
    """
    parts = re.split(r"(\d+)", name)
    return (*((int(p), "") if p.isdecimal() else (-1, p.casefold()) for p in parts), (0, name))


def picture_list(source: Any) -> PictureList | None:
    """Return the pictures that a folder, a pattern, a glob or a list names; None for other things.

    Raises:
        UnreadableClip: when there is not one picture, or a list holds something else.
    """
    if isinstance(source, (list, tuple)):
        return _of_list(source)
    if not isinstance(source, (str, Path)):
        return None
    path = Path(source)
    if path.is_dir():
        return _of_folder(path)
    pattern = _pattern(path.name)
    if pattern is None or path.is_file():
        return None
    if not path.parent.is_dir():
        raise MissingClip(f"there is no folder {str(path.parent)!r}; give one that is there")
    found = [p for p in path.parent.iterdir() if pattern.fullmatch(p.name) and p.is_file()]
    if not found:
        raise MissingClip(
            f"no file in {path.parent.name or str(path.parent)!r} fits {path.name!r}; a number is "
            "written %d, %04d or ####, any text *"
        )
    return _of_files(found, path.name, ())


def fits_name(name: str, pattern: str) -> bool:
    """Return whether a file's name fits a pattern, whatever its case; a plain name fits itself.

    >>> fits_name("img_0012.PNG", "img_%04d.png"), fits_name("img_12.png", "img_####.png")
    (True, False)
    """
    compiled = _pattern(pattern)
    return name == pattern if compiled is None else compiled.fullmatch(name) is not None


def has_pattern(name: str) -> bool:
    """Return whether a name holds a sign that stands for others: ``%d``, ``#``, ``*``, ``?``."""
    return _pattern(name) is not None


def _pattern(name: str) -> re.Pattern[str] | None:
    """Return the names that a pattern stands for, or None where it is a plain name."""
    if not re.search(r"%0?\d*d|#|[*?\[]", name):
        return None
    return _compiled(name)


@lru_cache(64)
def _compiled(name: str) -> re.Pattern[str] | None:
    out = ""
    for part in re.split(r"(%0?\d*d|#+|\*|\?|\[[^\]]+\])", name):
        if re.fullmatch(r"%0?\d*d", part):
            digits = int(part[1:-1] or 0)
            out += rf"\d{{{digits},}}" if part[1] == "0" else r"\d+"
        elif part.startswith("#"):
            out += rf"\d{{{len(part)},}}"
        elif part in ("*", "?"):
            out += "." + part.replace("?", "")
        elif part.startswith("["):
            out += part.replace("[!", "[^").replace("\\", r"\\")
        else:
            out += re.escape(part)
    try:
        return re.compile(out, re.IGNORECASE)
    except re.error:
        return None


def _of_folder(folder: Path) -> PictureList:
    try:
        entries = sorted(folder.iterdir(), key=lambda p: natural(p.name))
    except OSError as error:
        raise UnreadableClip(f"the folder {folder.name} cannot be read: {error.strerror}") from None
    hidden = [p for p in entries if p.name.startswith(".")]
    files = [p for p in entries if p.is_file() and p not in hidden]
    found = [p for p in files if p.suffix.lower()[1:] in PICTURE_ENDINGS]
    if not found:
        films = [p.name for p in files if p.suffix.lower()[1:] in _FILMS]
        inside = [p.name for p in entries if p.is_dir() and p not in hidden]
        what = ""
        if films:
            what = f", but {_some(films)}: give the path of one video"
        elif inside:
            what = f", but folders ({_some(inside)}): give one that holds the frames"
        name = folder.resolve().name
        raise UnreadableClip(
            f"the folder {name} holds no picture{what or '; give one that holds the frames'}"
        )
    left = [p.name for p in files if p not in found]
    notes: tuple[str, ...] = ()
    if left:
        notes += (f"{_many(len(left), 'other file')} left out ({_some(left)}).",)
    stems = Counter(re.sub(r"\d+", "#", p.name) for p in found)
    if len(stems) > 1 and max(stems.values()) > 1:
        common = [name for name, _ in stems.most_common(_NAMED)]
        notes += (
            f"The pictures have {len(stems)} kinds of names ({_some(common)}), all taken as "
            "frames; give a pattern to take one kind.",
        )
    return _of_files(found, folder.resolve().name, notes)


def _of_files(files: Iterable[Path], name: str, notes: tuple[str, ...]) -> PictureList:
    ordered = sorted(files, key=lambda p: natural(p.name))
    return PictureList(tuple(ordered), name, (*notes, *_gaps(ordered)))


def _of_list(items: Sequence[Any]) -> PictureList:
    if not items:
        raise UnreadableClip("a list of pictures needs at least one; this one is empty")
    for item in items:
        if not isinstance(item, (str, Path, bytes, np.ndarray)):
            raise UnreadableClip(
                "a list of pictures holds paths, bytes or arrays, this one a "
                f"{type(item).__name__}; convert it with numpy.asarray"
            )
    taken = tuple(Path(item) if isinstance(item, str) else item for item in items)
    names = [_called(item, number) for number, item in enumerate(taken)]
    name = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return PictureList(taken, name)


def _gaps(files: Sequence[Path]) -> tuple[str, ...]:
    """Return a note on numbers that are missing between the first and the last."""
    names = [re.split(r"(\d+)", p.name) for p in files]
    if len({len(parts) for parts in names}) != 1 or len(names) < 2:
        return ()
    columns = list(zip(*names, strict=True))
    changing = [column for column in columns if len(set(column)) > 1]
    if len(changing) != 1 or not all(text.isdecimal() for text in changing[0]):
        return ()
    numbers = [int(text) for text in changing[0]]
    steps = {b - a for a, b in pairwise(numbers) if b > a}
    if len(steps) < 2:
        return ()
    step = min(steps)
    missing = sum((b - a) // step - 1 for a, b in pairwise(numbers) if b > a)
    at = next(a + step for a, b in pairwise(numbers) if b - a > step)
    many = "One number is" if missing == 1 else f"{missing} numbers are"
    return (
        f"{many} missing between {numbers[0]} and {numbers[-1]}, first {at}; the pictures follow "
        "each other without a pause.",
    )


def _opened(item: Item) -> Pictures:
    if isinstance(item, np.ndarray):
        return Pictures(1, partial(_of_array, item), f"NumPy {np.__version__}")
    if isinstance(item, bytes):
        source: Path | BytesIO = BytesIO(item)
    else:
        source = Path(item)
        if not source.is_file():
            raise MissingClip(f"there is no file {str(source)!r}; give the path of a file")
    found = open_pictures(source)
    if found is not None:
        return found
    decoded = video_files.decode(source, start=0.0, stride=1, frames=1, keep=None, progress=None)
    stored = Stored(samples=decoded.frames[0], notes=decoded.notes)
    if isinstance(source, Path) and source.suffix.lower()[1:] in _FILMS:
        stored = stored.noted(f"{_called(item, 0)} is a film; its first frame is shown.")
    return Pictures(1, lambda _: stored, decoded.reader)


def _of_array(array: npt.NDArray[Any], _: int) -> Stored:
    samples = array.astype(np.uint8) * np.uint8(255) if array.dtype == bool else array
    samples = samples[..., None] if samples.ndim == 2 else samples
    fits = samples.ndim == 3 and samples.shape[-1] in (1, 2, 3, 4) and 0 not in samples.shape
    if not fits or samples.dtype.kind not in "uif":
        raise UnreadableClip(
            "an array of a list must be (H, W), or (H, W, C) with 1 to 4 channels, of real "
            f"numbers, got {array.dtype} {array.shape}; lay its axes in that order"
        )
    alpha = samples.shape[-1] in (2, 4)
    return Stored(samples=samples, bits=samples.itemsize * 8, alpha="straight" if alpha else "none")


def _digest(item: Item) -> str:
    if isinstance(item, np.ndarray):
        return digest_of(f"{item.dtype} {item.shape}".encode() + item.tobytes())
    if isinstance(item, bytes):
        return digest_of(item)
    try:
        return digest_of(Path(item))
    except FileNotFoundError:
        raise MissingClip(f"there is no file {str(item)!r}; give the path of a file") from None
    except OSError as error:
        raise UnreadableClip(f"{Path(item).name} cannot be read: {error.strerror}") from None


def _called(item: Item, number: int) -> str:
    return Path(item).name if isinstance(item, (str, Path)) else f"picture {number + 1}"


def _some(names: Sequence[str]) -> str:
    shown = names[:_NAMED]
    rest = len(names) - len(shown)
    return listed(shown if not rest else [*shown, f"{rest} more"], "and")


def _many(count: int, what: str) -> str:
    return f"One {what} is" if count == 1 else f"{count} {what}s are"
