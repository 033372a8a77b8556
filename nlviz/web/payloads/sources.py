"""Packs affinities into sections from which the browser derives any of their rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import Bias, KeyBias, OffsetBias
from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.grouped import GroupedAffinity
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.lines import Lines
from nlviz.affinity.patches import PatchAffinity
from nlviz.affinity.position_terms import AxisBias, PairBias
from nlviz.affinity.reach import is_global_context, reached
from nlviz.affinity.split import MinusMean, centres, unary_normaliser
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import ALL_KEYS, KINDS, Support, Window
from nlviz.affinity.token_names import names_to_ask
from nlviz.affinity.variants import ROLLOUT, Variant
from nlviz.clips.point import Point, Triple
from nlviz.errors import NlvizError
from nlviz.web.payloads.layer_parts import bytes_of_parts, layer_words, packed_layer
from nlviz.web.payloads.sharing import share_sections, share_vectors
from nlviz.web.payloads.words import few_rows, words_beside, words_that_came

LIMIT = 16 << 20  # bytes of embeddings that the browser is given; beyond it rows come from here
MOST_RUNS = 1 << 18  # numbers by which sets of keys are told
HALF_MOST = 6e4  # the largest number that is sent in half precision
FEW = 1 << 16  # numbers that are sent as float32 rather than float16
COLUMN_LIMIT = 1 << 28  # queries x keys up to which normalisers are computed, for columns

Arrays = dict[str, npt.NDArray[Any]]


def packed_sources(
    shown: Sequence[tuple[Variant, Affinity]],
    arrays: Arrays,
    *,
    query: Point | Triple = (0.0, 0.0, 0.0),
    limit: int | None = None,
    asked: str | None = None,
) -> list[dict[str, Any]]:
    """Pack what the browser needs for an affinity and its variants; return their entries.

    Args:
        shown: variants with their affinities, the block's own first.
        arrays: where sections go.
        query: whose row is sent where the browser cannot derive rows.
        limit: bytes of embeddings, 16 MiB by default; sources take from it in order.
        asked: key of the source on the screen; a rollout's row is sent with that one alone, as it
            goes through all layers.
    """
    learned = shown[0][1]
    packed: list[dict[str, Any]] = []
    left: float = LIMIT if limit is None else limit
    sent: dict[int, dict[str, Any]] = {}

    def pack_part(key: str, part: Affinity) -> dict[str, Any]:
        assert isinstance(part, EmbeddedAffinity)
        own = {**_entry(Variant(key, key, ""), part, part.prefix_name), "row_alone": True}
        return {**own, **_embeddings(own, part, arrays)}

    for variant, affinity in shown:
        entry = _entry(variant, affinity, (affinity if variant.several else learned).prefix_name)
        if packed and isinstance(affinity.support, KeySets) and affinity.support == learned.support:
            entry["support"] = {"of": packed[0]["key"]}  # as long as its queries are many
        derived = _of_learned(entry, learned, affinity, packed[0], arrays) if packed else None
        if derived is None and variant.several and packed and not packed[0]["server"]:
            size = bytes_of_parts(affinity, learned, sent, _size)
            if size <= left:
                left -= size
                derived = packed_layer(entry, affinity, learned, packed[0], sent, pack_part)
                derived |= packed_tokens(variant.key, affinity, arrays)
        if derived is None:
            size = _size(
                affinity, [a for (_, a), s in zip(shown, packed, strict=False) if not s["server"]]
            )
            if _by_set(entry, affinity):
                size = 2 * affinity.heads * (affinity.queries.size + 3 * affinity.keys.size)
            fits = size <= left
            left -= size if fits else 0
            if variant is ROLLOUT and asked != variant.key:
                derived = {**entry, **_ROW_LATER}
            else:
                derived = _source(entry, affinity, query, arrays, fits=fits)
            share_sections(derived, affinity, learned, packed, arrays)
            share_vectors(derived, packed, arrays)
        packed.append(derived)
    return packed


_ROW_LATER = {"kind": "embedded", "server": True, "support": ALL_KEYS.to_json(), "scale": 1.0}


def pending_source(variant: Variant, learned: Affinity) -> dict[str, Any]:
    """Return the entry of a variant that is not there yet, and is made once it is asked for."""
    return {
        **_entry(variant, learned, ""),
        "support": ALL_KEYS.to_json(),
        "heads": 1,
        "prefix": 0,
        "kind": "embedded",
        "server": True,
        "pending": True,
        "waits": "The network runs once more, for the features that enter this block",
        "row": None,
        "scale": 1.0,
    }


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
        "note": f"{variant.note} {affinity.note}" if variant.several else variant.note,
        "pairwise": affinity.pairwise.name,
        "signed": affinity.pairwise.signed,
        "softmax": affinity.distributes,
        "part": variant.part,
        "split": variant.split,
        "term": variant.term,
        "difference": affinity.row_values == "difference",
        "balanced": affinity.balanced,
        "heads": affinity.heads,
        "queries": affinity.queries.to_json(),
        "keys": affinity.keys.to_json(),
        "support": affinity.support.to_json(),
        "reach": affinity.support.sentence(affinity.keys),
        "reached": reached(affinity),
        **({"context": True} if is_global_context(affinity) else {}),
        "prefix": affinity.keys.prefix,
        "prefix_name": prefix_name,
        "server": False,
        **({"layer": layer_words(affinity)} if variant.several else {}),
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
        **{k: first[k] for k in ("kind", "scale", "theta", "phi", "query_prefix") if k in first},
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
    if isinstance(affinity, StoredAffinity) and fits:
        return {**entry, **_stored(key, affinity, arrays)}
    if isinstance(affinity, EmbeddedAffinity) and fits:
        packed = _sets if _by_set(entry, affinity) else _embeddings
        return {**entry, **packed(entry, affinity, arrays)}
    if isinstance(affinity, GroupedAffinity) and _known(affinity.support):
        every = affinity.heads * affinity.phi.shape[1] * affinity.phi.shape[2]
        if 2 * (affinity.theta.numel() + every) <= LIMIT // 4:
            return {**entry, **_embeddings(entry, affinity.embedded(), arrays)}
    if _known(affinity.support) and (rows := few_rows(key, affinity, arrays, LIMIT)):
        return {**entry, **rows}
    name = f"{key}.row"
    frame, y, x = query
    index = affinity.queries.nearest(frame=frame, y=y, x=x)
    row = affinity.rows([index])[:, 0].float().cpu()
    placed = row[:, affinity.keys.prefix :]
    mask = affinity.support.mask(affinity.queries, affinity.keys, torch.tensor([index]))
    arrays[f"{name}_apart"] = row[:, : affinity.keys.prefix].numpy()
    # Keys that the query does not reach have no weight rather than none at all: they are hatched.
    arrays[name] = (placed if mask is None else placed.where(mask.cpu(), torch.nan)).numpy()
    return {
        **entry,
        **_ROW_LATER,  # laid on all keys
        "row": name,
        "row_apart": f"{name}_apart",
        **words_that_came(key, affinity, arrays, LIMIT),
    }


def _size(affinity: Affinity, sent: Sequence[Affinity] = ()) -> float:
    """Return the bytes that the browser needs for rows; infinite where it cannot derive them.

    Args:
        affinity: whose rows.
        sent: affinities whose vectors it has; the same ones need no room again.
    """
    if isinstance(affinity, PatchAffinity):
        return 4 * affinity.picture.numel()
    if isinstance(affinity, StoredAffinity) and _known(affinity.support):
        places = affinity.key_of.numel() + 2 * affinity.queries.size
        return 2 * affinity.weights.numel() + 4 * places
    if not isinstance(affinity, EmbeddedAffinity) or not _derived(affinity):
        return math.inf
    known = [t for a in sent if isinstance(a, EmbeddedAffinity) for t in (a.theta, a.phi)]
    size = 0
    for vectors in (affinity.theta, affinity.phi):
        if not any(vectors is t or torch.equal(vectors, t) for t in known):
            size += 2 * vectors.numel()
        known.append(vectors)
    return size if affinity.bias is None else size + 4 * affinity.bias.tensor.numel()


def _derived(affinity: EmbeddedAffinity) -> bool:
    """Whether the browser knows the support and the bias of an affinity."""
    bias = affinity.bias
    known = bias is None or isinstance(bias, (KeyBias, OffsetBias, AxisBias, PairBias))
    return known and (_known(affinity.support) or isinstance(affinity.support, Window))


def _known(support: Support) -> bool:
    """Whether the browser knows which keys a support has, as parts of rows of all keys."""
    if isinstance(support, KeySets):
        return sum(map(len, support.runs)) <= MOST_RUNS
    return isinstance(support, (*KINDS, Lines, Causal)) and not isinstance(support, Window)


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


def _stored(key: str, affinity: StoredAffinity, arrays: Arrays) -> dict[str, Any]:
    """Pack weights as they are kept, and which query and which key each is of."""
    kind = torch.float32 if affinity.weights.numel() <= FEW else affinity.weights.dtype
    if kind == torch.float32 and affinity.weights.numel() > FEW:
        kind = torch.float16 if float(affinity.weights.abs().max()) < HALF_MOST else kind
    # Nobody points at a query without a place unless it is a word.
    words = {"query_prefix": affinity.queries.prefix} if affinity.queries.line else {}
    prefix = 0 if words else affinity.queries.prefix
    sections = {
        "weights": affinity.weights.to(kind),
        "group_of": affinity.group_of[prefix:].int(),
        "place_of": affinity.place_of[prefix:].int(),
        "key_of": affinity.key_of.int(),
    }
    arrays |= {f"{key}.{name}": of.cpu().contiguous().numpy() for name, of in sections.items()}
    told = {name: f"{key}.{name}" for name in sections}
    return {"kind": "stored", "scale": 1.0, **told, **words}


def _embeddings(
    entry: dict[str, Any], affinity: EmbeddedAffinity, arrays: Arrays
) -> dict[str, Any]:
    key = entry["key"]
    # Where they are few they keep their digits: places in pixels, the two vectors of a
    # concatenation, the unary logits, small grids.
    few = affinity.theta.shape[-1] <= 4 or entry["split"] == "shared"
    few = few or affinity.theta.numel() + affinity.phi.numel() <= FEW
    kind = torch.float32 if few else torch.float16
    if max(float(affinity.theta.abs().max()), float(affinity.phi.abs().max())) > HALF_MOST:
        kind = torch.float32
    # Nobody points at a query without a place unless it is a word; keys without one are part of C.
    words = words_beside(key, affinity, arrays)
    before = 0 if words else affinity.queries.prefix
    names = {"theta": affinity.theta[:, before:], "phi": affinity.phi}
    for name, tensor in names.items():
        arrays[f"{key}.{name}"] = tensor.to(kind).cpu().numpy()
    return {
        "kind": "embedded",
        "scale": affinity.pairwise.scale,
        "theta": f"{key}.theta",
        "phi": f"{key}.phi",
        "bias": packed_bias(entry["key"], affinity.bias, arrays),
        "log_normaliser": _normaliser(entry, affinity, arrays),
        **words,
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


def packed_tokens(key: str, affinity: Affinity, arrays: Arrays) -> dict[str, Any]:
    """Pack the rows of the queries without a place, as ``Affinity.map(token=...)`` has them."""
    names, prefix = names_to_ask(affinity.token_names), affinity.keys.prefix
    if not names or 4 * affinity.heads * len(names) * affinity.keys.size > LIMIT:
        return {}
    rows = affinity.token_rows().float().cpu()
    mask = affinity.support.mask_apart(affinity.queries, affinity.keys)
    placed, apart, told = [], [], []
    for name in names:
        own = [n for n, one in enumerate(affinity.token_names) if one == name]
        row = rows[:, own].mean(1)
        reached = torch.ones(affinity.keys.size) > 0
        if mask is not None:
            reached = mask[own].any(0)[prefix:].cpu()
        placed.append(row[:, prefix:].where(reached, torch.nan))
        apart.append(row[:, :prefix])
        told.append({"name": name, "own": len(own) > 1})
    arrays[f"{key}.token_rows"] = torch.stack(placed, 1).numpy()
    arrays[f"{key}.token_apart"] = torch.stack(apart, 1).numpy()
    sections = {"token_rows": f"{key}.token_rows", "token_apart": f"{key}.token_apart"}
    return {"tokens": told, **sections}


def _normaliser(entry: dict[str, Any], affinity: Affinity, arrays: Arrays) -> str | None:
    """Pack log C of every query, which columns need; return the section's name, or None."""
    if not isinstance(affinity, EmbeddedAffinity) or not affinity.pairwise.softmax:
        return None
    if entry.get("row_alone"):
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
