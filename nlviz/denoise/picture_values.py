"""Pictures as their files hold them: every depth and sign, alpha apart, colour profile kept.

``nlviz.read_clip`` gives what a screen shows, 8 bits of sRGB on white. Denoising needs the numbers
themselves: noise of 40 in 65535 is a sixth of a step of 8 bits.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from nlviz.clips.inputs import find_input
from nlviz.clips.pictures.files import open_pictures
from nlviz.clips.pictures.stored import TURN_TAG, Stored
from nlviz.clips.sequences import picture_list
from nlviz.denoise.image import Image, as_type
from nlviz.errors import NlvizError, UnreadableClip

_TURNS = {  # what brings rows and columns upright: times a quarter to the left, then mirrored
    1: (0, False),
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}
_SIZE_TAGS = (282, 283, 296, 531)  # resolutions, their unit, where colours were sampled
_LUMINANCE = (0.299, 0.587, 0.114)  # of ITU-R 601-2, as Pillow has it
_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, eq=False)
class PictureValues:
    """A picture's values as its file holds them, turned upright.

    Attributes:
        values: (H, W) or (H, W, C), or with an axis of pages in front, of the file's own type.
        alpha: (H, W), or (T, H, W), of the same type, or None.
        profile: ICC profile of the colours, or None.
        gamma: exponent from light to number, as PNG's gAMA has it, or None.
        range: black and white where the file says that its type has more bits than its values.
        notes: sentences that a user must know.
        pages: how many pages of a stack are the first axis; 1 where there is no such axis.
        beside: what its file says besides, and a written one does not, a sentence each.
    """

    values: Image
    alpha: Image | None = None
    profile: bytes | None = None
    gamma: float | None = None
    range: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    pages: int = 1
    beside: tuple[str, ...] = ()

    @property
    def mask(self) -> npt.NDArray[np.bool_] | None:
        """True where a pixel is fully transparent, whose values mean nothing; or None."""
        if self.alpha is None or self.alpha.all():
            return None
        mask: npt.NDArray[np.bool_] = self.alpha == 0
        return mask

    def grey(self) -> PictureValues:
        """Return the luminance, in the same type."""
        if self.values.shape[-1] != 3 or self.values.ndim < 3:
            return self
        if self.values.dtype == np.uint8 and self.values.ndim == 3:
            return replace(self, values=np.asarray(Pillow.fromarray(self.values).convert("L")))
        grey = self.values.astype(np.float64) @ np.array(_LUMINANCE)
        return replace(self, values=as_type(grey, self.values.dtype))

    def resized(self, size: int) -> PictureValues:
        """Return it with this shorter side in pixels: the mean over areas, or cubic."""
        height, width = self.values.shape[:2]
        scale = size / min(height, width)
        to = (max(round(width * scale), 1), max(round(height * scale), 1))
        if to == (width, height):
            return self
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC

        def small(image: Image) -> Image:
            fine = image.dtype in (np.uint8, np.uint16, np.float32, np.float64)
            work = image if fine else image.astype(np.float64)
            done = cv2.resize(np.ascontiguousarray(work), to, interpolation=how)
            return as_type(np.asarray(done), image.dtype)

        alpha = None if self.alpha is None else small(self.alpha)
        return replace(self, values=small(self.values), alpha=alpha)


def read_values(
    source: str | Path, *, pages: int | None = 1, first: int = 0, stride: int = 1
) -> PictureValues | None:
    """Read a picture's own values, or those of the pages of a stack; None for films.

    Args:
        source: the file, or the name of a bundled picture.
        pages: how many pages of a stack, None for all; with more than one they are the first axis.
        first: the first of them.
        stride: every how many of them.

    Raises:
        UnreadableClip: when the file is missing or broken.

    >>> read_values("cat.jpg").values.dtype
    dtype('uint8')
    """
    path = find_input(str(source))
    if picture_list(path) is not None or not path.is_file():
        return None
    many = _many_channels(path)
    if many is not None:
        return many
    opened = open_pictures(path)
    if opened is None:
        return None
    numbers = list(range(first, opened.count, stride))[:pages]
    if not numbers:
        raise UnreadableClip(
            f"{path.name} holds {opened.count} page{'s' if opened.count > 1 else ''}, the first "
            f"asked for is number {first + 1}"
        )
    stored = [opened.read(number) for number in numbers]
    found = [_values(each) for each in stored]
    one = replace(found[0], beside=_beside(path, stored[0].turn))
    notes = (*opened.notes, *one.notes)
    if opened.count > len(numbers):
        notes += (f"{len(numbers)} of its {opened.count} pages taken; --frames takes more.",)
    if len(numbers) == 1:
        return replace(one, notes=tuple(dict.fromkeys(notes)))
    if len({(f.values.shape, f.values.dtype) for f in found}) > 1:
        raise UnreadableClip(f"the pages of {path.name} differ in size or type; take one")
    alphas = [f.alpha for f in found if f.alpha is not None]
    return replace(
        one,
        values=np.stack([f.values for f in found]),
        alpha=np.stack(alphas) if len(alphas) == len(found) else None,
        notes=tuple(dict.fromkeys(notes)),
        pages=len(found),
    )


def _values(stored: Stored) -> PictureValues:
    """Return the values of a picture as it is stored."""
    notes, gamma = stored.notes, stored.colours.gamma
    bounds: tuple[float, float] | None = None
    if stored.samples is None:
        assert stored.image is not None  # one of both is there
        samples, notes = _of_image(stored.image, notes)
        alpha = samples.shape[-1] in (2, 4)
    else:
        samples, alpha = stored.samples, stored.alpha != "none"
        deep = samples.dtype.kind == "u" and stored.bits < 8 * samples.dtype.itemsize
        if stored.scale is not None and deep:
            bounds = (stored.scale.black, stored.scale.white)
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    quarters, mirror = _TURNS.get(stored.turn, (0, False))
    samples = np.rot90(samples, quarters)
    samples = samples[:, ::-1] if mirror else samples
    values = samples[..., :-1] if alpha else samples
    layer = np.ascontiguousarray(samples[..., -1]) if alpha else None
    if stored.alpha == "premultiplied" and layer is not None:
        values, notes = _straight(values, layer), (*notes, "Its colours were divided by alpha.")
    if stored.inverted:
        top = bounds[1] if bounds else np.iinfo(values.dtype).max
        values = as_type(top - values.astype(np.float64), values.dtype)
        notes = (*notes, "Its values were turned round: in the file 0 is white.")
    coloured = stored.colours.profile is not None and stored.colours.profile[16:20] == b"RGB "
    if values.shape[-1] == 1 or (
        values.shape[-1] == 3 and not coloured and bool((values[..., :1] == values[..., 1:]).all())
    ):
        values = values[..., 0]
    values = np.ascontiguousarray(values)
    return PictureValues(values, layer, stored.colours.profile, gamma, bounds, notes)


def _beside(path: Path, turn: int) -> tuple[str, ...]:
    """Return what the file of a picture says besides pixels, colours and alpha."""
    said = []
    if turn != 1:
        said.append("its pixels are written upright, where its own file asks for a turn")
    with suppress(Exception), Pillow.open(path) as image:  # plugins raise what they like
        across, _ = image.info.get("dpi", (0, 0))
        if across > 1:
            said.append(f"its resolution, {float(across):.4g} dots per inch, is not written")
        if image.format != "TIFF" and set(image.getexif()) - {TURN_TAG, *_SIZE_TAGS}:
            said.append("its EXIF data, such as camera and time, are not written")
    return tuple(said)


def _of_image(image: Pillow.Image, notes: tuple[str, ...]) -> tuple[Image, tuple[str, ...]]:
    """Return the values of an 8-bit picture, with alpha where it has any."""
    clear = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    grey = image.mode in ("L", "LA", "La", "1")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "P", "PA", "1", "RGBa", "La"):
        notes = (*notes, f"Its colours, {image.mode}, were converted to RGB.")
    mode = ("LA" if clear else "L") if grey else ("RGBA" if clear else "RGB")
    values = np.asarray(image.convert(mode))
    return (values[..., None] if values.ndim == 2 else values), notes


def _straight(values: Image, alpha: Image) -> Image:
    most = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
    share = np.where(alpha > 0, alpha / most, 1.0)[..., None]
    return as_type(values.astype(np.float64) / share, values.dtype)


def _many_channels(path: Path) -> PictureValues | None:
    """Return all channels of a TIFF file with more of them than a screen shows, else None."""
    with path.open("rb") as file:
        if file.read(4) not in _MARKS:
            return None
    import tifffile

    from nlviz.clips.pictures.tiff_segments import samples_of

    try:
        with tifffile.TiffFile(path) as opened:
            page: Any = opened.pages[0]
            extra, shown = len(page.extrasamples), 3 if int(page.photometric) == 2 else 1
            meant = {shown, shown + 1} if extra and int(page.extrasamples[0]) in (1, 2) else {shown}
            if page.samplesperpixel in meant or int(page.photometric) not in (0, 1, 2):
                return None
            values = samples_of(page)
            if page.planarconfig == 2:
                values = np.moveaxis(values, 0, -1)
    except NlvizError:
        raise
    except Exception as error:  # damaged directories raise what they like
        raise UnreadableClip(f"the picture is broken ({error}); save it again") from None
    note = f"All of its {values.shape[-1]} channels are taken."
    return PictureValues(np.ascontiguousarray(values), notes=(note,))
