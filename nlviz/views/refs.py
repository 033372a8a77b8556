"""What a view names: its model, and its clip or text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated

from msgspec import Meta

from nlviz.clips.clip import Clip
from nlviz.clips.text import MOST_CHARACTERS, Text, read_text
from nlviz.errors import InvalidView
from nlviz.files.checked_json import Finite, FromZero
from nlviz.files.checked_json import Text as Name
from nlviz.files.local import digest_of

MOST_FRAMES = 4096

Stride = Annotated[int, Meta(ge=1, le=10**6)]
Frames = Annotated[int, Meta(ge=1, le=MOST_FRAMES)]
Side = Annotated[int, Meta(ge=16, le=10**4)]
Rate = Annotated[float, Meta(gt=0, le=10**6)]
Boxes = tuple[tuple[FromZero, Finite, Finite, Finite, Finite], ...]
Words = Annotated[str, Meta(min_length=1, max_length=MOST_CHARACTERS)]


@dataclass(frozen=True)
class ModelRef:
    """Which model: its name, and the sha256 of its weights or an empty text."""

    name: Name
    digest: str = ""


@dataclass(frozen=True)
class ClipRef:
    """Which clip, and which frames of it.

    Attributes:
        name: a bundled name, a path, or what an upload was called.
        digest: sha256 of the file's bytes, or empty.
        start: seconds from the beginning.
        stride: every stride-th frame, or None for frames spread evenly.
        frames: number of frames asked for, or None for all.
        size: shorter side in pixels, or None for the file's own.
        fps: frames per second of pictures that say none, or None for 25.
        reader: the library that decoded the file when the view was saved, or empty.
        text: the whole text, where the input is a text; else None.
        boxes: that the network was asked about, (frame, top, left, bottom, right) of each.
    """

    name: Name
    digest: str = ""
    start: FromZero = 0.0
    stride: Stride | None = None
    frames: Frames | None = None
    size: Side | None = None
    fps: Rate | None = None
    reader: str = field(default="", compare=False)
    text: Words | None = None
    boxes: Boxes = ()

    @classmethod
    def of(cls, clip: Clip) -> ClipRef:
        """Return what names a clip and its frames, or holds a text, whose digest is of its UTF-8.

        >>> from nlviz.clips.text import read_text
        >>> ClipRef.of(read_text("A dog.")).text
        'A dog.'
        """
        if isinstance(clip, Text):
            return cls(clip.name, digest_of(clip.written.encode()), text=clip.written)
        sampling = asdict(clip.sampling)
        return cls(clip.name, clip.digest, **sampling, reader=clip.reader, boxes=clip.boxes)

    def read(self) -> Text:
        """Return the text that this holds.

        Raises:
            InvalidView: when it is not the one of the digest.
        """
        words = self.text or ""
        if self.digest and self.digest != digest_of(words.encode()):
            raise InvalidView(
                "the text of this view is not the one that it was saved with; write that again, or "
                "empty the view's digest to draw it on this one"
            )
        return read_text(words, name=self.name)


def read_boxes(text: str) -> Boxes:
    """Return the boxes of an address or an option, five numbers each.

    Raises:
        ValueError: when the text is something else.

    >>> read_boxes("0,4,6,30,40;2,5,20,35,50")[1]
    (2.0, 5.0, 20.0, 35.0, 50.0)
    """
    found = []
    for part in text.split(";"):
        frame, top, left, bottom, right = (float(value) for value in part.split(","))
        found.append((frame, top, left, bottom, right))
    return tuple(found)


def boxes_text(boxes: Boxes) -> str:
    """Return boxes as ``read_boxes`` reads them, to a hundredth of a pixel.

    >>> boxes_text(((0, 4, 6.5, 30, 40),))
    '0,4,6.5,30,40'
    """
    return ";".join(",".join(f"{round(value, 2):g}" for value in box) for box in boxes)
