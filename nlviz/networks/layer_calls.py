"""What a layer is given or returns, in one forward pass or in passes on positions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from nlviz.networks.calls import arguments, in_backward
from nlviz.networks.followed import NotFollowed, Placed, on_positions
from nlviz.networks.followed_axes import SameInAllPasses, alike, thin
from nlviz.networks.places import Array
from nlviz.networks.where_cells_lie import all_apart, ramps

Side = Literal["input", "output"]
Pick = Callable[[Any], Tensor]


@contextmanager
def kept_of(layer: nn.Module, side: Side, pick: Pick) -> Iterator[list[Tensor]]:
    """Keep a tensor of each call of a layer while the ``with`` block runs; this thread's alone.

    Args:
        layer: the layer.
        side: whether what it is given is kept, or what it returns.
        pick: takes the tensor out of the arguments, a tuple in the order of ``forward``, or out of
            what is returned.

    >>> import torch
    >>> layer = nn.Linear(3, 5)
    >>> with torch.no_grad(), kept_of(layer, "input", lambda given: given[0]) as found:
    ...     _ = layer(torch.zeros(2, 3))
    >>> [x.shape for x in found]
    [torch.Size([2, 3])]
    """
    owner = threading.get_ident()
    found: list[Tensor] = []

    def keep(value: Any) -> None:
        if threading.get_ident() == owner and not in_backward():
            found.append(_copied(pick(value)))

    if side == "input":
        handle = layer.register_forward_pre_hook(
            lambda module, args, given: keep(arguments(module, args, given)), with_kwargs=True
        )
    else:
        handle = layer.register_forward_hook(lambda module, args, output: keep(output))
    try:
        yield found
    finally:
        handle.remove()


def places_of(
    net: nn.Module,
    forward: Callable[[Tensor], Any],
    tensor: Tensor,
    layer: nn.Module,
    side: Side,
    pick: Pick,
    *,
    calls: int,
) -> list[Array]:
    """Return where the elements of what a layer is given or returns lie, for each of its calls.

    Args:
        net: the network; it is left as it was.
        forward: runs it on another picture.
        tensor: the picture, (1, channels, T, H, W) or (T, channels, H, W).
        layer: the layer.
        side: as in ``kept_of``.
        pick: as in ``kept_of``.
        calls: how often the layer is called.

    Returns:
        Frame, row and column of each element, and the pixels over which it is a mean beyond what
        its kernels see, (*shape, 4), NaN for what has no place; an axis along which all are alike
        is 1 long.

    Raises:
        NotFollowed: when an operation's effect on positions is not known.

    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.ReLU())
    >>> found = places_of(net, net, torch.zeros(2, 3, 20, 28), net[0], "output", lambda x: x,
    ...                   calls=1)
    >>> found[0].shape, found[0][1, 0, 0, :3, 2]
    ((2, 1, 5, 7, 4), array([1.5, 5.5, 9.5]))
    """
    ramp_of = ramps(tensor)
    asked = SameInAllPasses()

    def run(ramp: Tensor) -> list[Tensor]:
        with (
            on_positions(net),
            asked.one_pass(),
            kept_of(layer, side, pick) as found,
        ):
            try:
                forward(ramp)
            except Exception as error:  # behind the layer values may count
                if len(found) < calls:
                    if isinstance(error, NotFollowed):
                        raise
                    raise NotFollowed(f"{type(error).__name__}: {error}") from None
        if len(found) != calls:
            raise NotFollowed(f"the layer ran {len(found)} times, not {calls}")
        return found

    first = run(ramp_of["mass"])
    if asked.answers:
        asked.answers.clear()
        run(all_apart(ramp_of))
        first = run(ramp_of["mass"])
    passes = {"mass": first, **{n: run(ramp_of[n]) for n in ("t", "y", "x", "yy", "xx")}}
    return [_placed({name: found[call] for name, found in passes.items()}) for call in range(calls)]


def _placed(found: dict[str, Tensor]) -> Array:
    shape = found["mass"].shape
    if not all(isinstance(x, Placed) and x.shape == shape for x in found.values()):
        return np.full((*(1 for _ in shape), 4), np.nan)
    tensors = [x.as_subclass(Tensor) for x in found.values()]
    same = [d for d in range(len(shape)) if alike(tensors, d)]
    mass, *each = (thin(one, same).double().cpu().numpy() for one in tensors)
    with np.errstate(divide="ignore", invalid="ignore"):
        there = np.where(np.abs(mass) > 1e-9, 1.0, np.nan) / mass
        t, y, x, yy, xx = (one * there for one in each)
    spread = np.sqrt(np.clip(yy - y * y, 0, None) + np.clip(xx - x * x, 0, None))
    found_at: Array = np.stack([t, y, x, spread], -1)
    return found_at


def _copied(x: Tensor) -> Tensor:
    """Return a copy of values; of positions, one that is as long as the axes they differ along."""
    if isinstance(x, Placed):
        own = x.as_subclass(Tensor)
        same = [d for d in range(own.dim()) if alike([own], d)]
        return thin(own, same).clone().expand(own.shape).as_subclass(Placed)
    return x.detach().clone()
