"""Reports of surveys that nobody made: the dict of ``SurveyReport.to_dict``, of any size."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nlviz.surveys.figures import FIGURES

Array = npt.NDArray[Any]
LABELS = ("matching", "semantic", "positional", "sink", "same for all", "dead", "mixed")
EVIL = '<img src=x onerror="window.hacked=1">.mp4'


def thumbnail(seed: int) -> str:
    """Return a small JPEG in base64."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:72, 0:96]
    colour = draw.uniform(60, 200, 3)
    blob = np.exp(-((y - draw.uniform(20, 50)) ** 2 + (x - draw.uniform(20, 70)) ** 2) / 300)
    pixels = np.clip(colour * (0.4 + 0.3 * y[..., None] / 72) + 150 * blob[..., None], 0, 255)
    held = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(held, "JPEG", quality=70)
    return base64.b64encode(held.getvalue()).decode()


def _about(name: str, clips: int, model: str) -> dict[str, Any]:
    return {
        "name": name,
        "model": model,
        "weights": "5ee1" * 16,
        "queries": 32,
        "seed": 0,
        "sampling": {"start": 0.0, "stride": None, "frames": 8, "size": None},
        "clips": {"done": clips, "failed": 2, "same": 1},
        "rows": clips * 32 * 2,
        "engine": "local",
        "versions": {"nlviz": "0.14.0", "torch": "2.8.0", "python": "3.12.3"},
        "ended": "2026-11-30T07:12:05+00:00",
    }


def _range(name: str) -> tuple[float, float]:
    unit = FIGURES[name].unit
    ends = {"keys": (3, 900), "pixels": (4, 90), "seconds": (0.05, 1.9), "multiple": (1.5, 80)}
    return ends.get(unit, (-0.2, 0.7) if unit == "correlation" else (0.004, 0.9))


def report(
    heads: Sequence[int] = (1, 1),
    *,
    surveys: int = 1,
    clips: int = 200,
    groups: Sequence[str] = ("cup", "dog", "street at night"),
    figures: Sequence[str] = tuple(FIGURES),
    block: str = "stage{n}.block",
    names: Sequence[str] = ("clips/cup-{n:03}.mp4",),
    seed: int = 0,
    model: str = "lite-nl",
) -> dict[str, Any]:
    """Return the report of surveys that were drawn at random.

    Args:
        heads: number of heads of each layer.
        surveys: one or two.
        clips: looked at in each.
        groups: labels of the clips.
        figures: names of those that have values.
        block: what layers are called.
        names: what clips are called, in turn.
        seed: of all numbers.
        model: what the network is called.
    """
    draw = np.random.default_rng(seed)
    layers = [{"block": block.format(n=n), "heads": count} for n, count in enumerate(heads)]

    def drawn(low: float, high: float) -> list[list[float]]:
        return [list(map(float, draw.uniform(low, high, count))) for count in heads]

    def each(table: list[list[float]], change: Any) -> list[list[Any]]:
        return [[change(value) for value in row] for row in table]

    def of_figure(name: str) -> dict[str, Any]:
        low, high = _range(name)
        mean = drawn(low, high)
        wide = 0.05 * (high - low)
        return {
            "mean": mean,
            "low": each(mean, lambda v: v - wide),
            "high": each(mean, lambda v: v + wide),
            "clips": each(mean, lambda _: clips),
        }

    def histogram(name: str) -> dict[str, Any]:
        edges = np.linspace(*_range(name), 21)
        counts = [[draw.poisson(clips / 20, 20).tolist() for _ in range(n)] for n in heads]
        return {"edges": edges.tolist(), "counts": counts}

    def of_groups() -> dict[str, Any]:
        whole: dict[str, Any] = {"labels": list(groups)}
        for name in figures:
            one = [of_figure(name) for _ in groups]
            whole[name] = {key: [table[key] for table in one] for key in one[0]}
        return whole

    pictures = [thumbnail(n) for n in range(6)]

    def example(layer: int, head: int, n: int) -> dict[str, Any]:
        number = int(draw.integers(clips))
        name = names[number % len(names)].format(n=number)
        return {
            "clip": name,
            "digest": f"{number:064x}",
            "uri": f"/data/{name}",
            "label": groups[number % len(groups)] if groups else "",
            "block": layers[layer]["block"],
            "head": head,
            "query": {"frame": float(n % 8), "y": 12.5 + n, "x": 40.0 + n},
            "distance": 0.3 + 0.1 * n,
            "why": "effective keys 12, of the middle 14",
        }

    def typical() -> list[Any]:
        return [
            [
                {k: [example(layer, h, n) for n in range(10)] for k in ("most", "least")}
                for h in range(count)
            ]
            for layer, count in enumerate(heads)
        ]

    def label(n: int) -> dict[str, Any]:
        name = LABELS[n % len(LABELS)]
        return {
            "label": name,
            "why": f"{name} is what the rule says here.",
            "share": 0.8,
            "certain": bool(n % 3 > 0),
            "other": "mixed",
        }

    changed = None
    if surveys == 2:
        changed = {}
        for name in figures:
            low, high = _range(name)
            size = 0.3 * (high - low)
            change = drawn(-size, size)
            changed[name] = {
                "difference": change,
                "low": each(change, lambda v, s=size: v - 0.3 * s),
                "high": each(change, lambda v, s=size: v + 0.3 * s),
                "p": each(change, lambda v, s=size: 0.2 if abs(v) < 0.3 * s else 0.0004),
                "clips": each(change, lambda _: clips),
                "paired": True,
                "told": each(change, lambda v, s=size: abs(v) > 0.3 * s),
            }
    count = range(surveys)
    return {
        "format": "nlviz.survey-report",
        "version": 1,
        "surveys": [_about(f"survey-{'ab'[n]}", clips, model) for n in count],
        "figures": [
            {
                "name": f.name,
                "label": f.label,
                "definition": f.definition,
                "unit": f.unit,
                "of": f.of,
            }
            for f in (FIGURES[name] for name in figures)
        ],
        "layers": layers,
        "values": [{name: of_figure(name) for name in figures} for _ in count],
        "labels": [
            [[label(n + h + draw.integers(2)) for h in range(c)] for n, c in enumerate(heads)]
            for _ in count
        ],
        "rules": [{"label": name, "rule": f"the rule of {name} heads"} for name in LABELS],
        "histograms": [{name: histogram(name) for name in figures} for _ in count],
        "groups": [of_groups() if groups else None for _ in count],
        "typical": [typical() for _ in count],
        "thumbnails": {f"{n:064x}": pictures[n % 6] for n in range(clips) if n % 7},
        "failures": [
            {
                "survey": 0,
                "name": "broken.mp4",
                "fault": "unreadable",
                "reason": "moov atom not found",
            },
            {"survey": 0, "name": EVIL, "fault": "missing", "reason": "it was deleted meanwhile"},
        ],
        "changed": changed,
        "notes": [],
    }
