"""The calls of modules in one forward pass, and which of them belong together.

A block that runs twice has two calls under one name, and what ran inside it belongs to one of them.
A network that walks over the frames, one call each, has as many calls as frames; together they are
one call with the frames as its batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.errors import UnknownBlock
from nlviz.networks.places import Cells, Places, joined

RUN = "#"  # between a block's name and the number of its run


@dataclass(frozen=True)
class Call:
    """One call of a module: its arguments and its output.

    Attributes:
        args: what it was given, in the order of its ``forward``, also where the caller named it;
            detached, as it entered.
        output: what it returned, detached, as it left.
        module: the module itself.
        began, ended: when, on the clock of this forward pass.
        places: where the elements of its first argument lie in the network's input, where that was
            followed.
        cells: the lines of cells among them, where there are any.
    """

    args: tuple[Any, ...]
    output: Any
    module: nn.Module | None = None
    began: int = 0
    ended: int = 0
    places: Places | None = None
    cells: Cells | None = None


class Calls(Mapping[str, Call]):
    """The calls of a forward pass by name; of a module that ran several times the first one.

    >>> twice = [Call((1,), 2, began=0, ended=1), Call((3,), 4, began=2, ended=3)]
    >>> calls = Calls({"block": twice})
    >>> calls["block"].args, calls.of(calls.runs("block")[1])["block"].args
    ((1,), (3,))
    """

    def __init__(self, by_name: Mapping[str, Sequence[Call]], inside: Call | None = None) -> None:
        self._by_name, self._inside = by_name, inside

    def runs(self, name: str) -> tuple[Call, ...]:
        """Return all calls of a module, in the order in which they began."""
        return tuple(sorted(self._by_name.get(name, ()), key=lambda call: call.began))

    def of(self, run: Call) -> Calls:
        """Return what belongs to one run of a block.

        Of each module that is its call inside the run, else its last one before, else its first.
        """
        return Calls(self._by_name, run)

    def given(self, name: str, firsts: Sequence[Tensor]) -> Calls:
        """Return these calls with other first arguments of a module, one for each of its calls."""
        runs = [
            replace(run, args=(first, *run.args[1:]))
            for run, first in zip(self.runs(name), firsts, strict=True)
        ]
        return Calls({**self._by_name, name: runs}, self._inside)

    def together(self, name: str) -> Calls | None:
        """Return the runs of a block as one, their batches one after another.

        Modules that ran as often as the block are put together as well. None where the runs do not
        fit together.

        >>> frames = [Call((torch.zeros(1, 3),), None, began=i, ended=i) for i in range(5)]
        >>> Calls({"block": frames}).together("block")["block"].args[0].shape
        torch.Size([5, 3])
        """
        often = len(self.runs(name))
        try:
            return Calls(
                {
                    other: [_joined(runs)] if len(runs := self.runs(other)) == often else runs
                    for other in self
                }
            )
        except (RuntimeError, TypeError, ValueError):  # shapes or numbers of arguments differ
            return None

    def __getitem__(self, name: str) -> Call:
        runs = self.runs(name)
        if not runs:
            raise UnknownBlock(
                f"{name} must be called in the forward pass to be read, as a module and not by one "
                "of its methods; it was not"
            )
        run = self._inside
        if run is None:
            return runs[0]
        inside = [call for call in runs if run.began <= call.began and call.ended <= run.ended]
        before = [call for call in runs if call.ended < run.began]
        return (inside[:1] or before[-1:] or runs)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


def run_name(block: str, run: int) -> str:
    """Return the name of a block's n-th run in a forward pass, from 1.

    >>> run_name("layer3", 1), run_name("layer3", 2)
    ('layer3', 'layer3#2')
    """
    return block if run == 1 else f"{block}{RUN}{run}"


def block_and_run(name: str) -> tuple[str, int | None]:
    """Return a block's own name and the run that a name stands for; None where it tells no run.

    >>> block_and_run("layer3#2"), block_and_run("layer3")
    (('layer3', 2), ('layer3', None))
    """
    block, mark, run = name.rpartition(RUN)
    return (block, int(run)) if mark and run.isdecimal() else (name, None)


def arguments(
    module: nn.Module, args: tuple[Any, ...], given: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Return all that a module was called with, in the order of its ``forward``.

    >>> arguments(nn.Conv2d(1, 1, 1), (), {"input": 5})
    (5,)
    """
    if not given:
        return args
    try:
        bound = _signature(module.forward).bind(*args, **given)
    except (TypeError, ValueError):
        return (*args, *given.values())
    bound.apply_defaults()
    return (*bound.args, *bound.kwargs.values())


def _signature(forward: Any) -> inspect.Signature:
    """Return a forward's signature without the module itself; that of a class is remembered."""
    own = getattr(forward, "__func__", None)
    return inspect.signature(forward) if own is None else _signature_of(own)


@lru_cache(maxsize=256)
def _signature_of(function: Any) -> inspect.Signature:
    found = inspect.signature(function)
    return found.replace(parameters=[*found.parameters.values()][1:])


def in_backward() -> bool:
    """Check whether this thread is in a backward pass: what runs there is a repetition."""
    return bool(torch._C._current_graph_task_id() != -1)


def _joined(calls: Sequence[Call]) -> Call:
    first = calls[0]
    places = [call.places for call in calls if call.places is not None]
    tokens = len(places) == len(calls) and all(p.y.ndim == 2 for p in places)
    return replace(
        first,
        places=joined(places) if tokens else first.places,
        args=tuple(_batched(each) for each in zip(*(c.args for c in calls), strict=True)),
        output=_batched([c.output for c in calls]),
        ended=calls[-1].ended,
    )


def _batched(values: Sequence[Any]) -> Any:
    """Return tensors with a batch as one; what has none must be the same in all calls."""
    first = values[0]
    if isinstance(first, Tensor) and first.dim() > 0:
        return torch.cat(list(values))
    if isinstance(first, tuple):
        return tuple(_batched(each) for each in zip(*values, strict=True))
    same = isinstance(first, Tensor) or all(value == first for value in values)
    if not same:
        raise ValueError
    return first
