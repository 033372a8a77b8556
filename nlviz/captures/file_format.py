"""The file of a capture: its parts as one safetensors file, and back.

The metadata of the file are ``format`` ("nlviz.capture"), ``version`` ("1") and ``capture``, JSON:
clip, about, labels and, per block in forward order, everything that is not a tensor. The tensors
are ``clip.frames`` (T, H, W, 3) uint8, ``clip.times`` (T,) seconds, ``logits``, ``detections``
(UTF-8 bytes of JSON) and, for the n-th block, ``n.theta``, ``n.phi``, ``n.features`` and, where the
block has them, ``n.bias``, ``n.values``, ``n.output``; numbers keep their type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from jaxtyping import Float
from msgspec import Meta
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.bias import Bias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.affinity.receipt import Receipt
from nlviz.affinity.support import Support, Window
from nlviz.clips.clip import Clip, Sampling
from nlviz.clips.detections import Detection
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError
from nlviz.files.checked_json import (
    HUGE,
    Count,
    Finite,
    FromZero,
    Positive,
    Record,
    checked,
    parsed_json,
)

FORMAT = "nlviz.capture"
VERSION = 1
MOST_HEADER = 8 << 20  # bytes of JSON; a capture of a hundred blocks has some 100,000
_OPTIONAL = ("bias", "values", "output")

Cells = Annotated[int, Meta(ge=1, le=HUGE)]


@dataclass(frozen=True)
class Parts:
    """The parts of a capture that a file holds: everything but the modules.

    Attributes:
        clip: the input.
        affinities: by block name, in forward order.
        features: what entered each block, (channels, t, h, w).
        about: what is known of the model, by field.
        logits: (classes,) or None.
        labels: a name per class, or empty.
        detections: objects that a detection network found, or empty.
        notes: what a user must know of the pass.
        receipts: what was checked of each block, where it was.
        refused: why other blocks are not shown.
    """

    clip: Clip
    affinities: Mapping[str, Affinity]
    features: Mapping[str, Float[Tensor, "channels t h w"]]
    about: Mapping[str, Any]
    logits: Float[Tensor, " classes"] | None = None
    labels: tuple[str, ...] = ()
    detections: tuple[Detection, ...] = ()
    notes: tuple[str, ...] = ()
    receipts: Mapping[str, Receipt] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


class _Sampling(Record):
    start: FromZero
    stride: Cells | None
    frames: Cells | None
    size: Cells | None
    fps: Positive | None = None  # from 0.4 on


class _Clip(Record):
    name: str
    digest: str
    sampling: _Sampling
    notes: tuple[str, ...] = ()  # from 0.4 on
    reader: str = ""


class _Pairwise(Record):
    name: PairwiseName
    scale: Finite


class _Grid(Record):
    shape: tuple[Cells, Cells, Cells]
    stride: tuple[Positive, Positive, Positive]
    origin: tuple[Finite, Finite, Finite]
    prefix: Count
    off: tuple[FromZero, FromZero, FromZero] = (0.0, 0.0, 0.0)  # from 0.4 on


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


class _Block(Record):
    name: str
    affinity: str
    pairwise: _Pairwise
    queries: _Grid
    keys: _Grid
    support: dict[str, Any]
    clip_shape: tuple[Cells, Cells, Cells] | None
    note: str
    prefix_name: str
    tensors: list[str]


class _Receipt(Record):
    block: str
    error: FromZero
    tolerance: FromZero
    queries: Cells
    heads: Cells
    compared: str
    precision: str


class _Header(Record):
    clip: _Clip
    about: dict[str, Any]
    labels: tuple[str, ...]
    blocks: Annotated[list[_Block], Meta(min_length=1)]
    notes: tuple[str, ...] = ()  # from 0.4 on
    receipts: tuple[_Receipt, ...] = ()
    refused: dict[str, str] = msgspec.field(default_factory=dict)


class _Mask(Record):
    shape: tuple[Cells, Cells]
    runs: list[Count]


class _Detection(Record):
    frame: Count
    label: str
    number: Count
    score: Finite
    box: tuple[Finite, Finite, Finite, Finite]
    mask: _Mask | None
    keypoints: list[tuple[Finite, Finite, Finite]] | None


def is_capture(source: str | Path | bytes) -> bool:
    """Check whether a file, or its bytes, begin as a saved capture does.

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


def encode(parts: Parts) -> bytes:
    """Return the bytes of the file that holds these parts.

    Raises:
        NlvizError: when an affinity is not held as embeddings.
    """
    clip = parts.clip
    tensors: dict[str, Tensor] = {
        "clip.frames": torch.from_numpy(clip.frames.copy()),
        "clip.times": torch.from_numpy(clip.times.copy()),
    }
    if parts.logits is not None:
        tensors["logits"] = parts.logits
    if parts.detections:
        text = json.dumps([d.to_dict() for d in parts.detections]).encode()
        tensors["detections"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    blocks = []
    for n, (name, affinity) in enumerate(parts.affinities.items()):
        if not isinstance(affinity, EmbeddedAffinity):
            raise NlvizError(
                f"a saved capture holds embeddings, the affinity of {name} is a "
                f"{type(affinity).__name__}; save its rows as .npz instead"
            )
        found = {key: getattr(affinity, key) for key in ("theta", "phi", *_OPTIONAL)}
        found["bias"] = None if affinity.bias is None else affinity.bias.tensor
        found["features"] = parts.features[name]
        tensors |= {f"{n}.{key}": value for key, value in found.items() if value is not None}
        blocks.append(_described(name, affinity))
    header = {
        "clip": {
            "name": clip.name,
            "digest": clip.digest,
            "sampling": asdict(clip.sampling),
            "notes": clip.notes,
            "reader": clip.reader,
        },
        "about": dict(parts.about),
        "labels": list(parts.labels),
        "blocks": blocks,
        "notes": parts.notes,
        "receipts": [asdict(parts.receipts[n]) for n in parts.affinities if n in parts.receipts],
        "refused": dict(parts.refused),
    }
    # Cloned: a Gaussian's theta and phi are one tensor, which safetensors refuses to write.
    return save_tensors(
        {
            k: v.detach().cpu().clone(memory_format=torch.contiguous_format)
            for k, v in tensors.items()
        },
        metadata={"format": FORMAT, "version": str(VERSION), "capture": json.dumps(header)},
    )


def _described(name: str, affinity: EmbeddedAffinity) -> dict[str, Any]:
    return {
        "name": name,
        "affinity": affinity.name,
        "pairwise": asdict(affinity.pairwise),
        "queries": asdict(affinity.queries),
        "keys": asdict(affinity.keys),
        "support": affinity.support.to_json(),
        "clip_shape": affinity.clip_shape,
        "note": affinity.note,
        "prefix_name": affinity.prefix_name,
        "tensors": [key for key in _OPTIONAL if getattr(affinity, key) is not None],
    }


def decode(content: bytes) -> Parts:
    """Return the parts that the bytes of a file hold; tensors are bit for bit those encoded.

    Raises:
        NlvizError: when it is not a capture of this version, is cut short, or its parts do not fit
            together; the sentence names the part.
    """
    header = checked(parsed_json(_metadata(content)), _Header, of="its header's")
    try:
        tensors = load_tensors(content)
    except SafetensorError as error:
        raise NlvizError(f"it is cut short or broken ({error})") from None
    clip = _clip(header.clip, tensors)
    affinities: dict[str, Affinity] = {}
    features = {}
    for n, block in enumerate(header.blocks):
        _require(block.name not in affinities, f"two blocks are called {block.name!r}")
        affinity = _affinity(n, block, tensors, clip.shape)
        affinities[block.name] = affinity
        features[block.name] = _tensor(tensors, f"{n}.features", 4)
        _fits(f"{n}.features", features[block.name], (None, *affinity.queries.shape))
    logits = _tensor(tensors, "logits", 1) if "logits" in tensors else None
    _require(logits is None or logits.numel() > 0, "logits must have at least one class")
    detections = _detections(tensors["detections"], clip.shape) if "detections" in tensors else ()
    receipts = {r.block: Receipt(**msgspec.structs.asdict(r)) for r in header.receipts}
    for name, receipt in receipts.items():
        _require(name in affinities, f"a receipt is of a block, there is no {name[:40]!r}")
        _require(receipt.holds, f"a receipt must hold, that of {name[:40]!r} does not")
    return Parts(
        clip=clip,
        affinities=affinities,
        features=features,
        about=header.about,
        logits=logits,
        labels=header.labels,
        detections=detections,
        notes=header.notes,
        receipts=receipts,
        refused=header.refused,
    )


def _metadata(content: bytes) -> str:
    """Return the JSON text of the header, and refuse what is not a capture of this version."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 10 or content[8:9] != b"{":
        raise NlvizError("it must be a safetensors file, it is something else")
    if size > MOST_HEADER or size > len(content) - 8:
        raise NlvizError(
            f"its header claims {size:,} bytes of the {len(content):,} there, at most "
            f"{MOST_HEADER:,} are allowed"
        )
    whole = parsed_json(content[8 : 8 + size])
    metadata = checked(whole.get("__metadata__", {}), dict[str, Any], of="its metadata")
    if metadata.get("format") != FORMAT:
        raise NlvizError(f"its format must be {FORMAT}, it is {str(metadata.get('format'))[:60]!r}")
    if metadata.get("version") != str(VERSION):
        raise NlvizError(
            f"its version must be {VERSION}, it is {str(metadata.get('version'))[:20]!r}; a newer "
            "nlviz may read it"
        )
    return checked(metadata.get("capture"), str, of="its capture")


def _clip(found: _Clip, tensors: Mapping[str, Tensor]) -> Clip:
    frames, times = (_tensor(tensors, f"clip.{name}") for name in ("frames", "times"))
    _require(times.dtype == torch.float64, "clip.times must be float64")
    _require(bool(times.isfinite().all()), "clip.times must be finite")
    sampling = Sampling(**msgspec.structs.asdict(found.sampling))
    return Clip(
        frames.numpy(),
        times.numpy(),
        found.name,
        found.digest,
        sampling,
        found.notes,
        found.reader,
    )


def _affinity(
    n: int, block: _Block, tensors: Mapping[str, Tensor], clip_shape: Shape
) -> EmbeddedAffinity:
    queries, keys = (TokenGrid(**msgspec.structs.asdict(g)) for g in (block.queries, block.keys))
    theta, phi = _tensor(tensors, f"{n}.theta", 3), _tensor(tensors, f"{n}.phi", 3)
    all_queries, all_keys = queries.size + queries.prefix, keys.size + keys.prefix
    heads, _, d = theta.shape
    _require(heads > 0 and d > 0, f"{n}.theta must have heads and numbers, it has {[*theta.shape]}")
    _fits(f"{n}.theta", theta, (None, all_queries, None))
    _fits(f"{n}.phi", phi, (heads, all_keys, d))
    _require(theta.dtype == phi.dtype, f"{n}.theta and {n}.phi must be of one type")
    kept: dict[str, Tensor | None] = dict.fromkeys(_OPTIONAL)
    for key in block.tensors:
        _require(key in _OPTIONAL, f"a block keeps {', '.join(_OPTIONAL)}, got {key[:40]!r}")
        kept[key] = _tensor(tensors, f"{n}.{key}", None if key == "bias" else 3)
    bias, values, output = kept["bias"], kept["values"], kept["output"]
    if bias is not None:
        _require(bias.is_floating_point(), f"{n}.bias must hold floats, it holds {bias.dtype}")
        whose = Bias.of(bias).heads
        _require(whose in (1, heads), f"{n}.bias must be of 1 or {heads} heads, it is of {whose}")
    if values is not None:
        _fits(f"{n}.values", values, (heads, all_keys, None))
    if output is not None:
        dv = None if values is None else values.shape[2]
        _fits(f"{n}.output", output, (heads, all_queries, dv))
    shape = block.clip_shape
    _require(shape in (None, clip_shape), f"the clip is {clip_shape}, a block saw {shape}")
    return EmbeddedAffinity(
        block.affinity,
        Pairwise(block.pairwise.name, block.pairwise.scale),
        theta,
        phi,
        queries,
        keys,
        support=_support(block.support, queries, keys),
        bias=None if bias is None else Bias.of(bias),
        values=values,
        output=output,
        clip_shape=shape,
        note=block.note,
        prefix_name=block.prefix_name,
    )


def _support(given: dict[str, Any], queries: TokenGrid, keys: TokenGrid) -> Support:
    if "kind" in given:
        support = Support.from_json(given)
    else:
        found = checked(given, _Support03, of="a support's")
        window = None if found.window is None else Window(**msgspec.structs.asdict(found.window))
        support = Support(found.frames_per_group, found.own_prefix, window)
    support.check(queries, keys)
    return support


def _detections(found: Tensor, clip_shape: Shape) -> tuple[Detection, ...]:
    _require(found.dtype == torch.uint8 and found.dim() == 1, "detections must be bytes")
    whole = parsed_json(found.numpy().tobytes())
    frames, height, width = clip_shape
    for n, one in enumerate(checked(whole, list[_Detection], of="its detections")):
        _require(one.frame < frames, f"detection {n} is on frame {one.frame} of {frames}")
        if one.mask is not None:  # before a claim of it becomes memory
            _require(one.mask.shape == (height, width), "a mask must be as large as the clip")
            _require(sum(one.mask.runs) == height * width, "a mask's runs must fill the clip")
    return tuple(Detection.from_dict(one) for one in whole)


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


def _require(fine: bool, rule: str) -> None:
    if not fine:
        raise NlvizError(rule)


def _length(start: bytes) -> int:
    return min(int.from_bytes(start[:8], "little"), MOST_HEADER)
