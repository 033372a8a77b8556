"""Bundles trained CoAtNets: ``python -m nlviz.recipes.coatnet_card FOLDER``.

Copies the weights of one seed with a card next to each, writes the example picture, and renews the
page ``docs/coatnet-layouts.md``. Given no folder, cards, picture and page are written anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import safe_open

from nlviz.files.local import digest_of
from nlviz.networks.coatnet import LAYOUTS, Layout
from nlviz.recipes.coatnet_layouts import BATCH, RATE, STEPS, TRUNK_STEPS, file_name
from nlviz.recipes.coatnet_results import page
from nlviz.recipes.placed_digits import planes
from nlviz.recipes.recall_clips import HELD_OUT
from nlviz.resources import asset

EXAMPLE, PLACE = 7, (8, 12)  # seed of the bundled picture, and where its digit stands
_SHOWN = ("training", "seen", "unseen", "gap")


def card(weights: Path, results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be known of a weights file of the recipe."""
    with safe_open(weights, "pt") as stored:
        about = dict(stored.metadata())
        size = sum(stored.get_tensor(k).numel() for k in stored.keys())
    layout, seed = about["layout"], about["seed"]
    measures = results["layouts"][layout]["measures"]
    return {
        "name": weights.stem,
        "file": weights.name,
        "sha256": digest_of(weights),
        "recipe": about["recipe"],
        "seed": int(seed),
        "steps": {"stem and first stage": TRUNK_STEPS, "the rest": STEPS},
        "command": f"python -m nlviz.recipes.coatnet_layouts --seeds {seed}",
        "architecture": f"CoAtNet (arXiv 2106.04803) {layout}, built by timm's MaxxVit: a stem and "
        "four stages of one block each, of 16, 32, 48 and 64 channels on 16 x 16, 8 x 8, 4 x 4 and "
        "2 x 2 cells; C is an MBConv block with squeeze-and-excitation, T a Transformer block with "
        "a learned bias for every offset; averages of 2 x 2 cells between stages",
        "parameters": results["layouts"][layout]["parameters"],
        "values": size,
        "stored": "half precision; computed in single",
        "input": "a picture of 64 x 64 pixels, RGB in [0, 1]",
        "objective": "cross-entropy of the digit; stem and first stage first of the digit in every "
        f"cell, and then frozen, the same in all layouts. AdamW, rate {RATE:g} along a cosine, "
        f"batch {BATCH}",
        "saw": "drawn pictures: one light digit on noise, in the upper left quarter of its places. "
        f"The digits are scikit-learn's 1,797 (UCI, 8 x 8; BSD-3) enlarged, less {HELD_OUT} that "
        "are held out",
        "validation": {name: measures[name]["seeds"][seed] for name in _SHOWN},
        "meant for": "showing what attention with a bias by offset does in the place of "
        "convolutions, and what a shift of the picture changes",
        "limits": "a toy: four blocks, a few minutes of training on one core, ten digits. It says "
        "nothing about ImageNet. docs/coatnet-layouts.md has the comparison",
        "licence": "Apache-2.0",
    }


def bundle(folder: Path | None, seed: int, results: Mapping[str, Any], out: Path) -> list[Path]:
    """Put the networks of one seed, with their cards, into a folder; return the files.

    Args:
        folder: where the recipe wrote its weights; None keeps those that are there.
        seed: which weights.
        results: of the measures.
        out: where to put them.
    """
    made = []
    for layout in LAYOUTS:
        weights = out / f"coatnet.{layout.lower()}.safetensors"
        if folder is not None:
            shutil.copyfile(folder / file_name(layout, seed), weights)
            weights.chmod(0o644)
        beside = weights.with_suffix(".json")
        beside.write_text(json.dumps(card(weights, results), indent=1) + "\n", "utf-8")
        made += [weights, beside]
    return made


def example(path: Path) -> Path:
    """Write the picture of the task that is bundled; return its path.

    Its digit is held out, and stands at a place that training uses.
    """
    picture = planes(1, seed=EXAMPLE).window(np.array([PLACE]))[0]
    Image.fromarray(picture).convert("RGB").save(path)
    return path


def listed_in(readme: Path, rows: Mapping[str, str], files: Mapping[str, Path]) -> None:
    """Give each file a row in the first table of bundled files, with its digest.

    Args:
        readme: holds the table.
        rows: what stands between name and digest, by name.
        files: by name.
    """
    lines = [
        line
        for line in readme.read_text("utf-8").splitlines()
        if not any(line.startswith(f"| `{name}` |") for name in rows)
    ]
    table = next(i for i, line in enumerate(lines) if line.startswith("| `"))
    end = next(i for i in range(table, len(lines)) if not lines[i].startswith("|"))
    new = [f"| `{name}` | {row} | `{digest_of(files[name])}` |" for name, row in rows.items()]
    readme.write_text("\n".join([*lines[:end], *new, *lines[end:]]) + "\n", "utf-8")


def _rows(layout: Layout) -> dict[str, str]:
    name = f"weights/coatnet.{layout.lower()}"
    return {
        f"{name}.safetensors": f"CoAtNet {layout} that reads a digit | "
        "`nlviz.recipes.coatnet_layouts`; digits of scikit-learn | Apache-2.0",
        f"{name}.json": "model card of it | `nlviz.recipes.coatnet_card` | Apache-2.0",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    prog = "python -m nlviz.recipes.coatnet_card"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where the recipe wrote its weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, default=Path("docs/coatnet-layouts.md"))
    given = parser.parse_args(arguments)
    readme = asset("README.md")
    figures = readme.parent / "lessons" / "coatnet-layouts.json"
    results = json.loads(figures.read_text("utf-8"))
    bundle(given.folder, given.seed, results, readme.parent / "weights")
    picture = example(readme.parent / "photos" / "digit.png")
    rows = {key: row for layout in LAYOUTS for key, row in _rows(layout).items()}
    rows["photos/digit.png"] = (
        "a digit on noise, as the CoAtNets read it | made by `nlviz.recipes.coatnet_card`; digits "
        "of scikit-learn (UCI) | BSD-3"
    )
    rows["lessons/coatnet-layouts.json"] = (
        "figures of CoAtNet's layouts | `nlviz.recipes.coatnet_measures` | Apache-2.0"
    )
    files = {name: readme.parent / name for name in rows}
    assert files["photos/digit.png"] == picture
    listed_in(readme, rows, files)
    given.page.write_text(page(results), "utf-8")


if __name__ == "__main__":
    main()
