"""Figures of the recall networks and their page: ``python -m nlviz.recipes.recall_results FOLDER``.

Measures every network of the folder that has not been measured yet, keeps the figures in
``assets/lessons/choice-of-f.json`` and writes ``docs/choice-of-f.md``. Given no folder, the page is
written anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlviz.files.local import digest_of
from nlviz.networks.recall import RecallNL, RecallTask
from nlviz.recipes.denoiser_card import list_digests
from nlviz.recipes.recall import KINDS, TASKS, RecallKind, read
from nlviz.recipes.recall_measures import measured, swapped
from nlviz.recipes.recall_page import ORDER, page
from nlviz.resources import asset

RESULTS = "lessons/choice-of-f.json"
Results = dict[str, Any]


def weights(folder: Path) -> Iterator[tuple[RecallTask, RecallKind, str, Path]]:
    """Yield task, kind and seed of the networks that lie in a folder, and their files."""
    for task in TASKS:
        for kind in KINDS:
            for path in sorted(folder.glob(f"{task}.{kind}-*.safetensors")):
                yield task, kind, path.stem.rpartition("-")[2], path


def renewed(
    results: Results,
    folder: Path,
    *,
    clips: int = 1000,
    report: Callable[[str], None] = print,
    keep: Callable[[Results], None] = lambda results: None,
) -> Results:
    """Return figures with those of networks that are new or have other weights.

    Args:
        results: what is known.
        folder: that ``nlviz.recipes.recall`` wrote.
        clips: of each measure.
        report: called with a line for each.
        keep: called after each, so that an interrupted run loses no more than one.
    """
    found: Results = {"clips": clips, "networks": {}, "swaps": {}}
    if results.get("clips") == clips:
        found |= json.loads(json.dumps(results))
    files: dict[tuple[RecallTask, str], dict[RecallKind, Path]] = {}
    for task, kind, seed, path in weights(folder):
        files.setdefault((task, seed), {})[kind] = path
        told = found["networks"].setdefault(f"{task}.{kind}", {})
        digest = digest_of(path)
        if told.get(seed, {}).get("sha256") == digest:
            continue
        told[seed] = {"sha256": digest, **measured(read(path, kind), task, clips=clips)}
        report(f"{task}.{kind}, seed {seed}: {told[seed]['right']['whole']:.3f}")
        keep(found)
    for (task, seed), paths in files.items():
        if not all(kind in paths for kind in ORDER):
            continue
        of = {kind: digest_of(paths[kind]) for kind in ORDER}
        told = found["swaps"].setdefault(task, {})
        if told.get(seed, {}).get("sha256") == of:
            continue
        nets: dict[str, RecallNL] = {kind: read(paths[kind], kind) for kind in ORDER}
        told[seed] = {"sha256": of, **swapped(nets, task, clips=clips)}
        report(f"{task}, seed {seed}: rows are swapped")
        keep(found)
    return found


def write(results: Mapping[str, Any], path: Path) -> None:
    """Write figures as JSON, a line for each network and seed."""
    lines = []
    for part in ("networks", "swaps"):
        inner = [
            f" {json.dumps(name)}: {{\n"
            + ",\n".join(f"  {json.dumps(seed)}: {json.dumps(told[seed])}" for seed in sorted(told))
            + "\n }"
            for name, told in sorted(results[part].items())
        ]
        lines.append(f'"{part}": {{\n' + ",\n".join(inner) + "\n}")
    text = f'{{"clips": {results["clips"]},\n' + ",\n".join(lines) + "}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def known(path: Path) -> Results:
    """Return figures from a file; nothing is known where there is none."""
    found: Results = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    prog = "python -m nlviz.recipes.recall_results"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="that nlviz.recipes.recall wrote")
    parser.add_argument("--clips", type=int, default=1000, help="of each measure")
    parser.add_argument("--page", type=Path, default=Path("docs/choice-of-f.md"))
    given = parser.parse_args(arguments)
    readme = asset("README.md")
    path = readme.parent / RESULTS
    results = known(path)
    if given.folder is not None:

        def keep(found: Results) -> None:
            write(found, path)

        results = renewed(results, given.folder, clips=given.clips, keep=keep)
        write(results, path)
        list_digests(readme, [path])
    given.page.write_text(page(results), "utf-8")


if __name__ == "__main__":
    main()
