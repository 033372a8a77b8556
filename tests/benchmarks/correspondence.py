"""Does the learned affinity find what it should? ``python -m tests.benchmarks.correspondence``.

Queries on objects of composed clips, and on real pairs with known geometry; links go to *other*
frames only. For every query and every rival:

- top-1, top-20: part of the strongest links that end on the same object (an identical twin is
  another object), and within 1.5 cells of the true point;
- mass: part of the row that lies there.

The figures are means over clips of means over their queries, with 95 % bootstrap intervals over
clips. Every rival's temperature (and the patch of non-local means) is the best on separate clips,
for clean and for noisy frames apart; lite-nl keeps its own, and is shown with its best one too.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlviz.recipes import restoring
from nlviz.recipes.composed import Picture
from nlviz.recipes.feature_bank import STRIDES, normalised
from nlviz.resources import asset
from tests.benchmarks.correspondence_rivals import Networks
from tests.benchmarks.correspondence_scenes import OPENCV_DOC, Scene, composed_scenes, real_pairs
from tests.benchmarks.measuring import written

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

    def masses(self, logits: Tensor) -> float:
        """Return the mean mass on object and point, of logits that carry their temperature."""
        rows = logits.masked_fill(self.own, -math.inf).softmax(1)
        return float(((rows * self.thing).sum(1) + (rows * self.point).sum(1)).mean()) / 2

    def best(self) -> Tensor:
        """Return (queries, 6) figures of whoever knows the truth: few cells can be right."""
        parts = [right.sum(1).clamp(max=20).double() / 20 for right in (self.thing, self.point)]
        ones = torch.ones(len(self.query), dtype=torch.double)
        return torch.stack([ones, ones, *parts, ones, ones], dim=1)


Scales = dict[str, dict[str, float]]
Found = dict[str, dict[str, dict[str, list[Figures]]]]


def tune(networks: Networks, scenes: Sequence[Scene], condition: str) -> Scales:
    """Return the scale of the logits at which each rival has most mass on object and point.

    By block and rival; of non-local means only the best patch is there.
    """
    totals: dict[str, dict[str, Figures]] = {name: {} for name in STRIDES}
    for scene in scenes:
        frames = seen(scene, condition)
        kinds = networks.features(frames)
        for name, stride in STRIDES.items():
            targets = Targets(scene, stride)
            for rival in networks.rivals(frames, kinds, name):
                if rival.scale is None:
                    logits = rival.logits(targets.query)
                    masses = np.array([targets.masses(logits * scale) for scale in SCALES])
                    totals[name][rival.name] = masses + totals[name].get(rival.name, 0.0)
    best: Scales = {}
    for name, total in totals.items():
        patches = [n for n in total if n.startswith("pixel")]
        kept = max(patches, key=lambda n: float(total[n].max()))
        rivals = [n for n in total if n == kept or n not in patches]
        best[name] = {n: SCALES[int(total[n].argmax())] for n in rivals}
    return best


def seen(scene: Scene, condition: str) -> Picture:
    """Return the frames of a scene in one condition."""
    sigma = CONDITIONS[condition]
    return scene.noisy(sigma) if sigma else scene.frames


class Tally:
    """Figures by block, group and rival, and what is left of the features' error.

    Args:
        networks: all of them.
        condition: one of `CONDITIONS`.
        scales: of `tune`.
    """

    def __init__(self, networks: Networks, condition: str, scales: Scales) -> None:
        """Start empty."""
        self.networks, self.condition, self.scales = networks, condition, scales
        self.found: Found = {name: defaultdict(lambda: defaultdict(list)) for name in STRIDES}
        self.errors: dict[str, dict[str, list[float]]] = {n: defaultdict(list) for n in STRIDES}

    def add(self, scene: Scene) -> None:
        """Judge every rival on one scene."""
        frames = seen(scene, self.condition)
        kinds = self.networks.features(frames)
        for name, stride in STRIDES.items():
            targets = Targets(scene, stride)
            rows = {"whoever knows the truth": targets.best()}
            for rival in self.networks.rivals(frames, kinds, name):
                scale = rival.scale or self.scales[name].get(rival.name)
                if scale is not None:
                    rows[rival.name] = targets.score(rival.logits(targets.query) * scale)
            composed = scene.group == "composed"
            groups = [scene.group, *(["composed, with a twin"] if targets.on_twins else [])]
            for group in groups:
                for rival_name, row in rows.items():
                    # A clip counts once; a pair is too few clips, its queries count.
                    values = row.mean(0, keepdim=True) if composed else row
                    self.found[name][group][rival_name].append(values.numpy())
        if scene.group == "composed":
            self._restored(scene, kinds)

    @torch.no_grad()
    def _restored(self, scene: Scene, kinds: dict[str, dict[str, Tensor]]) -> None:
        """Add what is left of the error: nothing done, control, block."""
        clean = self.networks.bare.block_inputs(normalised(scene.frames).transpose(0, 1)[None])
        for name, block in self.networks.blocks.items():
            x = kinds["trained"][name]
            tries = {
                "bare backbone": kinds["bare"][name],
                "what enters the block": x,
                "per-position control": self.networks.restored_alone(name, x),
                "block": block(x),
            }
            for kind, got in tries.items():
                pair = (got[0].transpose(0, 1), clean[name][0].transpose(0, 1))
                error = restoring.remaining_error([pair], None)
                self.errors[name][f"{self.condition}, {kind}"].append(error)


def interval(values: Figures, *, seed: int = 0) -> tuple[Figures, Figures, Figures]:
    """Return mean and 95 % bootstrap interval over the first axis."""
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return values.mean(axis=0), low, high


def differences(rivals: dict[str, Figures]) -> dict[str, Any]:
    """Return lite-nl minus every rival, paired over clips, mean and interval per measure.

    All with their best temperatures, which matter for the masses alone.
    """
    own = rivals["lite-nl, best temperature"]
    others = {n: v for n, v in rivals.items() if not n.startswith(("lite-nl", "whoever"))}
    return {rival: told(own - values) for rival, values in others.items()}


@torch.no_grad()
def answers(networks: Networks, scenes: Sequence[Scene]) -> dict[str, dict[str, list[float]]]:
    """Return how near ImageNet logits stay to the bare backbone's on clean frames.

    The correlation of the 1000 logits, mean and interval over clips, by condition and network.
    """
    near: dict[str, dict[str, list[float]]] = {c: defaultdict(list) for c in CONDITIONS}
    for scene in scenes:
        wanted = networks.bare(normalised(scene.frames).transpose(0, 1)[None])[0].numpy()
        for condition in CONDITIONS:
            clip = normalised(seen(scene, condition)).transpose(0, 1)[None]
            for name, net in (("bare backbone", networks.bare), ("lite-nl", networks.trained)):
                got = net(clip)[0].numpy()
                near[condition][name].append(float(np.corrcoef(got, wanted)[0, 1]))
    return {
        condition: {
            name: [round(float(v), 4) for v in interval(np.array(values))]
            for name, values in by_name.items()
        }
        for condition, by_name in near.items()
    }


def told(values: Figures) -> dict[str, list[float]]:
    """Return mean, low and high end of the interval by measure."""
    rows = zip(MEASURES, *interval(values), strict=True)
    return {measure: [round(float(v), 4) for v in row] for measure, *row in rows}


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
            error = f"{row[0]:.3f} ({row[1]:.3f} to {row[2]:.3f})"
            lines.append(f"| {name} | {condition} | {what} | {error} |")
    lines += ["\n**Correlation of ImageNet logits with the bare backbone's on clean frames**\n"]
    lines += ["| frames | network | correlation |", "|---|---|---|"]
    for condition, nets in result["answers"].items():
        for name, row in nets.items():
            lines.append(f"| {condition} | {name} | {row[0]:.3f} ({row[1]:.3f} to {row[2]:.3f}) |")
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
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; 1 is best when shared")
    given = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
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
        "restoration": {},
        "left out": left_out,
    }
    for condition in CONDITIONS:
        scales = tune(networks, tuning, condition)
        tally = Tally(networks, condition, scales)
        for index, scene in enumerate([*scenes, *pairs], start=1):
            tally.add(scene)
            print(
                f"{condition}: {index} of {len(scenes) + len(pairs)} scenes", end="\r", flush=True
            )
        for name in ("stage4", "stage3"):
            result["scales"][f"{name}, {condition}"] = scales[name]
            for group, rivals in tally.found[name].items():
                key = f"{name}, {condition} frames: {group}"
                every = {rival: np.concatenate(values) for rival, values in rivals.items()}
                result["links"][key] = {rival: told(v) for rival, v in every.items()}
                result["differences"][key] = differences(every)
            for kind, errors in tally.errors[name].items():
                found = [round(float(v), 4) for v in interval(np.array(errors))]
                result["restoration"].setdefault(name, {})[kind] = found
    result["answers"] = answers(networks, scenes[:24])
    print(table(result))
    if not given.quick:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(written(result))
        given.out.with_suffix(".md").write_text(table(result) + "\n")


if __name__ == "__main__":
    main()
