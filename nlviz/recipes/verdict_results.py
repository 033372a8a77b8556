"""How often the verdict is right: ``python -m nlviz.recipes.verdict_results``.

Runs the cases, writes what was found of each to a file, an interrupted run goes on from there, and
writes the tables of docs/verdict.md.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from rich.progress import track

from nlviz.analysis.verdict import Source, Verdict
from nlviz.recipes.verdict_cases import SEEDS, Case, cases

BEGIN, END = "<!-- measured -->", "<!-- end of what is measured -->"
Record = dict[str, Any]


def record_of(case: Case, found: Verdict) -> Record:
    """Return what is kept of a case: its truth, what was found, and how right that is."""
    return {
        "group": case.group,
        "name": case.name,
        "seed": case.seed,
        "truth": [list(case.sources), case.matters],
        "untrained": case.untrained,
        "found": [found.source, found.matters],
        "state": found.health.state,
        "score": score(case, found),
    }


def score(case: Case, found: Verdict) -> float:
    """Return 1 where all that is known of a case was found, 1/2 where it cannot be told, else 0.

    Of a block that learned nothing it is right to say that it is dead or looks untrained.
    """
    parts = [1.0]
    if case.sources and not (case.untrained and found.health.state != "alive"):
        parts.append(_part(found.source in case.sources, found.source))
    if case.matters is not None:
        parts.append(_part(found.matters == case.matters, found.matters))
    return min(parts)


def _part(right: bool, said: str) -> float:
    return 1.0 if right else 0.5 if said == "cannot be told" else 0.0


def interval(right: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of Wilson (1927) of a share.

    >>> low, high = interval(198, 200)
    >>> round(low, 3), round(high, 3)
    (0.964, 0.997)
    """
    z, p = 1.96, right / count
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return middle - half, min(middle + half, 1.0)


def measured(records: Iterable[Record]) -> dict[str, Any]:
    """Return how often the verdict is right about some cases, with the interval."""
    found = list(records)
    right = sum(r["score"] for r in found)
    low, high = interval(right, len(found))
    return {
        "cases": len(found),
        "right": right,
        "share": right / len(found),
        "low": low,
        "high": high,
        "half": sum(r["score"] == 0.5 for r in found),
        "wrong": sum(r["score"] == 0 for r in found),
    }


def tables(records: Sequence[Record]) -> str:
    """Return the tables of docs/verdict.md as Markdown."""
    halves = {
        "held out": [r for r in records if r["seed"] % 2],
        "for choosing the rules": [r for r in records if not r["seed"] % 2],
    }
    lines = ["| cases | number | right | 95 % interval | cannot be told | wrong |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name, part in halves.items():
        m = measured(part)
        lines.append(
            f"| {name} | {m['cases']} | {100 * m['share']:.1f} % | {100 * m['low']:.1f} to "
            f"{100 * m['high']:.1f} % | {m['half']} | {m['wrong']} |"
        )
    held = halves["held out"]
    lines += ["", "Held out, what a row follows from; a line for each truth:", ""]
    columns = list(get_args(Source))
    truths = dict.fromkeys(_truth(r) for r in held if r["truth"][0])
    lines += _table("truth", truths, columns, _counted(held, _truth, 0))
    lines += ["", "Held out, whether it matters:", ""]
    of_effect = [r for r in held if r["truth"][1]]
    both = ["matters", "does not matter"]
    lines += _table(
        "truth", both, [*both, "cannot be told"], _counted(of_effect, lambda r: r["truth"][1], 1)
    )
    lines += ["", "By group, held out:", "", "| group | cases | right |", "|---|---|---|"]
    for group in dict.fromkeys(r["group"] for r in held):
        m = measured(r for r in held if r["group"] == group)
        lines.append(f"| {group} | {m['cases']} | {100 * m['share']:.1f} % |")
    missed = [r for r in records if r["score"] < 1]
    if missed:
        lines += ["", "All that were not found, of both halves:", ""]
        for r in missed:
            truth = " or ".join(r["truth"][0]) or "-"
            lines.append(
                f"- {r['group']}, {r['name']}, seed {r['seed']}: {truth}, "
                f"{r['truth'][1] or '-'}; found {r['found'][0]}, {r['found'][1]}"
            )
    return "\n".join(lines)


def _truth(r: Record) -> str:
    return "untrained" if r["untrained"] else " or ".join(r["truth"][0])


def _counted(records: Iterable[Record], truth: Any, part: int) -> Counter[tuple[str, str]]:
    return Counter((truth(r), r["found"][part]) for r in records if r["truth"][part])


def _table(
    corner: str,
    rows: Iterable[str],
    columns: Sequence[str],
    counts: Mapping[tuple[str, str], int],
) -> list[str]:
    out = [f"| {corner} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = [str(counts.get((row, column), 0) or "") for column in columns]
        out.append(f"| {row} | {' | '.join(cells)} |")
    return out


def renewed(page: str, records: Sequence[Record]) -> str:
    """Return a page with the tables between its marks written anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(records)}\n\n{END}{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    prog = "python -m nlviz.recipes.verdict_results"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(SEEDS)))
    parser.add_argument(
        "--results", type=Path, default=Path("tests/benchmarks/results/verdict.json")
    )
    parser.add_argument("--page", type=Path, default=Path("docs/verdict.md"))
    given = parser.parse_args(arguments)
    kept = json.loads(given.results.read_text("utf-8")) if given.results.exists() else []
    known = {(r["group"], r["name"], r["seed"]) for r in kept}
    todo = [c for c in cases(given.seeds) if (c.group, c.name, c.seed) not in known]
    for case in track(todo, description="Cases"):
        kept.append(record_of(case, case.run()))
        lines = ",\n".join(json.dumps(record) for record in kept)
        given.results.write_text(f"[\n{lines}\n]\n", "utf-8")
    if given.page.exists():
        page = given.page.read_text("utf-8")
        given.page.write_text(renewed(page, kept), "utf-8")


if __name__ == "__main__":
    main()
