"""The file of a capture: its parts as one safetensors file, and back.

The metadata of the file are ``format`` ("nlviz.capture"), ``version`` ("1") and ``capture``, JSON:
clip, about, labels and, per block in forward order, everything that is not a tensor. The tensors
are ``clip.frames`` (T, H, W, 3) uint8, ``clip.times`` (T,) seconds, ``logits``, ``detections``
(UTF-8 bytes of JSON) and, for the n-th block, those of its affinity (``affinity_format``) and,
where it is there, ``n.features``; numbers keep their type. A text stands in the header, as the clip
or beside it, and the words of all blocks as its ``lines``, see ``grid_format``. A graph's are
``clip.edges`` (2, E), ``clip.features`` (n, channels) and ``clip.places`` (n, 2), its nodes' names
in the header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from jaxtyping import Float
from msgspec import Meta
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.receipt import Receipt
from nlviz.captures.affinity_format import Block, affinity_of, described_affinity
from nlviz.captures.file_tensors import fits, require, tensor_of, whole_numbers
from nlviz.captures.grid_format import (
    Cells,
    Lines,
    TextRecord,
    WordsRecord,
    described_line,
    described_text,
    line_of,
)
from nlviz.clips.boxes import with_boxes
from nlviz.clips.clip import Box, Clip, Sampling
from nlviz.clips.detections import Detection
from nlviz.clips.graph import Graph
from nlviz.clips.point import Shape
from nlviz.clips.text import Text, prompt_of, with_prompt
from nlviz.errors import NlvizError
from nlviz.files.checked_json import (
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
    notes: tuple[str, ...] = ()  # from 0.4 on, and all below
    reader: str = ""
    text: TextRecord | None = None
    nodes: tuple[str, ...] | None = None  # of a graph
    boxes: tuple[Box, ...] = ()  # that the network was asked about


class _Told(Record):
    """A text beside the clip."""

    name: str
    digest: str
    notes: tuple[str, ...]
    text: TextRecord


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
    blocks: Annotated[list[Block], Meta(min_length=1)]
    notes: tuple[str, ...] = ()  # from 0.4 on
    receipts: tuple[_Receipt, ...] = ()
    refused: dict[str, str] = msgspec.field(default_factory=dict)
    lines: tuple[WordsRecord, ...] = ()
    text: _Told | None = None


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
        NlvizError: when an affinity is held neither as embeddings nor as weights.
    """
    clip = parts.clip
    tensors: dict[str, Tensor] = {
        "clip.frames": torch.from_numpy(clip.frames.copy()),
        "clip.times": torch.from_numpy(clip.times.copy()),
    }
    if isinstance(clip, Graph):
        edges = torch.from_numpy(clip.edges.astype("int32"))
        of_nodes = {n: torch.from_numpy(getattr(clip, n).copy()) for n in ("features", "places")}
        tensors |= {"clip.edges": edges} | {f"clip.{n}": x for n, x in of_nodes.items()}
    if parts.logits is not None:
        tensors["logits"] = parts.logits
    if parts.detections:
        text = json.dumps([d.to_dict() for d in parts.detections]).encode()
        tensors["detections"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    blocks = []
    lines: Lines = {}
    for n, (name, affinity) in enumerate(parts.affinities.items()):
        found: dict[str, Tensor] = {}
        described = described_affinity(name, affinity, found, lines)
        if name in parts.features:
            found["features"] = parts.features[name]
        tensors |= {f"{n}.{key}": value for key, value in found.items()}
        blocks.append({**described, "features": name in parts.features})
    header = {
        "clip": {
            "name": clip.name,
            "digest": clip.digest,
            "sampling": asdict(clip.sampling),
            "notes": clip.notes,
            "reader": clip.reader,
            **({"text": described_text(clip)} if isinstance(clip, Text) else {}),
            **({"nodes": clip.names} if isinstance(clip, Graph) else {}),
            **({"boxes": clip.boxes} if clip.boxes else {}),
        },
        "about": dict(parts.about),
        "labels": list(parts.labels),
        "blocks": blocks,
        "notes": parts.notes,
        "receipts": [asdict(parts.receipts[n]) for n in parts.affinities if n in parts.receipts],
        "refused": dict(parts.refused),
        "lines": [described_line(line) for line in lines],
    }
    if (beside := prompt_of(clip)) is not None:
        header["text"] = {
            "name": beside.name,
            "digest": beside.digest,
            "notes": beside.notes,
            "text": described_text(beside),
        }
    # Cloned: a Gaussian's theta and phi are one tensor, which safetensors refuses to write.
    return save_tensors(
        {
            k: v.detach().cpu().clone(memory_format=torch.contiguous_format)
            for k, v in tensors.items()
        },
        metadata={"format": FORMAT, "version": str(VERSION), "capture": json.dumps(header)},
    )


def decode(content: bytes) -> Parts:
    """Return the parts that the bytes of a file hold; tensors are bit for bit those encoded.

    Raises:
        NlvizError: when it is not a capture of this version, is cut short, or its parts do not fit
            together; the sentence names the part.
    """
    header = checked(parsed_json(_metadata(content, len(content))), _Header, of="its header's")
    try:
        tensors = load_tensors(content)
    except SafetensorError as error:
        raise NlvizError(f"it is cut short or broken ({error})") from None
    return _parts(header, tensors)


def decode_file(path: Path) -> Parts:
    """Return the parts that a file holds, as ``decode`` does of its bytes, copied once.

    Raises:
        NlvizError: as ``decode`` does.
        OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(8)
        start += file.read(_length(start))
    found = _metadata(start, path.stat().st_size)
    header = checked(parsed_json(found), _Header, of="its header's")
    try:
        with safe_open(path, framework="pt") as file_:
            # The file itself stays free: it may be written anew while its capture is shown.
            tensors = {name: file_.get_tensor(name).clone() for name in file_.keys()}
    except SafetensorError as error:
        raise NlvizError(f"it is cut short or broken ({error})") from None
    return _parts(header, tensors)


def _parts(header: _Header, tensors: Mapping[str, Tensor]) -> Parts:
    """Return the parts, checked against one another."""
    clip = _clip(header.clip, tensors)
    if header.clip.boxes:
        clip = with_boxes(clip, header.clip.boxes)
    if (beside := header.text) is not None:
        clip = with_prompt(clip, _text(beside.text, beside.name, beside.digest, beside.notes))
    lines = [line_of(words) for words in header.lines]
    affinities: dict[str, Affinity] = {}
    features = {}
    for n, block in enumerate(header.blocks):
        require(block.name not in affinities, f"two blocks are called {block.name!r}")
        affinity = affinity_of(n, block, tensors, clip.shape, lines)
        affinities[block.name] = affinity
        if block.features:
            features[block.name] = tensor_of(tensors, f"{n}.features", 4)
            fits(f"{n}.features", features[block.name], (None, *affinity.queries.shape))
    logits = tensor_of(tensors, "logits", 1) if "logits" in tensors else None
    require(logits is None or logits.numel() > 0, "logits must have at least one class")
    detections = _detections(tensors["detections"], clip.shape) if "detections" in tensors else ()
    receipts = {r.block: Receipt(**msgspec.structs.asdict(r)) for r in header.receipts}
    for name, receipt in receipts.items():
        require(name in affinities, f"a receipt is of a block, there is no {name[:40]!r}")
        require(receipt.holds, f"a receipt must hold, that of {name[:40]!r} does not")
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


def _metadata(content: bytes, length: int) -> str:
    """Return the JSON text of the header, and refuse what is not a capture of this version."""
    size = int.from_bytes(content[:8], "little")
    if length < 10 or content[8:9] != b"{":
        raise NlvizError("it must be a safetensors file, it is something else")
    if size > MOST_HEADER or size > length - 8:
        raise NlvizError(
            f"its header claims {size:,} bytes of the {length:,} there, at most "
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
    frames, times = (tensor_of(tensors, f"clip.{name}") for name in ("frames", "times"))
    require(times.dtype == torch.float64, "clip.times must be float64")
    require(bool(times.isfinite().all()), "clip.times must be finite")
    sampling = Sampling(**msgspec.structs.asdict(found.sampling))
    if found.text is not None:
        text = _text(found.text, found.name, found.digest, found.notes)
        fits("clip.frames", frames, (*text.shape, 3))
        return text
    clip = Clip(
        frames.numpy(),
        times.numpy(),
        found.name,
        found.digest,
        sampling,
        found.notes,
        found.reader,
    )
    return clip if found.nodes is None else _graph(clip, found.nodes, tensors)


def _graph(clip: Clip, names: tuple[str, ...], tensors: Mapping[str, Tensor]) -> Graph:
    """Return the graph of a file, its edges checked to join its nodes.

    Raises:
        NlvizError: when its parts do not fit together.
    """
    count = len(names)
    edges = whole_numbers(tensors, "clip.edges", (2, None), 0, count)
    features, places = (tensor_of(tensors, f"clip.{name}", 2) for name in ("features", "places"))
    fits("clip.features", features, (count, None))
    fits("clip.places", places, (count, 2))
    return Graph(
        clip.frames,
        clip.times,
        clip.name,
        clip.digest,
        notes=clip.notes,
        names=names,
        edges=edges.numpy(),
        features=features.float().numpy(),
        places=places.double().numpy(),
    )


def _text(given: TextRecord, name: str, digest: str, notes: tuple[str, ...]) -> Text:
    """Return a text of the header.

    Raises:
        NlvizError: when tokens and spans are not those of the text.
    """
    line = line_of(given.tokens)
    text = Text.of(given.text, line.words, line.spans, name=name, special=line.special)
    return replace(text, digest=digest, notes=notes, written=given.written)


def _detections(found: Tensor, clip_shape: Shape) -> tuple[Detection, ...]:
    require(found.dtype == torch.uint8 and found.dim() == 1, "detections must be bytes")
    whole = parsed_json(found.numpy().tobytes())
    frames, height, width = clip_shape
    for n, one in enumerate(checked(whole, list[_Detection], of="its detections")):
        require(one.frame < frames, f"detection {n} is on frame {one.frame} of {frames}")
        if one.mask is not None:  # before a claim of it becomes memory
            require(one.mask.shape == (height, width), "a mask must be as large as the clip")
            require(sum(one.mask.runs) == height * width, "a mask's runs must fill the clip")
    return tuple(Detection.from_dict(one) for one in whole)


def _length(start: bytes) -> int:
    return min(int.from_bytes(start[:8], "little"), MOST_HEADER)
