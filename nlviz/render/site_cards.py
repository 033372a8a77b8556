"""Cards of a site: what its gallery says of a live view, and the page that the card leads to."""

from __future__ import annotations

import base64
import binascii
import html
import re
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.affinity.by_frame import masses, shown_frame
from nlviz.analysis.compare import Comparison
from nlviz.captures.capture import Capture
from nlviz.clips.clip import Clip
from nlviz.errors import InvalidView, NlvizError
from nlviz.files.local import digest_of
from nlviz.picture import Picture, encode, resized, scaled
from nlviz.render.compared import drawn_sides, title_of, views_bytes
from nlviz.render.overlay import Overlay
from nlviz.render.save import attention_of, overlay_of, render_bytes
from nlviz.resources import asset
from nlviz.sentences import counted
from nlviz.views.compare_view import CompareView
from nlviz.views.view import View
from nlviz.web.payloads.container import unpack
from nlviz.words.numbers import multiple_text, percent_text
from nlviz.words.rows import row_sentence

THUMBNAIL = (480, 300)  # width and height that a picture is reduced to fit, in pixels
_CONTAINER = re.compile(r'id="nlv-container">([^<]*)<')


@dataclass(frozen=True, eq=False)
class Card:
    """One live view of a site.

    Attributes:
        kind: ``view``, ``compare``, or ``page`` for a page that is none of these.
        title: what it is of.
        under: further names: network, block, head.
        page: the whole page, HTML.
        name: of its file, without an ending: the same for the same view, safe in any file system
            and address.
        row: figures of the row that it opens at, in words; None where there is none.
        sentence: said as it stands where ``row`` says nothing.
        parity: difference of what the block put out from what its rows give, or None.
        picture: (h, w, 3) RGB uint8, or None.
        licences: what, and its licence, where it is known.
    """

    kind: str
    title: str
    page: bytes = field(repr=False)
    name: str
    under: str = ""
    row: dict[str, str | None] | None = None
    sentence: str = ""
    parity: float | None = None
    picture: Picture | None = field(default=None, repr=False)
    licences: tuple[tuple[str, str], ...] = ()


def card_of_view(
    capture: Capture, affinity: Affinity, view: View, *, licences: tuple[tuple[str, str], ...] = ()
) -> Card:
    """Return the card of a view of Explore.

    Args:
        capture: the forward pass that it looks into.
        affinity: what its source names.
        view: the view.
        licences: what is known of clip and network.
    """
    drawn, attention = overlay_of(capture, affinity, view), attention_of(affinity, view)
    head = view.display.head
    which = f"head {head + 1}" if isinstance(head, int) and affinity.heads > 1 else ""
    receipt = capture.receipts.get(view.block)
    row = _row(capture.clip, attention)
    told = ("row", row) if row is not None else ("sentence", row_sentence(capture.clip, attention))
    return Card(
        "view",
        view.clip.name,
        render_bytes("html", capture, affinity, view),
        _name([view.clip.name, view.model.name, view.block], view.to_json()),
        under=" · ".join(filter(None, (view.model.name, view.block, which))),
        parity=None if receipt is None else receipt.error,
        picture=_thumbnail(drawn),
        licences=licences,
        **{told[0]: told[1]},  # type: ignore[arg-type]
    )


def card_of_comparison(
    found: Comparison, view: CompareView, *, licences: tuple[tuple[str, str], ...] = ()
) -> Card:
    """Return the card of a view of A | B."""
    sides = [_thumbnail(drawn) for drawn in drawn_sides(found, view.a.display)[:2]]
    high = min(side.shape[0] for side in sides)
    small = [resized(s, scaled(s.shape[:2], high / s.shape[0])) for s in sides]
    return Card(
        "compare",
        title_of(found),
        views_bytes("html", found, display=view.a.display),
        _name(["a-b", view.a.clip.name, view.a.block], view.to_json()),
        picture=_fitted(np.concatenate([s[:high] for s in small], 1)),
        licences=licences,
    )


def card_of_page(path: Path) -> Card:
    """Return the card of a page that nlviz exported: a live view, two of them, or a lesson.

    Raises:
        InvalidView: when it cannot be read, or was not made by nlviz.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidView(f"{path.name} cannot be read as a page ({error})") from None
    body = _CONTAINER.search(text)
    if '<meta name="generator" content="nlviz">' not in text or body is None:
        raise InvalidView(
            f"{path.name} is no page that nlviz exported, and what it would run is not known; give "
            "the view (.json) or the capture (.nlviz)"
        )
    title = re.search(r"<title>([^<]*)</title>", text)
    named = html.unescape(title[1]) if title else path.stem
    try:
        header, arrays = unpack(base64.b64decode(body[1]))
    except (NlvizError, binascii.Error, ValueError):
        header, arrays = {}, {}
    clip, model, block = (_part(header, key) for key in ("clip", "model", "block"))
    name = _name([named], content)
    if not (clip.get("name") and block.get("name")):
        return Card("page", named, content, name)
    parity = block.get("parity")
    return Card(
        "view",
        str(clip["name"]),
        content,
        name,
        under=" · ".join(filter(None, (str(model.get("name", "")), str(block["name"])))),
        parity=parity if isinstance(parity, float) else None,
        picture=_picture_in(header, arrays),
    )


def clip_licence(name: str) -> str:
    """Return the licence of a bundled clip or photo by its file name; empty for any other.

    >>> clip_licence("bunny.mp4"), clip_licence("mine.mp4")
    ('CC-BY 3.0, (c) 2008 Blender Foundation, www.bigbuckbunny.org', '')
    """
    for line in asset("README.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 5 and cells[1].strip("`").rpartition("/")[2] == name:
            origin = cells[3].partition(";")[0] if "(c)" in cells[3] else ""
            return ", ".join(filter(None, (cells[4], origin)))
    return ""


def _row(clip: Clip, attention: AttentionMap) -> dict[str, str | None] | None:
    """Return the figures of a row that is a distribution over places; None for any other."""
    if not attention.normalised or attention.values != "weights" or attention.keys.names:
        return None
    own = None
    if len(clip.frames) > 1 and not attention.token:
        at = shown_frame(attention.query[0], len(clip.frames))
        own = percent_text(float(masses(attention, len(clip.frames))[at]))
    best = attention.top(1, without=() if attention.left_out else attention.own_keys)
    return {
        "spread": f"{max(round(attention.effective()), 1):,}",
        "cells": f"{round(1 / attention.uniform):,}",
        "own": own,
        "strongest": multiple_text(best[0].multiple) if best else None,
    }


def _thumbnail(drawn: Overlay) -> Picture:
    if drawn.attention.keys.kind in ("line", "nodes"):
        from nlviz.render.figure import sheet_of

        return _fitted(np.asarray(sheet_of(drawn).image(), np.uint8)[..., :3])
    return _fitted(drawn.frames[drawn.query_frame])


def _picture_in(header: dict[str, Any], arrays: dict[str, Any]) -> Picture | None:
    """Return the frame of the query of a live view's container."""
    pictures = _part(header, "pictures")
    sections = pictures.get("sections")
    if pictures.get("kind") != "jpeg" or not isinstance(sections, list) or not sections:
        return None
    at = _part(header, "query").get("frame", 0)
    number = min(max(round(at), 0), len(sections) - 1) if isinstance(at, (int, float)) else 0
    jpeg = arrays.get(sections[number])
    if jpeg is None:
        return None
    try:
        with Image.open(BytesIO(jpeg.tobytes()), formats=["JPEG"]) as image:
            return _fitted(np.asarray(image.convert("RGB"), np.uint8))
    except (OSError, ValueError):
        return None


def _fitted(picture: Picture) -> Picture:
    wide, high = THUMBNAIL
    scale = min(wide / picture.shape[1], high / picture.shape[0], 1.0)
    if scale == 1.0:
        return np.ascontiguousarray(picture)
    return resized(np.ascontiguousarray(picture), scaled(picture.shape[:2], scale))


def _part(header: dict[str, Any], key: str) -> dict[str, Any]:
    part = header.get(key)
    return part if isinstance(part, dict) else {}


def _name(parts: list[str], told: str | bytes) -> str:
    """Return a name for a file: words that tell what it is, and eight digits that tell it apart."""
    words = "-".join(Path(part).stem if "." in part else part for part in parts)
    plain = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:48].strip("-")
    digest = digest_of(told.encode() if isinstance(told, str) else told)[:8]
    return f"{plain or 'view'}-{digest}"


def said(card: Card) -> dict[str, Any]:
    """Return what the gallery's page is told of a card."""
    size, thumbnail = None, None
    if card.picture is not None:
        size = [card.picture.shape[1], card.picture.shape[0]]
        jpeg = encode(card.picture, "jpeg", quality=84)
        thumbnail = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
    return {
        "kind": card.kind,
        "title": card.title,
        "under": card.under,
        "page": f"views/{card.name}.html",
        "row": card.row,
        "sentence": card.sentence,
        "parity": card.parity,
        "thumbnail": thumbnail,
        "size": size,
        "licences": [list(pair) for pair in card.licences],
    }


def in_words(cards: list[Card]) -> str:
    """Return how many live views there are, and how large their pages are together."""
    size = sum(len(card.page) for card in cards)
    return f"{counted(len(cards), 'page')}, {size / 1e6:.1f} MB"
