"""How far a run of a survey is, and how it went."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from nlviz.sentences import counted
from nlviz.surveys.engines.engine import Done

_TOLD = 3  # reasons of each fault that are kept for the summary


@dataclass
class Tally:
    """How far a run is.

    Attributes:
        done: clips that this run did.
        failed: how many failed, by fault.
        reasons: the first reasons of each fault, (name of the clip, sentence).
        before: clips that were done in earlier runs.
        total: clips that there are, with those done before; None as long as they are counted.
        began: when the first worker was ready; None before.
    """

    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    before: int = 0
    total: int | None = None
    began: float | None = None

    def begin(self) -> None:
        """Start the clock, unless it runs."""
        if self.began is None:
            self.began = time.monotonic()

    @property
    def seen(self) -> int:
        """Clips of which this run knows what became of them."""
        return self.done + self.failed.total()

    @property
    def seconds(self) -> float:
        """Seconds since the first worker was ready."""
        return 0.0 if self.began is None else time.monotonic() - self.began

    @property
    def rate(self) -> float | None:
        """Clips per second; None before the first."""
        return self.seen / self.seconds if self.seen and self.seconds else None

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this rate; None where that is not known."""
        if self.total is None or not self.rate:
            return None
        return max(self.total - self.before - self.seen, 0) / self.rate

    @property
    def share(self) -> float:
        """How much is done, in [0, 1]; 0 as long as clips are counted."""
        return min((self.before + self.seen) / self.total, 1.0) if self.total else 0.0

    @property
    def sentence(self) -> str:
        """How far the run is: ``312 of 1,000 clips, 14.2 per second, 48 s left, 2 failed``."""
        count = self.before + self.seen
        parts = [
            f"{count:,} of {counted(self.total, 'clip')}" if self.total else f"{count:,} clips"
        ]
        if self.began is None:
            parts.append("starting")
        if self.rate:
            parts.append(f"{self.rate:.3g} per second")
        if self.left is not None and self.left >= 1:
            parts.append(f"{duration(self.left)} left")
        if self.failed:
            parts.append(f"{self.failed.total():,} failed")
        return ", ".join(parts)

    def add(self, done: Done, name: str) -> None:
        """Count a clip."""
        if done.status == "done":
            self.done += 1
            return
        self.failed[done.fault] += 1
        told = self.reasons.setdefault(done.fault, [])
        if len(told) < _TOLD:
            told.append((name, done.reason))


def duration(seconds: float) -> str:
    """Return a time in words, in its two largest units.

    >>> duration(48.2), duration(200), duration(7300), duration(2e6)
    ('48 s', '3 min 20 s', '2 h 1 min', '23 d 3 h')
    """
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    first = next((n for n, (_, size) in enumerate(units) if whole >= size), len(units) - 1)
    told: list[str] = []
    for name, size in units[first : first + 2]:
        count, whole = divmod(whole, size)
        if count or not told:
            told.append(f"{count} {name}")
    return " ".join(told)
