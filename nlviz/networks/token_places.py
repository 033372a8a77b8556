"""Puts positions in the place of a text's tokens where a network looks them up.

A network of words has no picture that positions could stand for: its input are numbers of words,
and what it computes with are the rows of a table that these choose. So positions stand for these
rows, and go on from there (``nlviz.networks.followed``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nlviz.networks.followed import NotFollowed, Placed


@dataclass(frozen=True, eq=False)
class Tokens:
    """A tensor among a network's input that holds tokens.

    Attributes:
        tensor: numbers of words, (n,), (1, n) or (n, 1); or what stands for them already, floats of
            (1, n, channels) in any order.
        axis: of the tokens.
        places: (n,) number of each token in the text.
    """

    tensor: Tensor
    axis: int
    places: Tensor

    def laid_out(self, ramp: Tensor) -> Tensor:
        """Return what stands at each token's place of a ramp, in the shape of the tensor."""
        shape = [1] * self.tensor.dim()
        shape[self.axis] = len(self.places)
        return ramp[self.places.to(ramp.device)].reshape(shape).expand(self.tensor.shape)


class LookedUp(TorchFunctionMode):
    """A function mode in which tables give positions for the words that they are asked for.

    >>> ids = torch.tensor([[3, 1, 2]])
    >>> ramp = torch.arange(3.0).as_subclass(Placed)
    >>> with LookedUp([Tokens(ids, 1, torch.arange(3))], ramp):
    ...     found = torch.nn.Embedding(5, 2)(ids)
    >>> found.as_subclass(Tensor)[0].tolist()
    [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    """

    def __init__(self, tokens: Iterable[Tokens], ramp: Tensor) -> None:
        """Begin.

        Args:
            tokens: those of numbers.
            ramp: (tokens of the text,) what stands for each.
        """
        super().__init__()
        self._tokens = [t for t in tokens if not t.tensor.is_floating_point()]
        self._ramp = ramp.as_subclass(Tensor)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Give positions where a table is asked for words; run anything else."""
        given = kwargs or {}
        found = self._looked_up(getattr(func, "__name__", ""), args, given)
        return func(*args, **given) if found is None else found

    def _looked_up(self, name: str, args: tuple[Any, ...], given: dict[str, Any]) -> Tensor | None:
        if name == "embedding":
            index = args[0] if args else given.get("input")
            table = args[1] if len(args) > 1 else given.get("weight")
        elif name == "__getitem__":
            table, index = args[0], args[1]
        elif name == "index_select":
            table, axis, index = args[0], args[1], args[2]
            if axis not in (0, -table.dim()):
                return None
        elif name == "one_hot":
            index = args[0]
            placed = self._placed(index)
            if placed is None:
                return None
            classes = args[1] if len(args) > 1 else given.get("num_classes", -1)
            if classes < 0:
                classes = int(index.max()) + 1
            return placed[..., None].expand(*index.shape, classes).as_subclass(Placed)
        else:
            return None
        if not (isinstance(index, Tensor) and isinstance(table, Tensor)):
            return None
        if isinstance(table, Placed) or not table.is_floating_point():
            return None
        placed = self._placed(index)
        if placed is None:
            return None
        rest = tuple(table.shape[1:])
        found = placed.reshape(*index.shape, *(1,) * len(rest)).expand(*index.shape, *rest)
        return found.as_subclass(Placed)

    def _placed(self, index: Tensor) -> Tensor | None:
        """Return what stands for some numbers of words; None for other numbers.

        Raises:
            NotFollowed: when two parts of the text are these numbers, and which is meant is open.
        """
        if index.is_floating_point() or index.dtype == torch.bool:
            return None
        same = [t for t in self._tokens if t.tensor is index]
        alike = [t for t in self._tokens if t.tensor.numel() == index.numel()]
        if not same:  # another view of its memory
            same = [t for t in alike if t.tensor.data_ptr() == index.data_ptr()]
        if not same:
            same = [t for t in alike if bool((t.tensor.reshape(-1) == index.reshape(-1)).all())]
        if not same:
            return None
        if any(not torch.equal(t.places, same[0].places) for t in same):
            raise NotFollowed("a copy of numbers that are those of two parts of the text")
        return same[0].laid_out(self._ramp).reshape(index.shape)
