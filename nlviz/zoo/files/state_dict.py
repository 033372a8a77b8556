"""Find the weights in a checkpoint, and describe the rest of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlviz.errors import UnreadableCheckpoint
from nlviz.families.reading.checkpoint import OtherWeights
from nlviz.zoo.files.bytes import Source
from nlviz.zoo.files.claims import ArrayClaim, Inert, Storage, TensorClaim
from nlviz.zoo.files.holders import Holder, holders

MOST_VALUES = 100_000
"""Plain values that are kept of what stands beside the weights."""

_DEEPEST = 24
_LEAST_SHARE = 4  # other weights have at least a quarter of the tensors of those taken
_OVERLAP = 16  # a file's tensors may be views of the same numbers, this many times in all


@dataclass(frozen=True, eq=False)
class Weights:
    """What a file's object holds; the fields are those of ``Checkpoint``."""

    tensors: Mapping[str, Tensor]
    wrapper: str
    meta: Mapping[str, Any]
    left: tuple[str, ...]
    others: Mapping[str, OtherWeights] = field(default_factory=dict)


def _told(root: object) -> str:
    if isinstance(root, dict) and root:
        return f"the entries {', '.join(str(key)[:40] for key in list(root)[:6])}"
    if isinstance(root, TensorClaim | ArrayClaim):
        return "one tensor without a name"
    if isinstance(root, Inert):
        return f"a {root.name}"
    return f"{'a' if root else 'an empty'} {type(root).__name__}"


class _Plain:
    """Copies plain values, up to a number of them: a small pickle can name one list endlessly."""

    def __init__(self) -> None:
        self.left = MOST_VALUES

    def of(self, value: object, depth: int = 0) -> Any:
        """Return the value as Python's own types; ``ValueError`` for any other."""
        self.left -= 1
        if self.left < 0:
            raise ValueError("too much")
        if isinstance(value, memoryview):
            return str(value, "utf-8")
        if isinstance(value, Inert) and isinstance(value.state, dict):
            value = value.state  # argparse.Namespace
        if value is None or isinstance(value, str | int | float | bytes):
            return value
        if depth > _DEEPEST:
            raise ValueError("nested too deep, or a key that is no plain value")
        if isinstance(value, dict):
            return {self.of(k, _DEEPEST + 1): self.of(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.of(v, depth + 1) for v in value]
        raise ValueError("no plain value")


def _beside(
    root: Mapping[object, object], taken: Mapping[str, object], wrapper: str
) -> tuple[dict[str, Any], list[str]]:
    plain, meta, left = _Plain(), {}, []
    for key, value in root.items():
        name = str(key)
        if name in taken if not wrapper else name == wrapper.partition(".")[0]:
            continue
        try:
            if name == "meta" and isinstance(value, dict):
                meta[name] = _items(value, plain)
            else:
                meta[name] = plain.of(value)
        except ValueError:
            left.append(f"{name} ({what})" if (what := _object_in(value)) else name)
    return meta, left


def _object_in(value: object, depth: int = 3) -> str:
    """Return the class of the first object of training code in a value, or nothing."""
    if isinstance(value, Inert):
        return value.name
    if depth and isinstance(value, dict | list | tuple):
        for inside in value.values() if isinstance(value, dict) else value:
            if found := _object_in(inside, depth - 1):
                return found
    return ""


def _items(value: dict[object, object], plain: _Plain) -> dict[str, Any]:
    # The toolboxes of open-mmlab keep their configuration here, beside objects of their own.
    found = {}
    for key, inside in value.items():
        try:
            found[str(key)] = plain.of(inside)
        except ValueError:
            continue
    return found


def weights_of(source: Source, root: object) -> Weights:
    """Find the weights in what a file holds, and make tensors of them.

    Raises:
        UnreadableCheckpoint: when it holds no weights, tensors claim more than is there, or
            weights are NaN or infinite.
    """
    found = holders(root)
    if not found:
        raise UnreadableCheckpoint(
            f"{source.name} holds no weights by name, it holds {_told(root)}; save a state_dict, "
            "or a mapping with one under 'state_dict'"
        )
    taken, *rest = found
    tensors = _tensors(source, taken)
    top = root if isinstance(root, dict) else {}
    meta, left = _beside(top, tensors, taken.path)
    if taken.path:
        left += [f"{taken.path}.{key}" for key in taken.entries if str(key) not in tensors]
    others = {
        holder.path: OtherWeights(holder.keys, partial(_tensors, source, holder))
        for holder in rest
        if len(holder.keys) >= len(taken.keys) / _LEAST_SHARE
    }
    return Weights(tensors, taken.path, meta, tuple(left), others)


def _tensors(source: Source, holder: Holder) -> dict[str, Tensor]:
    """Return the tensors of a mapping.

    Raises:
        UnreadableCheckpoint: when they claim more than is there, or are NaN or infinite.
    """
    straighten(holder.entries.values())
    tensors: dict[str, Tensor] = {}
    claimed = 0
    for key, value in holder.entries.items():
        made = _tensor(source, str(key), value)
        if made is None:
            continue
        claimed += made.numel() * made.element_size()
        if claimed > _OVERLAP * len(source.data) + 2**20:
            raise source.broken(
                f"its tensors claim more than {claimed:,} bytes, the file has {len(source.data):,}"
            )
        tensors[str(key)] = made
    if not tensors:
        raise UnreadableCheckpoint(
            f"{source.name} holds no tensors of numbers in {holder.path or 'its entries'}; save a "
            "state_dict"
        )
    check_finite(source, tensors)
    return tensors


def _tensor(source: Source, key: str, value: object) -> Tensor | None:
    if isinstance(value, TensorClaim | ArrayClaim):
        return value.tensor(source, key)
    return None


_WIDTH = 8  # bytes of the widest number
_LINE = 64  # where each run of numbers begins in the new memory


def _askew(data: memoryview | None) -> bool:
    if data is None or not len(data):
        return False
    address: int = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    return address % _WIDTH != 0


def straighten(claims: Iterable[object]) -> None:
    """Move what lies askew among the bytes of claims.

    >>> claim = ArrayClaim(raw=memoryview(bytearray(17))[1:])
    >>> straighten([claim])
    >>> np.frombuffer(claim.raw, np.uint8).__array_interface__["data"][0] % 8
    0
    """
    storages: dict[int, Storage] = {}
    arrays: dict[int, ArrayClaim] = {}
    for claim in claims:
        if isinstance(claim, TensorClaim) and _askew(claim.storage.data):
            storages[id(claim.storage)] = claim.storage
        elif isinstance(claim, ArrayClaim) and _askew(claim.raw):
            arrays[id(claim)] = claim
    sizes = [len(s.data or b"") for s in storages.values()]
    sizes += [len(a.raw or b"") for a in arrays.values()]
    if not sizes:
        return
    room = np.empty(sum(-(-size // _LINE) * _LINE for size in sizes) + _LINE, np.uint8)
    at = -room.__array_interface__["data"][0] % _LINE
    for storage in storages.values():
        storage.data, at = _moved(room, at, storage.data)
    for array in arrays.values():
        array.raw, at = _moved(room, at, array.raw)


def _moved(
    room: np.ndarray[tuple[int], np.dtype[np.uint8]], at: int, data: memoryview | None
) -> tuple[memoryview | None, int]:
    if data is None:
        return None, at
    place = room[at : at + len(data)]
    place[:] = np.frombuffer(data, np.uint8)
    return place.data, at + -(-len(data) // _LINE) * _LINE


def _sound(values: Tensor) -> bool:
    if not values.is_floating_point():
        return True
    if values.element_size() == 1:
        values = values.float()
    # A sum meets every NaN and infinity and runs at the speed of memory, fifty times as fast as
    # isfinite; only a sum that is not finite, and be it by overflow, needs the exact answer.
    total = values.sum(dtype=torch.promote_types(values.dtype, torch.float32))
    return bool(total.isfinite()) or bool(values.isfinite().all())


def check_finite(source: Source, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        UnreadableCheckpoint: naming the first tensors that hold such values.
    """
    bad = [key for key, values in tensors.items() if not _sound(values)]
    if bad:
        told = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise UnreadableCheckpoint(
            f"{source.name} holds NaN or infinite weights in {told}; such a network computes "
            "nothing, take a checkpoint of an earlier epoch or download it again"
        )
