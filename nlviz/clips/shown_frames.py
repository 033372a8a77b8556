"""Turn decoded frames into the RGB picture that a player shows, and say what was done.

In this order: fields combined, colours to RGB of 8 bits, cut to the clean picture, pixels made
square, turned as the file asks, sized as the first frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from PIL import Image

from nlviz.clips.decoded import Frames
from nlviz.clips.fields import TEETH, first_field, is_single_field, looks_woven, parity_of, woven
from nlviz.clips.film_colours import film_rgb, luma
from nlviz.clips.pictures.colours import Colours, in_srgb
from nlviz.clips.pictures.limits import MAX_PIXELS, too_many_pixels
from nlviz.clips.streams import StreamFacts
from nlviz.clips.turns import Turn, turn_by, turn_of
from nlviz.picture import resized

# Pixels longer than this are a mistake of the file; players then show them square.
LONGEST_PIXEL = 8
LOOKED_AT = 2  # frames that are searched for combs which the file does not speak of


class Screen:
    """Shows the frames of one video stream.

    Attributes:
        notes: one sentence for each way in which what is shown differs from what is stored, or
            had to be guessed.

    >>> import av
    >>> anamorphic = Screen(StreamFacts(pixel_aspect=Fraction(16, 11)))
    >>> anamorphic.shown(av.VideoFrame.from_ndarray(np.zeros((64, 66, 3), np.uint8))).shape
    (64, 96, 3)
    """

    def __init__(self, facts: StreamFacts | None = None) -> None:
        self._facts = facts or StreamFacts()
        self._size: tuple[int, int] | None = None
        self._aspect: Fraction | None = None
        self._looked = 0
        self.notes: list[str] = list(self._facts.notes)

    def shown(self, frame: Any) -> Frames:
        """Return a decoded frame as (H, W, 3) RGB uint8, the same size for every frame.

        Raises:
            UnreadableClip: when it has too many pixels.
        """
        if frame.width * frame.height > MAX_PIXELS:
            raise too_many_pixels(f"{frame.width} x {frame.height}")
        carried = _side_data(frame, self._facts.codec)
        picture = self._coloured(self._combined(frame), carried)
        picture = self._turn(frame, carried).of(self._squared(self._cut(picture)))
        for kind, sentence in _SAID.items():
            if kind in carried:
                self._note(sentence)
        size = (picture.shape[0], picture.shape[1])
        if self._size is None:
            self._size = size
        elif size != self._size:
            height, width = self._size
            self._note(
                "The film changes its size on the way; all frames were brought to the size of the "
                f"first one shown ({width} x {height} px)."
            )
            picture = np.asarray(cv2.resize(picture, (width, height)), np.uint8)
        return picture

    def hear(self, pixel_aspect: Fraction | None) -> None:
        """Take note of what the codec says of its pixels now; all frames keep the first aspect.

        Decoders say it some frames before they hand out the first one that it is true of.
        """
        first = self._facts.pixel_aspect
        if not pixel_aspect or pixel_aspect <= 0:
            return
        if self._aspect is None:
            self._aspect = pixel_aspect
        elif self._aspect == first != pixel_aspect:  # else the container says it once for all
            self._note(
                "The shape of the film's pixels changes on the way, from "
                f"{first.numerator}:{first.denominator} to "
                f"{pixel_aspect.numerator}:{pixel_aspect.denominator}; all frames are shown with "
                "the first one, so later ones are stretched. Cut the film there."
            )

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _rgb(self, frame: Any) -> Frames:
        facts = self._facts
        return film_rgb(
            frame,
            codec=facts.codec,
            container=facts.colours,
            note=self._note,
            opaque=facts.opaque,
        )

    def _combined(self, frame: Any) -> Frames:
        """Return RGB of a frame, of its first field where its two fields differ."""
        whole = self._rgb(frame)
        if frame.height < 2 * TEETH:
            return whole
        if is_single_field(frame, self._facts.codec):
            self._note(
                "The film stores the fields of its frames one by one (interlaced HEVC); each is "
                "shown as a frame, its lines stretched to the whole height."
            )
            return resized(whole, (2 * frame.height, frame.width))
        parity = parity_of(frame, self._facts.codec, self._facts.field_order)
        if parity is None:
            self._look_for_combs(frame)
            return whole
        parts = woven(luma(frame))
        if not parts.any():
            return whole
        self._note(
            "The film is interlaced: where the two fields of a frame differ, the first one is "
            "shown and its missing lines are computed from those around them."
        )
        field = self._rgb(first_field(frame, parity))
        return np.where(parts[..., None], field, whole)

    def _look_for_combs(self, frame: Any) -> None:
        if self._looked < LOOKED_AT:
            self._looked += 1
            if looks_woven(luma(frame)):
                self._note(
                    "The film looks interlaced (its lines alternate between two moments), but the "
                    "file does not say so; it is shown as stored. Deinterlace it first."
                )

    def _cut(self, picture: Frames) -> Frames:
        """Cut off the borders that the container does not show."""
        borders = self._facts.borders
        if not borders:
            return picture
        inside = borders.cut(picture)
        if inside.shape != picture.shape:
            self._note(
                f"The file shows only {inside.shape[1]} x {inside.shape[0]} of its "
                f"{picture.shape[1]} x {picture.shape[0]} px; the borders were cut off."
            )
        return np.ascontiguousarray(inside)

    def _squared(self, picture: Frames) -> Frames:
        """Stretch a picture until its pixels are square: wider or higher, so nothing is lost."""
        aspect = self._facts.pixel_aspect
        if aspect == 1 or aspect <= 0:
            return picture
        height, width = picture.shape[:2]
        if aspect > 1:
            size = height, round(width * aspect)
        else:
            size = round(height / aspect), width
        ratio = f"{aspect.numerator}:{aspect.denominator}"
        if not 1 / LONGEST_PIXEL <= aspect <= LONGEST_PIXEL or size[0] * size[1] > MAX_PIXELS:
            self._note(f"The file asks for pixels of {ratio}, which was not done; they are square.")
            return picture
        if size == (height, width):
            return picture
        self._note(
            f"The film's pixels are not square ({ratio}); its {width} x {height} px were "
            f"stretched to {size[1]} x {size[0]}."
        )
        return resized(picture, size)

    def _coloured(self, picture: Frames, carried: Mapping[str, bytes]) -> Frames:
        """Bring a picture with an ICC profile to sRGB, as pictures in files are."""
        profile = carried.get("ICC_PROFILE")
        if not profile:
            return picture
        done, notes = in_srgb(Image.fromarray(picture), Colours(profile))
        for note in notes:
            self._note(note)
        return np.asarray(done.convert("RGB"), np.uint8)

    def _turn(self, frame: Any, carried: Mapping[str, bytes]) -> Turn:
        matrix = carried.get("DISPLAYMATRIX")
        turn = turn_of(matrix) if matrix else turn_by(-frame.rotation)
        if turn.left_over:
            degrees = f"{abs(turn.left_over):.0f} degrees"
            missing = "short of" if turn.left_over > 0 else "beyond"
            self._note(
                "The file asks for a turn that is no multiple of 90 degrees; it is shown "
                f"{degrees} {missing} it."
            )
        return turn


# What a frame may carry that is not shown.
_SAID = {
    "DOVI_RPU_BUFFER": "The film carries Dolby Vision, which was not applied; its base picture is "
    "shown.",
    "STEREO3D": "The film is stereoscopic; its frames are shown as they are stored.",
    "SPHERICAL": "The film is a panorama of 360 degrees; its frames are shown as they are stored, "
    "so shapes are bent.",
}
_WANTED = (*_SAID, "DISPLAYMATRIX", "ICC_PROFILE")


def _side_data(frame: Any, codec: str) -> dict[str, bytes]:
    """Return what a frame carries along with its pixels and matters, by FFmpeg's names."""
    # PyAV frees the names of PNG's profiles twice, and refuses frames with data of a new kind.
    if codec in ("png", "apng"):
        return {}
    try:
        carried = frame.side_data
    except ValueError:
        return {}
    found = [carried[place] for place in range(len(carried))]
    return {data.type.name: bytes(data) for data in found if data.type.name in _WANTED}
