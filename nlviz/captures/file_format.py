"""Captures as files, so that maps can be looked at without the network that made them.

A safetensors file. Its metadata are ``format`` ("nlviz.capture"), ``version`` ("1") and
``capture``, JSON: clip, about, labels and, per block in forward order, all that is no tensor.
Tensors: ``clip.frames`` (T, H, W, 3) uint8, ``clip.times`` (T,) seconds, ``logits``,
``detections`` (UTF-8 bytes of JSON) and, for the n-th block, ``n.theta``, ``n.phi``, ``n.features``
and, where there are such, ``n.bias``, ``n.values``, ``n.output``; numbers keep their type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support, Window
from nlviz.clips.detections import Detection
from nlviz.clips.point import Shape, Triple
from nlviz.errors import NlvizError

FORMAT = "nlviz.capture"
VERSION = 1
MOST_HEADER = 8 << 20  # bytes of JSON; a capture of a hundred blocks has some 100,000
_OPTIONAL = ("bias", "values", "output")
_CURE = "save the capture again"


def _described(name: str, affinity: EmbeddedAffinity) -> dict[str, Any]:
    return {
        "name": name,
        "affinity": affinity.name,
        "pairwise": asdict(affinity.pairwise),
        "queries": asdict(affinity.queries),
        "keys": asdict(affinity.keys),
        "support": asdict(affinity.support),
        "clip_shape": affinity.clip_shape,
        "note": affinity.note,
        "prefix_name": affinity.prefix_name,
        "tensors": [key for key in _OPTIONAL if getattr(affinity, key) is not None],
    }


def is_capture(source: str | Path | bytes) -> bool:
    """Return whether a file, or its bytes, begin as a saved capture does.

    >>> is_capture(b"GIF89a")
    False
    """
    if isinstance(source, bytes):
        header = source[8 : 8 + _length(source)]
    else:
        try:
            with Path(source).open("rb") as file:
                header = file.read(_length(file.read(8)))
        except (OSError, ValueError):
            return False
    # Metadata come in any order, so the format may stand behind all labels.
    return header[:1] == b"{" and f'"{FORMAT}"'.encode() in header


def _length(start: bytes) -> int:
    return min(int.from_bytes(start[:8], "little"), MOST_HEADER)


def _header(content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    if len(content) < 10 or content[8:9] != b"{":
        raise NlvizError("it must be a safetensors file, it is something else")
    if size > MOST_HEADER or size > len(content) - 8:
        raise NlvizError(
            f"its header claims {size:,} bytes of the {len(content):,} there, at most "
            f"{MOST_HEADER:,} are allowed"
        )
    whole = json.loads(content[8 : 8 + size])
    meta = whole.get("__metadata__") or {}
    if meta.get("format") != FORMAT:
        raise NlvizError(f"its format must be {FORMAT}, it is {str(meta.get('format'))[:60]!r}")
    if meta.get("version") != str(VERSION):
        raise NlvizError(
            f"its version must be {VERSION}, it is {str(meta.get('version'))[:20]!r}; a newer "
            "nlviz may read it"
        )
    told = json.loads(meta["capture"])
    _require(isinstance(told, dict), "what it says of itself must be an object")
    return cast(dict[str, Any], told)


def _affinity(
    n: int, block: Mapping[str, Any], tensors: Mapping[str, Tensor], clip_shape: Shape
) -> EmbeddedAffinity:
    queries, keys = _grid(block["queries"]), _grid(block["keys"])
    theta, phi = _tensor(tensors, f"{n}.theta", 3), _tensor(tensors, f"{n}.phi", 3)
    all_queries, all_keys = queries.size + queries.prefix, keys.size + keys.prefix
    heads, _, d = theta.shape
    _require(heads > 0 and d > 0, f"{n}.theta must have heads and numbers, it has {[*theta.shape]}")
    _fits(f"{n}.theta", theta, (None, all_queries, None))
    _fits(f"{n}.phi", phi, (heads, all_keys, d))
    _require(theta.dtype == phi.dtype, f"{n}.theta and {n}.phi must be of one type")
    kept: dict[str, Tensor | None] = dict.fromkeys(_OPTIONAL)
    for key in block["tensors"]:
        _require(key in _OPTIONAL, f"a block keeps {', '.join(_OPTIONAL)}, got {str(key)[:40]!r}")
        kept[key] = _tensor(tensors, f"{n}.{key}", 3)
    bias, values, output = kept["bias"], kept["values"], kept["output"]
    if bias is not None:
        one_or = (1 if bias.shape[0] == 1 else heads, 1 if bias.shape[1] == 1 else queries.size)
        _fits(f"{n}.bias", bias, (*one_or, all_keys))
    if values is not None:
        _fits(f"{n}.values", values, (heads, all_keys, None))
    if output is not None:
        dv = None if values is None else values.shape[2]
        _fits(f"{n}.output", output, (heads, all_queries, dv))
    scale = _number(block["pairwise"]["scale"])
    shape = block["clip_shape"]
    if shape is not None:
        _require(tuple(shape) == clip_shape, f"the clip is {clip_shape}, a block saw {shape!r}")
    return EmbeddedAffinity(
        _text(block["affinity"]),
        Pairwise(block["pairwise"]["name"], scale),
        theta,
        phi,
        queries,
        keys,
        support=_support(block["support"], queries, keys),
        bias=bias,
        values=values,
        output=output,
        clip_shape=None if shape is None else clip_shape,
        note=_text(block["note"]),
        prefix_name=_text(block["prefix_name"]),
    )


def _support(told: Mapping[str, Any], queries: TokenGrid, keys: TokenGrid) -> Support:
    frames, own = told["frames_per_group"], told["own_prefix"]
    _require(isinstance(own, bool), "own_prefix must be true or false")
    if frames is not None:
        _whole(frames, 1, "frames_per_group")
        if own:
            groups = -(-queries.shape[0] // frames)
            _require(
                keys.prefix % groups == 0,
                f"{groups} groups of frames share tokens without a place evenly, "
                f"got {keys.prefix} of them",
            )
    window = told.get("window")
    if window is None:
        return Support(frames, own)
    _require(frames is None, "a support is a window or groups of frames, not both")
    for name, least in (("rows", 0), ("columns", 0), ("block", 1)):
        _whole(window[name], least, name)
    if window["frames"] is not None:
        _whole(window["frames"], 0, "frames")
    return Support(window=Window(**{k: window[k] for k in ("rows", "columns", "frames", "block")}))


def _grid(told: Mapping[str, Any]) -> TokenGrid:
    for name in ("shape", "stride", "origin"):
        _require(
            isinstance(told[name], list) and len(told[name]) == 3, f"a grid's {name} is 3 long"
        )
    for size in told["shape"]:
        _whole(size, 1, "a grid's number of cells")
    _whole(told["prefix"], 0, "a grid's prefix")
    places = [_number(v) for v in (*told["stride"], *told["origin"])]
    _require(min(places[:3]) > 0, f"a grid's strides must be above 0, got {places[:3]}")
    # The numbers as JSON has them: an int stays an int.
    stride, origin = (cast(Triple, tuple(told[key])) for key in ("stride", "origin"))
    return TokenGrid(cast(Shape, tuple(told["shape"])), stride, origin, told["prefix"])


def _detections(found: Tensor | None, clip_shape: Shape) -> tuple[Detection, ...]:
    if found is None:
        return ()
    _require(found.dtype == torch.uint8 and found.dim() == 1, "detections must be bytes")
    frames, height, width = clip_shape
    objects = []
    for told in json.loads(found.numpy().tobytes()):
        mask = told["mask"]
        if mask is not None:  # before a claim of it becomes memory
            _require(mask["shape"] == [height, width], "a mask must be as large as the clip")
            for run in mask["runs"]:
                _whole(run, 0, "a run of a mask")
            _require(sum(mask["runs"]) == height * width, "a mask's runs must fill the clip")
        _whole(told["frame"], 0, "a detection's frame")
        _require(told["frame"] < frames, f"a detection is on frame {told['frame']} of {frames}")
        for value in (told["score"], *told["box"]):
            _number(value)
        objects.append(Detection.from_dict(told))
    return tuple(objects)


def _tensor(tensors: Mapping[str, Tensor], key: str, axes: int | None = None) -> Tensor:
    _require(key in tensors, f"the tensor {key} is missing")
    found = tensors[key]
    if axes is not None:
        _require(found.dim() == axes, f"{key} must have {axes} axes, it is {[*found.shape]}")
        _require(found.is_floating_point(), f"{key} must hold floats, it holds {found.dtype}")
    return found


def _fits(key: str, tensor: Tensor, shape: tuple[int | None, ...]) -> None:
    same = all(b is None or a == b for a, b in zip(tensor.shape, shape, strict=True))
    wanted = " x ".join("any" if n is None else str(n) for n in shape)
    _require(same, f"{key} must be {wanted}, it is {' x '.join(map(str, tensor.shape))}")


def _whole(value: object, least: int, what: str) -> None:
    fine = isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**40
    _require(fine, f"{what} must be a whole number from {least}, got {str(value)[:40]}")


def _number(value: object) -> float:
    fine = isinstance(value, int | float) and not isinstance(value, bool)
    _require(fine, f"a number was expected, got {str(value)[:40]!r}")
    number = float(cast(float, value))
    _require(math.isfinite(number), f"numbers must be finite, got {number}")
    return number


def _text(value: object) -> str:
    _require(isinstance(value, str), f"a text was expected, got {str(value)[:40]!r}")
    return cast(str, value)


def _require(fine: bool, rule: str) -> None:
    if not fine:
        raise NlvizError(rule)
