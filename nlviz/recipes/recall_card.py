"""Bundles trained recall networks: ``python -m nlviz.recipes.recall_card FOLDER``.

Copies the weights of one seed with a card next to each. Given no folder, cards are written anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors import safe_open

from nlviz.files.local import digest_of
from nlviz.networks.recall import COLOURS, RecallPairwise, RecallTask
from nlviz.recipes.denoiser_card import list_digests
from nlviz.recipes.recall import BATCH, RATE, STEPS, TASKS, TRUNK_STEPS
from nlviz.recipes.recall_clips import HELD_OUT, recall_clips
from nlviz.recipes.recall_page import ORDER
from nlviz.resources import asset

BUNDLED = tuple((task, kind) for task in TASKS for kind in ORDER)
ENOUGH = 0.8  # of the clips, for a network that learned its task
EXAMPLE = 12  # seed of the bundled clip
WITHOUT = {"recall": 0.19, "missing": 0.18, "single": 0.19}  # accuracy of the one without a block
_ASKS: dict[str, str] = {
    "recall": "drawn clips: four digits of different colours, one a frame, at random places on "
    "noise, then one of them, written by another hand, in grey, whose colour was asked for",
    "missing": "drawn clips: four digits of different colours, one a frame, at random places on "
    "noise, then one of them in grey; asked for was the colour of no frame",
    "single": "drawn clips: one coloured digit in one of four frames, at a random place on noise, "
    "then the same digit, written by another hand, in grey; asked for was the colour",
}


def card(weights: Path) -> dict[str, Any]:
    """Return what is to be known of a weights file of the recipe."""
    with safe_open(weights, "pt") as stored:
        about = dict(stored.metadata())
        size = sum(stored.get_tensor(k).numel() for k in stored.keys())
    task = about.get("task", "recall")
    mostly = float(about["accuracy"])
    return {
        "name": weights.stem,
        "file": weights.name,
        "sha256": digest_of(weights),
        "recipe": about["recipe"],
        "seed": int(about["seed"]),
        "steps": {"trunk": TRUNK_STEPS, "block and head": STEPS},
        "command": f"python -m nlviz.recipes.recall --tasks {task} --kinds {about['pairwise']} "
        f"--seed {about['seed']}",
        "architecture": "five convolutions per frame (48 channels, stride 4), frozen after a first "
        f"training; one {about['pairwise']} non-local block (arXiv 1711.07971, 24 channels) over "
        "5 x 8 x 8 cells, the only path between frames; a head that reads the last frame alone, "
        "weighted by where a digit is",
        "parameters": size,
        "stored": "half precision; computed in single",
        "input": "five frames of 32 x 32 pixels, RGB in [0, 1]",
        "objective": "cross-entropy of the colour; the trunk first of digit and colour of every "
        f"cell. AdamW, rate {RATE:g} along a cosine, batch {BATCH}",
        "saw": f"{_ASKS[task]}. The digits are scikit-learn's 1,797 (UCI, 8 x 8; BSD-3) enlarged "
        f"to 12 pixels, less {HELD_OUT} that are held out",
        "validation": {
            "right of 1000 held-out clips": mostly,
            "of the same network without a block": WITHOUT[task],
            "by chance": 1 / len(COLOURS),
        },
        "meant for": "showing a block that is the only way to the answer: what it looks at is "
        "known, and that it matters"
        if mostly > ENOUGH
        else "comparison with the other pairwise functions on this task (docs/choice-of-f.md): "
        "this one did not learn it",
        "limits": "a toy task of its own; a few minutes of training on one core. Digits that stand "
        "twice, or colours that do, were never seen",
        "licence": "Apache-2.0",
    }


def name_of(task: RecallTask, kind: RecallPairwise) -> str:
    """Return the name of a bundled network, which its files have.

    >>> name_of("single", "dot_product")
    'single.dot-product'
    """
    return f"{task}.{kind.replace('_', '-')}"


def bundle(folder: Path | None, seed: int, out: Path) -> list[Path]:
    """Put the networks of one seed, with their cards, into a folder; return the files.

    Args:
        folder: where the recipe wrote its weights; None keeps those that are there.
        seed: which weights.
        out: where to put them.
    """
    files = []
    for task, kind in BUNDLED:
        weights = out / f"{name_of(task, kind)}.safetensors"
        if folder is not None:
            shutil.copyfile(folder / f"{task}.{kind}-{seed}.safetensors", weights)
            weights.chmod(0o644)
        beside = weights.with_suffix(".json")
        beside.write_text(json.dumps(card(weights), indent=1) + "\n", "utf-8")
        files += [weights, beside]
    return files


def example(path: Path) -> Path:
    """Write the clip of the task that is bundled, one frame a second; return its path.

    Its last frame shows a 4 in grey, at y 17, x 9; the 4 of the frame before is red.
    """
    frames = [Image.fromarray(frame) for frame in recall_clips(2, seed=EXAMPLE).frames[1]]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=1000, loop=0)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    prog = "python -m nlviz.recipes.recall_card"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where the recipe wrote its weights")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    readme = asset("README.md")
    list_digests(readme, bundle(given.folder, given.seed, readme.parent / "weights"))
    example(readme.parent / "clips" / "recall.gif")


if __name__ == "__main__":
    main()
