"""Hooks that see one forward pass of one thread, and are always removed.

What a module is given is copied as it enters, what it returns as it leaves: a network may change
both in place afterwards. A module that runs several times has several calls, and everything inside
belongs to the one that it ran in. The second forward that gradient checkpointing runs during the
backward pass is no call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.affinity.grid import Axis
from nlviz.errors import NlvizError
from nlviz.networks.attention_calls import WatchProducts
from nlviz.networks.calls import Call as Call
from nlviz.networks.calls import Calls as Calls
from nlviz.networks.calls import arguments, in_backward
from nlviz.networks.calls import block_and_run as block_and_run

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


@contextmanager
def recorded(
    net: nn.Module,
    modules: Mapping[str, nn.Module],
    *,
    trace: bool = False,
    products: bool = False,
) -> Iterator[Calls]:
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
    clock = count()
    found: dict[str, list[Call]] = {}
    path = _Path()
    watch = WatchProducts() if products else None
    handles = []

    def ours() -> bool:
        return threading.get_ident() == owner and not in_backward()

    def hooked(names: tuple[str, ...]) -> tuple[Any, Any]:
        entered: list[tuple[int, tuple[Any, ...], tuple[tuple[int, Axis], ...], int]] = []

        def enter(module: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
            if ours():
                taken = arguments(module, args, given)
                _refuse_transforms(names[0], taken)
                depth = -1 if watch is None else watch.enter()
                entered.append((next(clock), _copied(taken), path.axes, depth))

        def leave(
            module: nn.Module, args: tuple[Any, ...], given: dict[str, Any], output: Any
        ) -> None:
            if ours() and entered:
                began, taken, axes, depth = entered.pop()
                inside = () if watch is None else watch.leave(depth)
                call = Call(taken, _copied(output), axes, module, inside, began, next(clock))
                for name in names:
                    found.setdefault(name, []).append(call)

        return enter, leave

    def follow(
        module: nn.Module, args: tuple[Any, ...], given: dict[str, Any], output: Any
    ) -> None:
        if ours():
            path.follow(module, arguments(module, args, given)[0], output)

    try:
        if trace:
            inside = {m for module in modules.values() for m in module.modules()}
            for module in net.modules():
                if _axes_of(module) and module not in inside:
                    handles.append(module.register_forward_hook(follow, with_kwargs=True))
        for module in dict.fromkeys(modules.values()):
            enter, leave = hooked(tuple(n for n, m in modules.items() if m is module))
            handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(module.register_forward_hook(leave, with_kwargs=True))
        with watch or nullcontext():
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
