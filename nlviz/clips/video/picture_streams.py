"""Films that are nothing but pictures, one file after another, such as raw motion JPEG."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

_LOOKED_AT = 1 << 26  # bytes; no picture of a film is longer
_JPEG, _NEXT_JPEG = b"\xff\xd8\xff", b"\xff\xd9\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_NEXT_PNG = b"IEND\xaeB`\x82" + _PNG
_VIEWS = b"MPF\0"  # a photo that says itself that others follow


def is_picture_stream(source: Path | BytesIO) -> bool:
    """Return whether a file that begins like a picture holds a film of pictures.

    Two JPEG pictures behind each other may be a photo with a trailer, three are a film.

    >>> is_picture_stream(BytesIO(_PNG + b"one" + _NEXT_PNG + b"two"))
    True
    >>> is_picture_stream(BytesIO(_PNG + b"one"))
    False
    """
    data = _beginning(source)
    if data.startswith(_PNG):
        return _NEXT_PNG in data
    if not data.startswith(_JPEG):
        return False
    second = data.find(_NEXT_JPEG)
    if second < 0 or _VIEWS in data[:second]:
        return False
    return data.find(_NEXT_JPEG, second + 1) >= 0


def _beginning(source: Path | BytesIO) -> bytes:
    if isinstance(source, BytesIO):
        data = source.getbuffer()[:_LOOKED_AT]
        return bytes(data) if bytes(data[:2]) in (_JPEG[:2], _PNG[:2]) else b""
    with source.open("rb") as file:
        head = file.read(2)
        return head + file.read(_LOOKED_AT) if head in (_JPEG[:2], _PNG[:2]) else b""
