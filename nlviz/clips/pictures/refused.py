"""Kinds of files that are no pictures here, each with its name and what to do instead."""

from __future__ import annotations

import re

from nlviz.errors import UnreadableClip

_AS_PNG = "save it as PNG"
_RAW = "develop it in a camera raw program and export a TIFF, PNG or JPEG"
_ARRAY = "read it in Python and give its slices to nlviz.Clip.from_frames"

# Pattern of the first bytes; name; cure.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture", "convert it to PNG, with djxl for instance"),
    (rb"\xffO\xffQ", "a bare JPEG 2000 stream", _AS_PNG),
    (rb"%PDF", "a PDF document", "export its pages as PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript document", "export its pages as PNG"),
    (
        rb"\s*(<\?xml.{0,2000})?(<!--.{0,2000})?(<!DOCTYPE svg.{0,400})?\s*<svg",
        "an SVG drawing",
        _AS_PNG,
    ),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "a Windows metafile", _AS_PNG),
    (rb"v/1\x01", "an OpenEXR picture, in linear light", "tone-map it and save it as PNG"),
    (
        rb"#\?RADIANCE|#\?RGBE",
        "a Radiance HDR picture, in linear light",
        "tone-map it and save it as PNG",
    ),
    (rb".{128}DICM", "a DICOM file", _ARRAY),
    (rb".{344}(n\+1|ni1)\0|.{4}n\+2\0", "a NIfTI volume", _ARRAY),
    (rb"\x89HDF", "an HDF5 file", _ARRAY),
    (rb"\x93NUMPY", "a NumPy array", "give numpy.load(...) of it to nlviz.Clip.from_frames"),
    (rb"gimp xcf", "a GIMP project", "export it as PNG"),
    (rb".{4}ftypcrx ", "a Canon raw file (CR3)", _RAW),
    (rb"FUJIFILMCCD-RAW", "a Fujifilm raw file (RAF)", _RAW),
    (rb"IIR[OS]|MMOR", "an Olympus raw file (ORF)", _RAW),
    (rb"IIU\0", "a Panasonic raw file (RW2)", _RAW),
    (rb"FOVb", "a Sigma raw file (X3F)", _RAW),
    (rb"PK\x03\x04", "a ZIP archive", "unpack it and give the folder"),
    (rb"\x1f\x8b", "a gzip archive", "unpack it first"),
    (rb"Rar!|7z\xbc\xaf", "an archive", "unpack it and give the folder"),
)


def refuse_known(head: bytes) -> None:
    """Refuse a file that begins like one of a kind which holds no picture that is read here.

    Raises:
        UnreadableClip: when it does; the sentence names the kind and the cure.

    >>> refuse_known(b"%PDF-1.7")
    Traceback (most recent call last):
    ...
    nlviz.errors.UnreadableClip: this is a PDF document, which is not read here; export its pages \
as PNG
    """
    for pattern, name, cure in _KINDS:
        if re.match(pattern, head[:4096], re.DOTALL):
            raise UnreadableClip(f"this is {name}, which is not read here; {cure}")


def refuse_deep_jpeg(head: bytes) -> None:
    """Refuse a JPEG of more than 8 bits, or without loss, neither of which decodes here.

    Raises:
        UnreadableClip: when it is one.
    """
    if head[:2] != b"\xff\xd8":
        return
    at = 2
    while at + 9 < len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if head[at + 4] != 8:
                raise UnreadableClip(
                    f"this is a JPEG of {head[at + 4]} bits, which is not read here; save it with "
                    "8 bits, or as PNG"
                )
            if marker in (0xC3, 0xC7, 0xCB, 0xCF):
                raise UnreadableClip(
                    "this is a JPEG without loss, which is not read here; save it as PNG"
                )
            return
        at += 2 + length
