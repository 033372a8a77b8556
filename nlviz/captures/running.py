"""How a network runs: one thread at a time, in eval mode, in the types of its weights.

A network is left as it was, also after an exception. Every module has its own lock, and a forward
pass holds those of all of its modules: two networks that share a part wait for each other.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from nlviz.errors import NlvizError, OutOfMemory
from nlviz.networks.first_layer import input_type
from nlviz.networks.memory import SURELY, largest, with_frames

_LOCKS: weakref.WeakKeyDictionary[nn.Module, tuple[int, threading.RLock]] = (
    weakref.WeakKeyDictionary()
)
_LOCKS_LOCK = threading.Lock()
_NUMBERS = itertools.count()


def on_device(net: nn.Module, x: Tensor, device: torch.device) -> Tensor:
    """Return an input on the network's device, in the type of its weights."""
    if device.type == "cuda" and x.device.type == "cpu":
        # From pinned memory the copy overlaps with the host; convolutions like channels last.
        x = x.pin_memory().to(device, non_blocking=True)
    else:
        x = x.to(device)
    if x.is_floating_point():
        x = x.to(input_type(net))
    if device.type == "cuda" and x.dim() == 5:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    return x


@contextmanager
def held(net: nn.Module) -> Iterator[None]:
    """Hold a network for this thread, in eval mode; afterwards it is as it was."""
    modules = list(net.modules())
    with ExitStack() as stack:
        for lock in _locks_of(modules):
            stack.enter_context(lock)
        modes = [(m, m.training) for m in modules if m.training]
        try:
            if modes:  # else it is in eval mode, and asking each module takes its time
                net.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def _locks_of(modules: list[nn.Module]) -> list[threading.RLock]:
    """Return the locks of modules in the one order in which all threads take them."""
    with _LOCKS_LOCK:
        for module in modules:
            if module not in _LOCKS:
                _LOCKS[module] = (next(_NUMBERS), threading.RLock())
        return [lock for _, lock in sorted((_LOCKS[m] for m in modules), key=lambda e: e[0])]


@contextmanager
def told(net: nn.Module, where: str, clip_shape: tuple[int, int, int]) -> Iterator[None]:
    """Turn what devices and types of numbers complain about into sentences.

    Raises:
        OutOfMemory: when the device's memory does not suffice for the clip.
        NlvizError: when an operation does not exist in the network's types, or they do not fit.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            t, h, w = clip_shape
            raise OutOfMemory(
                f"{where} has too little memory for {t} frames of {w}x{h} px; take "
                "fewer frames or a smaller size, or another device"
            ) from None
        if not of_types(error):
            raise
        text = " ".join(str(error).split())
        types = dict.fromkeys(
            str(p.dtype).removeprefix("torch.") for p in net.parameters() if p.is_floating_point()
        )
        raise NlvizError(
            f"a network must run in the types of its weights, here {' and '.join(types)} on "
            f"{where}; it stops with {text[:160]!r}; net.float() runs everywhere"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory did not suffice.

    >>> is_out_of_memory(RuntimeError("can't allocate memory: 1 TB")), is_out_of_memory(KeyError())
    (True, False)
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "not enough memory" in str(error) or "can't allocate memory" in str(error)


def of_types(error: BaseException) -> bool:
    """Return whether an error says that types of numbers do not fit, or lack an operation.

    >>> of_types(RuntimeError("mat1 and mat2 must have the same dtype, but got Half and Float"))
    True
    """
    return any(sign in str(error) for sign in _OF_TYPES)


_OF_TYPES = (
    "not implemented for 'Half'",
    "not implemented for 'BFloat16'",
    "should be the same",  # Input type (float) and bias type (c10::Half)
    "must have the same dtype",
    "to have the same dtype",
    "same data type",
    "dtypes must be the same",
    "expected scalar type",
)


def most_frames(
    tensor: Tensor, frames: int, free: int | None, need: Callable[[tuple[int, ...]], int]
) -> int | None:
    """Return how many frames of an input fit; None if all do, or if that cannot be known.

    Args:
        tensor: the input of all frames.
        frames: how many there are.
        free: bytes of the device's memory; None where that is not known.
        need: returns the bytes that an input of a shape needs.
    """
    if free is None or tensor.nbytes * SURELY <= free:
        return None
    shape = tuple(tensor.shape)

    def fits(count: int) -> bool:
        try:
            return need(with_frames(shape, count)) <= free
        except NlvizError:
            return True

    return None if fits(frames) else largest(fits, below=frames) or None


def parts_of(total: int, most: int) -> list[tuple[int, int]]:
    """Return the first frame of each part of a clip, and the one behind its last.

    Parts differ by one frame at most.

    >>> parts_of(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    count = -(-total // most)
    ends = [-(-total * i // count) for i in range(count + 1)]
    return list(itertools.pairwise(ends))
