"""From a decoded frame to RGB of 8 bits: colour matrix, range, transparency.

Y'CbCr is turned into R'G'B' by the matrix and range that the film names (ITU-R BT.601, BT.709,
BT.2020, SMPTE 240M, FCC; limited or full). A film that names no matrix is taken as players take
it: BT.709 from 1280 columns or more than 576 lines on, BT.601 below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

from nlviz.clips.decoded import Frames
from nlviz.clips.wide_colours import WideColours
from nlviz.errors import UnreadableClip

# Numbers of ITU-T H.273.
RGB, BT709, UNNAMED, BT601, YCGCO, BT2020, CONSTANT_BT2020 = 0, 1, 2, 5, 8, 9, 10
LIMITED, FULL = 1, 2
_BY_FFMPEG = (RGB, BT709, UNNAMED, 4, BT601, 6, 7, BT2020)
_MATRICES = {
    11: "Y'D'zD'x of SMPTE ST 2085",
    12: "a matrix derived from the primaries",
    13: "a matrix derived from the primaries, with constant luminance",
    14: "ICtCp",
    15: "IPT-C2 of Dolby Vision",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
# Codecs whose standard names one matrix.
_ALWAYS_601 = {"vp8", "libvpx", "mjpeg", "webp", "theora"}
# Codecs whose grey is limited like the luma of their colour films; in all others grey is full.
_LIMITED_GREY = {"h264", "hevc", "av1", "libdav1d", "vp9", "vvc", "mpeg2video", "dirac"}
# FFmpeg's quick path is exact to two levels for these and stays as it was; others are rounded well.
_QUICK = {"yuv420p", "yuv422p", "yuvj420p", "yuvj422p", "nv12"}
_CAREFUL = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class ColourTags:
    """Colours as a container or a frame names them, in the numbers of ITU-T H.273.

    Attributes:
        matrix: from R'G'B' to Y'CbCr.
        primaries: the colours of red, green, blue and white.
        transfer: from light to R'G'B'.
        levels: 1 for the limited range (16 to 235 of 255), 2 for the full one, 0 for unnamed.
    """

    matrix: int = UNNAMED
    primaries: int = UNNAMED
    transfer: int = UNNAMED
    levels: int = 0

    @classmethod
    def of(cls, named: Any) -> ColourTags:
        """Read the tags of a frame or of a codec context."""
        return cls(
            matrix=_number(named.colorspace),
            primaries=_number(named.color_primaries),
            transfer=_number(named.color_trc),
            levels=_number(named.color_range, 0),
        )

    def or_else(self, other: ColourTags) -> ColourTags:
        """Take from another source what this one leaves unnamed."""
        return ColourTags(
            matrix=other.matrix if self.matrix == UNNAMED else self.matrix,
            primaries=other.primaries if self.primaries == UNNAMED else self.primaries,
            transfer=other.transfer if self.transfer == UNNAMED else self.transfer,
            levels=self.levels or other.levels,
        )


def _number(value: Any, unnamed: int = UNNAMED) -> int:
    return unnamed if value is None or value == 3 else int(value)  # 3 is reserved


@dataclass(frozen=True)
class _Layout:
    """What matters of a pixel format."""

    rgb: bool
    grey: bool
    alpha: bool
    depth: int


@cache
def _layout(name: str) -> _Layout:
    layout = av.VideoFormat(name)
    parts = layout.components
    return _Layout(
        rgb=layout.is_rgb,
        grey=not layout.is_rgb and not layout.has_palette and len(parts) < 3,
        alpha=layout.has_palette or any(part.is_alpha for part in parts),
        depth=parts[0].bits if parts else 8,
    )


def film_rgb(
    frame: Any,
    *,
    codec: str,
    container: ColourTags,
    note: Callable[[str], None],
    opaque: bool = False,
) -> Frames:
    """Return a decoded frame as (H, W, 3) RGB uint8, with see-through parts on white.

    Args:
        frame: as PyAV decodes it.
        codec: FFmpeg's name of the decoder, which settles what a film may leave unnamed.
        container: what the container names, for frames that name less.
        note: takes one sentence for each guess and for each thing not done.
        opaque: whether a fourth channel is padding.

    Raises:
        UnreadableClip: when FFmpeg cannot convert its pixel format.
    """
    try:
        return _rgb(frame, codec, container, note, opaque)
    except av.error.FFmpegError:
        raise UnreadableClip(
            f"FFmpeg cannot turn pixels of the format {frame.format.name} into RGB; convert the "
            "film to a common format, such as yuv420p"
        ) from None


def _rgb(
    frame: Any, codec: str, container: ColourTags, note: Callable[[str], None], opaque: bool
) -> Frames:
    tags = ColourTags.of(frame).or_else(container)
    layout = _layout(frame.format.name)
    if layout.grey:
        return _grey(frame, codec, tags, note)
    matrix = RGB if layout.rgb else _matrix(frame, codec, tags, note)
    wide = WideColours.between(tags.primaries, tags.transfer, frame, note)
    if layout.alpha and not opaque:
        if wide:
            note("Transparency was not regarded, because the film's colours are wider than RGB's.")
        else:
            return on_white(_converted(frame, "rgba", matrix, tags, note), note)
    if wide:
        return wide.shown(_converted(frame, "rgb48le", matrix, tags, note))
    return np.asarray(_converted(frame, "rgb24", matrix, tags, note), np.uint8)


def on_white(rgba: Frames, note: Callable[[str], None]) -> Frames:
    """Lay (H, W, 4) RGBA uint8, alpha straight, on white."""
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    note("The film has transparency; it was laid on white.")
    share = alpha.astype(np.uint16)
    laid = rgba[..., :3] * share + 255 * (255 - share)
    return ((laid + 127) // 255).astype(np.uint8)


def _matrix(frame: Any, codec: str, tags: ColourTags, note: Callable[[str], None]) -> int:
    if tags.matrix != UNNAMED:
        return tags.matrix
    if tags.primaries == 9 or tags.transfer in (16, 18):  # BT.2020, PQ, HLG
        return BT2020
    if tags.primaries == 1:
        return BT709
    if codec in _ALWAYS_601 or (frame.width < 1280 and frame.height <= 576):
        return BT601
    note(
        "The film does not name its colour matrix; BT.709 was taken, as players do for "
        f"{frame.width} x {frame.height} px (OpenCV and FFmpeg take BT.601, which "
        "differs by up to 35 of 255 levels)."
    )
    return BT709


def _converted(
    frame: Any, layout: str, matrix: int, tags: ColourTags, note: Callable[[str], None]
) -> npt.NDArray[Any]:
    if matrix == YCGCO:
        rgb = _from_ycgco(frame, tags.levels == FULL)
        return rgb if layout == "rgb24" else _as_layout(rgb, layout)
    if matrix == CONSTANT_BT2020:
        note("The film is in BT.2020 of constant luminance; it was shown as if of the usual kind.")
        matrix = BT2020
    elif matrix not in _BY_FFMPEG:
        named = _MATRICES.get(matrix, f"number {matrix} of ITU-T H.273")
        note(
            f"The film's colour matrix is {named}, which is not supported; its colours are wrong. "
            "Convert it to BT.709 first."
        )
        matrix = BT2020 if matrix in (12, 13, 14, 15) else BT709
    quick = frame.format.name in _QUICK and layout == "rgb24"
    array = frame.to_ndarray(
        format=layout,
        src_colorspace=matrix,
        src_color_range=tags.levels or None,
        interpolation=None if quick else _CAREFUL,
    )
    return np.asarray(array)


def _grey(frame: Any, codec: str, tags: ColourTags, note: Callable[[str], None]) -> Frames:
    """Return a frame of luma alone; FFmpeg's conversion takes any grey for full range."""
    layout = _layout(frame.format.name)
    limited = tags.levels == LIMITED or (not tags.levels and codec in _LIMITED_GREY)
    if layout.alpha:
        rgba = np.asarray(frame.to_ndarray(format="rgba", interpolation=_CAREFUL))
        if limited:
            rgba[..., :3] = _stretched(rgba[..., :3] / 255, 8)
        return on_white(rgba, note)
    if not limited and layout.depth <= 8:
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    share = np.asarray(frame.to_ndarray(format="gray16le"), np.float32) / 65535
    grey = _stretched(share, layout.depth) if limited else np.rint(share * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _stretched(share: npt.NDArray[Any], depth: int) -> Frames:
    """Map limited luma, as a share of the largest value of its depth, to 0..255."""
    level = share * ((1 << depth) - 1) / (1 << (depth - 8))
    grey: Frames = np.clip(np.rint((level - 16) * (255 / 219)), 0, 255).astype(np.uint8)
    return grey


def _from_ycgco(frame: Any, full: bool) -> Frames:
    """Return R'G'B' of a frame in YCgCo: ITU-T H.273, equations 51 to 54."""
    wide = frame.reformat(
        format="yuv444p16le",
        src_colorspace=BT601,  # of no consequence: the layout changes, the colours do not
        dst_colorspace=BT601,
        src_color_range=LIMITED,
        dst_color_range=LIMITED,
        interpolation=_CAREFUL,
    )
    planes = np.asarray(wide.to_ndarray(channel_last=True), np.float32)
    y, cg, co = np.moveaxis(planes / 256 - (0, 128, 128), 2, 0)
    if not full:
        y, cg, co = (y - 16) * (255 / 219), cg * (255 / 224), co * (255 / 224)
    rgb = np.stack([y - cg + co, y + cg, y - cg - co], axis=2)
    shown: Frames = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return shown


def _as_layout(rgb: Frames, layout: str) -> npt.NDArray[Any]:
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return np.asarray(frame.to_ndarray(format=layout))


def luma(frame: Any) -> Frames:
    """Return a frame's (H, W) luma, uint8."""
    return np.asarray(frame.to_ndarray(format="gray"), np.uint8)
