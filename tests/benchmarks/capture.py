"""What a capture costs beside the plain forward pass, and how long lite-nl and the command take.

``python -m tests.benchmarks.capture``
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import torch

import nlviz
from nlviz.clips.clip import read_clip
from nlviz.resources import asset
from tests.benchmarks.measuring import (
    Figure,
    alternate,
    at_most,
    processor,
    ratio,
    save,
    table,
)


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    model = nlviz.load_model("lite-nl", device="cpu")
    clip = read_clip(asset("clips/bunny.mp4"), frames=8, size=224)
    square = nlviz.Clip.from_frames(clip.frames[:, :224, :224])

    def plain(which: nlviz.Clip) -> None:
        prepared = model.adapter.prepare(model.net, which, None)
        with torch.no_grad():
            model.net(prepared.tensor)

    torch.set_num_threads(1)
    rounds = 3 if quick else 11
    seconds = alternate(
        {"capture": lambda: model.capture(square), "plain": lambda: plain(square)}, rounds=rounds
    )
    added = 100 * (ratio(seconds, "capture", "plain") - 1)
    figures = [
        at_most("a capture adds to the plain forward", added, 5, " %"),
        at_most(
            "lite-nl, 8 frames of 224 x 224, one thread, processor time",
            statistics.median(seconds["plain"]),
            1.5,
            " s",
        ),
    ]
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        for name, which in (("224 x 224", square), (f"{clip.shape[1]} x {clip.shape[2]}", clip)):
            times = alternate({"it": partial(plain, which)}, rounds=rounds, clock=time.perf_counter)
            what = f"lite-nl, 8 frames of {name}, {threads} threads, by the clock"
            figures.append(at_most(what, min(times["it"]), 1.5, " s"))
    torch.set_num_threads(1)
    program = Path(sys.executable).parent / "nlviz"
    for label, command in (
        ("nlviz --help", [str(program), "--help"]),
        ("import nlviz", [sys.executable, "-c", "import nlviz"]),
    ):
        if Path(command[0]).is_file():
            times = alternate(
                {"it": partial(subprocess.run, command, capture_output=True, check=True)},
                rounds=5 if quick else 11,
                clock=time.perf_counter,
            )["it"]
            goal = 0.5 if "help" in label else 0.2
            figures.append(at_most(f"{label}, median", statistics.median(times), goal, " s"))
    return figures


CONDITIONS = (
    "ratios: processor time at one thread; lite-nl by the clock: the best of the rounds, because "
    "the machine is shared; commands: medians"
)


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("capture", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### Capture\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
