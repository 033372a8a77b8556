"""What a picture's numbers mean as colours, and their way to sRGB, which all else here expects."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

# Code points of ISO/IEC 23091-2, as HEIC, AVIF and PNG's cICP name them.
_PRIMARIES = {9: "BT.2020", 11: "DCI P3", 12: "Display P3"}
_HDR = {16: "PQ", 18: "HLG"}
# From linear light of these primaries to linear sRGB, by CIE 1931 and the white point D65.
_TO_SRGB = {
    9: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    12: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
_GAMMA = 1 / 2.2  # of files that mean sRGB
_LITTLE = 2  # levels of 255 that a conversion may move a pixel without a word


@dataclass(frozen=True)
class Colours:
    """What a file says of its colours.

    Attributes:
        profile: an ICC profile, or None.
        gamma: exponent from light to number, as PNG's gAMA has it, or None.
        primaries: code point of its primaries, or 0.
        transfer: code point of its transfer function, or 0.
    """

    profile: bytes | None = None
    gamma: float | None = None
    primaries: int = 0
    transfer: int = 0


def in_srgb(image: Image.Image, about: Colours) -> tuple[Image.Image, list[str]]:
    """Return a picture in sRGB, in a mode with alpha where it has alpha, and what was done.

    An ICC profile counts before everything else that a file says.
    """
    alpha = image.convert("RGBA").getchannel("A") if _has_alpha(image) else None
    base = _without_alpha(image)
    notes: list[str] = []
    if about.transfer in _HDR:
        notes.append(
            f"It is a picture of high dynamic range ({_HDR[about.transfer]}), shown without tone "
            "mapping: its contrast looks flat."
        )
    if about.profile:
        done, note = _by_profile(base, about.profile)
    elif base.mode == "LAB":
        done, note = _from_lab(base), ""
    elif base.mode == "CMYK":
        done = base.convert("RGB")
        note = "Its inks (CMYK) have no colour profile: the colours are approximate."
    elif about.primaries in _TO_SRGB and about.transfer not in _HDR:
        done, note = _by_primaries(base.convert("RGB"), about.primaries)
    elif about.gamma and abs(about.gamma / _GAMMA - 1) > 0.05:
        done, note = _by_gamma(base, about.gamma)
    else:
        done, note = base, ""
    if note:
        notes.append(note)
    if alpha is not None:
        done = done.convert("RGB")
        done.putalpha(alpha)
    return done, notes


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _without_alpha(image: Image.Image) -> Image.Image:
    mode = {"RGBA": "RGB", "RGBa": "RGB", "LA": "L", "La": "L", "PA": "RGB", "P": "RGB", "1": "L"}
    if image.mode in mode:
        return image.convert(mode[image.mode])
    return image.convert("RGB") if image.mode in ("YCbCr", "RGBX", "HSV") else image


def _by_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        name = (ImageCms.getProfileDescription(source) or "").strip() or "its profile"
        space = source.profile.xcolor_space.strip()
        wanted = {"RGB": "RGB", "CMYK": "CMYK", "GRAY": "L", "Lab": "LAB"}.get(space)
        if wanted == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if wanted != image.mode:
            return image.convert("RGB"), (
                f"Its colour profile, {name}, is one for {space} and does not fit: it is not used."
            )
        if image.mode == "RGB" and "srgb" in name.lower() and "linear" not in name.lower():
            return image, ""
        done = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        return image.convert("RGB"), f"Its colour profile is broken ({error}): sRGB is assumed."
    assert done is not None
    if image.mode != "CMYK" and _close(image.convert("RGB"), done):
        return done, ""
    return done, f"Its colours were converted to sRGB from {name}."


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    done = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert done is not None
    return done


def _by_primaries(image: Image.Image, primaries: int) -> tuple[Image.Image, str]:
    light = _light(np.asarray(image))
    light = light @ np.array(_TO_SRGB[primaries], np.float32).T
    return (
        Image.fromarray(_numbers(light)),
        f"Its colours were converted to sRGB from {_PRIMARIES[primaries]}.",
    )


def _by_gamma(image: Image.Image, gamma: float) -> tuple[Image.Image, str]:
    steps = np.arange(256, dtype=np.float32) / 255
    table = _numbers(steps ** (1 / gamma)).tolist()
    done = image.point(table * len(image.getbands()))
    return done, f"Its colours were converted to sRGB from a gamma of {1 / gamma:.2f}."


def _light(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return linear light in [0, 1] for levels of sRGB."""
    steps = np.arange(256, dtype=np.float32) / 255
    table = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
    return np.asarray(table.astype(np.float32)[levels])


def _numbers(light: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return levels of sRGB for linear light."""
    light = np.clip(light, 0, 1)
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.floor(coded * 255 + 0.5).astype(np.uint8)


def _close(one: Image.Image, two: Image.Image) -> bool:
    small = [
        np.asarray(i.resize((min(i.width, 64), min(i.height, 64)), Image.Resampling.NEAREST))
        for i in (one, two)
    ]
    return bool(np.abs(small[0].astype(int) - small[1]).max() <= _LITTLE)
