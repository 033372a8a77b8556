"""Compare the running statistics of batch normalisations with what really enters them.

Mean and variance that were lost or changed while a file was converted make a network that loads,
runs and is wrong. In a network that is whole they are close to those of any natural clip: on the
bundled network and clips the variances differ by a factor of 1.5 and the means by a fifth of a
deviation, in the middle of all layers; where the variance is kept as its inverse, as a deviation
or squared, or the means are missing, by 5 to 80 or by one deviation and more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

FACTOR = 2.8
"""Variances that differ by more than this, in the middle of all layers, cannot be believed."""

DEVIATIONS = 0.6
"""So for means, in deviations of the running variance."""

_FEWEST_CHANNELS = 8
_LEAST_SPREAD = 0.15  # decades, of the variances of the channels
_SURE = 0.9  # correlation of the logarithms
_NAMES = {
    -1.0: "the inverse of a variance",
    -0.5: "the inverse of a deviation",
    0.5: "a standard deviation",
    2.0: "a variance squared",
}


@dataclass(frozen=True)
class LayerStatistics:
    """One batch normalisation.

    Attributes:
        factor: of the variance of its input against the running one, at least 1; the middle one of
            its channels.
        deviations: between the mean of its input and the running one, in deviations.
        looks_like: which power of a variance the running one seems to be, in words, or empty.
        no_means: whether all running means are 0.
        untouched: whether they are 0 and all variances 1, as before any training.
    """

    factor: float
    deviations: float
    looks_like: str
    no_means: bool
    untouched: bool


@dataclass
class RunningStatistics:
    """The batch normalisations that a forward pass went through, in its order.

    Attributes:
        layers: by name.
    """

    layers: dict[str, LayerStatistics] = field(default_factory=dict)

    @property
    def factor(self) -> float:
        """By how much variances differ, in the middle of all layers; 1 without any."""
        return _middle([layer.factor for layer in self.layers.values()], 1.0)

    @property
    def deviations(self) -> float:
        """By how much means differ, in the middle of all layers; 0 without any."""
        return _middle([layer.deviations for layer in self.layers.values()], 0.0)

    @property
    def untouched(self) -> bool:
        """Whether all are as before any training."""
        return bool(self.layers) and all(layer.untouched for layer in self.layers.values())

    @property
    def believable(self) -> bool:
        """Whether the running statistics can be those of the network's training."""
        return self.factor <= FACTOR and self.deviations <= DEVIATIONS

    @property
    def fault(self) -> str:
        """What is wrong with them for certain, as a sentence, or empty.

        A clip that is unlike the training's scales all variances alike; it does not turn them
        around, nor does it make every running mean 0.
        """
        layers = list(self.layers.values())
        if self.untouched or not layers:
            return ""
        if not self.believable and all(layer.no_means for layer in layers):
            return (
                "The running means of all batch normalisations are 0, their variances are not 1: "
                "the means were lost; convert the file again from its source."
            )
        if what := layers[0].looks_like:
            return (
                f"What stands as running variance looks like {what} (variances are off by "
                f"{self.factor:.1f} times, the middle one of {len(layers)} layers); convert the "
                "file again from its source."
            )
        return ""

    def doubt(self, clip: str) -> str:
        """Return what cannot be believed for this clip, as a sentence, or empty.

        Args:
            clip: name of the clip that was run.
        """
        if self.untouched:
            return (
                "The running means and variances of all batch normalisations are 0 and 1, as "
                "before any training."
            )
        if self.believable:
            return ""
        return (
            f"On {clip} the running statistics of the batch normalisations are off: variances by "
            f"{self.factor:.1f} times, means by {self.deviations:.1f} deviations (the middle one "
            f"of {len(self.layers)} layers). Either the clip is unlike what the network was "
            "trained on, or they were lost when the file was converted."
        )


@contextmanager
def watched(net: nn.Module) -> Iterator[RunningStatistics]:
    """Compare running statistics with the inputs of the forward passes inside the ``with`` block.

    >>> net = nn.Sequential(nn.BatchNorm2d(3)).eval()
    >>> with watched(net) as seen:
    ...     _ = net(5 + torch.randn(2, 3, 40, 50, generator=torch.Generator().manual_seed(0)))
    >>> seen.believable, round(seen.deviations)
    (False, 5)
    """
    seen = RunningStatistics()
    handles = [
        module.register_forward_pre_hook(partial(_look, seen, name))
        for name, module in net.named_modules()
        if isinstance(module, _BatchNorm) and module.running_var is not None
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _look(seen: RunningStatistics, name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
    if name in seen.layers or not args or not isinstance(args[0], Tensor):
        return
    mean, running = module.running_mean, module.running_var
    if not isinstance(mean, Tensor) or not isinstance(running, Tensor):
        return
    with torch.no_grad():
        x = args[0].detach().float()
        over = [0, *range(2, x.dim())]
        seen.layers[name] = _compared(
            x.mean(over).cpu(),
            x.var(over, unbiased=False).cpu(),
            mean.float().cpu(),
            running.float().cpu(),
            float(getattr(module, "eps", 0.0)),
        )


def _compared(
    mean: Float[Tensor, " channels"],
    variance: Float[Tensor, " channels"],
    running_mean: Float[Tensor, " channels"],
    running: Float[Tensor, " channels"],
    eps: float,
) -> LayerStatistics:
    ratio = ((variance + eps).log10() - (running + eps).log10()).abs().median()
    return LayerStatistics(
        factor=float(10**ratio),
        deviations=float(((mean - running_mean) / (running + eps).sqrt()).abs().median()),
        looks_like=_looks_like(variance, running),
        no_means=not bool(running_mean.any()),
        untouched=bool((running == 1).all()) and not bool(running_mean.any()),
    )


def _looks_like(variance: Float[Tensor, " channels"], running: Float[Tensor, " channels"]) -> str:
    """Return which power of the variance the running one is, in words; empty for the first.

    On logarithmic axes a power is a slope over the channels, and a clip of another contrast only
    moves the line.
    """
    some = (variance > 1e-9) & (running > 1e-9)
    if int(some.sum()) < _FEWEST_CHANNELS:
        return ""
    v, r = (values[some].double().log10() for values in (variance, running))
    v, r = v - v.mean(), r - r.mean()
    spread, claimed = float(v.norm()), float(r.norm())
    if spread < _LEAST_SPREAD * math.sqrt(len(v)) or claimed == 0:
        return ""
    agreement = float(v @ r) / (spread * claimed)
    slope = float(v @ r) / spread**2
    nearest = min((*_NAMES, 1.0), key=lambda power: abs(power - slope))
    return _NAMES.get(nearest, "") if abs(agreement) > _SURE else ""


def _middle(values: list[float], without: float) -> float:
    return median(values) if values else without
