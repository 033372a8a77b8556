"""Logits that are put side by side before one softmax, and taken apart behind it.

An attention sink is one more logit that is cut off afterwards; criss-cross attention has a softmax
over the keys of a column and of a row. Rows then sum to less than 1 in each part, and follow from
no q and k alone: the weights themselves are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from nlviz.networks.attention.beside import Beside
from nlviz.networks.attention.tags import SAME, Tag, normalised

MORE = "more logits than those of its keys took part in its softmax"


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
        done: whether a softmax was taken over all of it.
    """

    dim: int
    parts: tuple[Part, ...]
    done: bool = False

    def normalised(self, dim: int) -> Joined | None:
        """Return it behind a softmax along the axis; None where that is another one."""
        found = []
        for part in self.parts:
            if dim % part.tag.shadow.dim() != self.dim:
                return None
            tag = normalised(part.tag, dim)
            if tag is None:
                return None
            found.append(replace(part, tag=replace(tag, unknown=MORE)))
        return replace(self, parts=tuple(found), done=True)

    def views(self, whole: Any, output: Any) -> Iterator[tuple[Tensor, Tag]]:
        """Yield each part that an operation took out of the whole, with its tag.

        Args:
            whole: the joined tensor.
            output: what the operation returned, a tensor or several.
        """
        several = output if isinstance(output, (tuple, list)) else (output,)
        for x in several if self.done else ():
            if not isinstance(x, Tensor) or x.stride() != whole.stride():
                continue
            first = (x.storage_offset() - whole.storage_offset()) / whole.stride(self.dim)
            for part in self.parts:
                same = x.shape == part.tag.shadow.shape and first == part.first
                if same and x.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr():
                    yield x, part.tag


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
        parts, first = [], 0
        for x in args[0]:
            tag, length = tag_of(x), int(x.shape[dim]) if x.dim() == output.dim() else 0
            if tag is not None and not tag.normalised:
                parts.append(Part(tag, first, length))
            first += length
        if parts:
            self.set(output, Joined(dim, tuple(parts)))

    def taken(self, name: str, args: tuple[Any, ...], output: Any) -> Iterator[tuple[Tensor, Tag]]:
        """Yield what an operation took out of a joined tensor, with its tag."""
        source = args[0] if args else None
        joined = self.of(source)
        if joined is None:
            return
        yield from joined.views(source, output)
        if name in SAME and isinstance(output, Tensor):
            self.set(output, joined)

    def __bool__(self) -> bool:
        return bool(self._beside)
