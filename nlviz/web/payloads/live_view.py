"""Packs what one block did on one clip into the bytes that the live view shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import Bias, KeyBias, OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.patches import PatchAffinity
from nlviz.affinity.position_terms import AxisBias, PairBias
from nlviz.affinity.split import SAME_RANKING, MinusMean, centres, unary_normaliser
from nlviz.affinity.support import ALL_KEYS, KINDS, Support
from nlviz.affinity.variants import Variant
from nlviz.analysis.controls import variant_affinity, variants
from nlviz.analysis.opening_query import opening_query
from nlviz.captures.model import Capture
from nlviz.clips.clip import Clip
from nlviz.clips.point import Point, Triple
from nlviz.errors import NlvizError
from nlviz.picture import GROUND, colour_table, encode, resized, scaled
from nlviz.views.display import CHOICES, MOST_LINKS, Display
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.objects import for_live_view

LIMIT = 16 << 20  # bytes of embeddings that the browser is given; beyond it rows come from here
MOST_RUNS = 1 << 18  # numbers by which sets of keys are told
FEW = 1 << 16  # numbers that are sent as float32 rather than float16
COLUMN_LIMIT = 1 << 28  # queries x keys up to which normalisers are computed, for columns
PICTURE_SIDE = 480  # shorter side of the frames on the screen, in pixels

Arrays = dict[str, npt.NDArray[Any]]


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
    learned = capture.affinities[block]
    rule = "as asked for"
    if query is None:
        query, rule = opening_query(capture.clip, learned)
    arrays: Arrays = {}
    shown = on_screen(capture.clip, arrays)
    found: list[tuple[Variant, Affinity]] = []
    for variant in variants(capture, block):
        affinity = (affinities or {}).get(variant.key)
        if affinity is None:
            affinity = variant_affinity(variant, capture, block)
        found.append((variant, affinity))
    packed = packed_sources(found, arrays, query=query, limit=limit)
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
        "objects": for_live_view(capture.detections),
        "notes": list(capture.all_notes),
        "view": dict(display or {}),
        "channel": channel,
    }
    return pack(header, arrays)


def _parity(capture: Capture, block: str, learned: Affinity) -> float | None:
    """Return the error of the block's receipt; of a capture of 0.3, without one, made here."""
    receipt = capture.receipts.get(block)
    return learned.parity_error() if receipt is None else receipt.error


def on_screen(clip: Clip, arrays: Arrays) -> dict[str, Any]:
    """Pack a clip's pictures and the colour tables; return the header's part about them."""
    t, height, width = clip.shape
    arrays |= {"lut_seq": colour_table("sequential"), "lut_div": colour_table("diverging")}
    names = [f"frame{index}" for index in range(t)]
    for name, frame in zip(names, clip.frames, strict=True):
        arrays[name] = np.frombuffer(encode(_display_size(frame), "jpeg"), np.uint8)
    return {
        "clip": {
            "name": clip.name,
            "frames": t,
            "height": height,
            "width": width,
            "times": [round(float(time), 4) for time in clip.times],
        },
        "pictures": {"kind": "jpeg", "sections": names},
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
    return {
        "defaults": {**Display().to_dict(), "source": None},
        "choices": choices,
        "most_links": MOST_LINKS,
    }


def packed_sources(
    shown: Sequence[tuple[Variant, Affinity]],
    arrays: Arrays,
    *,
    query: Point | Triple = (0.0, 0.0, 0.0),
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Pack what the browser needs for an affinity and its variants; return their entries.

    Args:
        shown: variants with their affinities, the block's own first.
        arrays: where sections go.
        query: whose row is sent where the browser cannot derive rows.
        limit: bytes of embeddings, 16 MiB by default; sources take from it in order.
    """
    learned = shown[0][1]
    packed: list[dict[str, Any]] = []
    left: float = LIMIT if limit is None else limit
    for variant, affinity in shown:
        entry = _entry(variant, affinity, learned.prefix_name)
        if packed and isinstance(affinity.support, KeySets) and affinity.support == learned.support:
            entry["support"] = {"of": packed[0]["key"]}  # as long as its queries are many
        derived = _of_learned(entry, learned, affinity, packed[0], arrays) if packed else None
        if derived is None:
            size = _size(affinity)
            if _by_set(entry, affinity):
                size = 2 * affinity.heads * (affinity.queries.size + 3 * affinity.keys.size)
            fits = size <= left
            left -= size if fits else 0
            derived = _source(entry, affinity, query, arrays, fits=fits)
        packed.append(derived)
    return packed


def packed_source(variant: Variant, affinity: Affinity, arrays: Arrays) -> dict[str, Any]:
    """Pack what the browser needs for any row of an affinity; return the source's entry.

    Raises:
        NlvizError: when the browser cannot derive its rows.
    """
    if math.isinf(_size(affinity)):
        raise NlvizError(f"rows of {affinity!r} are not derived in a browser; send them one by one")
    return _source(_entry(variant, affinity, ""), affinity, (0.0, 0.0, 0.0), arrays, fits=True)


def _entry(variant: Variant, affinity: Affinity, prefix_name: str) -> dict[str, Any]:
    """Return what the header says of every variant, whichever way its rows are made."""
    return {
        "key": variant.key,
        "label": variant.label,
        "note": variant.note,
        "pairwise": affinity.pairwise.name,
        "signed": affinity.pairwise.signed,
        "softmax": affinity.pairwise.softmax,
        "part": variant.part,
        "split": variant.split,
        "difference": affinity.row_values == "difference",
        "balanced": affinity.balanced,
        "heads": affinity.heads,
        "queries": _grid(affinity.queries),
        "keys": _grid(affinity.keys),
        "support": affinity.support.to_json(),
        "reach": affinity.support.sentence(affinity.keys),
        "prefix": affinity.keys.prefix,
        "prefix_name": prefix_name,
        "server": False,
    }


def _of_learned(
    entry: dict[str, Any],
    learned: Affinity,
    affinity: Affinity,
    first: dict[str, Any],
    arrays: Arrays,
) -> dict[str, Any] | None:
    """Return a part that the browser derives from the block's own embeddings, or None.

    They are sent once; what is added is a mean row, or the means that are subtracted.
    """
    if first["server"]:
        return None
    key = entry["key"]
    if isinstance(affinity, MinusMean):
        more: dict[str, Any] = {}
        mean = affinity.mean[..., affinity.keys.prefix :].float().cpu()
        if isinstance(affinity.support, KeySets):
            # Of each set its own keys alone, one set after the other.
            queries = _one_of_each(affinity.support, affinity.queries)
            mask = affinity.support.mask(affinity.queries, affinity.keys, queries)
            mean, more = mean[:, mask], {"mean_cells": True}
        arrays[f"{key}.mean"] = mean.numpy()
        if affinity.keys.prefix:
            apart = affinity.mean[..., : affinity.keys.prefix].sum(-1)
            more["mean_apart"] = f"{key}.mean_apart"
            arrays[more["mean_apart"]] = apart.float().cpu().numpy()
        return {**entry, "kind": "difference", "of": first["key"], "mean": f"{key}.mean", **more}
    if entry["split"] != "query":
        return None
    if not (isinstance(learned, EmbeddedAffinity) and isinstance(affinity, EmbeddedAffinity)):
        return None
    for name, mean in centres(learned)._asdict().items():
        arrays[f"{key}.{name}_mean"] = mean.float().cpu().numpy()
    return {
        **entry,
        **{k: first[k] for k in ("kind", "scale", "theta", "phi")},
        "theta_mean": f"{key}.theta_mean",
        "phi_mean": f"{key}.phi_mean",
        "bias": first["bias"]
        if affinity.bias is learned.bias
        else packed_bias(entry["key"], affinity.bias, arrays),
        "log_normaliser": _normaliser(entry, affinity, arrays),
    }


def _one_of_each(support: Support, queries: TokenGrid) -> torch.Tensor:
    """Return a query of each group, in the groups' order."""
    groups = support.groups(queries)
    order = groups.argsort(stable=True)
    return order[torch.searchsorted(groups[order], torch.arange(int(groups.max()) + 1))]


def _source(
    entry: dict[str, Any],
    affinity: Affinity,
    query: Point | Triple,
    arrays: Arrays,
    *,
    fits: bool,
) -> dict[str, Any]:
    key = entry["key"]
    if isinstance(affinity, PatchAffinity) and fits:
        return {**entry, **_patches(key, affinity, arrays)}
    if isinstance(affinity, EmbeddedAffinity) and fits:
        packed = _sets if _by_set(entry, affinity) else _embeddings
        return {**entry, **packed(entry, affinity, arrays)}
    name = f"{key}.row"
    frame, y, x = query
    index = affinity.queries.nearest(frame=frame, y=y, x=x)
    row = affinity.rows([index])[:, 0].float().cpu()
    placed = row[:, affinity.keys.prefix :]
    mask = affinity.support.mask(affinity.queries, affinity.keys, torch.tensor([index]))
    # Keys that the query does not reach have no weight rather than none at all: they are hatched.
    arrays[name] = (placed if mask is None else placed.where(mask.cpu(), torch.nan)).numpy()
    return {
        **entry,
        "support": ALL_KEYS.to_json(),  # the row is laid on all keys
        "kind": "embedded",
        "server": True,
        "row": name,
        "row_apart": float(row[:, : affinity.keys.prefix].sum(-1).mean()),
        "scale": 1.0,
    }


def _size(affinity: Affinity) -> float:
    """Return the bytes that the browser needs for rows; infinite where it cannot derive them."""
    if isinstance(affinity, PatchAffinity):
        return 4 * affinity.picture.numel()
    if not isinstance(affinity, EmbeddedAffinity) or not _derived(affinity):
        return math.inf
    size = 2 * (affinity.theta.numel() + affinity.phi.numel())
    return size if affinity.bias is None else size + 4 * affinity.bias.tensor.numel()


def _derived(affinity: EmbeddedAffinity) -> bool:
    """Whether the browser knows the support and the bias of an affinity."""
    support, bias = affinity.support, affinity.bias
    if isinstance(support, KeySets) and sum(map(len, support.runs)) > MOST_RUNS:
        return False
    known = bias is None or isinstance(bias, (KeyBias, OffsetBias, AxisBias, PairBias))
    return known and isinstance(support, (*KINDS, KeySets))


def _by_set(entry: dict[str, Any], affinity: Affinity) -> bool:
    """Whether logits are a number for each set of keys and each of its keys: a unary part's."""
    return entry["split"] == "shared" and isinstance(affinity.support, KeySets)


def _sets(entry: dict[str, Any], affinity: EmbeddedAffinity, arrays: Arrays) -> dict[str, Any]:
    """Pack logits that depend on the key and on the set that a query reaches, without theta."""
    support, key, prefix = affinity.support, entry["key"], affinity.keys.prefix
    queries = _one_of_each(support, affinity.queries)
    mask = support.mask(affinity.queries, affinity.keys, queries)
    logits = affinity.logits(queries).float().cpu()
    zeros = {
        "theta": (affinity.heads, affinity.queries.size, 1),
        "phi": (affinity.heads, affinity.keys.size + prefix, 1),
    }
    arrays |= {f"{key}.{name}": np.zeros(shape, np.float16) for name, shape in zeros.items()}
    arrays[f"{key}.bias"] = logits[..., prefix:][:, mask].numpy()
    arrays[f"{key}.bias_apart"] = logits[..., :prefix].numpy()
    return {
        "kind": "embedded",
        "scale": 1.0,
        "theta": f"{key}.theta",
        "phi": f"{key}.phi",
        "bias": {"kind": "sets", "values": f"{key}.bias", "apart": f"{key}.bias_apart"},
        "log_normaliser": _normaliser(entry, affinity, arrays),
    }


def _embeddings(
    entry: dict[str, Any], affinity: EmbeddedAffinity, arrays: Arrays
) -> dict[str, Any]:
    key = entry["key"]
    # Where they are few they keep their digits: places in pixels, the two vectors of a
    # concatenation, the unary logits, small grids.
    few = affinity.theta.shape[-1] <= 4 or entry["split"] == "shared"
    few = few or affinity.theta.numel() + affinity.phi.numel() <= FEW
    kind = torch.float32 if few else torch.float16
    if max(float(affinity.theta.abs().max()), float(affinity.phi.abs().max())) > 6e4:
        kind = torch.float32
    # Nobody points at a query without a place; keys without one take part in C.
    names = {"theta": affinity.theta[:, affinity.queries.prefix :], "phi": affinity.phi}
    for name, tensor in names.items():
        arrays[f"{key}.{name}"] = tensor.to(kind).cpu().numpy()
    return {
        "kind": "embedded",
        "scale": affinity.pairwise.scale,
        "theta": f"{key}.theta",
        "phi": f"{key}.phi",
        "bias": packed_bias(entry["key"], affinity.bias, arrays),
        "log_normaliser": _normaliser(entry, affinity, arrays),
    }


def packed_bias(key: str, bias: Bias | None, arrays: Arrays) -> dict[str, Any] | None:
    """Pack what is added to the logits; return its kind and its sections, or None."""
    if bias is None:
        return None
    name = f"{key}.bias"
    numbers = bias.values if isinstance(bias, KeyBias) else bias.tensor
    arrays[name] = numbers.float().cpu().numpy()
    told: dict[str, Any] = {"kind": bias.kind, "values": name}
    if isinstance(bias, OffsetBias):
        told["step"] = bias.step
        if bias.apart is not None:
            told["apart"] = f"{name}_apart"
            arrays[told["apart"]] = bias.apart.float().cpu().numpy()
    if isinstance(bias, PairBias):
        for part, of in (("rows", bias.row_of), ("columns", bias.column_of)):
            told[part] = f"{name}_{part}"
            arrays[told[part]] = of.int().cpu().numpy()
    return told


def _normaliser(entry: dict[str, Any], affinity: Affinity, arrays: Arrays) -> str | None:
    """Pack log C of every query, which columns need; return the section's name, or None."""
    if not isinstance(affinity, EmbeddedAffinity) or not affinity.pairwise.softmax:
        return None
    pairs = affinity.queries.size * affinity.keys.size
    if isinstance(affinity.support, KeySets):
        pairs = int(affinity.support.counts(affinity.queries, affinity.keys).sum())
    if pairs > COLUMN_LIMIT:
        return None
    shared = entry["split"] == "shared"
    lse = unary_normaliser(affinity) if shared else affinity.log_normaliser
    assert lse is not None  # softmax rows have one
    name = f"{entry['key']}.log_normaliser"
    arrays[name] = lse.float().cpu().numpy()
    return name


def _patches(key: str, affinity: PatchAffinity, arrays: Arrays) -> dict[str, Any]:
    picture = affinity.picture
    whole = bool((picture == picture.to(torch.uint8)).all())
    arrays[f"{key}.picture"] = picture.to(torch.uint8 if whole else torch.float32).numpy()
    shares = None
    if affinity.patch_sigma is not None:
        shares = f"{key}.shares"
        arrays[shares] = affinity.shares.float().numpy()
    return {
        "kind": "patch",
        "picture": f"{key}.picture",
        "patch": affinity.patch,
        "h": affinity.h if math.isfinite(affinity.h) else None,  # JSON has no infinity
        "step": affinity.step,
        "offset": affinity.offset,
        "noise_bias": 2 * affinity.sigma**2,
        "spatial": affinity.spatial,
        "shares": shares,
    }


def _note(affinity: Affinity) -> str | None:
    """Return what a reader must know of the block's affinity, if anything."""
    told = [SAME_RANKING] if affinity.pairwise.name == "concatenation" else []
    told += [affinity.note] if affinity.note else []
    return " ".join(told) or None


def _grid(grid: TokenGrid) -> dict[str, Any]:
    return {"shape": grid.shape, "stride": grid.stride, "origin": grid.origin}


def _display_size(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return resized(frame, scaled(frame.shape, min(PICTURE_SIDE / min(frame.shape[:2]), 1.0)))


def _words(affinity: Affinity) -> str:
    name = affinity.pairwise.name.replace("_", " ").replace(
        "embedded gaussian", "embedded Gaussian"
    )
    return name if name != "gaussian" else "Gaussian"
