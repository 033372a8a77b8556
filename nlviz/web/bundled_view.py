"""The live view that the app opens with, as it is bundled: shown before PyTorch is imported.

``python -m nlviz.recipes.first_view`` makes it; the tests compare it with a fresh one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from nlviz.clips.point import Point
from nlviz.resources import asset
from nlviz.web.payloads.container import unpack

FILE = "views/first.safetensors"
CLIP = "composed-twins.mp4"
FRAMES = 8
MODEL = "lite-nl"
CHANNEL = "explore"


@dataclass(frozen=True, eq=False)
class FirstView:
    """A live view and what a page says of it.

    Attributes:
        payload: the bytes that the live view takes.
        block: name of the block.
        shape: (frames, height, width) of the clip.
        opening: the point that it opens at.
        heads: their number, by the key of the source.
        display: display options that are in force where nothing was chosen.
    """

    payload: bytes
    block: str
    shape: tuple[int, int, int]
    opening: Point
    heads: dict[str, int]
    display: dict[str, Any]


def first_view() -> FirstView:
    """Return the bundled live view; nothing of PyTorch, timm or OpenCV is imported.

    >>> first_view().block, first_view().shape
    ('stage4', (8, 360, 640))
    """
    return _read()


@cache
def _read() -> FirstView:
    payload = asset(FILE).read_bytes()
    header, _ = unpack(payload)
    clip = header["clip"]
    sources = header["sources"]
    return FirstView(
        payload=payload,
        block=header["block"]["name"],
        shape=(clip["frames"], clip["height"], clip["width"]),
        opening=Point(**header["query"]),
        heads={source["key"]: source["heads"] for source in sources},
        display={**header["display"]["defaults"], "source": sources[0]["key"], **header["view"]},
    )
