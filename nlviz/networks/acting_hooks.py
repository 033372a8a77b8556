"""Which hooks take part in what a network computes, and which only look on.

A user's hook may keep what passes, or replace it. What keeps must not be given positions in place
of values; what replaces belongs to the network. Which of the two a hook does is seen as it runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_KINDS = ("_forward_pre_hooks", "_forward_hooks")


@contextmanager
def acting_hooks(net: nn.Module) -> Iterator[set[int]]:
    """Find the hooks that change what passes, while the network runs inside the ``with`` block.

    Those are the hooks that return another value than they were given, or change it in place. The
    numbers of their handles are in the set.

    >>> net = nn.ReLU()
    >>> kept, halved = [], lambda module, args, output: output / 2
    >>> looks_on = net.register_forward_hook(lambda module, args, output: kept.append(output))
    >>> acts = net.register_forward_hook(halved)
    >>> with acting_hooks(net) as found:
    ...     _ = net(torch.ones(3))
    >>> found == {acts.id}
    True
    """
    found: set[int] = set()
    owner = threading.get_ident()

    def seen(number: int, hook: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            before = _versions(args[1:])
            returned = hook(*args)
            acts = returned is not None and not _among(returned, args[1:])
            if threading.get_ident() == owner and (acts or _versions(args[1:]) != before):
                found.add(number)
            return returned

        return run

    held = [(hooks, dict(hooks)) for hooks in _hooks(net) if hooks]
    instead = [{number: seen(number, hook) for number, hook in all_.items()} for _, all_ in held]
    for (hooks, _), watched in zip(held, instead, strict=True):
        hooks.update(watched)
    try:
        yield found
    finally:
        for (hooks, before), watched in zip(held, instead, strict=True):
            for number, hook in before.items():
                if hooks.get(number) is watched[number]:  # it may have been removed meanwhile
                    hooks[number] = hook


@contextmanager
def with_hooks(net: nn.Module, acting: set[int]) -> Iterator[None]:
    """Leave a network no other hooks than some while the ``with`` block runs.

    Args:
        net: the network.
        acting: the numbers of the handles of those that stay.

    >>> net, kept = nn.ReLU(), []
    >>> _ = net.register_forward_hook(lambda module, args, output: kept.append(output))
    >>> with with_hooks(net, set()):
    ...     _ = net(torch.ones(3))
    >>> len(kept), len(net._forward_hooks)
    (0, 1)
    """
    held = [(hooks, dict(hooks)) for hooks in _hooks(net)]
    for hooks, before in held:
        for number in before:
            if number not in acting:
                del hooks[number]
    try:
        yield
    finally:
        for hooks, before in held:
            hooks.clear()
            hooks.update(before)


def has_hooks(net: nn.Module) -> bool:
    """Check whether a network has hooks of its forward pass, anybody's.

    >>> has_hooks(nn.ReLU())
    False
    """
    return any(_hooks(net))


def _hooks(net: nn.Module) -> list[dict[int, Callable[..., Any]]]:
    """Return the hooks of all modules; those of what was scripted are not Python's."""
    modules = [m for m in net.modules() if not isinstance(m, torch.jit.ScriptModule)]
    return [m.__dict__[kind] for m in modules for kind in _KINDS]


def _versions(value: Any) -> tuple[int, ...]:
    """Return how often each tensor in a value was changed in place."""
    return tuple(0 if x.is_inference() else x._version for x in _tensors(value))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)


def _among(returned: Any, given: tuple[Any, ...]) -> bool:
    """Check whether a hook returned what it was given, or one of it."""
    ours = list(_tensors(given))
    theirs = list(_tensors(returned))
    return bool(theirs) and all(any(x is y for y in ours) for x in theirs)
