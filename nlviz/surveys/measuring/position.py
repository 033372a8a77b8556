"""Mean rows by position, for the few places where a survey asks, over other clips.

``position`` is r^2 of a row and the mean row of the same cell over ``CLIPS`` other clips, over the
keys that the query reaches but its own (``nlviz.position_only`` calls it ``explained``). The other
clips are parts of the bundled films and photos. They are run once for each shape of input, and the
mean rows of the survey's places are kept in its folder, where every worker finds them; who makes
them twice makes the same bytes.

A row's cell must mean the same place in all clips, so that mean rows are known for one shape at a
time. For a data set in which every clip has another shape that would be ``CLIPS`` passes for each
clip. Therefore they are taken for usual shapes alone, which follow from the clip and the network:
a ratio of sides among ``RATIOS``, a number of frames among ``FRAMES`` or the one that the survey or
the network asks for. Of a clip whose tokens do not lie as those of such a shape nothing is told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nlviz.analysis.mean_position import CLIPS, LEAST, no_position
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.others import other_clips
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError, OutOfMemory
from nlviz.files.local import bytes_in_words, write_whole
from nlviz.surveys.measuring.places import in_clip, nearest_cells, slots
from nlviz.surveys.measuring.rows import Asked, own_keys
from nlviz.surveys.options import SurveyOptions

FRAMES = (1, 2, 4, 8, 16, 32, 64)
_WIDE = (1.0, 5 / 4, 4 / 3, 3 / 2, 16 / 9, 2.0, 21 / 9)
RATIOS = tuple(sorted({*_WIDE, *(1 / ratio for ratio in _WIDE)}))  # width over height
MOST = 1 << 30  # bytes of all mean rows of one shape
HELD = 8  # shapes whose mean rows are at hand
FOLDER = "positions"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class _OfBlock:
    """Mean rows of a block.

    Attributes:
        cells: flat numbers of the queries, ascending.
        shape: of the grids of queries and keys, with their tokens without a place.
        rows: read when they are asked for, (cells, heads, all_keys).
    """

    cells: Int[Tensor, " cells"]
    shape: list[Any]
    rows: Any


class Positions:
    """The mean rows of one network by position, made when they are asked for first.

    Args:
        model: the network.
        options: of the survey.
        folder: of the survey; None keeps mean rows in memory.
    """

    def __init__(self, model: Model, options: SurveyOptions, folder: Path | None) -> None:
        self.model, self.options, self.folder = model, options, folder
        self._known: dict[Shape, Mapping[str, _OfBlock] | str] = {}
        self._weights = ""

    def explained(
        self, capture: Capture, block: str, asked: Asked
    ) -> tuple[Float[Tensor, "heads n"] | None, str]:
        """Return r^2 of rows and their mean rows by position, or None, and why as a sentence.

        Args:
            capture: of the clip.
            block: name of the block.
            asked: the sampled rows.

        Raises:
            OutOfMemory: when memory does not suffice for the other clips.
        """
        if no_position(capture, block):
            return None, ""  # nothing that another clip would cure
        shape, why = self._usual(capture.clip.shape)
        if shape is None:
            return None, why
        known = self._of_shape(shape)
        if isinstance(known, str):
            return None, known
        mean = known.get(block)
        if mean is None:
            return None, f"The position share of {block} is not known: other clips do not show it."
        if mean.shape != _shape_of(asked):
            return None, (
                "The position share is not known: tokens of this clip do not lie as those of a "
                f"clip of {shape[0]} frames of {shape[2]}x{shape[1]} px, the nearest usual shape."
            )
        return _explained(asked, mean), ""

    def _usual(self, shape: Shape) -> tuple[Shape | None, str]:
        """Return the usual shape that a clip's tokens may lie as those of, or None, and why."""
        spec, frames = self.model.input_spec, shape[0]
        if spec is None:
            return None, (
                "The position share is not known: how a clip becomes the network's input is not "
                "known, so that no other clip is known to have its tokens at the same places."
            )
        asked = self.options.sampling.frames
        if frames not in FRAMES and frames not in (asked, spec.frames):
            return None, (
                f"The position share is not known: mean rows are taken for clips of "
                f"{', '.join(map(str, FRAMES))} frames or as many as a survey asks for, "
                f"this one has {frames}."
            )
        ratio = min(RATIOS, key=lambda r: abs(np.log(r * shape[1] / shape[2])))
        short = min(spec.sides) if spec.sides else spec.size
        long = round(short * max(ratio, 1 / ratio))
        return ((frames, short, long) if ratio >= 1 else (frames, long, short)), ""

    def _of_shape(self, shape: Shape) -> Mapping[str, _OfBlock] | str:
        if shape not in self._known:
            if len(self._known) >= HELD:
                del self._known[next(iter(self._known))]
            self._known[shape] = self._read(shape) or self._made(shape)
        return self._known[shape]

    def _path(self, shape: Shape) -> Path | None:
        if self.folder is None:
            return None
        options = self.options
        told = [_VERSION, self._digest(), shape, options.queries, options.seed, options.blocks]
        told += [options.sampling.stride, options.threads, self.model.device.type]
        told += [str(self.model.autocast)]
        name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]
        return self.folder / FOLDER / f"{'x'.join(map(str, shape))}-{name}.safetensors"

    def _digest(self) -> str:
        """Return the digest of the weights."""
        if not self._weights:
            self._weights = self.model.about.digest or weights_digest(self.model)
        return self._weights

    def _read(self, shape: Shape) -> Mapping[str, _OfBlock] | str | None:
        """Return what the survey's folder holds; None where it holds nothing that can be read."""
        path = self._path(shape)
        if path is None or not path.exists():
            return None
        try:
            file: Any = safe_open(str(path), framework="pt")
            told = json.loads((file.metadata() or {})["positions"])
            if isinstance(told, str):
                return told
            return {
                block: _OfBlock(file.get_tensor(f"{n}.cells"), grids, file.get_slice(f"{n}.rows"))
                for n, (block, grids) in enumerate(told)
            }
        except (OSError, SafetensorError, KeyError, ValueError):
            return None

    def _made(self, shape: Shape) -> Mapping[str, _OfBlock] | str:
        """Run the network over other clips, keep their mean rows, and return them."""
        sums = _Sums(shape, self.options)
        for other in other_clips(_like(shape, self.options, self.model), CLIPS):
            try:
                seen = self.model.capture(other, blocks=self.options.blocks or None)
            except OutOfMemory:
                raise
            except NlvizError as error:
                return f"The position share is not known: other clips are refused, {error}."
            sums.take(seen)
            if sums.bytes > MOST:
                return (
                    "The position share is not known: mean rows of this network would take more "
                    f"than {bytes_in_words(MOST)}; name fewer blocks or ask fewer queries."
                )
        means = sums.means()
        told = [[name, one.shape] for name, one in means.items()]
        tensors = {f"{n}.cells": one.cells for n, one in enumerate(means.values())}
        tensors |= {f"{n}.rows": one.rows for n, one in enumerate(means.values())}
        path = self._path(shape)
        if path is None:
            return means
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, save(tensors, metadata={"positions": json.dumps(told)}))
        except (OSError, NlvizError):  # no room for it: the survey's own files will tell
            return means
        return self._read(shape) or means


class _Sums:
    """Adds up the rows of a survey's places over several clips."""

    def __init__(self, shape: Shape, options: SurveyOptions) -> None:
        self.shape = shape
        places = slots(shape[0], options.queries, options.seed).reshape(-1, 3)
        self.places, self.most = in_clip(places, shape), options.queries
        self.of: dict[str, tuple[np.ndarray, list[Any], Tensor, int]] = {}

    @property
    def bytes(self) -> int:
        """How much the mean rows take."""
        return sum(rows.numel() * 4 for _, _, rows, _ in self.of.values())

    def take(self, seen: Capture) -> None:
        """Add the rows of one clip."""
        for block, affinity in seen.affinities.items():
            if no_position(seen, block):
                continue
            grid = affinity.queries
            cells = np.arange(grid.size)
            if grid.size > self.most:
                cells = np.unique(nearest_cells(grid, self.places))
            asked = Asked.of(affinity, cells)
            told, rows = _shape_of(asked), asked.rows.double().cpu()
            if block not in self.of:
                self.of[block] = cells, told, rows, 1
                continue
            first, grids, total, many = self.of[block]
            if grids == told and np.array_equal(first, cells):
                self.of[block] = first, grids, total + rows, many + 1

    def means(self) -> dict[str, _OfBlock]:
        """Return the mean rows of blocks that enough clips show."""
        return {
            block: _OfBlock(
                torch.from_numpy(cells), told, (total / many).float().transpose(0, 1).contiguous()
            )
            for block, (cells, told, total, many) in self.of.items()
            if many >= LEAST
        }


def weights_digest(model: Model) -> str:
    """Return the digest of a network's weights, of one that came from no file."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.net.state_dict().items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        raw = tensor.detach().cpu().contiguous().flatten()
        found.update(raw.view(torch.uint8).numpy().tobytes() if raw.numel() else b"")
    return found.hexdigest()


def _like(shape: Shape, options: SurveyOptions, model: Model) -> Clip:
    """Return a clip of a shape, whose other clips are the same whichever clip asked for them."""
    spec = model.input_spec
    stride = options.sampling.stride or (spec.stride if spec else None)
    fps = ((spec.fps if spec else None) or 25.0) / stride if stride else 4.0
    return Clip.from_frames(np.zeros((*shape, 3), np.uint8), fps=fps, name="any")


def _shape_of(asked: Asked) -> list[Any]:
    """Return heads, and shape and tokens without a place of queries and keys, as JSON has them."""
    affinity = asked.affinity
    grids = ([g.kind, *g.shape, g.prefix] for g in (affinity.queries, affinity.keys))
    return [affinity.heads, *grids]


def _explained(asked: Asked, mean: _OfBlock) -> Float[Tensor, "heads n"]:
    """Return r^2 of rows and mean rows; not a number for a query whose mean row is not known."""
    index = asked.index.cpu()
    at = torch.searchsorted(mean.cells, index).clamp(max=len(mean.cells) - 1)
    found = mean.cells[at] == index
    of_position = torch.stack([mean.rows[int(i)] for i in at], 1).to(asked.rows)
    there = torch.ones_like(asked.rows[:1], dtype=torch.bool)
    there = (there if asked.reach is None else asked.reach).clone()
    own = own_keys(asked.affinity, index.numpy())
    if own is not None:
        there.scatter_(-1, own.expand(len(there), -1)[..., None], False)
    kept = there.to(asked.rows)
    count = kept.sum(-1, keepdim=True).clamp(min=1)
    a, b = (
        (x - (x * kept).sum(-1, keepdim=True) / count) * kept for x in (asked.rows, of_position)
    )
    squares = a.square().sum(-1, dtype=torch.float64) * b.square().sum(-1, dtype=torch.float64)
    size = squares.sqrt()
    r = (a * b).sum(-1, dtype=torch.float64) / size.clamp(min=1e-300)
    explained = (r * (size > 1e-24)).clamp(0, 1).square()
    return explained.where(found.to(explained.device), torch.nan)
