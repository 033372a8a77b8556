"""How often labels of heads are right: ``python -m nlviz.recipes.head_label_results``.

Runs the cases and writes the tables of docs/guides/head-labels.md.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import track

from nlviz.recipes.head_label_cases import SEEDS, label_cases
from nlviz.recipes.verdict_results import BEGIN, END, interval
from nlviz.surveys.report.labels import LABELS

Record = dict[str, Any]


def tables(records: Sequence[Record]) -> str:
    """Return the tables of the page as Markdown.

    Args:
        records: one for each head: group, seed, truth, label, certain.
    """
    lines = ["| heads | number | right | 95 % interval | right of those that are certain |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, odd in (("held out", 1), ("for choosing the rules", 0)):
        part = [r for r in records if r["seed"] % 2 == odd]
        if not part:
            continue
        right = sum(_right(r) for r in part)
        low, high = interval(right, len(part))
        sure = [r for r in part if r["certain"]]
        lines.append(
            f"| {name} | {len(part)} | {100 * right / len(part):.1f} % | {100 * low:.1f} to "
            f"{100 * high:.1f} % | {sum(_right(r) for r in sure)} of {len(sure)} |"
        )
    held = [r for r in records if r["seed"] % 2]
    counts = Counter((_truth(r), r["label"]) for r in held)
    columns = [label for label in LABELS if any(r["label"] == label for r in held)]
    lines += ["", "Held out; a line for each truth, a column for each label:", ""]
    lines += [f"| truth | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for truth in dict.fromkeys(sorted(_truth(r) for r in held)):
        cells = [str(counts.get((truth, label), 0) or "") for label in columns]
        lines.append(f"| {truth} | {' | '.join(cells)} |")
    wrong = [r for r in records if not _right(r)]
    if wrong:
        lines += ["", "All that were wrong, of both halves:", ""]
        lines += [
            f"- {r['group']}, {r['name']}, seed {r['seed']}: {_truth(r)}; found {r['label']}"
            f"{'' if r['certain'] else ', not certain'} ({r['why']})"
            for r in wrong
        ]
    return "\n".join(lines)


def _truth(record: Record) -> str:
    return " or ".join(record["truth"])


def _right(record: Record) -> bool:
    return record["label"] in record["truth"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    prog = "python -m nlviz.recipes.head_label_results"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(SEEDS)))
    parser.add_argument(
        "--results", type=Path, default=Path("tests/benchmarks/results/head-labels.json")
    )
    parser.add_argument("--page", type=Path, default=Path("docs/guides/head-labels.md"))
    given = parser.parse_args(arguments)
    kept: list[Record] = (
        json.loads(given.results.read_text("utf-8")) if given.results.exists() else []
    )
    known = {(r["group"], r["name"], r["seed"]) for r in kept}
    todo = [c for c in label_cases(given.seeds) if (c.group, c.name, c.seed) not in known]
    for case in track(todo, description="Cases"):
        for truth, label in case.run():
            kept.append(
                {
                    "group": case.group,
                    "name": case.name,
                    "seed": case.seed,
                    "truth": list(truth),
                    "label": label.label,
                    "certain": label.certain,
                    "why": label.why,
                }
            )
        lines = ",\n".join(json.dumps(record) for record in kept)
        given.results.write_text(f"[\n{lines}\n]\n", "utf-8")
    if given.page.exists():
        before, _, rest = given.page.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        page = f"{before}{BEGIN}\n\n{tables(kept)}\n\n{END}{after}"
        given.page.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
