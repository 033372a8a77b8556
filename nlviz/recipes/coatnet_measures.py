"""Measures trained CoAtNets: ``python -m nlviz.recipes.coatnet_measures DIR``.

Every network of the folder is asked about the same pictures, so that layouts are compared picture
by picture. Figures go to ``assets/lessons/coatnet-layouts.json``: the mean over seeds with the
range over seeds, and an interval over pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from timm.models.maxxvit import MaxxVit

from nlviz.errors import NlvizError
from nlviz.networks.coatnet import LAYOUTS, Layout, cells_of, scores_of, trunk_of
from nlviz.recipes.coatnet_layouts import BATCH, STEPS, TRUNK_STEPS, Nets, file_name, read
from nlviz.recipes.placed_digits import (
    DIGIT,
    NOISE,
    REACH,
    SEEN,
    Corners,
    as_input,
    corners_of,
    planes,
)
from nlviz.resources import asset

PICTURES, SEED = 1500, 987_000
SHIFTS = (1, 2, 4, 8, 12, 20)  # pixels
LATTICE, EACH = 4, 60  # pixels between places of the map, and pictures at each place
REFERENCE: Layout = "C-C-C-C"  # that others are compared with
_RESAMPLED = 2000

Answers = npt.NDArray[np.int64]
Raw = dict[str, npt.NDArray[np.bool_]]


@torch.no_grad()
def answers(nets: Nets, pictures: npt.NDArray[np.uint8]) -> dict[Layout, Answers]:
    """Return (pictures,) the digit that each network reads in each grey picture.

    Args:
        nets: by layout; of one seed, so that they share stem and first stage.
        pictures: (pictures, 64, 64).
    """
    first = next(iter(nets.values()))
    found: dict[Layout, list[Answers]] = {layout: [] for layout in nets}
    for n in range(0, len(pictures), 100):
        cells = cells_of(first, as_input(pictures[n : n + 100]))
        for layout, net in nets.items():
            found[layout].append(scores_of(net, cells).argmax(dim=1).numpy())
    return {layout: np.concatenate(each) for layout, each in found.items()}


def nets_of(paths: Sequence[Path]) -> dict[Layout, MaxxVit]:
    """Return trained networks of one seed by layout, from files of the recipe.

    Raises:
        NlvizError: when they do not share stem and first stage.
    """
    nets = {layout: net for net, layout in map(read, paths)}
    states = [trunk_of(net).state_dict() for net in nets.values()]
    if any(not torch.equal(state[k], states[0][k]) for state in states for k in states[0]):
        raise NlvizError(
            "networks that are measured together share stem and first stage, as those of one seed "
            f"do; {', '.join(path.name for path in paths)} do not"
        )
    return nets


def moved(corners: Corners, pixels: int) -> Corners:
    """Return corners further to the right, every other one further down.

    >>> moved(np.array([[3, 5], [7, 9]]), 2).tolist()
    [[3, 7], [9, 9]]
    """
    steps = np.zeros_like(corners)
    steps[0::2, 1] = steps[1::2, 0] = pixels
    return np.asarray(corners + steps)


def measured(nets: Nets, *, pictures: int = PICTURES) -> dict[Layout, Raw]:
    """Return what is true of each picture, (pictures,) each, by layout and name.

    ``training``, ``seen`` and ``unseen``: whether the network is right about digits of training at
    places of training, about digits that are held out there, and about the same ones at other
    places. ``shift K``: whether its answer stays as it was at a place of training, right or wrong,
    when the picture moves by K pixels, to the right or down.
    """
    learned = planes(pictures, seed=SEED, split="training")
    drawn = planes(pictures, seed=SEED + 1)
    start = corners_of(pictures, seed=SEED + 2)
    elsewhere = corners_of(pictures, seed=SEED + 3, unseen=True)
    first = answers(nets, drawn.window(start))
    told = {
        "training": (answers(nets, learned.window(start)), learned.digits),
        "seen": (first, drawn.digits),
        "unseen": (answers(nets, drawn.window(elsewhere)), drawn.digits),
    }
    found = {
        layout: {name: given[layout] == right for name, (given, right) in told.items()}
        for layout in nets
    }
    for pixels in SHIFTS:
        after = answers(nets, drawn.window(moved(start, pixels)))
        for layout in nets:
            found[layout][f"shift {pixels}"] = after[layout] == first[layout]
    return found


def right_by_place(nets: Nets, *, each: int = EACH) -> dict[Layout, npt.NDArray[np.float64]]:
    """Return (11, 11): the share of held-out digits that are right, every 4 pixels of places."""
    drawn = planes(each, seed=SEED + 4)
    axis = range(0, REACH + 1, LATTICE)
    found = {layout: np.zeros((len(axis), len(axis))) for layout in nets}
    for i, y in enumerate(axis):
        for j, x in enumerate(axis):
            corners = np.broadcast_to([y, x], (each, 2))
            for layout, given in answers(nets, drawn.window(corners)).items():
                found[layout][i, j] = (given == drawn.digits).mean()
    return found


def interval(values: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return the 95 % interval of a mean, from means of pictures drawn again 2,000 times.

    Args:
        values: (pictures,) to be averaged.
        groups: (pictures,) whose pictures are drawn together: those of one writing.

    >>> interval(np.ones(12), np.arange(12) // 3)
    (1.0, 1.0)
    """
    _, group = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(group, values), np.bincount(group)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(sums), (_RESAMPLED, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def results(folder: Path, *, pictures: int = PICTURES, each: int = EACH) -> dict[str, Any]:
    """Return the figures of all networks of a folder of the recipe."""
    raw: dict[Layout, dict[int, Raw]] = {}
    maps: dict[Layout, list[npt.NDArray[np.float64]]] = {}
    sizes: dict[Layout, int] = {}
    seeds = sorted({int(p.stem.rpartition("-")[2]) for p in folder.glob("coatnet.*.safetensors")})
    for seed in seeds:
        nets = nets_of([folder / file_name(layout, seed) for layout in LAYOUTS])
        places = right_by_place(nets, each=each)
        for layout, told in measured(nets, pictures=pictures).items():
            raw.setdefault(layout, {})[seed] = told
            maps.setdefault(layout, []).append(places[layout])
            sizes[layout] = sum(p.numel() for p in nets[layout].parameters())
        print(f"measured seed {seed}", flush=True)
    return {
        "task": {
            "digit": DIGIT,
            "reach": REACH,
            "seen": SEEN,
            "noise": NOISE,
            "trunk steps": TRUNK_STEPS,
            "steps": STEPS,
            "batch": BATCH,
            "pictures": pictures,
            "seeds": seeds,
            "lattice": LATTICE,
            "each": each,
        },
        "layouts": {
            layout: {
                "parameters": sizes[layout],
                "measures": _summarised(raw[layout]),
                "against": {} if layout == REFERENCE else _against(raw[layout], raw[REFERENCE]),
                "places": np.mean(maps[layout], axis=0).round(3).tolist(),
            }
            for layout in LAYOUTS
        },
    }


def _groups(name: str, count: int) -> npt.NDArray[np.int64]:
    split, seed = ("training", SEED) if name == "training" else ("held-out", SEED + 1)
    return planes(count, seed=seed, split=split).writings  # type: ignore[arg-type]


def _summarised(seeds: Mapping[int, Raw]) -> dict[str, Any]:
    """Return mean, interval over pictures, and the mean of each seed, by measure."""
    found = {}
    for name in next(iter(seeds.values())):
        each = np.stack([told[name] for told in seeds.values()]).astype(np.float64)
        found[name] = _told(each, _groups(name, each.shape[1]), seeds)
    gaps = [_lost(told) for told in seeds.values()]
    found["gap"] = _told(np.stack(gaps), _groups("seen", len(gaps[0])), seeds)
    found["train-test gap"] = _apart(seeds)
    return found


def _told(
    each: npt.NDArray[np.float64], groups: npt.NDArray[np.int64], seeds: Mapping[int, Any]
) -> dict[str, Any]:
    low, high = interval(each.mean(0), groups)
    return {
        "mean": round(float(each.mean()), 4),
        "interval": [round(low, 4), round(high, 4)],
        "seeds": {str(s): round(float(v.mean()), 4) for s, v in zip(seeds, each, strict=True)},
    }


def _apart(seeds: Mapping[int, Raw]) -> dict[str, Any]:
    """Return the gap between digits of training and held-out ones, of which none is the same."""
    gaps = {s: float(t["training"].mean() - t["seen"].mean()) for s, t in seeds.items()}
    spread = 0.0
    for name in ("training", "seen"):
        each = np.stack([told[name] for told in seeds.values()]).mean(0)
        low, high = interval(each, _groups(name, len(each)))
        spread += ((high - low) / 2) ** 2
    mean, half = float(np.mean(list(gaps.values()))), spread**0.5
    return {
        "mean": round(mean, 4),
        "interval": [round(mean - half, 4), round(mean + half, 4)],
        "seeds": {str(s): round(g, 4) for s, g in gaps.items()},
    }


def _against(seeds: Mapping[int, Raw], others: Mapping[int, Raw]) -> dict[str, Any]:
    """Return differences from another layout on the same pictures, by measure."""
    found = {}
    for name in next(iter(seeds.values())):
        each = [seeds[s][name].astype(np.float64) - others[s][name] for s in seeds]
        found[name] = _told(np.stack(each), _groups(name, len(each[0])), seeds)
    gaps = [_lost(seeds[s]) - _lost(others[s]) for s in seeds]
    found["gap"] = _told(np.stack(gaps), _groups("seen", len(gaps[0])), seeds)
    return found


def _lost(told: Raw) -> npt.NDArray[np.float64]:
    """Return 1 for each picture that is right at a place of training alone, -1 elsewhere alone."""
    return np.asarray(told["seen"].astype(np.float64) - told["unseen"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    prog = "python -m nlviz.recipes.coatnet_measures"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("folder", type=Path, help="where the recipe wrote its weights")
    parser.add_argument(
        "--out", type=Path, default=asset("README.md").parent / "lessons" / "coatnet-layouts.json"
    )
    given = parser.parse_args(arguments)
    told = json.dumps(results(given.folder), separators=(",", ":"))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(told + "\n", "utf-8")


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main()
