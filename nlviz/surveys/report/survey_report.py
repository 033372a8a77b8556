"""The report of one survey, or of two beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlviz.errors import NlvizError
from nlviz.files.local import write_whole
from nlviz.sentences import counted, listed
from nlviz.surveys.figures import FIGURES, SurveyFigure
from nlviz.surveys.report.as_dict import as_dict
from nlviz.surveys.report.bootstrap import Intervals, intervals, said
from nlviz.surveys.report.changed import Changed, changed
from nlviz.surveys.report.groups import Groups, groups
from nlviz.surveys.report.head_labels import HeadLabel, head_labels
from nlviz.surveys.report.in_words import in_words
from nlviz.surveys.report.notes import notes
from nlviz.surveys.report.surveyed import Surveyed, surveyed
from nlviz.surveys.report.typical import Typical, typical

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class SurveyReport:
    """What every head of a network does over many clips, of one survey or of two.

    Numbers are computed when first asked for. Means and intervals are over clips: each clip counts
    once, with the mean over its queries.

    Attributes:
        surveys: one, or two beside each other, whose heads then stand in one order.
        seed: of the draws that intervals rest on.

    >>> import nlviz
    >>> import pyarrow as pa
    >>> from nlviz.surveys.schema import CLIPS, ROWS
    >>> def row(n, query):
    ...     place = {"block": "nl", "head": 0, "query": query, "frame": 0, "y": 4, "x": query}
    ...     return {"digest": f"{n:064x}", "keys": 60, "position": 0.7 + n / 50, **place}
    >>> rows = pa.Table.from_pylist([row(n, q) for n in range(12) for q in range(3)], schema=ROWS)
    >>> clip = {"label": "", "status": "done", "run": "1"}
    >>> names = [{"uri": f"/{n}.mp4", "name": f"{n}.mp4", "digest": f"{n:064x}"} for n in range(12)]
    >>> clips = pa.Table.from_pylist([clip | name for name in names], schema=CLIPS)
    >>> report = nlviz.SurveyReport.of(rows, clips, name="one block")
    >>> report
    one block: 12 clips, 1 head
      nl head 0: positional (position share 81 %)
    >>> line = report.table()[0]
    >>> line["position_low"] < line["position"] < line["position_high"]
    True
    """

    surveys: tuple[Surveyed, ...]
    seed: int = 0

    @classmethod
    def of(
        cls, rows: Any, clips: Any, runs: Any = None, *, name: str = "", seed: int = 0
    ) -> SurveyReport:
        """Return the report of a survey's three tables.

        Args:
            rows: a ``pyarrow.Table`` or ``pyarrow.dataset.Dataset`` with the columns of
                ``nlviz.surveys.schema.ROWS``; it is read by batches.
            clips: likewise, of ``CLIPS``.
            runs: likewise, of ``RUNS``; None where they are not known.
            name: what people call the survey; by default its network's name.
            seed: of the draws that intervals rest on.

        Raises:
            NlvizError: when a table lacks a column, or no clip is done.
        """
        found = surveyed(rows, clips, runs, name)
        if not found.means.digests:
            failed = found.clips["failed"]
            raise NlvizError(
                "a report needs at least one clip that is done; this survey has none"
                + (f", {counted(failed, 'clip')} failed" if failed else "")
            )
        return cls((found,), seed)

    def beside(self, other: SurveyReport) -> SurveyReport:
        """Return the report of this survey and another: what changed, and whether it is noise.

        Args:
            other: the report of one survey, say of a later checkpoint.

        Raises:
            NlvizError: when either is of two already, or they have no block in common.
        """
        if len(self.surveys) != 1 or len(other.surveys) != 1:
            raise NlvizError(
                "two surveys are laid beside each other, no more: take a report of each"
            )
        one, two = self.surveys[0], other.surveys[0]
        blocks = list(dict(one.means.heads))
        theirs = list(dict(two.means.heads))
        if not set(blocks) & set(theirs):
            raise NlvizError(
                "surveys beside each other have a block in common; these have "
                f"{listed(blocks[:3], 'and')} against {listed(theirs[:3], 'and')}"
            )
        order = blocks + [b for b in theirs if b not in blocks]
        either = {*one.means.heads, *two.means.heads}
        heads = sorted(either, key=lambda key: (order.index(key[0]), key[1]))
        if one.name == two.name:
            one, two = replace(one, name=f"{one.name} (1)"), replace(two, name=f"{two.name} (2)")
        return SurveyReport((one.ordered(heads), two.ordered(heads)), self.seed)

    @property
    def heads(self) -> tuple[tuple[str, int], ...]:
        """(block, head) of every head, in the order of the network."""
        return self.surveys[0].means.heads

    @property
    def figures(self) -> tuple[SurveyFigure, ...]:
        """The figures that have any value."""
        known = {name for survey in self.surveys for name in survey.means.figures}
        return tuple(figure for name, figure in FIGURES.items() if name in known)

    @cached_property
    def values(self) -> tuple[Intervals, ...]:
        """Mean and interval over clips, arrays (heads, figures), of each survey."""
        out = []
        for survey in self.surveys:
            means = survey.means
            columns = np.stack([means.of(figure.name) for figure in self.figures], 2)
            shape = (len(self.heads), len(self.figures))
            flat = intervals(columns.reshape(len(columns), -1), self._seed(survey))
            out.append(flat.reshaped(*shape))
        return tuple(out)

    @cached_property
    def labels(self) -> tuple[tuple[HeadLabel, ...], ...]:
        """The label of each head, of each survey."""
        return tuple(tuple(head_labels(s.means, self._seed(s))) for s in self.surveys)

    @cached_property
    def groups(self) -> tuple[Groups | None, ...]:
        """Means by label of the clips, of each survey; None where clips have no labels."""
        names = [figure.name for figure in self.figures]
        return tuple(groups(s.means, s.labels, names, self._seed(s)) for s in self.surveys)

    @cached_property
    def typical(self) -> tuple[tuple[Typical, ...], ...]:
        """The most and least typical clips of each head, of each survey."""
        return tuple(tuple(typical(s.means, s.rows)) for s in self.surveys)

    @cached_property
    def corresponding(self) -> tuple[bool, ...]:
        """Heads of two surveys that may be compared: see ``notes``."""
        if len(self.surveys) == 1:
            return (False,) * len(self.heads)
        there = [
            {key for n, key in enumerate(self.heads) if np.isfinite(s.means.values[:, n]).any()}
            for s in self.surveys
        ]
        same_layers = there[0] == there[1]
        count = [_counts(keys) for keys in there]
        return tuple(
            key in there[0]
            and key in there[1]
            and (same_layers or count[0][key[0]] == count[1][key[0]] == 1)
            for key in self.heads
        )

    @cached_property
    def changed(self) -> Changed | None:
        """What differs between two surveys; None of one."""
        if len(self.surveys) == 1:
            return None
        one, two = self.surveys
        return changed(one.means, two.means, np.array(self.corresponding), self._seed(one))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """A sentence for everything that a reader must know."""
        return (said(), *notes(self))

    def table(self) -> list[dict[str, Any]]:
        """Return a line for each head: survey, block, head, label, and each figure with its ends.

        Figures have three columns, ``NAME``, ``NAME_low`` and ``NAME_high``; None where it cannot
        be told.
        """
        out = []
        for survey, values, labels in zip(self.surveys, self.values, self.labels, strict=True):
            for n, (block, head) in enumerate(self.heads):
                label = labels[n]
                line: dict[str, Any] = {
                    "survey": survey.name,
                    "block": block,
                    "head": head,
                    "label": label.label,
                    "share": label.share,
                    "certain": label.certain,
                    "why": label.why,
                }
                for f, figure in enumerate(self.figures):
                    line[figure.name] = _number(values.mean[n, f])
                    line[f"{figure.name}_low"] = _number(values.low[n, f])
                    line[f"{figure.name}_high"] = _number(values.high[n, f])
                out.append(line)
        return out

    def to_pandas(self) -> pd.DataFrame:
        """Return ``table`` as a pandas table.

        Raises:
            NlvizError: when pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise NlvizError("to_pandas needs pandas: pip install pandas") from None
        return pd.DataFrame(self.table())

    def to_dict(self, *, thumbnails: bool = True) -> dict[str, Any]:
        """Return all of the report as what JSON can hold; None where something cannot be told.

        Args:
            thumbnails: whether pictures of the clips that are shown go with it, as base64.
        """
        return as_dict(self, thumbnails)

    def save(self, path: str | Path) -> Path:
        """Write the report as JSON, whole or not at all.

        Args:
            path: ends with .json. Pages are written by ``nlviz report FOLDER -o report.html``.

        Returns:
            The file that was written.

        Raises:
            NlvizError: when it ends otherwise, or cannot be written.
        """
        target = Path(path)
        if target.suffix != ".json":
            raise NlvizError(
                f"a report is saved as .json, got {target.name!r}; "
                "nlviz report FOLDER -o report.html writes it as a page"
            )
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
        return write_whole(target, text.encode())

    def _seed(self, survey: Surveyed) -> int:
        return self.seed * (1 << 48) + survey.means.key

    def __repr__(self) -> str:
        return in_words(self)


def _counts(keys: Sequence[tuple[str, int]] | set[tuple[str, int]]) -> dict[str, int]:
    out: dict[str, int] = {}
    for block, _ in keys:
        out[block] = out.get(block, 0) + 1
    return out


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
