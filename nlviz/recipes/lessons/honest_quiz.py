"""Ten maps that a learner has not seen, with the figures of the verdict for each.

They are cases of ``verdict_cases`` that had no part in choosing the verdict's rules: networks whose
construction is known. ``quiz.N.theta`` and ``quiz.N.phi`` give every row; ``quiz.N.other`` (inputs,
keys) are rows of the same query over other inputs, ``quiz.N.others`` (inputs, t, H, W, 3) what is
seen there, and ``quiz.N.base`` (keys,) the mean row of the other queries over these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlviz.affinity.asked import query_number, rows_at
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.analysis.other_contents import other_contents
from nlviz.analysis.row_origin import mean_of_others, own_key, reached
from nlviz.analysis.verdict import verdict
from nlviz.captures.capture import Capture
from nlviz.recipes.lessons.honest_maps import Arrays, keep, seen
from nlviz.recipes.verdict_cases import Case, cases

CASES = (  # seed, group, name
    (1, "planted", "content, only, block"),
    (5, "planted", "same, closed, block"),
    (1, "planted", "sink, only, block"),
    (1, "pictures", "fresh"),
    (3, "planted", "position, three, block"),
    (5, "recall", "recall.embedded-gaussian, read, 2"),
    (3, "planted", "sink, elsewhere, block"),
    (5, "planted", "position, only, block"),
    (1, "planted", "same, only, block"),
    (3, "planted", "uniform, elsewhere, block"),
)


def chosen() -> list[Case]:
    """Return the cases of the quiz, in its order."""
    every = {(case.seed, case.group, case.name): case for case in cases((1, 3, 5))}
    return [every[key] for key in CASES]


def quiz(arrays: Arrays, maps: dict[str, Any], numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """Keep the maps, and return what the verdict's figures say of each."""
    found = []
    for n, case in enumerate(chosen()):
        model, clip, block, query = case.make()
        capture = model.capture(clip)
        affinity = capture.affinities[block]
        assert isinstance(affinity, EmbeddedAffinity)
        number = query_number(affinity, query)
        key = f"quiz.{n}"
        keep(arrays, maps, key, affinity, clip)
        maps[key]["query"] = number - affinity.queries.prefix
        _other_inputs(arrays, key, capture, block, number)
        told = verdict(capture, block, query)
        assert told.effect is not None
        own = own_key(affinity, number)
        found.append(
            {
                "group": case.group,
                "case": case.name,
                "seed": case.seed,
                "own": -1 if own is None else own,
                "strong": told.effect.strong,
                "chance": told.effect.chance,
                "even": told.effect.even,
                "none": told.effect.none,
                "links": told.effect.links,
                "draws": len(told.effect.random),
                "probability": told.effect.probability,
            }
        )
    numbers["quiz_maps"] = len(found)
    return found


def _other_inputs(arrays: Arrays, key: str, capture: Capture, block: str, number: int) -> None:
    """Keep the query's rows over other inputs, and the mean row of the other queries there."""
    affinity, model = capture.affinities[block], capture.model
    assert model is not None
    free = reached(affinity, number)
    own = own_key(affinity, number)
    if own is not None:
        free[own] = False
    rows, bases, pictures = [], [], []
    for clip in other_contents(capture.clip):
        there = model.capture(clip, blocks=[block]).affinities[block]
        rows.append(_mean_row(rows_at(there, [number])[:, 0]))
        base = mean_of_others(there, number, free, None)
        assert base is not None
        bases.append(base)
        pictures.append(seen(clip, affinity.queries.shape))
    arrays[f"{key}.other"] = torch.stack(rows).numpy().astype(np.float32)
    arrays[f"{key}.base"] = torch.stack(bases).mean(0).numpy().astype(np.float32)
    arrays[f"{key}.others"] = np.stack(pictures)


def _mean_row(rows: Tensor) -> Tensor:
    """Return the mean over heads by magnitude, with a sum of 1."""
    mean = rows.detach().float().mean(0).abs()
    return mean / mean.sum().clamp(min=1e-30)
