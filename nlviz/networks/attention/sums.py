"""Weighted sums that no product of matrices computes: weights times values, then a sum.

Local operators are written so: values are unfolded, so that what lies around a place stands side
by side, multiplied with weights (a softmax, or the kernel that a layer made), and summed. In the
labels of a contraction it is the product of two tensors that it is. Marks on tensors say which are
weights and which are unfolded; other products of elements are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from nlviz.networks.attention.beside import Beside
from nlviz.networks.attention.contraction import Contraction
from nlviz.networks.attention.tags import SAME, is_moved

WEIGHTS, UNFOLDED = "weights", "unfolded"
_TIMES = frozenset("mul imul rmul multiply".split())
_PUT = frozenset(("stack", "cat"))
_CUT = frozenset(("getitem", "narrow"))
BEGINS = frozenset(("unfold", *_PUT, *_CUT))  # by which values may be laid side by side
_LEAST_PARTS, _LEAST_AXES = 3, 3  # parts of one tensor that are put together; axes of it


@dataclass(frozen=True, eq=False)
class _Pending:
    weights: Tensor
    values: Tensor
    versions: tuple[int, int]


Moved = Callable[[str, Tensor, Any], Tensor]


class WeightedSums:
    """What is known of weights and unfolded values in one pass.

    >>> import torch
    >>> sums, kernel = WeightedSums(), torch.rand(2, 1, 9, 5)
    >>> values = torch.rand(2, 4, 9, 5)
    >>> sums.mark(values, UNFOLDED)
    >>> y = kernel * values
    >>> sums.follow("mul", (kernel, values), y)
    >>> found = sums.found("sum", (y, 2), {}, lambda name, x, dim: getattr(x, name)(dim))
    >>> found.summed, found.x.shape, found.batch
    (('a2',), torch.Size([2, 9, 5]), ('a0', 'a3'))
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._marks: Beside[str] = Beside()
        self._pending: Beside[_Pending] = Beside()
        self._sources: Beside[int] = Beside()
        self._parts: Beside[tuple[int, str]] = Beside()
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._marks)

    def mark(self, x: Tensor, what: str) -> None:
        """Say of a tensor that it holds weights, or unfolded values."""
        self._marks.set(x, what)

    def kernel(self, found: Contraction) -> str:
        """Return which factor of a product weighs unfolded values: ``x``, ``y``, or neither."""
        x, y = self._marks.of(found.x), self._marks.of(found.y)
        if (x == UNFOLDED) == (y == UNFOLDED) or not found.summed:
            return ""
        kernel, name = (found.y, "y") if x == UNFOLDED else (found.x, "x")
        return "" if isinstance(kernel, nn.Parameter) else name

    def follow(self, name: str, args: tuple[Any, ...], output: Any) -> None:
        """Give what an operation returned the mark of what went in."""
        if not isinstance(output, Tensor) or not args:
            return
        if name in _CUT and args[0].dim() >= _LEAST_AXES:
            self._cut(args[0], args[1:], output)
        if name == "unfold" or (name in _PUT and self._neighbours(args[0])):
            return self.mark(output, UNFOLDED)
        if not self._marks:
            return
        own = self._marks.of(args[0])
        if own is not None and (name in SAME or is_moved(name, args)):
            self.mark(output, own)
        elif name in _TIMES and len(args) > 1:
            self._multiplied(args[0], args[1], output)

    def _cut(self, source: Tensor, where: tuple[Any, ...], part: Tensor) -> None:
        if any(isinstance(x, Tensor) for x in tree_leaves(where)):
            return
        number = self._sources.of(source)
        if number is None:
            self._count = number = self._count + 1
            self._sources.set(source, number)
        self._parts.set(part, (number, repr(where)))

    def _neighbours(self, tensors: Any) -> bool:
        """Check whether several tensors are parts of one, each cut out elsewhere."""
        if not isinstance(tensors, (tuple, list)) or len(tensors) < _LEAST_PARTS:
            return False
        parts = {self._parts.of(x) for x in tensors}
        sources = {part[0] for part in parts if part is not None}
        return None not in parts and len(parts) == len(tensors) and len(sources) == 1

    def _multiplied(self, x: Any, y: Any, output: Tensor) -> None:
        if not isinstance(x, Tensor) or not isinstance(y, Tensor) or x.dim() != y.dim():
            return
        marks = self._marks.of(x), self._marks.of(y)
        if marks[0] == marks[1]:
            return
        if UNFOLDED in marks:
            weights, values = (x, y) if marks[1] == UNFOLDED else (y, x)
        else:
            weights, values = (x, y) if marks[0] == WEIGHTS else (y, x)
        if not isinstance(weights, nn.Parameter):
            versions = _version(weights), _version(values)
            self._pending.set(output, _Pending(weights, values, versions))

    def found(
        self, name: str, args: tuple[Any, ...], options: dict[str, Any], moved: Moved
    ) -> Contraction | None:
        """Return the product of weights, x, and values, y, that a sum completes; None for others.

        Args:
            name: of the operation.
            args: of it, in order.
            options: the rest of them.
            moved: ``squeeze`` or ``unsqueeze`` of a tensor that keeps what is known of it.
        """
        pending = self._pending.of(args[0]) if name == "sum" and args else None
        dims = options.get("dim", options.get("axis", args[1] if len(args) > 1 else None))
        if pending is None or dims is None:
            return None
        w, v = pending.weights, pending.values
        if (_version(w), _version(v)) != pending.versions:
            return None
        n = w.dim()
        summed = {d % n for d in ((dims,) if isinstance(dims, int) else dims)}
        keep = bool(options.get("keepdim", len(args) > 2 and args[2]))
        sizes = [*zip(w.shape, v.shape, strict=True)]
        if any(a != b for a, b in (sizes[d] for d in summed)):
            return None
        only_v = [d for d, (a, b) in enumerate(sizes) if a == 1 and b > 1]
        only_w = [d for d, (a, b) in enumerate(sizes) if b == 1 and a > 1]
        names = [f"a{d}" for d in range(n)]
        axes_w = [d for d in range(n) if d not in only_v]
        labels = [names[d] for d in axes_w]
        out = [names[d] for d in range(n) if d not in summed]
        if only_v:
            w = moved("squeeze", w, tuple(only_v))
        if only_w:
            v = moved("squeeze", v, tuple(only_w))
        if keep:  # an axis of one that the weights have alone
            for d in sorted(summed):
                w = moved("unsqueeze", w, len(labels))
                labels.append(f"one{d}")
            out = [f"one{d}" if d in summed else names[d] for d in range(n)]
        axes_v = tuple(names[d] for d in range(n) if d not in only_w)
        return Contraction(w, v, tuple(labels), axes_v, tuple(out))


def _version(x: Tensor) -> int:
    return 0 if x.is_inference() else x._version
