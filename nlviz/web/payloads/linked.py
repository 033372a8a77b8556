"""Packs two views of one query into the bytes of a page that shows both, moved as one.

Header: ``sides``, those of two live views; ``labels``; ``crossed``; ``apart``, whether B opens at a
query of its own; ``difference``, by direction the common grid, and for each side the shares by
which its cells go there along t, y and x, or the sentence why there is none. Sections of the sides
begin with ``a.`` and ``b.``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from nlviz.affinity.attention_map import Direction
from nlviz.affinity.variants import LEARNED
from nlviz.analysis.common_grid import overlaps, point_in, same_cells
from nlviz.analysis.compare import Comparison, Side, grids_of
from nlviz.captures.capture import Affinities, Capture
from nlviz.clips.point import Point, nearest_inside
from nlviz.errors import NlvizError
from nlviz.views.display import Display
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.live_view import view_parts
from nlviz.web.payloads.sources import Arrays

NAMES = ("a", "b")


def linked_view(
    found: Comparison,
    *,
    display: Display | Mapping[str, Any] | None = None,
    channel: str | None = None,
    device: str | None = None,
    limit: int | None = None,
) -> bytes:
    """Return the bytes of two live views that are moved as one, and of their difference.

    Args:
        found: the comparison.
        display: how both are drawn; what they show is taken from the comparison.
        channel: name under which a mounted view can be moved.
        device: what to call the device; each capture's own name for it when None.
        limit: bytes of embeddings for each side, 16 MiB by default; where a side takes more, the
            row of the query is sent alone.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> from nlviz.web.payloads.container import unpack
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=96)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> found = nlviz.compare_views((capture, "stage3"), (capture, "stage4"), query=(0, 40, 60))
    >>> header, arrays = unpack(linked_view(found))
    >>> header["difference"]["from"]["grid"]["shape"], "b.learned.phi" in arrays
    ([1, 14, 21], True)
    """
    shown = display if isinstance(display, Display) else Display.from_dict(display or {})
    queries = (found.query, found.query_b)
    rows = (found.one, found.other)
    arrays: Arrays = {}
    heads = []
    for name, side, query, row in zip(NAMES, (found.a, found.b), queries, rows, strict=True):
        at = query if isinstance(query, tuple) else row.query
        place = nearest_inside(at, side.asked_clip.shape)
        head, sections = view_parts(
            _shown(side),
            side.block,
            query=place,
            display={
                **shown.to_dict(),
                "source": side.source,
                "head": "mean" if side.head is None else side.head,
                "direction": side.direction,
                "token": query if isinstance(query, str) else "",
                "heads": "one",
            },
            affinities={side.source: side.shown},
            device=device,
            limit=limit,
            only=side.source,
        )
        if side.keys_of is not None:
            _across(head, side, place)
        head["label"] = side.label
        heads.append(head)
        arrays |= {f"{name}.{key}": section for key, section in sections.items()}
    header = {
        "sides": heads,
        "labels": [found.a.label, found.b.label],
        "crossed": found.b.keys_of is not None,
        "apart": found.b.keys_of is None and found.b.query is not None,
        "difference": {
            "from": _common(found.a, found.b, "from"),
            "to": _common(found.a, found.b, "to"),
        },
        "notes": list(found.notes),
        "channel": channel,
    }
    return pack(header, arrays)


def _shown(side: Side) -> Capture:
    """Return a capture whose block is what a side shows, drawn on the clip that its keys lie in."""
    if side.keys_of is None and side.affinity is None:
        return side.capture
    base = side.capture if side.keys_of is None else side.keys_of
    return replace(
        base,
        affinities=Affinities({side.block: side.shown}),
        features=MappingProxyType({}),
        blocks=MappingProxyType({}),
        receipts=MappingProxyType({}),
    )


def _across(head: dict[str, Any], side: Side, place: Point) -> None:
    """Say that queries lie in another clip than the one that is drawn."""
    source = head["sources"][0]
    assert source["key"] == LEARNED.key
    source["across"] = True
    at = point_in(place, side.capture.clip.shape, side.clip.shape)
    head["query"] = {**at._asdict(), "frame": round(at.frame), "across": place._asdict()}


def _common(a: Side, b: Side, direction: Direction) -> dict[str, Any]:
    """Return the common grid of maps in one direction, and how each side is laid on it."""
    one, other = (replace(s, direction=direction, affinity=s.shown) for s in (a, b))
    grids = [s.shown.keys if direction == "from" else s.shown.queries for s in (a, b)]
    try:
        there, grid = grids_of(one, other, *grids)
    except NlvizError as error:
        text = str(error)
        return {"grid": None, "why": f"{text[0].upper()}{text[1:]}."}
    laid = [
        None
        if same_cells(own, grid)
        else [np.round(shares, 9).tolist() for shares in overlaps(own, grid)]
        for own in (grids[0], there)
    ]
    return {"grid": replace(grid, line=None).to_json(), "lay": laid}
