"""The tables of the denoisers' benchmark: means, paired differences, what the block is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Table = dict[str, dict[str, float]]  # picture -> method -> dB

TEXTURES = ("brick", "grass", "gravel")
MAIN = "grey, sigma 25"
LOCAL, NONLOCAL = "learned, local", "learned, non-local"
CONTROLS = {f"{NONLOCAL}, {c} affinity": c for c in ("uniform", "own")}


def mean_and_error(values: Iterable[float]) -> tuple[float, float]:
    """Return the mean and its standard error."""
    v = np.array(list(values))
    return float(v.mean()), float(v.std(ddof=1) / math.sqrt(len(v))) if len(v) > 1 else math.nan


def difference(table: Table, a: str, b: str, names: Iterable[str] | None = None) -> str:
    """Return the mean of a - b over pictures, with its standard error."""
    rows = [row for name, row in table.items() if names is None or name in names]
    mean, error = mean_and_error(row[a] - row[b] for row in rows)
    return f"{mean:+.3f} ± {error:.3f} dB over {len(rows)} pictures"


def findings(tables: Mapping[str, Table], seeds: Mapping[str, Any], looks: Table) -> dict[str, str]:
    """Return what the tables say about the block, in words."""
    table = tables[MAIN]
    others = [n for n in table if n not in TEXTURES]
    said = {
        "learned non-local minus local": difference(table, NONLOCAL, LOCAL),
        "the same on repetitive texture": difference(table, NONLOCAL, LOCAL, TEXTURES),
        "the same on the other pictures": difference(table, NONLOCAL, LOCAL, others),
        "learned non-local minus BM3D": difference(table, NONLOCAL, "BM3D"),
        "learned local minus BM3D": difference(table, LOCAL, "BM3D"),
    }
    for what, names in (("all pictures", list(table)), ("repetitive texture", TEXTURES)):
        mean, error = mean_and_error(table[n][NONLOCAL] - table[n][LOCAL] for n in names)
        said[f"in short, {what}"] = verdict(mean, error)
    for name in CONTROLS:
        said[f"learned non-local minus itself with {name.removeprefix(NONLOCAL + ', ')}"] = (
            difference(table, NONLOCAL, name)
        )
    for what in ("own cell", "strongest other", "effective keys", "keys"):
        values = np.array([row[what] for row in looks.values()])
        said[f"rows of the block: {what}"] = f"{values.mean():.4g}, mean over pictures"
    if len(seeds) > 1:
        for what, names in (("all pictures", list(table)), ("repetitive texture", TEXTURES)):
            gains = [gain(seed["table"], names) for seed in seeds.values()]
            mean, error = mean_and_error(gains)
            each = ", ".join(f"{g:+.3f}" for g in gains)
            said[f"non-local minus local over {len(gains)} training seeds, {what}"] = (
                f"{mean:+.3f} ± {error:.3f} dB ({each})"
            )
        for name in CONTROLS:
            changes = [gain(seed["table"], list(table), name) for seed in seeds.values()]
            mean, error = mean_and_error(changes)
            said[f"non-local minus itself over {len(changes)} seeds, {CONTROLS[name]} affinity"] = (
                f"{mean:+.3f} ± {error:.3f} dB"
            )
    return said


def verdict(mean: float, error: float) -> str:
    """Return what a paired difference says, in words.

    Two standard errors count as a difference: about 95 %, were the pictures drawn at random.
    """
    if abs(mean) <= 2 * error:
        return "no difference between the twins beyond two standard errors"
    return f"the non-local network is {'above' if mean > 0 else 'below'} its twin"


def gain(table: Table, names: Iterable[str], over: str = LOCAL) -> float:
    """Return the mean of non-local minus another method over some pictures."""
    return float(np.mean([table[n][NONLOCAL] - table[n][over] for n in names]))


def cards(tables: Mapping[str, Table], said: Mapping[str, str]) -> dict[str, Any]:
    """Return what the model cards say of each network."""
    found = {}
    for kind, method in (("local", LOCAL), ("nonlocal", NONLOCAL)):
        figures = {}
        for key, table in tables.items():
            values = np.array([row[method] for row in table.values()])
            figures[f"PSNR, {key}, {len(values)} pictures"] = (
                f"{values.mean():.2f} dB, standard deviation over pictures {values.std(ddof=1):.2f}"
            )
        command = "python -m tests.benchmarks.denoisers"
        found[kind] = {"command": command, **figures, "the block": dict(said)}
    return found


def markdown(tables: Mapping[str, Table], said: Mapping[str, str]) -> str:
    """Return the results as Markdown."""
    lines: list[str] = []
    for key, table in tables.items():
        methods = list(next(iter(table.values())))
        lines += [f"\n**PSNR, {key}**\n", "| | mean | spread | minus BM3D |", "|---|---|---|---|"]
        for method in methods:
            values = np.array([row[method] for row in table.values()])
            minus = ""
            if "BM3D" in methods and method != "BM3D":
                mean, error = mean_and_error(row[method] - row["BM3D"] for row in table.values())
                minus = f"{mean:+.2f} ± {error:.2f}"
            lines.append(f"| {method} | {values.mean():.2f} | {values.std(ddof=1):.2f} | {minus} |")
    table = tables[MAIN]
    methods = list(next(iter(table.values())))
    lines += ["\n**Each picture, grey, sigma 25**\n"]
    lines += ["| | " + " | ".join(methods) + " | non-local minus local |"]
    lines += ["|---|" + "---|" * (len(methods) + 1)]
    for name, row in table.items():
        cells = [f"{row[m]:.2f}" for m in methods] + [f"{row[NONLOCAL] - row[LOCAL]:+.3f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["\n**What the block is worth**\n", "| | |", "|---|---|"]
    lines += [f"| {what} | {value} |" for what, value in said.items()]
    return "\n".join(lines)
