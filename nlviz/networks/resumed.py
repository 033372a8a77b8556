"""A pass again from the middle: what modules returned before a point of it is kept.

The first pass keeps what every module returned that had ended when the point was reached, the
outermost of them alone. In a later pass these modules return it at once, so that only what lies
behind the point, and what no module holds, is computed again. Results are the same, bit by bit, as
long as nothing before the point depends on anything but the input; a caller compares once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class _Kept:
    """What one call of a module returned, and which calls of others were inside it.

    Attributes:
        output: what it returned.
        inside: how often each module was called in it.
        order: what was numbered in it.
        written: whether the network writes to it, so that it is handed on as a copy; None before a
            later pass has shown that.
    """

    output: Any
    inside: Counter[str]
    order: list[str]
    written: bool | None = None


@dataclass(eq=False)
class Prefix:
    """What modules returned before a point of a pass.

    Attributes:
        calls: of modules that had ended, by their name and the number of the call.
        ended: whether the point was reached.
        order, counts: what somebody who looks on numbers in the pass, and how often each module
            was called by then; of calls that are left out, what was numbered is put there.
    """

    calls: dict[tuple[str, int], _Kept] = field(default_factory=dict)
    ended: bool = False
    order: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def end(self) -> None:
        """Say that the point is reached: nothing is kept from here on."""
        self.ended = True

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        return sum(x.nbytes for kept in self.calls.values() for x in _tensors(kept.output))


@contextmanager
def keeping(net: nn.Module, prefix: Prefix) -> Iterator[None]:
    """Keep what modules return until ``prefix.end()`` is called, in this thread.

    >>> net, prefix = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), Prefix()
    >>> handle = net[2].register_forward_pre_hook(lambda *given: prefix.end())
    >>> with torch.no_grad(), keeping(net, prefix):
    ...     y = net(torch.ones(1, 3))
    >>> handle.remove()
    >>> sorted(prefix.calls), prefix.nbytes
    ([('0', 1), ('1', 1)], 32)
    >>> with torch.no_grad(), resumed(net, prefix):
    ...     torch.equal(net(torch.zeros(1, 3)), y)
    True
    """
    counts: Counter[str] = Counter()
    began: list[tuple[str, int]] = []

    def wrapped(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **given: Any) -> Any:
            if prefix.ended:
                return forward(*args, **given)
            counts[name] += 1
            number, first, at = counts[name], len(began), len(prefix.order)
            began.append((name, number))
            output = forward(*args, **given)
            if prefix.ended or not _can_be_kept(output):
                return output
            inside = began[first + 1 :]
            for call in inside:
                prefix.calls.pop(call, None)
            prefix.calls[name, number] = _Kept(
                _copied(output), Counter(n for n, _ in inside), prefix.order[at:]
            )
            return output

        return run

    with _forwards(net, wrapped):
        yield


@contextmanager
def resumed(net: nn.Module, prefix: Prefix) -> Iterator[None]:
    """Have modules return what was kept of them, in this thread.

    What a network never writes to is handed on as it is from the second time on.
    """
    counts: Counter[str] = Counter()
    handed: list[tuple[_Kept, list[tuple[Tensor, int]]]] = []

    def wrapped(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **given: Any) -> Any:
            counts[name] += 1
            kept = prefix.calls.get((name, counts[name]))
            if kept is None:
                return forward(*args, **given)
            counts.update(kept.inside)
            prefix.counts.update(kept.inside)
            prefix.order.extend(kept.order)
            output = kept.output if kept.written is False else _copied(kept.output)
            own = _tensors(output)
            if any(x.is_inference() for x in own):
                kept.written = True  # such tensors do not count who writes to them
            else:
                handed.append((kept, [(x, x._version) for x in own]))
            return output

        return run

    # What is not kept runs as it is: to wrap every module takes longer than a small one does.
    with _forwards(net, wrapped, {name for name, _ in prefix.calls}):
        try:
            yield
        finally:
            changed = [(kept, any(x._version != v for x, v in xs)) for kept, xs in handed]
            if any(kept.written is False and now for kept, now in changed):
                prefix.calls.clear()  # it is not what it was: everything runs again
    for kept, now in changed:
        kept.written = kept.written or now


@contextmanager
def _forwards(
    net: nn.Module,
    wrapped: Callable[[str, Callable[..., Any]], Callable[..., Any]],
    names: Container[str] | None = None,
) -> Iterator[None]:
    """Put functions in the place of the modules' forwards, for calls of this thread alone.

    Args:
        net: the network.
        wrapped: returns what takes the place of a module's forward, by its name.
        names: of the modules; None for all.
    """
    owner = threading.get_ident()

    def ours(inside: Callable[..., Any], forward: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(forward)  # some look at the signature of a forward
        def run(*args: Any, **given: Any) -> Any:
            own = threading.get_ident() == owner
            return inside(*args, **given) if own else forward(*args, **given)

        return run

    before: list[tuple[nn.Module, Any]] = []
    try:
        for name, module in net.named_modules():
            if isinstance(module, torch.jit.ScriptModule) or not (names is None or name in names):
                continue
            forward = module.forward
            before.append((module, module.__dict__.get("forward")))
            module.__dict__["forward"] = ours(wrapped(name, forward), forward)
        yield
    finally:
        for module, own in reversed(before):
            if own is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = own


def _can_be_kept(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return type(value) in (tuple, list) and all(map(_can_be_kept, value))
    if isinstance(value, dict):
        return type(value) is dict and all(map(_can_be_kept, value.values()))
    return value is None or isinstance(value, (Tensor, int, float, str))


def _copied(value: Any) -> Any:
    """Return a value whose tensors nobody else writes to, each laid out in memory as it was."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, (tuple, list)):
        return type(value)(_copied(v) for v in value)
    if isinstance(value, dict):
        return {key: _copied(v) for key, v in value.items()}
    return value


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value
    several = isinstance(value, (tuple, list, dict))
    return [x for v in values for x in _tensors(v)] if several else []
