"""Does the learned affinity find what it should? ``python -m tests.benchmarks.correspondence``.

Queries on objects of composed clips, and on real pairs with known geometry; links go to *other*
frames only. For every query and every rival:

- top-1, top-20: part of the strongest links that end on the same object (an identical twin is
  another object), and within 1.5 cells of the true point;
- mass: part of the row that lies there.

The figures are means over clips of means over their queries, with 95 % bootstrap intervals over
clips. Every rival's temperature (and the patch of non-local means) is the best on separate clips,
for clean and for noisy frames apart; lite-nl keeps its own.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlviz.recipes import restoring
from nlviz.recipes.feature_bank import STRIDES
from nlviz.resources import asset
from tests.benchmarks.correspondence_rivals import Networks, Rival
from tests.benchmarks.correspondence_scenes import OPENCV_DOC, Scene, composed_scenes, real_pairs

MEASURES = (
    "top-1 object",
    "top-1 point",
    "top-20 object",
    "top-20 point",
    "mass object",
    "mass point",
)
CONDITIONS = {"clean": 0.0, "noisy": 50.0}
SCALES = tuple(float(s) for s in np.geomspace(0.03, 300, 25))
QUERIES = 24
REACH = 1.5
RESULTS = Path(__file__).parent / "results" / "correspondence.json"

Figures = npt.NDArray[np.float64]


class Targets:
    """The queries of a scene on one grid, and which cells would be right.

    Args:
        scene: frames and truth.
        stride: of the grid, in pixels.
    """

    def __init__(self, scene: Scene, stride: int) -> None:
        """Draw the queries and find the right cells."""
        t, height, width = scene.labels.shape
        h, w = height // stride, width // stride
        cells = np.indices((h, w)).reshape(2, -1).T
        centres = cells * stride + (stride - 1) / 2
        y, x = np.rint(centres).astype(int).T
        labels = scene.labels[:, y, x]
        rng = np.random.default_rng(sum(map(ord, scene.name)) + stride)
        candidates = [a * h * w + i for a in scene.sources for i in np.flatnonzero(labels[a])]
        query, point, thing = [], [], []
        for index in rng.permutation(candidates):
            frame, cell = divmod(int(index), h * w)
            near = np.zeros((t, h * w), bool)
            for other in range(t):
                where, seen = scene.places(frame, centres[cell][None], other)
                if other != frame and seen[0]:
                    away = np.linalg.norm((centres - where) / stride, axis=1)
                    near[other] = away <= REACH
            if not near.any():
                continue
            same = labels == labels[frame, cell]
            same[frame] = False
            query.append(int(index))
            point.append(near.reshape(-1))
            thing.append(same.reshape(-1))
            if len(query) == QUERIES:
                break
        self.query = torch.tensor(query)
        self.own = self.query[:, None] // (h * w) == torch.arange(t * h * w) // (h * w)
        self.point = torch.from_numpy(np.stack(point))
        self.thing = torch.from_numpy(np.stack(thing))
        # A pair has no objects; there the point is the object.
        if scene.group != "composed":
            self.thing = self.point
        self.on_twins = scene.twin > 0

    def score(self, logits: Tensor) -> Tensor:
        """Return (queries, 6) figures of logits that carry their temperature."""
        logits = logits.masked_fill(self.own, -math.inf)
        rows = logits.softmax(1)
        top = logits.topk(20, dim=1).indices
        found = [right.gather(1, top).double() for right in (self.thing, self.point)]
        masses = [(rows * right).sum(1).double() for right in (self.thing, self.point)]
        columns = [found[0][:, 0], found[1][:, 0], found[0].mean(1), found[1].mean(1), *masses]
        return torch.stack(columns, dim=1)

    def best(self) -> Tensor:
        """Return (queries, 6) figures of whoever knows the truth: few cells can be right."""
        parts = [right.sum(1).clamp(max=20).double() / 20 for right in (self.thing, self.point)]
        ones = torch.ones(len(self.query), dtype=torch.double)
        return torch.stack([ones, ones, *parts, ones, ones], dim=1)


def judged(
    networks: Networks, scenes: Sequence[Scene], name: str, condition: str
) -> Iterator[tuple[Scene, Targets, list[Rival]]]:
    """Yield every scene with its targets and rivals on one grid."""
    sigma = CONDITIONS[condition]
    for scene in scenes:
        frames = scene.noisy(sigma) if sigma else scene.frames
        yield scene, Targets(scene, STRIDES[name]), list(networks.rivals(frames, name))


def tune(
    networks: Networks, scenes: Sequence[Scene], name: str, condition: str
) -> dict[str, float]:
    """Return the scale of the logits at which each rival has most mass on object and point."""
    totals: dict[str, Figures] = defaultdict(lambda: np.zeros(len(SCALES)))
    for _, targets, rivals in judged(networks, scenes, name, condition):
        for rival in rivals:
            logits = rival.logits(targets.query)
            if rival.scale is None:
                for k, scale in enumerate(SCALES):
                    totals[rival.name][k] += float(targets.score(logits * scale)[:, 4:].mean())
    best = {rival: SCALES[int(total.argmax())] for rival, total in totals.items()}
    patches = [n for n in totals if n.startswith("pixel")]
    kept = max(patches, key=lambda n: float(totals[n].max()))
    return {n: s for n, s in best.items() if n == kept or n not in patches}


def figures(
    networks: Networks,
    scenes: Sequence[Scene],
    name: str,
    condition: str,
    scales: dict[str, float],
) -> dict[str, dict[str, Figures]]:
    """Return (scenes, 6) figures by group and rival."""
    found: dict[str, dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))
    for scene, targets, rivals in judged(networks, scenes, name, condition):
        groups = [scene.group, *(["composed, with a twin"] if targets.on_twins else [])]
        rows = {"whoever knows the truth": targets.best()}
        for rival in rivals:
            scale = rival.scale or scales.get(rival.name)
            if scale is not None:
                rows[rival.name] = targets.score(rival.logits(targets.query) * scale)
        for group in groups:
            for rival_name, row in rows.items():
                values = row.numpy() if group not in ("composed", "composed, with a twin") else None
                mean = row.mean(0, keepdim=True).numpy()
                found[group][rival_name].append(mean if values is None else values)
    return {g: {r: np.concatenate(v) for r, v in rivals.items()} for g, rivals in found.items()}


def interval(values: Figures, *, seed: int = 0) -> tuple[Figures, Figures, Figures]:
    """Return mean and 95 % bootstrap interval over the first axis."""
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return values.mean(axis=0), low, high


def restoration(networks: Networks, scenes: Sequence[Scene]) -> dict[str, Any]:
    """Return what is left of the error of noisy features: nothing done, control, block."""
    out: dict[str, Any] = {}
    for name, block in networks.blocks.items():
        sums: dict[str, list[float]] = defaultdict(list)
        for scene in scenes:
            clean = networks.features(scene.frames)["bare"][name]
            for condition, sigma in CONDITIONS.items():
                kinds = networks.features(scene.noisy(sigma) if sigma else scene.frames)
                x = kinds["trained"][name]
                with torch.no_grad():
                    tries = {
                        "bare backbone": kinds["bare"][name],
                        "what enters the block": x,
                        "per-position control": networks.restored_alone(name, x),
                        "block": block(x),
                    }
                for kind, got in tries.items():
                    pair = [(got[0].transpose(0, 1), clean[0].transpose(0, 1))]
                    error = restoring.remaining_error(pair, None)
                    sums[f"{condition}, {kind}"].append(error)
        out[name] = {}
        for kind, errors in sums.items():
            mean, low, high = interval(np.array(errors))
            out[name][kind] = {"mean": float(mean), "low": float(low), "high": float(high)}
    return out


def differences(rivals: dict[str, Figures]) -> dict[str, Any]:
    """Return lite-nl minus every rival, paired over clips, mean and interval per measure."""
    own = rivals["lite-nl"]
    out = {}
    for rival, values in rivals.items():
        if rival not in ("lite-nl", "whoever knows the truth"):
            mean, low, high = interval(own - values)
            rows = zip(MEASURES, mean, low, high, strict=True)
            out[rival] = {m: [round(float(v), 4) for v in (a, b, c)] for m, a, b, c in rows}
    return out


def table(result: dict[str, Any]) -> str:
    """Return the results as Markdown tables."""
    lines: list[str] = []
    for key, rivals in result["links"].items():
        lines += [f"\n**{key}**\n", "| | " + " | ".join(MEASURES) + " |"]
        lines += ["|---|" + "---|" * len(MEASURES)]
        for rival, row in rivals.items():
            cells = [f"{row[m][0]:.3f} ({row[m][1]:.3f} to {row[m][2]:.3f})" for m in MEASURES]
            lines.append(f"| {rival} | " + " | ".join(cells) + " |")
    lines += ["\n**Remaining error of the features, relative to their variance**\n"]
    lines += ["| block | frames | features | error |", "|---|---|---|---|"]
    for name, rows in result["restoration"].items():
        for kind, row in rows.items():
            condition, what = kind.split(", ", 1)
            error = f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
            lines.append(f"| {name} | {condition} | {what} | {error} |")
    lines += ["", *result["left out"]]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark, print its table and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few clips, no file written")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--weights", type=Path, default=asset("weights/lite-nl.safetensors"))
    parser.add_argument("--opencv-doc", type=Path, default=OPENCV_DOC)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_flush_denormal(True)
    count, separate = (4, 2) if given.quick else (given.clips, 12)
    networks = Networks(given.weights)
    scenes = composed_scenes(count, first_seed=1_000)
    tuning = composed_scenes(separate, first_seed=9_000)
    pairs, left_out = real_pairs(given.opencv_doc)
    result: dict[str, Any] = {
        "clips": count,
        "queries per clip": QUERIES,
        "sigma": CONDITIONS["noisy"],
        "links": {},
        "differences": {},
        "scales": {},
        "left out": left_out,
    }
    for name in ("stage4", "stage3"):
        for condition in CONDITIONS:
            scales = tune(networks, tuning, name, condition)
            result["scales"][f"{name}, {condition}"] = scales
            every = figures(networks, [*scenes, *pairs], name, condition, scales)
            for group, rivals in every.items():
                key = f"{name}, {condition} frames: {group}"
                rows = {r: zip(MEASURES, *interval(v), strict=True) for r, v in rivals.items()}
                result["links"][key] = {
                    r: {m: [round(float(v), 4) for v in (a, b, c)] for m, a, b, c in row}
                    for r, row in rows.items()
                }
                result["differences"][key] = differences(rivals)
            print(f"{name}, {condition}: done", flush=True)
    result["restoration"] = restoration(networks, scenes)
    print(table(result))
    if not given.quick:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
