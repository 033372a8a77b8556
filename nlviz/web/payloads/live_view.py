"""Packs what one block did on one clip into the bytes that the live view shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.affinity.base import Affinity
from nlviz.affinity.position_share import position_share
from nlviz.affinity.reach import is_global_context
from nlviz.affinity.split import SAME_RANKING
from nlviz.affinity.token_names import names_to_ask
from nlviz.affinity.variants import COSINE, LEARNED, ROLLOUT, SIMILARITY, VARIANTS, Variant
from nlviz.analysis.controls import variant_affinity, variants
from nlviz.analysis.opening_query import opening_query
from nlviz.analysis.rollout import RolloutAffinity
from nlviz.captures.model import Capture
from nlviz.clips.clip import Clip
from nlviz.clips.point import Point, Triple
from nlviz.clips.text import Text
from nlviz.picture import GROUND, colour_table, encode, resized, scaled
from nlviz.views.display import CHOICES, MOST_LINKS, Display
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.objects import for_live_view
from nlviz.web.payloads.sources import Arrays, packed_sources, packed_tokens, pending_source
from nlviz.web.payloads.words import told

MOST_TOKENS = 32  # without a place, whose rows a rollout has
_ORDER = {variant.key: n for n, variant in enumerate(VARIANTS)}
PICTURE_SIDE = 480  # shorter side of the frames on the screen, in pixels


def live_view(
    capture: Capture,
    block: str,
    *,
    query: Point | Triple | None = None,
    display: Mapping[str, Any] | None = None,
    channel: str | None = None,
    affinities: Mapping[str, Affinity] | None = None,
    device: str | None = None,
    limit: int | None = None,
    served: bool = False,
    pending: Sequence[str] = (),
) -> bytes:
    """Return the bytes of one live view.

    Args:
        capture: what the forward pass gave.
        block: name of the block.
        query: (frame, y, x) to open at; by a stated rule when None.
        display: the view's display options.
        channel: name under which a mounted view can be moved.
        affinities: the block's own and its controls by key, where they are there already.
        device: what to call the device; the capture's own name for it when None.
        limit: bytes of embeddings for the browser, 16 MiB by default. Sources take from it in
            order, the block's own first; one that no longer fits sends the row of ``query`` alone.
        served: whether rows come later where they are asked for: a rollout, which takes a while,
            is offered then also where ``display`` does not show it.
        pending: keys of variants that are made once they are asked for.

    Raises:
        UnknownBlock: when there is no such block.

    >>> import nlviz
    >>> from nlviz.web.payloads.container import unpack
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> header, arrays = unpack(live_view(nlviz.load_model("lite-nl").capture(clip), "stage4"))
    >>> header["block"]["name"], arrays["learned.theta"].shape
    ('stage4', (1, 294, 112))
    """
    found = view_parts(
        capture,
        block,
        query=query,
        display=display,
        channel=channel,
        affinities=affinities,
        device=device,
        limit=limit,
        served=served,
        pending=pending,
    )
    return pack(*found)


def view_parts(
    capture: Capture,
    block: str,
    *,
    query: Point | Triple | None = None,
    display: Mapping[str, Any] | None = None,
    channel: str | None = None,
    affinities: Mapping[str, Affinity] | None = None,
    device: str | None = None,
    limit: int | None = None,
    served: bool = False,
    pending: Sequence[str] = (),
    only: str | None = None,
) -> tuple[dict[str, Any], Arrays]:
    """Return the header and the sections of one live view.

    All arguments are those of ``live_view``, but for ``only``: the key of the one variant that is
    offered, all by default.
    """
    learned = capture.affinities[block]
    rule = "as asked for"
    if query is None:
        query, rule = opening_query(capture.clip, learned)
    arrays: Arrays = {}
    shown = on_screen(capture.clip, arrays)
    found: list[tuple[Variant, Affinity]] = []
    source = (display or {}).get("source")
    for variant in variants(capture, block):
        if variant is ROLLOUT and not served and source != ROLLOUT.key:
            continue
        if only is not None and variant.key != only:
            continue
        affinity = (affinities or {}).get(variant.key)
        if affinity is None:
            affinity = variant_affinity(variant, capture, block)
        if isinstance(affinity, RolloutAffinity):
            affinity = affinity.with_residual((display or {}).get("residual", affinity.residual))
        if variant is LEARNED and affinity.pairwise.similarity:  # of a layer, not of a block
            variant = replace(variant, label=COSINE.label, note=SIMILARITY)
        found.append((variant, affinity))
    packed = packed_sources(found, arrays, query=query, limit=limit, asked=source)
    packed[0] |= packed_tokens(packed[0]["key"], learned, arrays)
    for entry, (variant, affinity) in zip(packed, found, strict=True):
        if isinstance(affinity, RolloutAffinity):
            entry |= _rollout(entry, affinity, arrays, asked=variant.key == source)
    there = {entry["key"] for entry in packed}
    packed += [
        pending_source(v, learned) for v in VARIANTS if v.key in pending and v.key not in there
    ]
    packed.sort(key=lambda entry: _ORDER[entry["key"]])
    header = {
        **shown,
        "model": {
            "name": capture.about.name,
            "about": capture.about.trained_for,
            "device": device or capture.about.device,
        },
        "block": {
            "name": block,
            "about": _words(learned),
            "note": _note(learned),
            "parity": _parity(capture, block, learned),
        },
        "sources": packed,
        "query": Point(*query)._asdict(),
        "query_rule": rule,
        **_beside(capture),
        "objects": for_live_view(capture.detections),
        "notes": list(capture.all_notes),
        "view": dict(display or {}),
        "channel": channel,
    }
    return header, arrays


def _beside(capture: Capture) -> dict[str, Any]:
    """Return the header's part about the text that a network was given beside a clip, if any."""
    text = getattr(capture, "text", None)
    return {} if text is None or text is capture.clip else {"text": told(text)}


def _rollout(
    entry: dict[str, Any], rollout: RolloutAffinity, arrays: Arrays, *, asked: bool
) -> dict[str, Any]:
    """Return what a rollout's entry has beside others: its layers, its share, its tokens' rows."""
    told = {
        "layers": len(rollout.layers),
        "residual": rollout.residual,
        "waits": "A rollout goes through all layers",
        "note": f"{entry['note']} {rollout.note}",
    }
    if asked and rollout.queries.prefix <= MOST_TOKENS:
        return told | packed_tokens(entry["key"], rollout, arrays)
    names = names_to_ask(rollout.token_names)
    tokens = [{"name": n, "own": rollout.token_names.count(n) > 1} for n in names]
    return told | ({"tokens": tokens} if tokens else {})


def _parity(capture: Capture, block: str, learned: Affinity) -> float | None:
    """Return the error of the block's receipt; of a capture of 0.3, without one, made here."""
    receipt = capture.receipts.get(block)
    return learned.parity_error() if receipt is None else receipt.error


def on_screen(clip: Clip, arrays: Arrays) -> dict[str, Any]:
    """Pack a clip's pictures and the colour tables; return the header's part about them."""
    t, height, width = clip.shape
    arrays |= {"lut_seq": colour_table("sequential"), "lut_div": colour_table("diverging")}
    names = [] if isinstance(clip, Text) else [f"frame{index}" for index in range(t)]
    for name, frame in zip(names, clip.frames, strict=False):
        arrays[name] = np.frombuffer(encode(_display_size(frame), "jpeg"), np.uint8)
    return {
        "clip": {
            "name": clip.name,
            "frames": t,
            "height": height,
            "width": width,
            "times": [round(float(time), 4) for time in clip.times],
            **(told(clip) if isinstance(clip, Text) else {}),
        },
        "pictures": {"kind": "jpeg" if names else "text", "sections": names},
        "colours": {"sequential": "lut_seq", "diverging": "lut_div", "ground": asdict(GROUND)},
        "display": display_options(),
    }


def display_options() -> dict[str, Any]:
    """Return the defaults and choices of a view's display options, as the browser takes them.

    >>> display_options()["defaults"]["links"], display_options()["choices"]["show"]
    (20, ('map', 'links', 'both'))
    """
    # Which sources there are, and which comes first, is said by the header's own list.
    choices = {name: values for name, values in CHOICES.items() if name != "source"}
    defaults = Display().to_dict()
    del defaults["painted"]  # begins with nothing, everywhere
    return {
        "defaults": {**defaults, "source": None},
        "choices": choices,
        "most_links": MOST_LINKS,
    }


def _note(affinity: Affinity) -> str | None:
    """Return what a reader must know of the block's affinity, if anything."""
    told = [SAME_RANKING] if affinity.pairwise.name == "concatenation" else []
    told += [affinity.note] if affinity.note else []
    share = position_share(affinity)
    if share is not None:
        told.append(
            f"Of what varies in the logits of a row, {100 * share:.0f} % is position (what is "
            f"added) and {100 - round(100 * share)} % content (queries and keys)."
        )
    return " ".join(told) or None


def _display_size(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return resized(frame, scaled(frame.shape, min(PICTURE_SIDE / min(frame.shape[:2]), 1.0)))


def _words(affinity: Affinity) -> str:
    if is_global_context(affinity):
        return "global context"
    name = affinity.pairwise.name.replace("_", " ").replace(
        "embedded gaussian", "embedded Gaussian"
    )
    return name if name != "gaussian" else "Gaussian"
