"""Networks that walk over the frames of a clip: which run of a block saw which frames.

A block that runs as often as the clip has parts may see one part each time, or the same features
again and again. It is measured: the frames whose number has a certain bit are changed, and a run
that saw one of them must get other features, and no other run; a pass for each bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from nlviz.networks.calls import Call, Calls

CHANGED = 1e-3  # of the size of features: rounding changes less


def walked(
    names: Iterable[str],
    calls: Calls,
    picture: Tensor,
    frames: int,
    rerun: Callable[[Tensor], Calls],
) -> frozenset[str]:
    """Return the blocks whose runs saw the parts of a clip one after another.

    Args:
        names: of the blocks.
        calls: of the forward pass.
        picture: what the network got, (1, channels, T, H, W) or (T, channels, H, W).
        frames: of the clip.
        rerun: runs the network on another picture and returns the calls of its blocks.
    """
    left = {name for name in names if _may_walk(calls, name, frames)}
    if picture.shape[2 if picture.dim() == 5 else 0] != frames:
        return frozenset()
    numbers = torch.arange(frames)
    for bit in range((frames - 1).bit_length()):
        if not left:
            break
        marked = (numbers >> bit & 1).bool()
        chosen = marked.view((1, 1, -1, 1, 1) if picture.dim() == 5 else (-1, 1, 1, 1))
        other = torch.where(chosen.to(picture.device), 1.7 - picture.flip(-1), picture)
        again = rerun(other)
        left = {n for n in left if _follows(calls.runs(n), again.runs(n), marked)}
    return frozenset(left)


def _may_walk(calls: Calls, name: str, frames: int) -> bool:
    """Check whether the runs have as many frames together as the clip, and fit together."""
    runs = calls.runs(name)
    parts = [_frames_of(run) for run in runs]
    return len(runs) > 1 and sum(parts) == frames and calls.together(name) is not None


def _follows(before: tuple[Call, ...], after: tuple[Call, ...], marked: Tensor) -> bool:
    """Check whether those runs changed that saw a marked frame."""
    if len(after) != len(before):
        return False
    first = 0
    for old, new in zip(before, after, strict=True):
        end = first + _frames_of(old)
        x, y = (call.args[0].float() for call in (old, new))
        changed = x.shape != y.shape or bool((x - y).norm() > CHANGED * x.norm().clamp(min=1e-30))
        if changed != bool(marked[first:end].any()):
            return False
        first = end
    return True


def _frames_of(run: Call) -> int:
    """Return how many frames a run's features have: their batch, times their own frames."""
    x = run.args[0] if run.args else None
    if not isinstance(x, Tensor) or x.dim() not in (3, 4, 5):
        return 0
    return int(x.shape[0] * (x.shape[2] if x.dim() == 5 else 1))
