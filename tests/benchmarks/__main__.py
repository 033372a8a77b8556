"""Run all benchmarks: ``python -m tests.benchmarks [--quick] [NAME ...]``.

Prints Markdown tables and leaves the figures in ``tests/benchmarks/results``. A figure that misses
its goal is marked, not an error: the table is for reading.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

ALL = (
    "rows",
    "all_queries",
    "atlas",
    "interventions",
    "knock_out",
    "block",
    "video_network",
    "loading",
    "capture",
    "attention",
    "video_language",
    "start_up",
    "lessons",
    "survey_report",
    "opening",
    "hover",
    "head_view",
    "survey",
    "survey_ray",
    "correspondence",
    "non_local_means",
    "denoisers",
)
WITHOUT_QUICK = ("hover", "head_view")


def main() -> int:
    """Run each benchmark in a process of its own; return how many failed to run."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: minutes, not exact")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(ALL))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(ALL)}")
    failed = 0
    for name in options.names or ALL:
        quick = ["--quick"] if options.quick and name not in WITHOUT_QUICK else []
        command = [sys.executable, "-m", f"tests.benchmarks.{name}", *quick]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
