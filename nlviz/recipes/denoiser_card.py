"""Bundles trained denoisers: ``python -m nlviz.recipes.denoiser_card FOLDER``.

Copies the weights of one seed, both kinds, and writes a card next to each: what the weights are and
saw, and how they fared in the benchmark. Given no folder, only the cards are written anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast, get_args

from safetensors import safe_open

from nlviz.denoise.networks.tiles import BLOCK, MARGIN
from nlviz.files.local import digest_of
from nlviz.networks.denoising import CHANNELS, INNER, BlockKind
from nlviz.recipes.denoiser import TRUNK, TRUNK_SEED, TWINS
from nlviz.recipes.model_card import PHOTOGRAPHS
from nlviz.recipes.noisy_patches import MOST_SIGMA, SHORTER
from nlviz.resources import asset

_BLOCKS = {
    "local": f"a bottleneck of {2 * INNER} channels that looks at its own cell only",
    "nonlocal": f"a non-local block with the embedded Gaussian: theta, phi and g of {INNER} "
    "channels, theta and phi of unit length, a learned temperature",
}


def card(weights: Path, kind: BlockKind, figures: dict[str, Any] | None) -> dict[str, Any]:
    """Return what is to be known of a weights file.

    Args:
        weights: the file.
        kind: of its network.
        figures: the benchmark's, or None before it has run.
    """
    with safe_open(weights, "pt") as stored:
        about = dict(stored.metadata())
        size = sum(stored.get_tensor(k).numel() for k in stored.keys())
    other = next(k for k in get_args(BlockKind) if k != kind)
    return {
        "name": f"denoiser-{kind}",
        "file": weights.name,
        "sha256": digest_of(weights),
        "recipe": about["recipe"],
        "seed": int(about["seed"]),
        "command": "python -m nlviz.recipes.denoiser --seeds 0 1 2",
        "architecture": f"residual network on cells of 2 x 2 pixels, {CHANNELS} channels, three "
        "residual pairs of 3x3 convolutions before and three behind "
        f"{_BLOCKS[kind]}; the noise level is an input; the output is the noise",
        "twin": f"denoiser-{other}, which differs in this block alone and has as many parameters "
        "within 1 %",
        "parameters": size,
        "input": "RGB with white at 1, never clipped, and sigma in the same units; grey as three "
        "equal channels",
        "block at use": f"queries in blocks of {BLOCK} x {BLOCK} cells reach the cells within "
        f"{MARGIN} around the block; in training, every cell of the patch",
        "objective": "root of the mean squared error of each patch, averaged, so that every noise "
        "level counts alike; moving average of the weights",
        "training": {
            "trunk": f"once, without the block, seed {TRUNK_SEED}: {_told(asdict(TRUNK))}",
            "twins": f"both kinds from the same trunk, on the same patches: {_told(asdict(TWINS))}",
            "noise": f"Gaussian, sigma uniform in [0, {MOST_SIGMA:g}] of 255, unclipped",
            "photographs": "reduced to shorter sides "
            f"{', '.join(map(str, SHORTER))} px; half of the patches made grey",
            "of these weights": "their trunk comes from a first version of this recipe: same "
            "network, pictures, noise and loss, patches and noise drawn in another order, and the "
            "learning rate on another curve between the same ends, so the recipe's own trunk will "
            "differ in its digits",
        },
        "saw": PHOTOGRAPHS,
        "never saw": "scikit-image's and scikit-learn's pictures, the bundled clips and photos, "
        "and the stills of opencv-doc. The error on five of scikit-image's pictures (camera, "
        "coins, brick, grass, moon) was watched while the trunk trained; it was "
        "taken as it was after the last step",
        "validation": figures or "not measured yet",
        "meant for": "showing what a learned affinity adds to a denoiser that has everything else, "
        "beside non-local means, which has nothing else",
        "limits": "Gaussian noise of one known level, up to 55 of 255; stronger noise is scaled "
        "into that range. Correlated, signal-dependent or clipped noise was never seen. The "
        "networks are small and were trained on a CPU: published ones of the same frame lie higher",
        "licence": "Apache-2.0",
        "licence question": "whether weights inherit anything from the licences of the pictures "
        "they were trained on is open; the sources are listed for that",
    }


def _told(stage: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in stage.items())


def bundle(folder: Path | None, seed: int, figures: dict[str, Any] | None, out: Path) -> list[Path]:
    """Put both kinds of one seed, with their cards, into a folder; return the four files.

    Args:
        folder: where the recipe wrote its weights; None keeps those that are there.
        seed: which weights.
        figures: the benchmark's by kind, under ``cards``.
        out: where to put them.
    """
    files = []
    for kind in cast("tuple[BlockKind, ...]", get_args(BlockKind)):
        weights = out / f"denoiser-{kind}.safetensors"
        if folder is not None:
            shutil.copyfile(folder / f"denoiser-{kind}-{seed}.safetensors", weights)
        content = card(weights, kind, (figures or {}).get("cards", {}).get(kind))
        beside = weights.with_suffix(".json")
        beside.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        files += [weights, beside]
    return files


def list_digests(readme: Path, files: Sequence[Path]) -> None:
    """Write the files' digests into their rows of a table of bundled files."""
    lines = readme.read_text("utf-8").splitlines()
    for path in files:
        names = {f"{folder}/{path.name}" for folder in ("weights", path.parent.name)}
        for i, line in enumerate(lines):
            if any(line.startswith(f"| `{name}` |") for name in names):
                lines[i] = f"{line.rstrip(' |').rpartition('|')[0]}| `{digest_of(path)}` |"
    readme.write_text("\n".join(lines) + "\n", "utf-8")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m nlviz.recipes.denoiser_card", description=__doc__
    )
    parser.add_argument("folder", type=Path, nargs="?", help="where the recipe wrote its weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--figures",
        type=Path,
        default=Path("tests/benchmarks/results/denoisers.json"),
        help="the benchmark's result",
    )
    given = parser.parse_args()
    readme = asset("README.md")
    figures = json.loads(given.figures.read_text("utf-8")) if given.figures.is_file() else None
    files = bundle(given.folder, given.seed, figures, readme.parent / "weights")
    list_digests(readme, files)


if __name__ == "__main__":
    main()
