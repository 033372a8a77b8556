"""Which video stream of a file is shown, what the file says of it, and what decodes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av

from nlviz.clips.clean_aperture import Borders, borders_of
from nlviz.clips.film_colours import ColourTags
from nlviz.errors import UnreadableClip

# Decoders that keep the transparency of WebM, which FFmpeg's own leave out.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


@dataclass(frozen=True)
class StreamFacts:
    """What a container says of a video stream.

    Attributes:
        codec: FFmpeg's name of what decodes it.
        pixel_aspect: width of a pixel over its height, the container's before the codec's.
        field_order: FFmpeg's number, 0 where it is not said.
        colours: what the container names.
        borders: what the container cuts off each frame.
        opaque: whether a fourth channel is padding, as in uncompressed AVI of 32 bits.
        notes: sentences about the choice of the stream and of its decoder.
    """

    codec: str = ""
    pixel_aspect: Fraction = Fraction(1)
    field_order: int = 0
    colours: ColourTags = field(default_factory=ColourTags)
    borders: Borders = field(default_factory=Borders)
    opaque: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, stream: Any, source: Path | BytesIO) -> StreamFacts:
        """Read the facts of an open stream of a file, before it is decoded."""
        codec = stream.codec_context
        notes = []
        if len(_candidates(stream.container)) > 1:
            notes.append(_choice_note(stream))
        if _has_alpha(stream) and _alpha_decoder(stream) is None:
            notes.append("The film's transparency was not regarded: this FFmpeg cannot decode it.")
        return cls(
            codec=codec.name,
            pixel_aspect=stream.sample_aspect_ratio or Fraction(1),
            field_order=int(getattr(codec, "field_order", 0) or 0),
            colours=ColourTags.of(codec),
            borders=borders_of(source, stream.container.streams.video.index(stream)),
            opaque=codec.name == "rawvideo" and codec.codec_tag.strip("\0 ") in ("", "DIB"),
            notes=tuple(notes),
        )


def shown_stream(container: Any) -> Any:
    """Return the video stream that players show.

    Covers and thumbnails are no film. Of several streams those marked as default come first, then
    the largest, then the first of the file.

    Raises:
        UnreadableClip: when there is none, or FFmpeg cannot decode it.
    """
    found = _candidates(container)
    if not found:
        raise UnreadableClip("the file has no video track; give a video or a picture")
    known = [stream for stream in found if stream.codec_context is not None]
    if not known:
        raise UnreadableClip("FFmpeg does not know the codec of the video track; convert it")

    def rank(stream: Any) -> tuple[bool, int, int]:
        default = bool(stream.disposition & av.stream.Disposition.default)
        codec = stream.codec_context
        return not default, -codec.width * codec.height, int(stream.index)

    return min(known, key=rank)


def decoder_of(stream: Any) -> Any:
    """Return what decodes a stream's packets with all that belongs to the picture.

    It is the stream's own codec context, or one that keeps the transparency of WebM. Both have
    ``decode(packet)``.
    """
    name = _alpha_decoder(stream)
    if name is None:
        return stream.codec_context
    own = stream.codec_context
    decoder = av.CodecContext.create(name, "r")
    decoder.thread_type = "AUTO"
    for tag in ("colorspace", "color_range", "color_primaries", "color_trc"):
        value = getattr(own, tag)
        if value is not None:
            setattr(decoder, tag, value)
    return decoder


def _candidates(container: Any) -> list[Any]:
    unlike = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    return [s for s in container.streams.video if not s.disposition & unlike]


def _choice_note(stream: Any) -> str:
    found = _candidates(stream.container)
    sizes = [
        f"{s.codec_context.width} x {s.codec_context.height}" if s.codec_context else "unknown"
        for s in found
    ]
    place = [s.index for s in found].index(stream.index)
    return (
        f"The file has {len(found)} video streams ({', '.join(sizes)} px); number {place + 1} is "
        "shown, as players do."
    )


def _has_alpha(stream: Any) -> bool:
    codec = stream.codec_context
    return stream.metadata.get("alpha_mode") == "1" and codec.name in _WITH_ALPHA


def _alpha_decoder(stream: Any) -> str | None:
    """Return the name of the decoder that keeps a stream's transparency, if there is one."""
    if not _has_alpha(stream):
        return None
    name = _WITH_ALPHA[stream.codec_context.name]
    try:
        av.Codec(name, "r")
    except ValueError:  # PyAV's UnknownCodecError is one
        return None
    return name
