"""Hooks that see one forward pass of one thread, and are always removed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.affinity.grid import Axis
from nlviz.networks.attention_calls import Product, WatchProducts

# Modules that move the cells of a feature map, by the number of its spatial axes.
_STRIDED = {
    1: (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d),
    2: (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.PixelUnshuffle),
    3: (nn.Conv3d, nn.MaxPool3d, nn.AvgPool3d),
}
_PADDING = {
    1: (nn.ConstantPad1d, nn.ReflectionPad1d, nn.ReplicationPad1d, nn.CircularPad1d),
    2: (nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d),
    3: (nn.ConstantPad3d, nn.ReflectionPad3d, nn.ReplicationPad3d, nn.CircularPad3d),
}


@dataclass(frozen=True)
class Call:
    """One call of a module: its arguments and its output.

    Attributes:
        args: positional arguments, detached.
        output: what it returned, detached.
        axes: size of each spatial axis of the module's input, and where its cells lie in the
            network's input, by the arithmetic of the convolutions and poolings before it.
        module: the module itself.
        products: the attention products that ran inside it, where they were asked for.
    """

    args: tuple[Any, ...]
    output: Any
    axes: tuple[tuple[int, Axis], ...] = ()
    module: nn.Module | None = None
    products: tuple[Product, ...] = ()


@contextmanager
def recorded(
    net: nn.Module,
    modules: Mapping[str, nn.Module],
    *,
    trace: bool = False,
    products: bool = False,
) -> Iterator[dict[str, Call]]:
    """Record the calls of some modules while the ``with`` block runs; only this thread's calls.

    Args:
        net: the network that will run.
        modules: the modules to record, by any name.
        trace: also follow where feature cells lie, through all convolutions and poolings.
        products: also keep what enters and leaves the attention products inside the modules, see
            ``nlviz.networks.attention_calls``.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU())
    >>> with torch.no_grad(), recorded(net, {"relu": net[1]}, trace=True) as calls:
    ...     _ = net(torch.zeros(1, 3, 8, 12))
    >>> calls["relu"].axes[0], len(net[1]._forward_hooks)
    ((4, Axis(stride=2.0, origin=0.0)), 0)
    """
    owner = threading.get_ident()
    calls: dict[str, Call] = {}
    path = _Path()
    watch = WatchProducts() if products else None
    handles = []

    def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
        if watch is not None and threading.get_ident() == owner:
            watch.enter()

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if threading.get_ident() == owner:
                inside = () if watch is None else watch.leave()
                calls[name] = Call(_detached(args), _detached(output), path.axes, module, inside)

        return hook

    def follow(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() == owner:
            path.follow(module, args[0], output)

    try:
        if trace:
            inside = {m for module in modules.values() for m in module.modules()}
            for module in net.modules():
                if _axes_of(module) and module not in inside:
                    handles.append(module.register_forward_hook(follow))
        for name, module in modules.items():
            if watch is not None:
                handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(keep(name)))
        with watch or nullcontext():
            yield calls
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def replaced(module: nn.Module, change: Callable[[tuple[Any, ...], Any], Any]) -> Iterator[None]:
    """Replace a module's output while the ``with`` block runs; only for this thread's calls.

    Args:
        module: the module.
        change: gets the positional arguments and the output, returns what takes its place.

    >>> layer = nn.Linear(2, 2)
    >>> with torch.no_grad(), replaced(layer, lambda args, output: args[0]):
    ...     layer(torch.tensor([3.0, 4.0]))
    tensor([3., 4.])
    """
    owner = threading.get_ident()

    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return change(args, output) if threading.get_ident() == owner else None

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, tuple):
        return tuple(_detached(v) for v in value)
    return value


class _Path:
    """Where the cells of the current feature map lie; follows the first branch of every fork."""

    def __init__(self) -> None:
        self.axes: tuple[tuple[int, Axis], ...] = ()

    def follow(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        n = _axes_of(module)
        before, after = x.shape[-n:], y.shape[-n:]
        if not self.axes:
            self.axes = tuple((size, Axis()) for size in before)
        if tuple(size for size, _ in self.axes) != tuple(before):
            return  # another branch, from before a reduction that is already counted
        new = []
        for (_, axis), size, out, step in zip(
            self.axes, before, after, _steps(module, n), strict=True
        ):
            k, s, p, d = step
            # TensorFlow's "same", which timm's layers pad by themselves; a pool that rounds its
            # size up does so behind.
            if p == 0 and k > 1 and out == -(-size // s) and not getattr(module, "ceil_mode", 0):
                p = max((out - 1) * s + d * (k - 1) + 1 - size, 0) // 2
            new.append((out, axis.through(kernel=k, stride=s, pad=p, dilation=d)))
        self.axes = tuple(new)


def _axes_of(module: nn.Module) -> int:
    """Return the number of axes on which a module moves cells; 0 for other modules."""
    for n in (1, 2, 3):
        if isinstance(module, (*_STRIDED[n], *_PADDING[n])):
            return n
    return 0


def _steps(module: nn.Module, n: int) -> list[tuple[int, int, int, int]]:
    """Return kernel, stride, leading padding and dilation of each axis."""
    if isinstance(module, _PADDING[n]):
        leading = tuple(module.padding)[::2]  # the last axis comes first
        return [(1, 1, int(p), 1) for p in reversed(leading)]
    if isinstance(module, nn.PixelUnshuffle):
        return [(module.downscale_factor, module.downscale_factor, 0, 1)] * n
    options = [
        _each(getattr(module, name, default), n)
        for name, default in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1))
    ]
    return list(zip(*options, strict=True))


def _each(value: Any, n: int) -> tuple[int, ...]:
    if isinstance(value, str):
        return (0,) * n  # "same" and "valid": centred, or seen by the sizes
    return tuple(value) if isinstance(value, (tuple, list, torch.Size)) else (int(value),) * n
