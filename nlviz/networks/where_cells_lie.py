"""Where the cells of a feature map lie in a network's input, found by running the network.

Its own forward is run on positions in place of values (``nlviz.networks.followed``): on ones, on
each pixel's frame, row and column, and on their squares. What reaches a block then says where its
cells lie, whatever the forward does: functions, slices, pads, reshapes, several branches. That is
exact. Where an operation is not known, gradients of the network itself say it, within an
uncertainty: the centre of what a cell depends on moves by a stride from cell to cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.affinity.grid import Axis
from nlviz.networks.as_it_was import as_it_was
from nlviz.networks.calls import Call, Calls, arguments
from nlviz.networks.followed import NotFollowed, Placed, on_positions
from nlviz.networks.followed_axes import SameInAllPasses, alike, thin
from nlviz.networks.hooks import recorded
from nlviz.networks.places import Array, Cells, Places

Forward = Callable[[Tensor], Any]
Pick = Callable[[Calls], Tensor]

DRAWS = 4  # random sums over channels of which gradients are taken


class Walk:
    """The calls of some modules in forward passes on positions.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.Identity())
    >>> walk = Walk(net, net, torch.zeros(2, 3, 20, 28), {"here": net[1]})
    >>> walk.places(lambda calls: calls["here"].args[0].transpose(0, 1)).x[0, 0, :3]
    array([1.5, 5.5, 9.5])
    """

    def __init__(
        self,
        net: nn.Module,
        forward: Forward,
        tensor: Tensor,
        modules: Mapping[str, nn.Module],
        *,
        ramp_of: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Run the network on positions.

        Args:
            net: the network; it is left as it was.
            forward: runs it on another picture.
            tensor: the picture, (1, channels, T, H, W) or (T, channels, H, W).
            modules: whose calls are kept, by name.
            ramp_of: pictures that say where their pixels lie, where ``tensor`` has other axes; see
                ``ramps``.

        Raises:
            NotFollowed: when an operation's effect on positions is not known.
        """
        ramp_of = ramps(tensor) if ramp_of is None else ramp_of
        asked = SameInAllPasses()

        def run(ramp: Tensor) -> Calls:
            with (
                on_positions(net),
                asked.one_pass(),
                recorded(net, modules) as calls,
                entered(modules) as last,
            ):
                try:
                    forward(ramp)
                except Exception as error:
                    # Inside the last block and behind it values may count; before it, nothing may.
                    if any(name not in calls and name not in last for name in modules):
                        if isinstance(error, NotFollowed):
                            raise
                        raise NotFollowed(f"{type(error).__name__}: {error}") from None
                    unended = {n: runs for n, runs in last.items() if n not in calls}
                    return Calls({**{n: list(calls.runs(n)) for n in calls}, **unended})
            return calls

        first = run(ramp_of["mass"])
        if asked.answers:
            asked.answers.clear()
            run(all_apart(ramp_of))
            first = run(ramp_of["mass"])
        rest = {name: run(ramp) for name, ramp in ramp_of.items() if name != "mass"}
        self.passes: dict[str, Calls] = {"mass": first, **rest}

    def places(self, pick: Pick) -> Places:
        """Return where elements lie: of one call, its channels first."""
        found = {
            name: pick(calls).as_subclass(Tensor).double().mean(0).cpu().numpy()
            for name, calls in self.passes.items()
        }
        mass = found.pop("mass")
        with np.errstate(divide="ignore", invalid="ignore"):
            there = np.where(np.abs(mass) > 1e-9, 1.0, np.nan) / mass
            t, y, x, yy, xx = (found[k] * there for k in ("t", "y", "x", "yy", "xx"))
        spread = np.sqrt(np.clip(yy - y * y, 0, None) + np.clip(xx - x * x, 0, None))
        return Places(t, y, x, spread)


@contextmanager
def entered(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, list[Call]]]:
    """Record what modules were last given, also where they do not come to an end."""
    found: dict[str, list[Call]] = {}

    def note(name: str, module: nn.Module, args: Any, given: dict[str, Any]) -> None:
        found[name] = [Call(arguments(module, args, given), None)]

    handles = [
        module.register_forward_pre_hook(partial(note, name), with_kwargs=True)
        for name, module in modules.items()
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def ramps(tensor: Tensor) -> dict[str, Tensor]:
    """Return pictures of ones, frames, rows, columns and their squares, as positions."""
    clip = tensor.dim() == 5
    shape = tuple(tensor.shape)
    at = {"t": 2 if clip else 0, "y": tensor.dim() - 2, "x": tensor.dim() - 1}
    exact = torch.float32 if tensor.device.type == "mps" else torch.float64
    lines = {
        name: torch.arange(shape[dim], dtype=exact, device=tensor.device).reshape(
            [shape[dim] if d == dim else 1 for d in range(len(shape))]
        )
        for name, dim in at.items()
    }
    one = torch.ones((1,) * len(shape), dtype=exact, device=tensor.device)
    ramps = {"mass": one, **lines, "yy": lines["y"] ** 2, "xx": lines["x"] ** 2}
    return {name: ramp.expand(shape).as_subclass(Placed) for name, ramp in ramps.items()}


def all_apart(ramp_of: Mapping[str, Tensor]) -> Tensor:
    """Return a picture in which every pixel has a number of its own.

    >>> found = all_apart(ramps(torch.zeros(2, 3, 5, 7)))
    >>> tuple(found.shape), len(found.as_subclass(Tensor).unique())
    ((2, 3, 5, 7), 70)
    """
    whole = [ramp_of[name].as_subclass(Tensor) for name in "tyx"]
    shared = [d for d in range(whole[0].dim()) if alike(whole, d)]  # channels
    t, y, x = (thin(ramp, shared) for ramp in whole)
    height, width = (float(ramp.max()) + 1 for ramp in (y, x))
    apart = x + y * width + t * width * height
    return apart.expand(whole[0].shape).as_subclass(Placed)


def measured(
    net: nn.Module,
    forward: Forward,
    tensor: Tensor,
    block: nn.Module,
    pick: Callable[[tuple[Any, ...]], Tensor],
) -> Cells | None:
    """Measure by gradients where the cells of a block's input lie; None where they do not say it.

    Args:
        net: the network; it is left as it was.
        forward: runs it on another picture.
        tensor: the picture, (1, channels, T, H, W) or (T, channels, H, W).
        block: whose first call is looked at.
        pick: returns (channels, t, h, w) of what the block was called with.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.Identity())
    >>> cells = measured(net, net, torch.randn(1, 3, 41, 57), net[2],
    ...                  lambda args: args[0].transpose(0, 1))
    >>> cells.shape, round(cells.x.stride), round(cells.x.origin)
    ((1, 10, 14), 4, 2)
    """
    kept: list[tuple[Any, ...]] = []

    def enter(module: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        if not kept:
            kept.append((*args, *given.values()))

    with ExitStack() as stack:
        stack.enter_context(as_it_was(net, numbers=True))
        stack.enter_context(torch.enable_grad())
        handle = block.register_forward_pre_hook(enter, with_kwargs=True)
        stack.callback(handle.remove)
        if not tensor.is_floating_point():
            return None
        x = tensor.detach().clone().requires_grad_()
        # A copy, because networks that normalise in place may not do so to a leaf.
        forward(x.clone())
        if not kept:
            return None
        features = pick(kept[0])
        return _by_gradient(features, x)


def _by_gradient(features: Tensor, x: Tensor) -> Cells | None:
    channels, *counts = features.shape
    ends = [
        tuple(dict.fromkeys((n // 4, max(n - 1 - n // 4, n // 4)))) for n in counts
    ]  # away from the border, where kernels see less
    cells: list[tuple[int, ...]] = [tuple(e[0] for e in ends), tuple(e[-1] for e in ends)]
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (DRAWS, channels), generator=generator).to(features) * 2 - 1
    centres = np.full((2, DRAWS, 3), np.nan)
    for i, cell in enumerate(dict.fromkeys(cells)):
        for d in range(DRAWS):
            a, b, c = cell
            total = (features[:, a, b, c] * signs[d]).sum()
            (slope,) = torch.autograd.grad(total, x, retain_graph=True, allow_unused=True)
            if slope is None:
                return None
            centres[i, d] = _centre(slope)
    if len(set(cells)) == 1:
        centres[1] = centres[0]
    if not np.isfinite(centres).all():
        return None
    frames = x.shape[2] if x.dim() == 5 else len(x)
    axes, off = [], []
    for dim, full in enumerate((frames, *x.shape[-2:])):
        apart = cells[1][dim] - cells[0][dim]
        first, last = centres[..., dim].mean(1)
        stride = (last - first) / apart if apart else full / counts[dim]
        if stride <= 0:
            return None
        noise = float(np.abs(centres[..., dim] - centres[..., dim].mean(1, keepdims=True)).max())
        # Beyond the two cells the error of the stride grows with the distance.
        grown = noise * (1 + counts[dim] / max(apart, 1)) + 0.5
        if counts[dim] > 1 and grown > max(full / 4, stride):
            return None
        axes.append(Axis(float(stride), float(first - stride * cells[0][dim])))
        off.append(grown if counts[dim] > 1 or full > 1 else 0.0)
    a, b, c = counts
    return Cells((a, b, c), axes[0], axes[1], axes[2], (off[0], off[1], off[2]))


def _centre(slope: Tensor) -> Array:
    """Return the frame, row and column around which a gradient's square lies."""
    by_frame = slope[0].transpose(0, 1) if slope.dim() == 5 else slope
    energy = by_frame.detach().double().square().sum(1)
    # What is alike everywhere comes from means over the picture, and says nothing of a place.
    energy = (energy - energy.median()).clamp(min=0)
    energy = (energy / energy.max().clamp(min=1e-300)).cpu()
    total = float(energy.sum())
    if not total > 0:
        return np.full(3, np.nan)
    found = []
    for dim, n in enumerate(energy.shape):
        along = energy.sum([d for d in range(3) if d != dim])
        found.append(float((along * torch.arange(n)).sum()) / total)
    return np.array(found)
