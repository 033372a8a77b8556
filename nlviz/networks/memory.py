"""Estimate the memory of a forward pass before it runs, and read what a device has free.

The network runs once on tensors without data (``FakeTensorMode``: sizes, types and devices are
followed, nothing is computed or allocated) while every tensor that an operation gives is counted
from its birth to its death. Weights are not counted, they are there already; workspaces inside an
operation are not seen, which is what ``ROOM`` is for.
"""

from __future__ import annotations

import weakref
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nlviz.files.local import bytes_in_words
from nlviz.networks.as_it_was import as_it_was

ROOM = 1.15  # what an estimate is multiplied with before it is compared with what is free
# An input a five-hundredth of what is free is let through without an estimate: the largest tensors
# of a network are some ten times its input, and all that a transformer's capture keeps is 50 times.
SURELY = 500

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Estimate:
    """Memory of a forward pass, in bytes.

    Attributes:
        peak: bytes at the worst moment, the input and what is recorded included, the weights not.
        kept: bytes that are recorded and stay until they are read.
    """

    peak: int
    kept: int

    @property
    def need(self) -> int:
        """Bytes that must be free, with room for the operations' workspaces."""
        return int(self.peak * ROOM)


class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that are alive, in its own thread.

    >>> with Watch() as watch:
    ...     x = torch.zeros(5, 7)
    ...     y = (x + 1).sum()
    >>> watch.peak, watch.live  # x and x + 1, then x and its sum
    (284, 144)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and count the storage that it allocates."""
        given = {_storage(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.device.type != "meta":
                self._count(tensor, given)
        return out

    def _count(self, tensor: Tensor, given: set[int]) -> None:
        storage = tensor.untyped_storage()
        key = _storage(tensor)
        if key in self._sizes or key in given:  # a view, or the result of an in-place operation
            return
        self._sizes[key] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        # The storage's Python object lives as long as the storage itself.
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.live -= self._sizes.pop(key)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def estimate(
    net: nn.Module, run: Callable[[Tensor], Any], shape: Sequence[int], *, device: torch.device
) -> Estimate:
    """Estimate the memory of ``run`` on an input of this shape, without running it on data.

    Args:
        net: the network that runs; what it would keep of the pass in its attributes is undone.
        run: the pass; what it returns counts as kept.
        shape: of the input, float32.
        device: where the network is.

    Raises:
        Exception: whatever networks raise whose course depends on the data.

    >>> net = nn.Conv2d(3, 4, 1, bias=False)
    >>> with torch.no_grad():
    ...     estimate(net, net, (1, 3, 5, 7), device=torch.device("cpu"))
    Estimate(peak=980, kept=560)
    """
    with as_it_was(net), FakeTensorMode(allow_non_fake_inputs=True), Watch() as watch:
        x = torch.empty(tuple(shape), device=device)
        entered = watch.live
        out = run(x)
        kept = watch.live - entered
        del x
    peak = watch.peak
    del out
    return Estimate(peak, kept)


def free_bytes(device: torch.device | str) -> int | None:
    """Return how many bytes a device has left, or None where that cannot be known.

    On a GPU what torch holds without using it counts as free. On a CPU it is what the system calls
    available, and no more than what a container's limit leaves.

    >>> free_bytes("cpu") > 0
    True
    """
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + unused)
    if device.type == "mps":
        most = torch.mps.recommended_max_memory()
        return int(most - torch.mps.driver_allocated_memory())
    available = int(psutil.virtual_memory().available)
    container = _container()
    return available if container is None else min(available, container)


def _container() -> int | None:
    """Return what the limit of a container leaves, or None without a limit."""
    try:
        most = (_CGROUP / "memory.max").read_text("ascii").strip()
        used = int((_CGROUP / "memory.current").read_text("ascii"))
        # File pages that can be dropped are counted as used there.
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if most == "max":
        return None
    return max(int(most) - used + int(stat.get("inactive_file", 0)), 0)


def largest(fits: Callable[[int], bool], *, below: int) -> int:
    """Return the largest n from 1 to below - 1 that fits, or 0.

    What is smaller than one that fits must fit, too.

    >>> largest(lambda n: n <= 37, below=100), largest(lambda n: False, below=100)
    (37, 0)
    """
    return bisect_left(range(1, below), True, key=lambda n: not fits(n))


def with_frames(shape: Sequence[int], frames: int) -> tuple[int, ...]:
    """Return an input's shape with another number of frames, (1, 3, T, H, W) or (T, 3, H, W).

    >>> with_frames((1, 3, 8, 64, 96), 5), with_frames((8, 3, 64, 96), 5)
    ((1, 3, 5, 64, 96), (5, 3, 64, 96))
    """
    at = _time_axis(shape)
    return (*shape[:at], frames, *shape[at + 1 :])


def _time_axis(shape: Sequence[int]) -> int:
    return 2 if len(shape) == 5 else 0


def too_large(
    shape: Sequence[int],
    need: Callable[[tuple[int, ...]], int | None],
    free: int,
    multiple: int,
    device: str,
) -> str:
    """Return the sentence that refuses an input, with the most frames and the size that fit.

    Args:
        shape: of the input.
        need: bytes that a pass on an input of a shape needs, or None if that cannot be known.
        free: bytes that the device has.
        multiple: of which both sides are.
        device: its name.

    >>> import math
    >>> too_large((1, 3, 8, 64, 96), lambda s: math.prod(s) * 400, 20 << 20, 32, "cuda:0")
    'a pass over 8 frames of 96x64 px needs about 56.2 MiB, cuda:0 has 20.0 MiB free; take 2 frames
    or fewer (capture_windows splits a clip into windows), or a shorter side of 32 px
    (InputSpec(size=32))'
    """
    t, (h, w) = shape[_time_axis(shape)], shape[-2:]

    def fits(other: tuple[int, ...]) -> bool:
        needed = need(other)
        return needed is None or needed <= free  # what a network does not take is not asked for

    def scaled(units: int) -> tuple[int, ...]:
        factor = units * multiple / min(h, w)
        sides = (max(round(n * factor / multiple), 1) * multiple for n in (h, w))
        return (*shape[:-2], *sides)

    frames = largest(lambda n: fits(with_frames(shape, n)), below=t)
    units = largest(lambda n: fits(scaled(n)), below=-(-min(h, w) // multiple))
    cures = []
    if frames and need(with_frames(shape, frames)) is not None:
        cures.append(f"{frames} frames or fewer (capture_windows splits a clip into windows)")
    if units and need(scaled(units)) is not None:
        size = units * multiple
        cures.append(f"a shorter side of {size} px (InputSpec(size={size}))")
    cure = "take " + ", or ".join(cures) if cures else "take another device"
    needed = bytes_in_words(need(tuple(shape)) or 0)
    return (
        f"a pass over {t} frames of {w}x{h} px needs about {needed}, {device} has "
        f"{bytes_in_words(free)} free; {cure}"
    )
