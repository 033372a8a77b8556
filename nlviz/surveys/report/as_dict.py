"""A report as what JSON can hold: what pages draw. Version 1.

Arrays over heads are lists of layers of lists of heads. Numbers have seven digits.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.surveys.report.bootstrap import Intervals
from nlviz.surveys.report.groups import Groups
from nlviz.surveys.report.histograms import counts_of, edges_of
from nlviz.surveys.report.labels import RULES
from nlviz.surveys.report.parts import Parts
from nlviz.surveys.report.surveyed import Surveyed
from nlviz.surveys.report.typical import Example

FORMAT, VERSION = "nlviz.survey-report", 1


def as_dict(report: Parts, thumbnails: bool) -> dict[str, Any]:
    """Return all of a report.

    Args:
        report: of one survey or two.
        thumbnails: whether pictures of clips go with it.
    """
    layers = _Layers(report.heads)
    names = [figure.name for figure in report.figures]
    pictures: dict[str, str] = {}
    if thumbnails:
        for survey, found in zip(report.surveys, report.typical, strict=True):
            shown = [e.clip for t in found for e in (*t.most, *t.least)]
            for digest, picture in survey.thumbnails(shown).items():
                pictures[digest] = base64.b64encode(picture).decode()
    return {
        "format": FORMAT,
        "version": VERSION,
        "surveys": [_survey(survey) for survey in report.surveys],
        "figures": [
            {k: getattr(f, k) for k in ("name", "label", "definition", "unit", "of")}
            for f in report.figures
        ],
        "layers": layers.named(),
        "values": [_values(layers, names, v) for v in report.values],
        "labels": [
            layers.nested(
                [
                    {
                        "label": label.label,
                        "why": label.why,
                        "share": _short(label.share),
                        "certain": label.certain,
                        "sure": None if label.sure is None else _short(label.sure),
                        "other": label.other,
                    }
                    for label in labels
                ]
            )
            for labels in report.labels
        ],
        "rules": [{"label": rule.label, "rule": rule.rule} for rule in RULES],
        "histograms": _histograms(report, layers, names),
        "groups": [None if g is None else _groups(layers, names, g) for g in report.groups],
        "typical": [
            layers.nested(
                [
                    {
                        kind: [_example(survey, report.heads[n], e) for e in getattr(typical, kind)]
                        for kind in ("most", "least")
                    }
                    for n, typical in enumerate(found)
                ]
            )
            for survey, found in zip(report.surveys, report.typical, strict=True)
        ],
        "thumbnails": pictures,
        "failures": [
            {"survey": n, **failure}
            for n, survey in enumerate(report.surveys)
            for failure in survey.failures
        ],
        "changed": _changed(report, layers),
        "notes": list(report.notes),
    }


class _Layers:
    """Turns what stands by head into lists of layers."""

    def __init__(self, heads: Sequence[tuple[str, int]]) -> None:
        self.of: dict[str, list[int]] = {}
        for n, (block, _) in enumerate(heads):
            self.of.setdefault(block, []).append(n)

    def named(self) -> list[dict[str, Any]]:
        return [{"block": block, "heads": len(at)} for block, at in self.of.items()]

    def nested(self, values: Sequence[Any]) -> list[list[Any]]:
        return [[values[n] for n in at] for at in self.of.values()]

    def numbers(self, values: npt.NDArray[Any]) -> list[list[Any]]:
        return self.nested([_short(v) for v in values.tolist()])


def _short(value: float | bool) -> float | int | bool | None:
    if isinstance(value, bool | int):
        return value
    return float(f"{value:.7g}") if np.isfinite(value) else None


def _survey(survey: Surveyed) -> dict[str, Any]:
    run, options = survey.run, survey.run.get("options") or {}
    return {
        "name": survey.name,
        "model": run.get("model", ""),
        "weights": run.get("weights", ""),
        "queries": options.get("queries"),
        "seed": options.get("seed"),
        "sampling": options.get("sampling"),
        "clips": dict(survey.clips),
        "rows": survey.means.rows,
        "engine": run.get("engine", ""),
        "versions": run.get("versions", {}),
        "ended": run.get("ended"),
    }


def _values(layers: _Layers, names: Sequence[str], values: Intervals) -> dict[str, Any]:
    return {
        name: {
            part: layers.numbers(getattr(values, part)[:, n])
            for part in ("mean", "low", "high", "clips")
        }
        for n, name in enumerate(names)
    }


def _groups(layers: _Layers, names: Sequence[str], groups: Groups) -> dict[str, Any]:
    by_label = [_values(layers, names, values) for values in groups.values]
    return {
        "labels": list(groups.labels),
        "sizes": list(groups.sizes),
        "left_out": groups.left_out,
        **{
            name: {
                part: [of[name][part] for of in by_label]
                for part in ("mean", "low", "high", "clips")
            }
            for name in names
        },
    }


def _histograms(report: Parts, layers: _Layers, names: Sequence[str]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = [{} for _ in report.surveys]
    for name in names:
        edges = edges_of(name, [survey.means for survey in report.surveys])
        if edges is None:
            continue
        for of, survey in zip(out, report.surveys, strict=True):
            counts = counts_of(survey.means, name, edges)
            of[name] = {
                "edges": [_short(e) for e in edges.tolist()],
                "counts": layers.nested(counts.tolist()),
            }
    return out


def _example(survey: Surveyed, head: tuple[str, int], e: Example) -> dict[str, Any]:
    return {
        "clip": survey.names[e.clip],
        "digest": survey.means.digests[e.clip],
        "uri": survey.uris[e.clip],
        "label": survey.labels[e.clip],
        "block": head[0],
        "head": head[1],
        "query": None
        if e.query is None
        else {"number": e.query, "frame": e.frame, "y": e.y, "x": e.x},
        "distance": _short(e.distance),
        "why": e.why,
    }


def _changed(report: Parts, layers: _Layers) -> dict[str, Any] | None:
    found = report.changed
    if found is None:
        return None
    return {
        name: {
            **{
                part: layers.numbers(getattr(found, part)[:, n])
                for part in ("difference", "low", "high", "p", "clips")
            },
            "paired": found.paired,
            "told": layers.nested(found.told[:, n].tolist()),
        }
        for n, name in enumerate(found.figures)
    }
