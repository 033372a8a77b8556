"""What a survey costs beside a bare loop, and whether memory grows: ``python -m ... survey``.

The bare loop is what a user would write: one clip after another is decoded and goes through the
network, whose threads are PyTorch's own choice, or one. It computes class scores and nothing else;
a survey measures every figure beside. Both begin to count when the network is loaded. Memory is the
sum of the resident memory of the process that runs the survey and of its workers, every 50 ms.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from tests.benchmarks.measuring import Figure, at_least, at_most, processor, save, table
from tests.surveys.films import cut_films

BARE = """
import sys, time
from pathlib import Path
import torch, nlviz
from nlviz.surveys.item import Item
from nlviz.surveys.listing.reading import read_item
from nlviz.surveys.options import Sampling
if sys.argv[2] != "own":
    torch.set_num_threads(int(sys.argv[2]))
model = nlviz.load_model("lite-nl")
paths = sorted(Path(sys.argv[1]).iterdir())
start = time.perf_counter()
for path in paths:
    item = Item(str(path), "file", path.name)
    model.logits(read_item(item, Sampling(), model.input_spec))
print(len(paths) / (time.perf_counter() - start))
"""
OURS = """
import sys
from pathlib import Path
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.start import Request, started
request = Request([sys.argv[1]], sys.argv[3], SurveyOptions(), Path(sys.argv[2]))
print(started(request, lambda tally: None).rate)
"""


def run(code: str, *arguments: str) -> tuple[float, float]:
    """Return what a program prints, and the peak in MiB of it and its children."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    peak = [0.0]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        watch = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
        watch.start()
        printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the program ended with {process.returncode}")
    return float(printed.split()[-1]), peak[0]


def _watch(pid: int, peak: list[float]) -> None:
    while True:
        try:
            one = psutil.Process(pid)
            family = [one, *one.children(recursive=True)]
            peak[0] = max(peak[0], sum(p.memory_info().rss for p in family) / 2**20)
        except psutil.NoSuchProcess:
            if not psutil.pid_exists(pid):
                return
        time.sleep(0.05)


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    count, rounds = (24, 1) if quick else (120, 3)
    many = 200 if quick else 1000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cut_films(folder / "films", count)
        ours, own, one = [], [], []
        for n in range(rounds):
            ours.append(run(OURS, str(folder / "films"), str(folder / f"out{n}"), "lite-nl")[0])
            own.append(run(BARE, str(folder / "films"), "own")[0])
            one.append(run(BARE, str(folder / "films"), "1")[0])
        cut_films(folder / "fifty", 50)
        cut_films(folder / "many", many)
        tiny = "tests.surveys.nets:tiny"
        few = run(OURS, str(folder / "fifty"), str(folder / "of-fifty"), tiny)
        lot = run(OURS, str(folder / "many"), str(folder / "of-many"), tiny)
    return [
        Figure("bare loop, PyTorch's own number of threads", f"{max(own):.3g} clips/s"),
        Figure("bare loop, one thread", f"{max(one):.3g} clips/s"),
        Figure("survey, a worker for each core", f"{max(ours):.3g} clips/s"),
        at_least("survey / bare loop", max(ours) / max(own), 0.9, " x"),
        Figure("peak memory of 50 clips", f"{few[1]:.0f} MiB"),
        Figure(f"peak memory of {many:,} clips", f"{lot[1]:.0f} MiB"),
        at_most(f"memory of {many:,} clips / of 50", lot[1] / few[1], 1.1, " x"),
    ]


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    load = os.getloadavg()[0]
    conditions = (
        f"lite-nl over short films of 160 x 120, {24 if quick else 120} of them; memory with a "
        f"tiny network; load before {load:.1f}; {processor()}"
    )
    figures = measure(quick=quick)
    save("survey", figures, conditions)
    print(f"### Surveys\n\n{conditions}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
