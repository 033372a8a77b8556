"""The bytes that carry one live view to the browser, and back.

Layout: header length as u32 little-endian, then the header (JSON, padded with spaces so that the
body starts on a 16-byte boundary), then the sections, each starting on a 16-byte boundary. One
block of bytes, because Streamlit passes bytes untouched but turns a dict that holds bytes into its
printed form. ``unpack.js`` is the same reader in the browser.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.errors import InvalidView

FORMAT = "nlviz.live_view"
VERSION = 1
BOUNDARY = 16
DTYPES = ("<f2", "<f4", "|u1", "<i4")

AnyArray = npt.NDArray[Any]


def pack(header: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> bytes:
    """Write a header and named arrays into one block of bytes.

    Args:
        header: what JSON can hold; ``format``, ``version`` and ``sections`` are filled in here.
        arrays: sections by name, float16, float32, uint8 or int32 of any shape.

    Raises:
        InvalidView: when an array has another type, or the header holds what JSON cannot.

    >>> blob = pack({"clip": {"name": "dog"}}, {"phi": np.ones((1, 3, 2), np.float16)})
    >>> header, arrays = unpack(blob)
    >>> header["clip"]["name"], arrays["phi"].shape
    ('dog', (1, 3, 2))
    """
    sections: list[dict[str, Any]] = []
    chunks: list[bytes] = []
    at = 0
    for name, array in arrays.items():
        kind = np.dtype(array.dtype).newbyteorder("<").str
        if kind not in DTYPES:
            raise InvalidView(
                f"a section must be one of {', '.join(DTYPES)}, section {name!r} is {kind}; "
                "convert it with .astype(numpy.float16) or .astype(numpy.float32)"
            )
        body = np.ascontiguousarray(array, dtype=kind).tobytes()
        sections.append(
            {
                "name": name,
                "dtype": kind,
                "shape": array.shape,
                "at": at,
                "bytes": len(body),
            }
        )
        gap = -len(body) % BOUNDARY
        chunks += [body, bytes(gap)]
        at += len(body) + gap
    whole = {**header, "format": FORMAT, "version": VERSION, "sections": sections}
    try:
        # NaN would be written as a word that no browser's JSON.parse accepts.
        head = json.dumps(whole, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidView(
            f"a header must hold finite numbers, text, lists and dicts only: {error}"
        ) from error
    head += b" " * (-(4 + len(head)) % BOUNDARY)
    return b"".join([struct.pack("<I", len(head)), head, *chunks])


def unpack(blob: bytes) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Read what ``pack`` wrote: the header, and the arrays by section name (read-only views).

    Raises:
        InvalidView: when the bytes are cut short, of another format or another version.

    >>> unpack(b"RIFF")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nlviz.errors.InvalidView: the bytes are not a live view of nlviz...
    """
    header = _header(blob)
    if header.get("version") != VERSION:
        raise InvalidView(
            f"this nlviz reads live views of version {VERSION}, "
            f"this one has version {header.get('version')}; write it again with this nlviz"
        )
    start = 4 + int.from_bytes(blob[:4], "little")
    arrays: dict[str, AnyArray] = {}
    for section in header["sections"]:
        dtype = np.dtype(section["dtype"])
        if start + section["at"] + section["bytes"] > len(blob):
            raise InvalidView(
                f"section {section['name']!r} ends beyond the {len(blob)} bytes of the live view: "
                "the file was cut short"
            )
        flat = np.frombuffer(
            blob,
            dtype,
            count=section["bytes"] // dtype.itemsize,
            offset=start + section["at"],
        )
        arrays[section["name"]] = flat.reshape(section["shape"])
    return header, arrays


def _header(blob: bytes) -> dict[str, Any]:
    length = int.from_bytes(blob[:4], "little")
    try:
        header = json.loads(blob[4 : 4 + length])
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InvalidView(
            f"the bytes are not a live view of nlviz: {len(blob)} bytes without its header"
        )
    return header
