"""What a number of random tries gives, and the interval in which one more of them would lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Of Student's t, 97.5 %, for 1, 2, ... degrees of freedom.
_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)


@dataclass(frozen=True)
class Spread:
    """Tries that differ by chance alone.

    Attributes:
        values: of each try, at least two.
        within: the least and the most that a try can give; the interval ends there.
    """

    values: tuple[float, ...]
    within: tuple[float, float] = (-math.inf, math.inf)

    @property
    def mean(self) -> float:
        """Their mean."""
        return math.fsum(self.values) / len(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        """Where 95 of 100 further tries would lie, if tries are normally distributed.

        The prediction interval mean -+ t s sqrt(1 + 1/n), with s the standard deviation of the n
        tries and t of Student's distribution with n - 1 degrees of freedom (Student 1908).

        >>> low, high = Spread((1.0, 2.0, 3.0)).interval
        >>> round(low, 2), round(high, 2)
        (-2.97, 6.97)
        """
        n, mean = len(self.values), self.mean
        variance = math.fsum((v - mean) ** 2 for v in self.values) / (n - 1)
        t = _T[n - 2] if n - 2 < len(_T) else 1.96 + 2.4 / (n - 1)
        half = t * math.sqrt(variance * (1 + 1 / n))
        least, most = self.within
        return max(mean - half, least), min(mean + half, most)

    def place(self, value: float) -> int:
        """Return -1 for a value below the interval, 1 for one above it, else 0."""
        low, high = self.interval
        return -1 if value < low else 1 if value > high else 0


def spread_of(
    values: Sequence[float], *, within: tuple[float, float] = (-math.inf, math.inf)
) -> Spread | None:
    """Return the spread of tries; None of fewer than two.

    Args:
        values: of each.
        within: the least and the most that a try can give.

    >>> spread_of([0.5]) is None, spread_of([0.5, 0.7]).mean
    (True, 0.6)
    """
    return Spread(tuple(values), within) if len(values) > 1 else None
