"""Bundles trained networks over sequences: ``python -m nlviz.recipes.sequence_cards FOLDER``.

Copies the weights of one seed with a card next to each, gathers the measures of all seeds, and
writes the page ``docs/sequences.md``. Given no folder, cards and page are written anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from nlviz.files.local import digest_of
from nlviz.networks.sequence.positions import LONGEST
from nlviz.networks.sequence.tasks import TASKS, TaskName
from nlviz.recipes.denoiser_card import list_digests
from nlviz.recipes.sequence_measures import files
from nlviz.recipes.sequence_results import Results, page, told_of
from nlviz.recipes.sequences import Kind, plan_of
from nlviz.resources import asset

_WHAT = {
    "muse": "MUSE (arXiv 1911.09483): 2 layers of encoder and 1 of decoder, 32 channels, 2 heads, "
    "dynamic convolutions of 3 and 15 taps and a feed-forward network of 48 channels beside "
    "attention; plain attention to the source",
    "transformer": "plain pre-norm Transformer of as many parameters as MUSE within 2 %: 2 layers "
    "of encoder and 1 of decoder, 32 channels, 2 heads",
    "non-local-1d": "four towers of non-local blocks of dimension 1 (arXiv 1711.07971), one for "
    "each pairwise function, 32 channels, theta, phi and g of 24",
}


def card(weights: Path, kind: Kind, task: TaskName, results: Results) -> dict[str, Any]:
    """Return what is to be known of a weights file.

    Args:
        weights: the file.
        kind: of its network.
        task: that it learned.
        results: measures by network and seed.
    """
    with safe_open(weights, "pt") as stored:
        about = dict(stored.metadata())
        size = sum(stored.get_tensor(k).numel() for k in stored.keys())
    name, plan = f"{kind}.{task}", plan_of(kind, task)
    measures: Mapping[str, Any] = results[name][about["seed"]]
    return {
        "name": name,
        "file": weights.name,
        "sha256": digest_of(weights),
        "recipe": about["recipe"],
        "seed": int(about["seed"]),
        "steps": int(about["steps"]),
        "command": f"python -m nlviz.recipes.sequences --tasks {task} --kinds {kind} "
        f"--seeds {about['seed']}",
        "architecture": _WHAT[kind],
        "parameters": size,
        "stored": "half precision; computed in single",
        "input": f"a text of the symbols {' '.join(TASKS[task].symbols)}, with | before what is to "
        "be written",
        "objective": f"cross-entropy of the next symbol: {TASKS[task].said}; AdamW, rate "
        f"{plan.rate:g} along a cosine, batch {about['batch']}",
        "saw": f"random sequences of {plan.shortest} to {plan.longest} symbols, moved on together "
        f"by a random number of places up to {LONGEST}; no data of anybody's",
        **told_of(name, measures),
        "validation": {
            n: {"right": told["right"], "whole": told["whole"]} for n, told in measures.items()
        },
        "rows at 64 and 256 symbols": {n: measures[n]["rows"] for n in ("64", "256")},
        "meant for": "showing attention, bands of dynamic convolutions and pairwise functions on "
        "tasks whose answer is known",
        "limits": "toy tasks; a few minutes of training on a processor. The figures say nothing "
        "about language. docs/sequences.md compares all of them",
        "licence": "Apache-2.0",
    }


def gathered(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the measures that lie beside the weights of a folder, by network and seed."""
    found: dict[str, dict[str, Any]] = {}
    for kind, task, seed, path in files(folder):
        beside = path.with_suffix(".measures.json")
        if beside.exists():
            measures = json.loads(beside.read_text("utf-8"))
            found.setdefault(f"{kind}.{task}", {})[str(seed)] = measures
    return found


def bundle(folder: Path | None, seed: int, results: Results, out: Path) -> list[Path]:
    """Put the networks of one seed, with their cards, into a folder; return the files.

    Args:
        folder: where the recipe wrote its weights; None keeps those that are there.
        seed: which weights.
        results: measures by network and seed.
        out: where to put them.
    """
    made = []
    for name in results:
        kind, _, task = name.partition(".")
        weights = out / f"{name}.safetensors"
        if folder is not None:
            shutil.copyfile(folder / f"{name}-{seed}.safetensors", weights)
            weights.chmod(0o644)
        content = card(weights, kind, task, results)  # type: ignore[arg-type]
        beside = weights.with_suffix(".json")
        beside.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        made += [weights, beside]
    return made


def listed_in(readme: Path, paths: Sequence[Path]) -> None:
    """Give each file a row in the table of bundled files, and renew its digest."""
    lines = readme.read_text("utf-8").splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("| `"))
    for path in paths:
        if any(line.startswith(f"| `weights/{path.name}` |") for line in lines):
            continue
        name = path.name.removesuffix(path.suffix)
        if path.suffix == ".json":
            row = f"model card of {name} | `nlviz.recipes.sequence_cards`"
        else:
            row = f"{name}, a network over sequences | `nlviz.recipes.sequences`"
        last += 1
        lines.insert(last, f"| `weights/{path.name}` | {row} | Apache-2.0 | `` |")
    readme.write_text("\n".join(lines) + "\n", "utf-8")
    list_digests(readme, paths)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m nlviz.recipes.sequence_cards", description=__doc__
    )
    parser.add_argument("folder", type=Path, nargs="?", help="where the recipe wrote its weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("tests/benchmarks/results/sequences.json"),
        help="where the measures of all seeds are kept",
    )
    parser.add_argument("--page", type=Path, default=Path("docs/sequences.md"))
    given = parser.parse_args(arguments)
    if given.folder is not None:
        found = json.dumps(gathered(given.folder), separators=(",", ":"))
        given.results.write_text(found + "\n", "utf-8")
    results = json.loads(given.results.read_text("utf-8"))
    readme = asset("README.md")
    made = bundle(given.folder, given.seed, results, readme.parent / "weights")
    listed_in(readme, made)
    given.page.write_text(page(results), "utf-8")


if __name__ == "__main__":
    main()
