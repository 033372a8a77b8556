"""Clips per second of a survey by one and two workers, on Ray and without it, alternating.

``python -m tests.benchmarks.survey_ray``

Each survey is of the same short films. What is timed is the flow: from the moment when all workers
have told of a clip until the first of them has nothing left to do; what an engine takes to begin is
told beside it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nlviz.surveys.engines.engine import Done, Engine, Heard, Job
from nlviz.surveys.engines.local import LocalEngine
from nlviz.surveys.engines.ray import LARGEST_BLOCK, RayEngine
from nlviz.surveys.item import Item
from nlviz.surveys.survey import survey
from tests.benchmarks.measuring import Figure, at_least, processor, save, table
from tests.surveys.many_clips import write_films

CLIPS = 120
TAIL = 2 * LARGEST_BLOCK  # clips at the end that are not timed: then workers run out of them


@dataclass
class Timed:
    """An engine, and when it told what."""

    engine: Engine
    workers: int
    begun: float = 0.0
    ready: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.engine.name

    def run(
        self,
        job: Job,
        items: Iterable[Item],
        *,
        workers: int | None,
        heard: Callable[[Heard], None],
    ) -> None:
        def listen(message: Heard) -> None:
            times = self.done if isinstance(message, Done) else self.ready
            times.append(time.perf_counter())
            heard(message)

        self.begun = time.perf_counter()
        self.engine.run(job, items, workers=self.workers, heard=listen)

    @property
    def rate(self) -> float:
        """Clips per second while all workers work."""
        first = max(self.ready)
        times = [t for t in self.done if t > first]
        times = times[: len(times) - TAIL]
        return (len(times) - 1) / (times[-1] - times[0])

    @property
    def start(self) -> float:
        """Seconds until the first clip is done."""
        return self.done[0] - self.begun


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    runs: dict[tuple[str, int], list[Timed]] = {}
    with tempfile.TemporaryDirectory() as folder:
        clips = write_films(Path(folder) / "clips", CLIPS, height=160, width=224)
        for number in range(1 if quick else 3):
            for make in (RayEngine, LocalEngine):
                for workers in (1, 2):
                    timed = Timed(make(), workers)
                    out = Path(folder) / f"{timed.name}-{workers}-{number}"
                    survey(clips, out=out, engine=timed, queries=32, stride=1, frames=8)
                    runs.setdefault((timed.name, workers), []).append(timed)
    return told(runs)


def told(runs: dict[tuple[str, int], list[Timed]]) -> list[Figure]:
    rates = {key: [timed.rate for timed in many] for key, many in runs.items()}

    def ratio(ours: tuple[str, int], peer: tuple[str, int]) -> float:
        pairs = zip(rates[ours], rates[peer], strict=True)
        return statistics.median(a / b for a, b in pairs)

    figures = [
        at_least("Ray, two workers of one", ratio(("ray", 2), ("ray", 1)), 1.6, " ×"),
        Figure("local, two workers of one", f"{ratio(('local', 2), ('local', 1)):.3g} ×"),
        Figure("Ray of local, one worker", f"{ratio(('ray', 1), ('local', 1)):.3g} ×"),
        Figure("Ray of local, two workers", f"{ratio(('ray', 2), ('local', 2)):.3g} ×"),
    ]
    for (name, workers), many in runs.items():
        rate = statistics.median(timed.rate for timed in many)
        start = statistics.median(timed.start for timed in many)
        what = f"{name}, {workers} worker{'s' * (workers > 1)}: clips per second; first clip after"
        figures.append(Figure(what, f"{rate:.3g}; {start:.3g} s"))
    return figures


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    figures = measure(quick=parser.parse_args().quick)
    print("## A survey on Ray\n")
    print(table(figures))
    save(
        "survey_ray",
        figures,
        f"{processor()}; lite-nl, {CLIPS} films of 8 frames of 160 × 224 at their own size, "
        "32 queries, one thread for each worker; Ray 2.60 on this machine",
    )


if __name__ == "__main__":
    main()
