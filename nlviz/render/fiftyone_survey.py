"""Figures of a survey by the file of a clip: means over the queries that were sampled of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nlviz.clips.inputs import digest_of_input
from nlviz.errors import NlvizError
from nlviz.surveys.figures import FIGURES

Figures = Mapping[str, Mapping[str, Any]]
"""By block, and below it by ``head_00`` and so on: figures by name."""


def figures_of_survey(survey: Any) -> Callable[[Path], Figures]:
    """Return what gives the figures of a clip's file, by the digest of its bytes.

    Args:
        survey: a survey, or the folder of one.

    Raises:
        NlvizError: when it is none.
    """
    if isinstance(survey, (str, Path)):
        from nlviz.surveys.survey import read_survey

        survey = read_survey(survey)
    if not (hasattr(survey, "rows") and hasattr(survey, "clips")):
        raise NlvizError(
            "a survey is what nlviz.survey or nlviz.read_survey returns, or its folder, got "
            f"{type(survey).__name__}"
        )
    by_digest = _means(_table(survey.rows))
    reasons = {
        row["digest"]: row["reason"]
        for row in _table(survey.clips).select(["digest", "reason"]).to_pylist()
        if row["digest"] and row["reason"]
    }

    def figures(path: Path) -> Figures:
        try:
            digest = digest_of_input(path)
        except OSError as error:
            raise NlvizError(f"{path.name} cannot be read ({error.strerror})") from None
        if digest in by_digest:
            return by_digest[digest]
        said = reasons.get(digest)
        raise NlvizError(
            f"the survey has no figures of {path.name}"
            + (f": {said}" if said else "; it is not among its clips")
        )

    return figures


def _table(data: Any) -> pa.Table:
    """Return a table that is here, of one that may be read lazily."""
    return data if isinstance(data, pa.Table) else data.to_table()


def _means(rows: pa.Table) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the mean of every figure over queries, by digest, block and head; nulls left out."""
    names = [name for name in FIGURES if name in rows.column_names]
    keys = ["digest", "block", "head"]
    means = rows.group_by(keys).aggregate([(name, "mean") for name in names])
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in means.to_pylist():
        told = {
            name: float(value)
            for name in names
            if (value := row[f"{name}_mean"]) is not None and np.isfinite(value)
        }
        blocks = found.setdefault(row["digest"], {}).setdefault(row["block"], {})
        blocks[f"head_{row['head']:02d}"] = told
    return found
