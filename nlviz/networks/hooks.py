"""Hooks that see one forward pass of one thread, and are always removed.

What a module is given is copied as it enters, what it returns as it leaves: a network may change
both in place afterwards. A module that runs several times has several calls, and everything inside
belongs to the one that it ran in. The second forward that gradient checkpointing runs during the
backward pass is no call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.errors import NlvizError
from nlviz.networks.calls import Call as Call
from nlviz.networks.calls import Calls as Calls
from nlviz.networks.calls import arguments, in_backward
from nlviz.networks.calls import block_and_run as block_and_run


@contextmanager
def recorded(
    net: nn.Module, modules: Mapping[str, nn.Module], *, outputs: bool = True
) -> Iterator[Calls]:
    """Record the calls of some modules while the ``with`` block runs; only this thread's calls.

    Args:
        net: the network that will run.
        modules: the modules to record, by any name.
        outputs: whether what they return is copied; else their calls hold None.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU())
    >>> with torch.no_grad(), recorded(net, {"relu": net[1]}) as calls:
    ...     _ = net(torch.zeros(1, 3, 8, 12))
    >>> calls["relu"].args[0].shape, len(net[1]._forward_hooks)
    (torch.Size([1, 4, 4, 6]), 0)
    """
    owner = threading.get_ident()
    clock = count()
    found: dict[str, list[Call]] = {}
    handles = []

    def ours() -> bool:
        return threading.get_ident() == owner and not in_backward()

    def hooked(names: tuple[str, ...]) -> tuple[Any, Any]:
        entered: list[tuple[int, tuple[Any, ...]]] = []

        def enter(module: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
            if ours():
                taken = arguments(module, args, given)
                _refuse_transforms(names[0], taken)
                entered.append((next(clock), _copied(taken)))

        def leave(
            module: nn.Module, args: tuple[Any, ...], given: dict[str, Any], output: Any
        ) -> None:
            if ours() and entered:
                began, taken = entered.pop()
                left = _copied(output) if outputs else None
                call = Call(taken, left, module, began, next(clock))
                for name in names:
                    found.setdefault(name, []).append(call)

        return enter, leave

    try:
        for module in dict.fromkeys(modules.values()):
            enter, leave = hooked(tuple(n for n, m in modules.items() if m is module))
            handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(module.register_forward_hook(leave, with_kwargs=True))
        yield Calls(found)
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def replaced(
    module: nn.Module,
    change: Callable[[tuple[Any, ...], Any], Any],
    *,
    run: int | None = None,
) -> Iterator[None]:
    """Replace a module's output while the ``with`` block runs; only for this thread's calls.

    Args:
        module: the module.
        change: gets the arguments, in the order of the module's ``forward``, and the output;
            returns what takes its place.
        run: replace the output of this call alone, counted from 1.

    Raises:
        NlvizError: when the module was called, but not as often as ``run`` says.

    >>> layer = nn.Linear(2, 2)
    >>> with torch.no_grad(), replaced(layer, lambda args, output: args[0]):
    ...     layer(torch.tensor([3.0, 4.0]))
    tensor([3., 4.])
    """
    owner = threading.get_ident()
    calls = 0

    def hook(module: nn.Module, args: tuple[Any, ...], given: dict[str, Any], output: Any) -> Any:
        nonlocal calls
        if threading.get_ident() != owner:
            return None
        calls += 1
        if run not in (None, calls):
            return None
        return change(arguments(module, args, given), output)

    handle = module.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
    if run is not None and calls < run:
        raise NlvizError(f"run {run} of a block must happen, it ran {calls} times; take another")


def _refuse_transforms(name: str, args: tuple[Any, ...]) -> None:
    """Refuse what a transform of torch.func runs: its tensors cannot be kept."""
    if any(
        isinstance(x, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(x) for x in args
    ):
        raise NlvizError(
            f"a block must run on plain tensors to be captured, {name} runs inside torch.vmap or "
            "another transform of torch.func; call it on the whole batch"
        )


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, tuple):
        return tuple(_copied(v) for v in value)
    return value
