"""What a file of weights holds, whatever its container."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class OtherWeights:
    """A further mapping of names to tensors in a file, not read yet.

    Attributes:
        keys: the names of its tensors.
        read: returns the tensors by these names.
    """

    keys: tuple[str, ...]
    read: Callable[[], Mapping[str, Tensor]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Tensors by the key that the file gives them.

    Attributes:
        path: the file.
        container: how they were stored: ``torch zip``, ``torch legacy``, ``caffe2 pickle``,
            ``safetensors``; with ``gzip`` or ``tar`` around it, ``torch zip in gzip``.
        tensors: weights by key, as stored.
        wrapper: the top-level entry that held them, ``state_dict``, ``model_state``, ``blobs`` or
            ``model`` for instance; empty where the file is nothing but weights.
        meta: the other top-level entries that are plain text, numbers or containers of these.
        left: names of top-level entries that are no weights and were left alone (an optimiser's
            state, for instance), with the class of the object where it is one.
        size: bytes of the file.
        others: further mappings of names to tensors, a running average of the weights for
            instance; by the entries that lead there, joined by dots.
    """

    path: Path
    container: str
    tensors: Mapping[str, Tensor]
    wrapper: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    size: int = 0
    others: Mapping[str, OtherWeights] = field(default_factory=dict)
