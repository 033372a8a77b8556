"""What a pickle says about its tensors and arrays, before a byte of them is looked at.

A pickle of weights is read into these records first. Their claims are compared with the bytes that
are there, and only the weights that are wanted become tensors.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlviz.zoo.files.bytes import Source

_NUMBERS = re.compile(r"[<>|=]?[fiub?]\d{0,2}")


def _count(source: Source, key: str, shape: tuple[int, ...]) -> int:
    """Return how many numbers a shape has, if one can be computed with at all."""
    if math.prod(max(n, 1) for n in shape) >= 2**56:
        raise source.broken(f"{key!r} claims the shape {' x '.join(map(str, shape))}")
    return math.prod(shape)


@dataclass(eq=False, slots=True)
class Storage:
    """A run of numbers that tensors are views of.

    Attributes:
        dtype: of one number.
        key: its name in the file.
        numel: how many numbers it claims.
        data: their bytes, once it is known where they lie.
        base: the numbers, one-dimensional, once they were asked for.
    """

    dtype: torch.dtype
    key: str
    numel: int
    data: memoryview | None = None
    base: Tensor | None = None

    def numbers(self) -> Tensor | None:
        """Return the numbers, or None where the file does not have them."""
        if self.base is None and self.data is not None:
            self.base = numbers(self.data, self.dtype)
        return self.base


@dataclass(frozen=True, eq=False, slots=True)
class TensorClaim:
    """A tensor as torch stores it: a view of a storage.

    Attributes:
        storage: where its numbers lie.
        offset: index of its first number in the storage.
        size: extent of each axis.
        stride: steps of each axis, in numbers.
        dtype: where it differs from the storage's.
    """

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype | None = None

    def tensor(self, source: Source, key: str) -> Tensor:
        """Return the view.

        Raises:
            UnreadableCheckpoint: when it reaches beyond the storage, or repeats its numbers.
        """
        base = self.storage.numbers()
        if base is None:
            raise source.broken(f"the numbers of {key!r} are nowhere in it")
        if self.dtype is not None and self.dtype != base.dtype:
            width = torch.empty(0, dtype=self.dtype).element_size()
            if base.numel() * base.element_size() % width or base.data_ptr() % width:
                raise source.broken(f"{key!r} is no whole number of {self.dtype} values")
            base = base.view(self.dtype)
        count = _count(source, key, self.size)
        if not count:
            return torch.empty(self.size, dtype=base.dtype)
        steps = zip(self.size, self.stride, strict=True)
        last = self.offset + sum((n - 1) * step for n, step in steps)
        if last >= base.numel() or count > base.numel():
            raise source.broken(
                f"{key!r} claims {count:,} numbers up to index {last:,}, "
                f"its storage has {base.numel():,}"
            )
        return base.as_strided(self.size, self.stride, self.offset)


@dataclass(eq=False, slots=True)
class ArrayKind:
    """A numpy dtype that is being unpickled."""

    text: str
    order: str = "="

    def dtype(self) -> np.dtype[np.generic] | None:
        """Return the dtype; None unless it is one of plain numbers."""
        if not _NUMBERS.fullmatch(self.text):
            return None
        try:
            kind: np.dtype[np.generic] = np.dtype(self.text)
            return kind.newbyteorder(">") if self.order == ">" else kind
        except TypeError:
            return None


@dataclass(eq=False, slots=True)
class ArrayClaim:
    """A numpy array that is being unpickled."""

    kind: ArrayKind | None = None
    shape: tuple[int, ...] = ()
    fortran: bool = False
    raw: memoryview | None = None

    def array(self, source: Source, key: str) -> NDArray[np.generic] | None:
        """Return the array, a view of the file, or None where it holds no plain numbers.

        Raises:
            UnreadableCheckpoint: when its shape and its bytes disagree.
        """
        dtype = self.kind.dtype() if self.kind is not None else None
        if dtype is None or self.raw is None:
            return None
        claimed = _count(source, key, self.shape) * dtype.itemsize
        if claimed != len(self.raw):
            raise source.broken(
                f"the array {key!r} claims {claimed:,} bytes, {len(self.raw):,} are there"
            )
        flat = np.frombuffer(self.raw, dtype)
        return flat.reshape(self.shape, order="F" if self.fortran else "C")

    def tensor(self, source: Source, key: str) -> Tensor | None:
        """Return the array as a tensor; it is copied only where memory order demands it."""
        found = self.array(source, key)
        if found is None:
            return None
        ready = found.flags.aligned and found.flags.writeable and found.dtype.isnative
        if not ready:
            found = found.astype(found.dtype.newbyteorder("="), order="K", copy=True)
        if found.dtype == np.bool_:
            found = found.view(np.uint8) != 0  # other bytes are undefined behaviour in torch
        try:
            return torch.from_numpy(found)
        except TypeError:
            return None


@dataclass(eq=False, slots=True)
class Inert:
    """Stands for an object of training code, which is neither imported nor made.

    Attributes:
        name: of its class.
        state: its attributes, as far as the file has them.
        items, parts: what it holds where it is a kind of mapping or list.
    """

    name: str
    state: object = None
    items: dict[object, object] = field(default_factory=dict)
    parts: list[object] = field(default_factory=list)


def numbers(data: memoryview, dtype: torch.dtype) -> Tensor:
    """Return bytes as a one-dimensional tensor; they are copied only where they lie askew.

    >>> numbers(memoryview(bytearray(8)), torch.float32)
    tensor([0., 0.])
    """
    if not len(data):
        return torch.empty(0, dtype=dtype)
    raw = torch.frombuffer(data, dtype=torch.uint8)
    width = torch.empty(0, dtype=dtype).element_size()
    if raw.data_ptr() % width:
        raw = raw.clone()
    if dtype == torch.bool:
        return raw != 0  # other bytes are undefined behaviour in torch
    return raw.view(dtype)
