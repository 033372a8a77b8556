"""Tables of a survey that was never run: rows and clips drawn around truths that are planted."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from nlviz.surveys.figures import FIGURES
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.schema import CLIPS, ROWS, RUNS

HEADS = {"stage3": 1, "enc.2.attn": 3, "enc.10.attn": 7}
KEYS, SIDES, SECONDS = 420, (90, 160), 2.5

# The range of each figure; values are Beta variables over it, so that their means are known.
RANGES: dict[str, tuple[float, float]] = {
    "effective": (1, KEYS),
    "seconds": (0, SECONDS),
    "pixels": (0, 120),
    "features": (-1, 1),
    "nl_means": (-1, 1),
    "concentration": (1, 200),
    "sink_value": (0, 2),
    "query_distance": (0, 0.5),
    "receipt": (0, 1e-6),
    "branch": (0, 1),
}
USUAL: dict[str, float] = {
    "effective": 60, "spread": 0.3, "uniform": 0.35, "own_frame": 0.2, "own_cell": 0.05,
    "off_grid": 0.02, "seconds": 0.8, "pixels": 40, "sink": 0.03, "shared": 0.3, "unary": 0.3,
    "position": 0.1, "features": 0.05, "likeness": 0.5, "nl_means": 0.05,
    "concentration": 4, "sink_value": 1,
    "query_distance": 0.3, "receipt": 2e-7, "branch": 0.2,
}  # fmt: skip
ROLES: dict[str, dict[str, float]] = {
    "matching": {
        "effective": 4,
        "spread": 0.01,
        "uniform": 0.02,
        "likeness": 0.97,
        "nl_means": 0.3,
    },
    "semantic": {"effective": 90, "spread": 0.25, "likeness": 0.9, "uniform": 0.3},
    "positional": {"effective": 9, "spread": 0.03, "position": 0.85, "uniform": 0.05},
    "sink": {"effective": 3, "spread": 0.02, "sink": 0.85, "shared": 0.9, "concentration": 150},
    "same for all": {"effective": 50, "spread": 0.12, "shared": 0.93, "query_distance": 0.02},
    "uniform": {"effective": 415, "spread": 0.99, "uniform": 0.97, "shared": 0.97},
    "itself": {"effective": 1.2, "spread": 0.003, "own_cell": 0.96, "likeness": 0.95},
    "content": {"effective": 50, "spread": 0.12, "likeness": 0.4, "position": 0.02},
    "mixed": {"effective": 50, "spread": 0.12, "likeness": 0.5, "position": 0.35},
    "dead": {"branch": 1e-6},
}


@dataclass(frozen=True)
class Tables:
    """Three tables, and what was planted: role and mean of each figure by (block, head)."""

    rows: pa.Table
    clips: pa.Table
    runs: pa.Table
    roles: dict[tuple[str, int], str]
    means: dict[tuple[str, int], dict[str, float]]
    digests: tuple[str, ...]
    labels: tuple[str, ...] = field(default=())


def digest_of(n: int) -> str:
    return hashlib.sha256(f"clip {n}".encode()).hexdigest()


def tables(
    clips: int = 37,
    heads: Mapping[str, int] = HEADS,
    queries: int = 11,
    *,
    seed: int = 0,
    first: int = 0,
    roles: Mapping[tuple[str, int], str] | None = None,
    changed: Mapping[tuple[str, int], Mapping[str, float]] | None = None,
    labels: Sequence[str] = ("cat", "dog", "boat"),
    failed: int = 2,
    same: int = 1,
    spread_of_clips: float = 12.0,
    clip_seed: int = 7,
    missing: Sequence[str] = ("knock_out", "knock_out_random", "bypass"),
    model: str = "planted",
    options: SurveyOptions | None = None,
) -> Tables:
    """Return tables of clips ``first`` to ``first + clips``.

    What a clip does to a head follows from ``clip_seed`` and the clip, the rest of the noise from
    ``seed``: two surveys of other seeds have the same clips with other queries.
    """
    every = [(block, head) for block, count in heads.items() for head in range(count)]
    cycle = [r for r in ROLES if r != "dead"]
    roles = dict(roles or {})
    for i, key in enumerate(every):
        roles.setdefault(key, cycle[i % len(cycle)])
    means = {k: {**USUAL, **ROLES[roles[k]], **(changed or {}).get(k, {})} for k in every}
    digests = [digest_of(first + n) for n in range(clips)]
    of_clips = np.random.default_rng([clip_seed, first])
    rng = np.random.default_rng([seed, first, 1])
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for name in (n for n in FIGURES if n not in missing and n in USUAL):
        low, high = RANGES.get(name, (0, 1))
        mean = np.array([(means[k][name] - low) / (high - low) for k in every])
        mean = np.clip(mean, 1e-9, 1 - 1e-9)
        k = spread_of_clips
        per_clip = of_clips.beta(mean * k, (1 - mean) * k, (clips, len(every)))
        per_clip = np.clip(per_clip, 1e-9, 1 - 1e-9)[..., None]
        n = queries if FIGURES[name].of == "query" else 1
        values = rng.beta(per_clip * 20, (1 - per_clip) * 20, (clips, len(every), n))
        if FIGURES[name].of != "query":
            values = per_clip
        values = low + (high - low) * values
        columns[name] = np.broadcast_to(values, (clips, len(every), queries)).astype(np.float32)
    if "own_frame" in columns:
        rest = np.clip(1 - columns["own_frame"] - columns["off_grid"], 0, 1)
        columns["cross_frame"] = rest
        for k in every:
            means[k]["cross_frame"] = 1 - means[k]["own_frame"] - means[k]["off_grid"]
    shape = (clips, len(every), queries)
    n = int(np.prod(shape))
    index = np.indices(shape).reshape(3, -1)
    blocks = np.array([list(heads).index(block) for block, _ in every], np.int32)
    numbers = np.array([head for _, head in every], np.int16)
    places = [rng.integers(0, KEYS, (clips, 1, queries))] * 1
    at = np.broadcast_to(places[0], shape).reshape(-1)
    data = {
        "digest": pa.DictionaryArray.from_arrays(index[0].astype(np.int32), digests).cast("string"),
        "block": pa.DictionaryArray.from_arrays(blocks[index[1]], list(heads)).cast("string"),
        "head": numbers[index[1]],
        "query": at.astype(np.int32),
        "frame": (at % 5).astype(np.float32),
        "y": (at // 5 % 9 * 10 + 4.5).astype(np.float32),
        "x": (at // 45 * 16 + 7.5).astype(np.float32),
        "keys": np.full(n, KEYS, np.int32),
        **{name: values.reshape(-1) for name, values in columns.items()},
    }
    empty = {f.name: pa.nulls(n, f.type) for f in ROWS if f.name not in data}
    rows = pa.table({f.name: {**data, **empty}[f.name] for f in ROWS}, schema=ROWS)
    options = options or SurveyOptions(queries=queries, seed=seed)
    given = tuple(labels[n % len(labels)] if labels else "" for n in range(clips))
    return Tables(
        rows,
        _clips(digests, given, failed, same, first),
        _runs(model, options),
        roles,
        means,
        tuple(digests),
        given,
    )


def thumbnail(n: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 18), (n * 37 % 256, n * 91 % 256, 90)).save(out, "JPEG")
    return out.getvalue()


def _clips(
    digests: Sequence[str], labels: Sequence[str], failed: int, same: int, first: int
) -> pa.Table:
    lines = []
    for n, (digest, label) in enumerate(zip(digests, labels, strict=True), first):
        line = _line(f"set/clip{n:05d}.mp4", label, "done", digest)
        lines.append(line | {"thumbnail": thumbnail(n), "prediction": "cup", "probability": 0.7})
    for n in range(same):
        line = _line(f"set/again{n}.mp4", labels[n], "same", digests[n])
        lines.append(line | {"same_as": lines[n]["uri"]})
    for n in range(failed):
        line = _line(f"set/broken{n}.mp4", "", "failed", None)
        lines.append(line | {"fault": "unreadable", "reason": f"broken{n}.mp4 has no picture"})
    return pa.Table.from_pylist(lines, schema=CLIPS)


def _line(name: str, label: str, status: str, digest: str | None) -> dict[str, object]:
    return {
        "uri": f"/data/{name}", "name": name, "label": label, "status": status, "digest": digest,
        "frames": 5, "height": SIDES[0], "width": SIDES[1], "duration": SECONDS, "notes": [],
        "seconds": 0.25, "run": "r1",
    }  # fmt: skip


def _runs(model: str, options: SurveyOptions) -> pa.Table:
    started = dt.datetime(2026, 11, 30, 6, 0, tzinfo=dt.UTC)
    run = {
        "run": "r1", "started": started, "ended": started + dt.timedelta(minutes=3),
        "model": model, "weights": hashlib.sha256(model.encode()).hexdigest(),
        "options": json.dumps(options.to_dict()), "engine": "local", "workers": 2,
        "device": "cpu", "versions": json.dumps({"nlviz": "0.3.0"}), "platform": "Linux",
    }  # fmt: skip
    return pa.Table.from_pylist([run], schema=RUNS)
