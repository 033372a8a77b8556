"""What is known of tensors while they live: kept by the tensor itself, not by its numbers."""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

from torch import Tensor

T = TypeVar("T")


class Beside(Generic[T]):
    """Things known of tensors; they are forgotten with them.

    >>> import torch
    >>> known = Beside()
    >>> x = torch.zeros(2)
    >>> known.set(x, "a tensor")
    >>> known.of(x), known.of(x.clone()), bool(known)
    ('a tensor', None, True)
    >>> del x
    >>> bool(known)
    False
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._held: dict[int, tuple[weakref.ref[Tensor], T]] = {}

    def of(self, x: Any) -> T | None:
        """Return what is known of a tensor; None where nothing is."""
        if not isinstance(x, Tensor):
            return None
        held = self._held.get(id(x))
        return held[1] if held is not None and held[0]() is x else None

    def set(self, x: Tensor, value: T) -> None:
        """Keep what is known of a tensor until it is gone."""
        number = id(x)

        def gone(ref: weakref.ref[Tensor]) -> None:
            # The number may have gone to another tensor by then.
            held = self._held.get(number)
            if held is not None and held[0] is ref:
                del self._held[number]

        self._held[number] = (weakref.ref(x, gone), value)

    def __bool__(self) -> bool:
        return bool(self._held)
