"""How the benchmarks measure: alternating runs in processor time, and memory in fresh processes."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        what: what was measured.
        value: what came out.
        goal: what it should be, in words; empty where there is no goal.
        met: whether it is, None where there is no goal.
    """

    what: str
    value: str
    goal: str = ""
    met: bool | None = None


def at_most(what: str, value: float, limit: float, unit: str = "", digits: int = 3) -> Figure:
    """Return a figure that should not exceed a limit."""
    shown = f"{value:.{digits}g}{unit}"
    return Figure(what, shown, f"at most {limit:g}{unit}", value <= limit)


def at_least(what: str, value: float, limit: float, unit: str = "") -> Figure:
    """Return a figure that should reach a limit."""
    return Figure(what, f"{value:.3g}{unit}", f"at least {limit:g}{unit}", value >= limit)


def alternate(
    runs: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Run each in turn, so many rounds; return seconds by name.

    The first round warms up and is not counted. Processor time is what a shared machine disturbs
    least; it counts all threads.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = clock()
            run()
            if number:
                seconds[name].append(clock() - start)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], ours: str, peer: str) -> float:
    """Return the median over rounds of ours / peer, each pair from one round."""
    return statistics.median(a / b for a, b in zip(seconds[ours], seconds[peer], strict=True))


def extra_memory(module: str, case: str) -> float:
    """Return the peak of resident memory in MiB that ``MEMORY[case]`` of a module adds.

    ``MEMORY[case]()`` prepares and returns what is measured; a fresh process runs it.
    """
    out = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.measuring", module, case],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(out.stdout.split()[-1])


def written(result: Any) -> str:
    """Return a result as JSON, each row of a table on a line of its own."""
    return _lines(result, "") + "\n"


def _lines(value: Any, indent: str) -> str:
    if not _holds_rows(value):
        return json.dumps(value)
    deeper = f"{indent} "
    if isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {_lines(inside, deeper)}" for key, inside in value.items()]
    else:
        lines = [_lines(inside, deeper) for inside in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{deeper}" + f",\n{deeper}".join(lines) + f"\n{indent}{last}"


def _holds_rows(value: Any) -> bool:
    """Return whether a dict or a list has dicts in it, or in a list in it."""
    if not isinstance(value, dict | list):
        return False
    inside = list(value.values() if isinstance(value, dict) else value)
    return any(isinstance(v, dict) or (isinstance(v, list) and _holds_rows(v)) for v in inside)


def save(name: str, figures: Sequence[Figure], conditions: str) -> None:
    """Write figures as JSON beside the benchmarks."""
    RESULTS.mkdir(exist_ok=True)
    body = {"conditions": conditions, "figures": [asdict(f) for f in figures]}
    (RESULTS / f"{name}.json").write_text(written(body), "utf-8")


def table(figures: Sequence[Figure]) -> str:
    """Return figures as a Markdown table."""
    marks = {True: "yes", False: "**no**", None: ""}
    rows = [f"| {f.what} | {f.value} | {f.goal} | {marks[f.met]} |" for f in figures]
    return "\n".join(["| what | measured | goal | met |", "|---|---|---|---|", *rows])


def processor() -> str:
    """Return the name of the processor, and how many cores there are."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    except OSError:
        found = None
    return f"{found[1] if found else 'unknown processor'}, {os.cpu_count()} cores"


def _status(field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    return float(found[1]) / 1024 if found else float("nan")


def _measure(module: str, case: str) -> float:
    torch.set_num_threads(1)
    cases = __import__(f"tests.benchmarks.{module}", fromlist=["MEMORY"]).MEMORY
    run = cases[case]()
    Path("/proc/self/clear_refs").write_text("5", "utf-8")  # forget the peak so far
    before = _status("VmRSS")
    kept = run()
    peak = _status("VmHWM")
    del kept
    return peak - before


if __name__ == "__main__":
    print(_measure(*sys.argv[1:]))
