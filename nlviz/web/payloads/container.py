"""The bytes that carry one live view or one lens to the browser: a safetensors file.

Its metadata are ``format`` ("nlviz.live_view"), ``version`` ("2") and ``header``, JSON; its tensors
are the sections. So containers and captures are the same kind of file. It is one block of bytes,
because Streamlit passes bytes untouched but turns a dict that holds bytes into its printed form.
``shared/unpack.js`` is the same reader in the browser.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from nlviz.errors import InvalidView

FORMAT = "nlviz.live_view"
VERSION = "2"
DTYPES = ("<f2", "<f4", "|u1", "<i4")

AnyArray = npt.NDArray[Any]


def pack(header: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> bytes:
    """Write a header and named arrays into one safetensors file.

    Args:
        header: what JSON can hold.
        arrays: sections by name, float16, float32, uint8 or int32 of any shape.

    Raises:
        InvalidView: when an array has another type, or the header holds what JSON cannot.

    >>> blob = pack({"clip": {"name": "dog"}}, {"phi": np.ones((1, 3, 2), np.float16)})
    >>> header, arrays = unpack(blob)
    >>> header["clip"]["name"], arrays["phi"].shape
    ('dog', (1, 3, 2))
    """
    sections: dict[str, AnyArray] = {}
    for name, array in arrays.items():
        kind = np.dtype(array.dtype).newbyteorder("<").str
        if kind not in DTYPES:
            raise InvalidView(
                f"a section must be one of {', '.join(DTYPES)}, section {name!r} is {kind}; "
                "convert it with .astype(numpy.float16) or .astype(numpy.float32)"
            )
        sections[name] = np.ascontiguousarray(array, dtype=kind)
    try:
        # NaN would be written as a word that no browser's JSON.parse accepts.
        head = json.dumps(dict(header), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InvalidView(
            f"a header must hold finite numbers, text, lists and dicts only: {error}"
        ) from error
    return save(sections, {"format": FORMAT, "version": VERSION, "header": head})


def unpack(blob: bytes) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Read what ``pack`` wrote: the header, and the arrays by section name.

    Raises:
        InvalidView: when the bytes are cut short, of another format or another version.

    >>> unpack(b"RIFF")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nlviz.errors.InvalidView: the bytes are not a live view of nlviz...
    """
    metadata = _metadata(blob)
    if metadata["version"] != VERSION:
        raise InvalidView(
            f"this nlviz reads live views of version {VERSION}, "
            f"this one has version {metadata['version']}; write it again with this nlviz"
        )
    try:
        arrays: dict[str, AnyArray] = load(blob)
    except SafetensorError as error:
        raise InvalidView(
            f"the {len(blob)} bytes of the live view end before its last section: "
            "the file was cut short"
        ) from error
    header: dict[str, Any] = json.loads(metadata["header"])
    return header, arrays


def _metadata(blob: bytes) -> dict[str, str]:
    length = int.from_bytes(blob[:8], "little")
    try:
        found = json.loads(blob[8 : 8 + length])["__metadata__"]
        if found["format"] == FORMAT and found.keys() >= {"version", "header"}:
            metadata: dict[str, str] = found
            return metadata
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InvalidView(
        f"the bytes are not a live view of nlviz: {len(blob)} bytes without its header"
    )
