"""A block's affinity within the file of a capture: what the header says of it, and its tensors.

The tensors of the n-th block are, for embeddings, ``n.theta``, ``n.phi`` and, where it has them,
``n.values``, ``n.output``, ``n.apart_bias`` and those of its bias: ``n.bias`` with
``n.bias_apart``, ``n.bias_rows`` and ``n.bias_columns``, or ``n.bias_t``, ``n.bias_y`` and
``n.bias_x``. Of kept weights they are ``n.weights``, ``n.group_of``, ``n.place_of``,
``n.key_of`` and, where there are any, ``n.values`` and ``n.output``. Sets of keys are
``n.set_of``, ``n.runs`` and ``n.run_counts``; what the branches of its layer add is
``n.branches``. Where queries and keys lie is in ``grid_format``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import torch
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import Bias, KeyBias, OffsetBias
from nlviz.affinity.branches import Branches
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Line, TokenGrid
from nlviz.affinity.grouped import GroupedAffinity
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.affinity.position_terms import AxisBias, PairBias
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import Support, Window
from nlviz.captures.file_tensors import fits, require, tensor_of, whole_numbers
from nlviz.captures.grid_format import Cells, Grid, Lines, described_grid, grid_of
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError
from nlviz.files.checked_json import HUGE, Count, Finite, FromZero, Record, checked

Tensors = Mapping[str, Tensor]

_SUMS = ("values", "output")
_OPTIONAL = ("bias", "values", "output", "apart_bias")
_PLACES = ("group_of", "place_of", "key_of")


class _Pairwise(Record):
    name: PairwiseName
    scale: Finite


class _Window(Record):
    rows: Count
    columns: Count
    frames: Count | None
    block: Cells


class _Support03(Record):
    """How 0.3 wrote a support: all kinds in one record."""

    frames_per_group: Cells | None
    own_prefix: bool
    window: _Window | None = None


class _Bias(Record):
    """The kind of a bias; files of 0.3 have its tensor alone, which says it."""

    kind: Literal["key", "offset", "axes", "pairs"]
    step: tuple[Cells, Cells, Cells] = (1, 1, 1)


class _Branches(Record):
    """Names of the branches of a layer, whose sizes are ``n.branches``, and what is mixed how."""

    names: list[str]
    mixing: dict[str, FromZero]


class Block(Record):
    """What the header says of a block and its affinity."""

    name: str
    affinity: str
    pairwise: _Pairwise
    queries: Grid
    keys: Grid
    support: dict[str, Any]
    clip_shape: tuple[Cells, Cells, Cells] | None
    note: str
    prefix_name: str
    tensors: list[str]
    kind: Literal["embedded", "stored"] = "embedded"  # from 0.4 on, and all below
    bias: _Bias | None = None
    token_names: tuple[str, ...] = ()
    features: bool = True
    branches: _Branches | None = None


def described_affinity(
    name: str, affinity: Affinity, tensors: dict[str, Tensor], lines: Lines
) -> dict[str, Any]:
    """Return what the header says of an affinity, put its tensors and its words into others.

    Args:
        name: of its block.
        affinity: what is described.
        tensors: its tensors are put there.
        lines: words of all blocks; its own are put there.

    Raises:
        NlvizError: when it is held neither as embeddings nor as weights.
    """
    told: dict[str, Any] = {"tensors": []}
    if isinstance(affinity, GroupedAffinity):
        affinity = affinity.embedded()
    if isinstance(affinity, StoredAffinity):
        told["kind"] = "stored"
        tensors["weights"] = affinity.weights
        tensors |= {key: getattr(affinity, key).int() for key in _PLACES}
        sums = {key: getattr(affinity, key) for key in _SUMS}
        tensors |= {key: value for key, value in sums.items() if value is not None}
        told["tensors"] = [key for key in _SUMS if sums[key] is not None]
    elif isinstance(affinity, EmbeddedAffinity):
        tensors |= {"theta": affinity.theta, "phi": affinity.phi}
        kept = {key: getattr(affinity, key) for key in _OPTIONAL[1:]}
        tensors |= {key: value for key, value in kept.items() if value is not None}
        told["tensors"] = [key for key in _OPTIONAL if getattr(affinity, key) is not None]
        if affinity.bias is not None:
            told["bias"] = _described_bias(affinity.bias, tensors)
    else:
        raise NlvizError(
            f"a saved capture holds embeddings, the affinity of {name} is a "
            f"{type(affinity).__name__}; save its rows as .npz instead"
        )
    if (branches := affinity.branches) is not None:
        tensors["branches"] = branches.norms
        told["branches"] = {"names": list(branches.names), "mixing": dict(branches.mixing)}
    return {
        "name": name,
        "affinity": affinity.name,
        "pairwise": {"name": affinity.pairwise.name, "scale": affinity.pairwise.scale},
        "queries": described_grid(affinity.queries, lines),
        "keys": described_grid(affinity.keys, lines),
        "support": _described_support(affinity.support, tensors),
        "clip_shape": affinity.clip_shape,
        "note": affinity.note,
        "prefix_name": affinity.prefix_name,
        "token_names": affinity.token_names,
        **told,
    }


def _described_bias(bias: Bias, tensors: dict[str, Tensor]) -> dict[str, Any]:
    if isinstance(bias, AxisBias):
        tensors |= {"bias_t": bias.t, "bias_y": bias.y, "bias_x": bias.x}
        return {"kind": bias.kind}
    tensors["bias"] = bias.tensor
    if isinstance(bias, PairBias):
        tensors |= {"bias_rows": bias.row_of.int(), "bias_columns": bias.column_of.int()}
    if not isinstance(bias, OffsetBias):
        return {"kind": bias.kind}
    if bias.apart is not None:
        tensors["bias_apart"] = bias.apart
    return {"kind": bias.kind, "step": bias.step}


def _described_support(support: Support, tensors: dict[str, Tensor]) -> dict[str, Any]:
    if not isinstance(support, KeySets):
        return support.to_json()
    # As numbers rather than as text: there are as many as queries.
    runs = [n for of_set in support.runs for n in of_set]
    numbers = {"set_of": support.set_of, "runs": runs, "run_counts": [*map(len, support.runs)]}
    tensors |= {key: torch.tensor(of, dtype=torch.int32) for key, of in numbers.items()}
    return {"kind": support.kind, "said": support.said}


def affinity_of(
    n: int, block: Block, tensors: Tensors, clip_shape: Shape, lines: Sequence[Line] = ()
) -> Affinity:
    """Return the affinity of the n-th block of a file.

    Args:
        n: number of the block.
        block: what the header says of it.
        tensors: of the file.
        clip_shape: of the clip.
        lines: words of all blocks.

    Raises:
        NlvizError: when its parts do not fit together; the sentence names the part.
    """
    queries, keys = (grid_of(given, lines) for given in (block.queries, block.keys))
    shape = block.clip_shape
    require(shape in (None, clip_shape), f"the clip is {clip_shape}, a block saw {shape}")
    named = len(block.token_names)
    require(
        named in (0, queries.prefix),
        f"each of {queries.prefix} queries without a place has a name, got {named} names",
    )
    common: dict[str, Any] = {
        "name": block.affinity,
        "pairwise": Pairwise(block.pairwise.name, block.pairwise.scale),
        "queries": queries,
        "keys": keys,
        "clip_shape": shape,
        "note": block.note,
        "prefix_name": block.prefix_name,
        "token_names": block.token_names,
    }
    if block.branches is not None:
        norms = tensor_of(tensors, f"{n}.branches", 2)
        fits(f"{n}.branches", norms, (len(block.branches.names), queries.size))
        mixing = MappingProxyType(block.branches.mixing)
        common["branches"] = Branches(tuple(block.branches.names), norms, mixing)
    make = _stored if block.kind == "stored" else _embedded
    return make(n, block, tensors, common)


def _embedded(n: int, block: Block, tensors: Tensors, common: dict[str, Any]) -> EmbeddedAffinity:
    queries, keys = common["queries"], common["keys"]
    theta, phi = tensor_of(tensors, f"{n}.theta", 3), tensor_of(tensors, f"{n}.phi", 3)
    all_queries, all_keys = queries.size + queries.prefix, keys.size + keys.prefix
    heads, _, d = theta.shape
    require(heads > 0 and d > 0, f"{n}.theta must have heads and numbers, it has {[*theta.shape]}")
    fits(f"{n}.theta", theta, (None, all_queries, None))
    fits(f"{n}.phi", phi, (heads, all_keys, d))
    require(theta.dtype == phi.dtype, f"{n}.theta and {n}.phi must be of one type")
    for key in block.tensors:
        require(key in _OPTIONAL, f"a block keeps {', '.join(_OPTIONAL)}, got {key[:40]!r}")
    kept: dict[str, Any] = {
        k: tensor_of(tensors, f"{n}.{k}", 3) for k in block.tensors if k != "bias"
    }
    _fit_sums(n, kept, heads, all_queries, all_keys)
    if "apart_bias" in kept:
        whose = kept["apart_bias"].shape[0]
        require(whose in (1, heads), _of_heads(f"{n}.apart_bias", whose, heads))
        fits(f"{n}.apart_bias", kept["apart_bias"], (None, queries.prefix, all_keys))
    bias = _bias(n, block, tensors) if "bias" in block.tensors else None
    if bias is not None:
        require(bias.heads in (1, heads), _of_heads(f"{n}.bias", bias.heads, heads))
    support = _support(n, block.support, tensors, queries, keys)
    return EmbeddedAffinity(**common, theta=theta, phi=phi, support=support, bias=bias, **kept)


def _fit_sums(
    n: int, kept: Mapping[str, Tensor], heads: int, all_queries: int, all_keys: int
) -> None:
    """Refuse values and sums that are not of this block."""
    if "values" in kept:
        fits(f"{n}.values", kept["values"], (heads, all_keys, None))
    if "output" in kept:
        dv = kept["values"].shape[2] if "values" in kept else None
        fits(f"{n}.output", kept["output"], (heads, all_queries, dv))


def _stored(n: int, block: Block, tensors: Tensors, common: dict[str, Any]) -> StoredAffinity:
    queries, keys = common["queries"], common["keys"]
    weights = tensor_of(tensors, f"{n}.weights", 4)
    groups, heads, places, columns = weights.shape
    require(min(weights.shape) > 0, f"{n}.weights must hold numbers, it is {[*weights.shape]}")
    all_queries, all_keys = queries.size + queries.prefix, keys.size + keys.prefix
    found: dict[str, Any] = {
        "group_of": whole_numbers(tensors, f"{n}.group_of", (all_queries,), 0, groups),
        "place_of": whole_numbers(tensors, f"{n}.place_of", (all_queries,), 0, places),
        "key_of": whole_numbers(tensors, f"{n}.key_of", (groups, columns), -1, all_keys),
    }
    for key in block.tensors:
        require(key in _SUMS, f"a block of weights keeps {', '.join(_SUMS)}, got {key[:40]!r}")
        found[key] = tensor_of(tensors, f"{n}.{key}", 3)
    _fit_sums(n, found, heads, all_queries, all_keys)
    support = _support(n, block.support, tensors, queries, keys)
    return StoredAffinity(**common, weights=weights, support=support, **found)


def _bias(n: int, block: Block, tensors: Tensors) -> Bias:
    told, key = block.bias, f"{n}.bias"
    if told is not None and told.kind == "axes":
        t, y, x = (tensor_of(tensors, f"{key}_{axis}", 3) for axis in "tyx")
        require(t.shape[:2] == y.shape[:2] == x.shape[:2], f"{key}_t, _y and _x must be of as many")
        return AxisBias(t, y, x)
    found = tensor_of(tensors, key)
    require(found.is_floating_point(), f"{key} must hold floats, it holds {found.dtype}")
    if told is None:
        return Bias.of(found)
    fits(key, found, (None,) * {"key": 3, "offset": 4, "pairs": 3}[told.kind])
    if told.kind == "key":
        fits(key, found, (None, 1, None))
        return KeyBias(found[:, 0])
    if told.kind == "offset":
        apart = tensor_of(tensors, f"{key}_apart", 2) if f"{key}_apart" in tensors else None
        if apart is not None:
            fits(f"{key}_apart", apart, (found.shape[0], None))
        return OffsetBias(found, told.step, apart)
    rows = whole_numbers(tensors, f"{key}_rows", (None,), 0, found.shape[1])
    columns = whole_numbers(tensors, f"{key}_columns", (None,), 0, found.shape[2])
    return PairBias(found, rows, columns)


def _support(
    n: int, given: dict[str, Any], tensors: Tensors, queries: TokenGrid, keys: TokenGrid
) -> Support:
    support: Support
    if given.get("kind") == KeySets.kind:
        most = keys.size + keys.prefix
        set_of = whole_numbers(tensors, f"{n}.set_of", (None,), 0, HUGE)
        runs = whole_numbers(tensors, f"{n}.runs", (None,), 0, most + 1)
        counts = whole_numbers(tensors, f"{n}.run_counts", (None,), 0, HUGE)
        require(int(counts.sum()) == len(runs), f"{n}.run_counts must be those of {n}.runs")
        of_sets = tuple(tuple(part.tolist()) for part in torch.split(runs, counts.tolist()))
        said = checked(given.get("said", ""), str, of="a support's said")
        support = KeySets(tuple(set_of.tolist()), of_sets, said)
    elif "kind" in given:
        support = Support.from_json(given)
    else:
        found = checked(given, _Support03, of="a support's")
        window = None if found.window is None else Window(**msgspec.structs.asdict(found.window))
        support = Support(found.frames_per_group, found.own_prefix, window)
    support.check(queries, keys)
    return support


def _of_heads(key: str, whose: int, heads: int) -> str:
    return f"{key} must be of 1 or {heads} heads, it is of {whose}"
