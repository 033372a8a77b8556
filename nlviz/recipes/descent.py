"""One way down: a network, its optimiser, the steps that are done and where they are kept.

Several go side by side on the same batches; each ends at the weights that it reaches alone, also
after interruptions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Pace:
    """How AdamW goes: a rate that rises, then falls along a cosine.

    Attributes:
        steps: in all.
        rate: the highest.
        warm_up: steps until the rate is reached.
        decay: of the weights.
    """

    steps: int
    rate: float
    warm_up: int = 100
    decay: float = 0.01

    def at(self, step: int) -> float:
        """Return the rate of a step, counted from 0.

        >>> pace = Pace(steps=1000, rate=1.0)
        >>> round(pace.at(0), 2), round(pace.at(500), 2), round(pace.at(999), 2)
        (0.01, 0.51, 0.02)
        """
        wave = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * (0.02 + 0.98 * wave) * min(1.0, (step + 1) / self.warm_up)


class Descent:
    """What learns, and how far it is.

    Args:
        net: its parameters that want a gradient are changed; it goes on from the checkpoint.
        pace: of the optimiser.
        checkpoint: where the state is kept.
        name: what the lines call it.
        report: called with a line now and then.
        every: so many steps.
    """

    def __init__(
        self,
        net: nn.Module,
        pace: Pace,
        checkpoint: Path,
        *,
        name: str,
        report: Callable[[str], None],
        every: int = 100,
    ) -> None:
        self._net, self._pace, self._every = net, pace, every
        self._checkpoint, self._report, self._name = checkpoint, report, name
        self._optimiser = torch.optim.AdamW(
            [p for p in net.parameters() if p.requires_grad], lr=pace.rate, weight_decay=pace.decay
        )
        self.done, self._mean = 0, math.nan
        if checkpoint.exists():
            kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
            net.load_state_dict(kept["net"])
            self._optimiser.load_state_dict(kept["optimiser"])
            self.done = kept["steps"]
        net.train()

    def last(self, until: int | None) -> int:
        """Return the number of steps after which to stop: all, or fewer as after a break."""
        return self._pace.steps if until is None else min(until, self._pace.steps)

    def step(self, loss: Tensor, last: int) -> None:
        """Take one step against a loss; keep the state now and then, and at the last."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._pace.at(self.done)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        self._optimiser.step()
        now = float(loss.detach())
        self._mean = now if math.isnan(self._mean) else 0.97 * self._mean + 0.03 * now
        self.done += 1
        if self.done % self._every == 0 or self.done == last:
            self._keep()
            steps = self._pace.steps
            self._report(f"{self._name}: {self.done} of {steps} steps, loss {self._mean:.4f}")

    def _keep(self) -> None:
        beside = self._checkpoint.with_suffix(".new")
        state = {"net": self._net.state_dict(), "optimiser": self._optimiser.state_dict()}
        torch.save({**state, "steps": self.done}, beside)
        beside.replace(self._checkpoint)
