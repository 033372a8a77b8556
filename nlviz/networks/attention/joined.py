"""Logits that are put side by side before one softmax, and taken apart behind it.

An attention sink is one more logit that is cut off afterwards; criss-cross attention has a softmax
over the keys of a column and of a row. Rows then sum to less than 1 in each part, and follow from
no q and k of its own: the weights themselves are kept, and which products share the softmax.

Which part an operation takes out is read off a shadow of the whole, a tensor without data that is
cut and moved in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nlviz.networks.attention.beside import Beside
from nlviz.networks.attention.contraction import Contraction
from nlviz.networks.attention.running import RunningProduct
from nlviz.networks.attention.tags import MOVED, SAME, Share, Tag, changed, normalised

MORE = "more logits than those of its keys took part in its softmax"
_TAKEN = {
    **{name: name for name in MOVED | frozenset(("narrow", "split", "chunk", "tensor_split"))},
    "getitem": "__getitem__",
    "split_with_sizes": "split",
    "unsafe_split": "split",
    "unsafe_chunk": "chunk",
    "unsafe_view": "view",
}
_CHANGED = frozenset(
    "mul imul multiply div idiv truediv itruediv add iadd sub isub masked_fill where".split()
)


@dataclass(frozen=True, eq=False)
class Part:
    """One of the tensors that were put side by side.

    Attributes:
        tag: of it.
        first: where it begins along the axis.
        length: how much of it there is.
    """

    tag: Tag
    first: int
    length: int


@dataclass(frozen=True, eq=False)
class Joined:
    """A tensor that was put together of others, along one axis.

    Attributes:
        dim: the axis, from 0.
        parts: those of its parts that are products.
        shape: of the tensor as it was put together.
        shadow: a tensor without data, cut and moved as the tensor was since.
        complete: whether these are all of its parts.
        done: whether a softmax was taken over all of it.
    """

    dim: int
    parts: tuple[Part, ...]
    shape: tuple[int, ...]
    shadow: Tensor
    complete: bool = True
    done: bool = False

    def normalised(self, dim: int) -> Joined | None:
        """Return it behind a softmax along the axis; None where that is another one."""
        found, whole = [], object()
        axes = self._axes(self.shadow)
        if axes is None or axes[dim] != self.dim or self.shadow.numel() != math.prod(self.shape):
            return None
        for part in self.parts:
            tag = normalised(part.tag, self.dim)
            if tag is None:
                return None
            share = Share(whole, len(self.parts), self.complete, part.tag)
            found.append(replace(part, tag=replace(tag, unknown=MORE, share=share)))
        return replace(self, parts=tuple(found), done=True)

    def running(self, output: Tensor) -> list[RunningProduct]:
        """Return what a softmax over all of it made, part by part.

        Its rows stand in the place of a product's sums. Nothing is returned where axes of a part
        cannot be told apart.

        Args:
            output: of the softmax, in the axes of the tensor as it was put together.
        """
        found = [
            rows_of_part(part.tag, output.narrow(self.dim, part.first, part.length))
            for part in self.parts
        ]
        return [] if None in found else [part for part in found if part is not None]

    def changed(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Joined | None:
        """Return it behind what was done to all of it before the softmax; None if not known."""
        whole = tuple(self.shadow.shape) == self.shape
        if self.done or not whole or self._axes(self.shadow) != [*range(len(self.shape))]:
            return None
        found = []
        for part in self.parts:
            own = [self._cut(x, part) if isinstance(x, Tensor) else x for x in args[1:]]
            tag = changed(name, 0, part.tag, (args[0], *own), kwargs)
            if tag is None:
                return None
            found.append(replace(part, tag=tag))
        return replace(self, parts=tuple(found))

    def _cut(self, x: Tensor, part: Part) -> Tensor:
        """Return what of another tensor met a part."""
        axis = self.dim - len(self.shape) + x.dim()
        if axis < 0 or x.shape[axis] != self.shape[self.dim]:
            return x
        return x.narrow(axis, part.first, part.length)

    def taken(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
        """Return shadows of what an operation took out of the tensor, or made of all of it.

        One that is no view of it is empty.
        """
        if name in SAME:
            return [self.shadow]
        try:
            found = getattr(self.shadow, _TAKEN[name])
            found = found(*args[1:], **kwargs) if callable(found) else found
        except (RuntimeError, TypeError, IndexError, AttributeError):
            return []
        several = found if isinstance(found, (tuple, list)) else (found,)
        memory = self.shadow.untyped_storage()._cdata
        return [
            x if isinstance(x, Tensor) and x.untyped_storage()._cdata == memory else torch.empty(0)
            for x in several
        ]

    def part(self, shadow: Tensor) -> Tag | None:
        """Return the tag of a part that was taken out whole, by its shadow; None for others."""
        axes = self._axes(shadow)
        if axes is None:
            return None
        step = _strides(self.shape)[self.dim]
        for part in self.parts if self.done else ():
            sizes = [*self.shape]
            sizes[self.dim] = part.length
            same = [*shadow.shape] == [sizes[axis] for axis in axes]
            if same and shadow.storage_offset() == part.first * step:
                return replace(part.tag, shadow=part.tag.shadow.permute(*axes))
        return None

    def factors(self, found: Contraction, weights: str) -> list[tuple[Contraction, str, Tag]]:
        """Return the product of each part with its values, where these were put side by side, too.

        Args:
            found: a product that sums over the axis of the parts.
            weights: its factor that is this tensor, ``x`` or ``y``.
        """
        axes = self._axes(self.shadow)
        own, other = found.x_axes, found.y_axes
        own, other = (own, other) if weights == "x" else (other, own)
        if not self.done or axes is None or self.shadow.numel() != math.prod(self.shape):
            return []
        label = own[axes.index(self.dim)]
        if found.summed != (label,):
            return []
        at = {weights: own.index(label), "y" if weights == "x" else "x": other.index(label)}
        several = []
        for part in self.parts:
            x, y = (getattr(found, f).narrow(at[f], part.first, part.length) for f in ("x", "y"))
            tag = replace(part.tag, shadow=part.tag.shadow.permute(*axes), version=x._version)
            tag = tag if weights == "x" else replace(tag, version=y._version)
            several.append((replace(found, x=x, y=y), weights, tag))
        return several

    def _axes(self, shadow: Tensor) -> list[int] | None:
        """Return which axis of the tensor as it was put together each of a shadow is, or None."""
        strides = _strides(self.shape)
        if shadow.dim() != len(self.shape):
            return None
        left = [*range(len(self.shape))]
        found: list[int | None] = []
        for n, stride in zip(shadow.shape, shadow.stride(), strict=True):
            own = [a for a in left if strides[a] == stride and self.shape[a] > 1] if n > 1 else []
            found.append(own[0] if own else None)
            if n > 1 and not own:
                return None
            left = [a for a in left if a not in own[:1]]
        # Axes of one cell are alike; one along which a single cell was taken is the axis itself.
        left.sort(key=lambda a: self.shape[a] == 1)
        return [left.pop(0) if a is None else a for a in found]


def _strides(shape: tuple[int, ...]) -> list[int]:
    found = [1]
    for n in reversed(shape[1:]):
        found.insert(0, found[0] * n)
    return found


def rows_of_part(tag: Tag, weights: Tensor) -> RunningProduct | None:
    """Return the weights of a product that it will sum with; None where axes are mixed.

    Args:
        tag: of the weights, behind their softmax.
        weights: in the axes of the tag.
    """
    role = tag.normalised
    tag, weights = _taken_apart(tag, weights)
    if "mixed" in tag.roles():
        return None
    groups = [tag.order(name) for name in ("batch", "rows" if role == "columns" else "columns")]
    axes = [*groups[0], *groups[1], *tag.order(role)]
    rest = [i for i in range(weights.dim()) if i not in axes]  # of one cell
    laid = weights.permute(*rest, *axes)[(0,) * len(rest)]
    batch, queries = (tuple(weights.shape[i] for i in group) for group in groups)
    entries, rows, columns = tag.first.size
    size = (entries, rows, columns) if role == "columns" else (entries, columns, rows)

    def none(*_: Tensor) -> Tensor:
        raise NotImplementedError  # what they weigh is not there yet

    return RunningProduct(
        tag.first.module, tag.first.number, size, none, none, weights, laid, batch, queries
    )


def _taken_apart(tag: Tag, x: Tensor) -> tuple[Tag, Tensor]:
    """Return a tensor and its tag with axes that are of the batch and of rows, say, as two each."""
    _, rows, columns = tag.first.size
    shadow = tag.shadow
    for whole in (columns, rows * columns):
        for axis in reversed(range(shadow.dim())):
            n, stride = shadow.shape[axis], shadow.stride()[axis]
            inner = whole // max(stride, 1)
            if 0 < stride < whole < n * stride and whole % stride == 0 and n % inner == 0:
                shape = n // inner, inner
                shadow, x = (torch.unflatten(t, axis, shape) for t in (shadow, x))
    return replace(tag, shadow=shadow), x


class JoinedTags:
    """The joined tensors of one pass."""

    def __init__(self) -> None:
        """Begin with none."""
        self._beside: Beside[Joined] = Beside()

    def of(self, x: Any) -> Joined | None:
        """Return how a tensor was put together; None where it was not."""
        return self._beside.of(x)

    def set(self, x: Tensor, joined: Joined) -> None:
        """Keep how a tensor was put together."""
        self._beside.set(x, joined)

    def join(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        output: Tensor,
        tag_of: Callable[[Any], Tag | None],
    ) -> None:
        """Keep what putting tensors side by side made of their tags, if they have any."""
        if not args or not isinstance(args[0], (tuple, list)):
            return
        dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
        dim = int(dim) % output.dim()
        parts, first, others = [], 0, False
        for x in args[0]:
            tag, length = tag_of(x), int(x.shape[dim]) if x.dim() == output.dim() else 0
            if tag is not None and not tag.normalised:
                parts.append(Part(tag, first, length))
            else:
                others = others or length > 0
            first += length
        if parts:
            shape = tuple(output.shape)
            shadow = torch.empty(shape, device="meta")
            self.set(output, Joined(dim, tuple(parts), shape, shadow, not others))

    def factors(self, found: Contraction) -> list[tuple[Contraction, str, Tag]]:
        """Return products of parts that a product of a joined tensor is; empty for others."""
        if not self:
            return []
        for weights, x in (("x", found.x), ("y", found.y)):
            joined = self.of(x)
            if joined is not None:
                return joined.factors(found, weights)
        return []

    def taken(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> Iterator[tuple[Tensor, Tag]]:
        """Yield what an operation took out of a joined tensor, with its tag."""
        joined = self.of(args[0] if args else None)
        if joined is None:
            return
        if name in _CHANGED and isinstance(output, Tensor):
            found = joined.changed(name, args, kwargs) if output.shape == args[0].shape else None
            if found is not None:
                self.set(output, found)
            return
        if name not in _TAKEN and name not in SAME:
            return
        several = output if isinstance(output, (tuple, list)) else (output,)
        for x, shadow in zip(several, joined.taken(name, args, kwargs), strict=False):
            if not isinstance(x, Tensor) or x.shape != shadow.shape or not shadow.numel():
                continue
            tag = joined.part(shadow)
            if tag is not None:
                yield x, tag
            else:
                self.set(x, replace(joined, shadow=shadow))

    def __bool__(self) -> bool:
        return bool(self._beside)
