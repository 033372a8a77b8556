"""What a forward pass draws at random: whether it did, and how it draws the same again.

A network that shuffles or drops its tokens at random, as masked autoencoders do, has them elsewhere
in every pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class RandomNumbers:
    """The state of torch's generators as it is when this is made.

    >>> before = RandomNumbers(torch.device("cpu"))
    >>> first = torch.rand(3)
    >>> before.drawn()
    True
    >>> with before.again():
    ...     torch.equal(torch.rand(3), first)
    True
    """

    def __init__(self, device: torch.device) -> None:
        """Keep the state of the generators.

        Args:
            device: where the network runs.
        """
        self.device = device
        self._states = self._now()

    def drawn(self) -> bool:
        """Check whether anything was drawn since then."""
        return not all(map(torch.equal, self._states, self._now()))

    @contextmanager
    def again(self) -> Iterator[None]:
        """Draw the same numbers again inside the ``with`` block; afterwards all is as it was."""
        before = self._now()
        self._set(self._states)
        try:
            yield
        finally:
            self._set(before)

    def _now(self) -> list[Tensor]:
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _set(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)
