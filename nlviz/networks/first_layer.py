"""The first convolution of a network: how many channels it takes, and what reaches it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


def first_channels(net: nn.Module) -> int | None:
    """Return the channels of the first convolution that a network holds; None without one.

    >>> first_channels(nn.Sequential(nn.Conv2d(1, 6, 3), nn.Conv2d(6, 2, 3)))
    1
    """
    first = next((m for m in net.modules() if isinstance(m, Convolution)), None)
    return None if first is None else first.in_channels


def input_type(net: nn.Module) -> torch.dtype:
    """Return the type that a network's input must have: that of the first weights it meets.

    >>> input_type(nn.Conv2d(3, 4, 1).double()), input_type(nn.ReLU())
    (torch.float64, torch.float32)
    """
    found = None
    for parameter in net.parameters():
        if parameter.is_floating_point():
            if parameter.dim() > 1:
                return parameter.dtype
            found = found or parameter.dtype
    return found or torch.float32


@contextmanager
def first_call_seen(
    net: nn.Module, see: Callable[[str, Convolution, Tensor], None]
) -> Iterator[None]:
    """Show what reaches the first convolution that runs, before it runs, and only in this thread.

    Args:
        net: the network that will run.
        see: gets the convolution's name, itself, and its input; what it raises stops the pass.

    >>> net = nn.Sequential(nn.Conv2d(4, 6, 3))
    >>> with first_call_seen(net, lambda name, conv, x: print(name, conv.in_channels, x.shape[1])):
    ...     _ = net(__import__("torch").zeros(2, 4, 5, 7))
    0 4 4
    """
    owner = threading.get_ident()
    handles: list[Any] = []

    def hook(name: str) -> Callable[..., None]:
        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if threading.get_ident() != owner or not handles:
                return
            release()
            x = args[0] if args else kwargs.get("input")
            if isinstance(module, Convolution) and isinstance(x, Tensor):
                see(name, module, x)

        return before

    def release() -> None:
        while handles:
            handles.pop().remove()

    try:
        for name, module in net.named_modules():
            if isinstance(module, Convolution):
                handles.append(module.register_forward_pre_hook(hook(name), with_kwargs=True))
        yield
    finally:
        release()
