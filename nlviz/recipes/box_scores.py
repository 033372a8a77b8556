"""Scores of box queries on held-out composed clips: where rows into other frames end.

Every row is cut to the frames that are not the query's own and made to sum to 1 again. Its mass,
its strongest link and its 20 strongest end on the boxed object, on the object's identical twin, or
elsewhere. Rivals, each at the temperature that puts most mass on the object in separate clips:

- *raw features*: the cosine of the trunk's standardised features, averaged over the box, with those
  of each cell;
- *position only*: a Gaussian of the distance from the box's middle, the same in every frame;
- *before training*: the head as it started, at its own temperature.
"""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import roi_align

from nlviz.networks.action_transformer import POOLED, ActionTransformerHead
from nlviz.recipes.boxed_batches import Batch, draw
from nlviz.recipes.boxed_clips import STRIDE, BoxedClip

FRAMES = 8
BOXES = 4  # queries per clip
NEAR = 1.5  # cells within which a middle is right
TUNED = 20  # clips that temperatures are chosen on; the others are scored
SCALES = tuple(float(s) for s in np.geomspace(0.5, 1000, 34))

Rows = Mapping[str, Tensor]  # (n, cells) logits, or rows where they have a temperature of their own


@torch.no_grad()
def own_rows(head: ActionTransformerHead, batch: Batch) -> dict[str, Tensor]:
    """Return rows of one clip's boxes, (n, cells), of each head, of each layer and of all."""
    features = head.standardised(batch.features)
    where = head.where(features)
    queries = head.queries(features, where, batch.boxes)
    found: dict[str, Tensor] = {}
    for i, layer in enumerate(head.layers):
        q, k, _ = layer.attention.embed(queries, features, where)
        rows = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)[0]
        found |= {f"layer{i}, head {h}": row for h, row in enumerate(rows)}
        found[f"layer{i}"] = rows.mean(0)
        queries = layer(queries, features, where)
    found["all layers"] = torch.stack([v for n, v in found.items() if "head" not in n]).mean(0)
    return found


@torch.no_grad()
def rival_logits(head: ActionTransformerHead, batch: Batch) -> dict[str, Tensor]:
    """Return (n, cells) logits of the rivals, before their temperature."""
    features = head.standardised(batch.features)[0]
    _, t, h, w = features.shape
    index, edges = batch.boxes[0, :, :1], batch.boxes[0][:, [2, 1, 4, 3]]
    pooled = roi_align(
        features.transpose(0, 1).contiguous(),
        torch.cat([index, edges], 1),
        POOLED,
        sampling_ratio=2,
        aligned=True,
    ).mean((2, 3))
    cosine = F.normalize(pooled, dim=1) @ F.normalize(features.flatten(1), dim=0)
    middle = (batch.boxes[0, :, 1:3] + batch.boxes[0, :, 3:5]) / 2 - 0.5
    y, x = torch.arange(h)[:, None], torch.arange(w)
    away = (y - middle[:, 0, None, None]) ** 2 + (x - middle[:, 1, None, None]) ** 2
    position = (-away / 100).flatten(1).repeat(1, t)
    return {"raw features": cosine, "position only": position}


def scored(rows: Tensor, batch: Batch, thing: Tensor, twin: Tensor) -> dict[str, Tensor]:
    """Return what part of rows (n, cells) ends on the object and on its twin, in other frames.

    Args:
        rows: not negative; what lies in the query's own frame is left out.
        batch: of one clip.
        thing: (n, cells) bool, the cells of the object.
        twin: (n, cells) bool, those of its twin.
    """
    other = _other(batch, rows.shape[1])
    rows = (rows * other).double()
    rows = rows / rows.sum(1, keepdim=True)
    best = rows.topk(20, dim=1).indices
    found: dict[str, Tensor] = {}
    for name, right in (("object", thing), ("twin", twin)):
        hit = (right & other).gather(1, best).double()
        found |= {
            f"mass on the {name}": (rows * right).sum(1),
            f"top 1 on the {name}": hit[:, 0],
            f"top 20 on the {name}": hit.mean(1),
        }
    return found


def report(
    head: ActionTransformerHead, start: Mapping[str, Tensor], clips: Sequence[BoxedClip]
) -> dict[str, Any]:
    """Return all figures of a head on held-out clips.

    Args:
        head: as it was trained, in eval mode.
        start: its state before the first step.
        clips: held-out clips; temperatures are chosen on the first.
    """
    untrained = _copy(head, start)
    scales = _best_scales(untrained, clips[:TUNED])
    rows: dict[str, dict[str, list[Tensor]]] = {}
    answers: dict[str, list[Tensor]] = defaultdict(list)
    for number, clip in enumerate(clips[TUNED:]):
        batch, thing, twin, has_twin = _asked(clip, number)
        kinds = own_rows(head, batch)
        kinds |= {f"before training, {n}": r for n, r in own_rows(untrained, batch).items()}
        logits = rival_logits(untrained, batch)
        kinds |= {n: (x * scales[n]).softmax(1) for n, x in logits.items()}
        kinds["chance"] = torch.full_like(logits["raw features"], 1.0)
        known = (thing & _other(batch, thing.shape[1])).any(1)
        for name, found in kinds.items():
            groups = {"all": known, "with a twin": known & has_twin}
            for measure, values in scored(found, batch, thing, twin).items():
                if name == "chance" and not measure.startswith("mass"):
                    continue
                for group, chosen in groups.items():
                    own = rows.setdefault(f"{group}/{name}", {})
                    own.setdefault(measure, []).append(values[chosen])
        for name, values in _answered(head, batch, clip).items():
            answers[name].append(values)
    links: dict[str, Any] = {}
    for key, measures in rows.items():
        group, _, name = key.partition("/")
        kept = {m: torch.cat(v) for m, v in measures.items()}
        if group == "all":
            kept = {m: v for m, v in kept.items() if m.endswith("object")}
        links.setdefault(group, {})[name] = {m: _rounded(v.mean()) for m, v in kept.items()}
    counted = len(torch.cat(rows["all/chance"]["mass on the object"]))
    with_twin = len(torch.cat(rows["with a twin/chance"]["mass on the object"]))
    return {
        "clips": len(clips) - TUNED,
        "boxes": counted,
        "boxes with a twin": with_twin,
        "links into other frames": links,
        "scales": {n: _rounded(torch.tensor(s)) for n, s in scales.items()},
        "answers": _told(answers),
    }


def _asked(clip: BoxedClip, number: int) -> tuple[Batch, Tensor, Tensor, Tensor]:
    """Return boxes of a clip, the cells of their objects and twins, and which have a twin."""
    rng = np.random.default_rng([4, number])
    batch = draw([clip], rng, boxes=BOXES, frames=FRAMES, change=False)
    labels = clip.labels[batch.picked[0]].flatten()
    things = batch.things[0]
    twins = [clip.twin_of(int(k)) for k in things]
    twin = torch.tensor([-1 if k is None else k for k in twins])
    thing_cells = labels == (things + 1)[:, None]
    twin_cells = (labels == (twin + 1)[:, None]) & (twin >= 0)[:, None]
    return batch, thing_cells, twin_cells, twin >= 0


def _other(batch: Batch, cells: int) -> Tensor:
    t = batch.own.shape[-1]
    return ~batch.own[0].repeat_interleave(cells // t, dim=1)


def _best_scales(head: ActionTransformerHead, clips: Sequence[BoxedClip]) -> dict[str, float]:
    totals: dict[str, Tensor] = defaultdict(lambda: torch.zeros(len(SCALES), dtype=torch.double))
    for number, clip in enumerate(clips):
        batch, thing, twin, _ = _asked(clip, number)
        for name, logits in rival_logits(head, batch).items():
            masses = [scored((logits * s).softmax(1), batch, thing, twin) for s in SCALES]
            totals[name] += torch.stack([m["mass on the object"].nansum() for m in masses])
    return {name: SCALES[int(total.argmax())] for name, total in totals.items()}


@torch.no_grad()
def _answered(head: ActionTransformerHead, batch: Batch, clip: BoxedClip) -> dict[str, Tensor]:
    """Return distances in cells of the answers from the truth, over frames where it shows."""
    found = head(batch.features, batch.boxes)
    boxes = found.boxes()[0]
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    truth = batch.truth[0, ..., :2]
    asked = batch.seen[0] & ~batch.own[0]
    still = ((batch.boxes[0, :, 1:3] + batch.boxes[0, :, 3:]) / 2)[:, None].expand_as(truth)
    away = (middle - truth).norm(dim=-1)
    result = {"head": away[asked], "the box stays": (still - truth).norm(dim=-1)[asked]}
    twins = [clip.twin_of(int(k)) for k in batch.things[0]]
    for n, k in enumerate(twins):
        if k is None:
            continue
        edges = clip.boxes[k, batch.picked[0]] / STRIDE
        of_twin = (edges[:, :2] + edges[:, 2:]) / 2
        both = asked[n] & clip.seen[k, batch.picked[0]]
        closer = (middle[n] - of_twin).norm(dim=-1) < away[n]
        result.setdefault("nearer the twin", torch.zeros(0))
        result["nearer the twin"] = torch.cat([result["nearer the twin"], closer[both].float()])
    return result


def _told(answers: Mapping[str, Sequence[Tensor]]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, parts in answers.items():
        values = torch.cat(list(parts))
        if name == "nearer the twin":
            told[name] = _rounded(values.mean())
            continue
        told[name] = {
            "median distance of the middle, cells": _rounded(values.median()),
            f"within {NEAR} cells": _rounded((values < NEAR).float().mean()),
        }
    return told


def _copy(head: ActionTransformerHead, state: Mapping[str, Tensor]) -> ActionTransformerHead:
    other = copy.deepcopy(head)
    other.load_state_dict(dict(state))
    return other.eval()


def _rounded(value: Tensor) -> float:
    return round(float(value), 4)
