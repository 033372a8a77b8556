"""One survey as its report has it: means of clips, the clips themselves, failures, what ran."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nlviz.sentences import counted, listed
from nlviz.surveys.figures import FIGURES
from nlviz.surveys.report.bootstrap import FEW
from nlviz.surveys.report.clip_means import ClipMeans, clip_means
from nlviz.surveys.report.said import value_text

if TYPE_CHECKING:
    import pyarrow as pa

FAILURES = 1000  # that are listed; of more the number is said
SAID = 6  # notes of clips that are told, those of most clips
LIGHT = ("uri", "name", "label", "status", "fault", "reason", "digest")


@dataclass(frozen=True, eq=False)
class Surveyed:
    """One survey.

    Attributes:
        name: what people call it.
        means: of its clips.
        names, uris, labels: of the clips of ``means``, in order.
        clips: number of clips by status: done, failed, same.
        failures: name, fault and reason of clips that failed.
        run: what is known of the last run: model, weights, options, engine, versions, ended.
        rows: the table or dataset of rows.
        table: the table or dataset of clips.
        notes: a sentence for everything that a reader must know.
    """

    name: str
    means: ClipMeans
    names: tuple[str, ...]
    uris: tuple[str, ...]
    labels: tuple[str, ...]
    clips: Mapping[str, int]
    failures: tuple[Mapping[str, str], ...]
    run: Mapping[str, Any]
    rows: Any
    table: Any
    notes: tuple[str, ...]

    def ordered(self, heads: Sequence[tuple[str, int]]) -> Surveyed:
        """Return the same with heads in this order; those that it lacks have no values."""
        mine = {key: n for n, key in enumerate(self.means.heads)}
        shape = (len(self.means.digests), len(heads), len(self.means.figures))
        values = np.full(shape, np.nan, np.float32)
        there = [n for n, key in enumerate(heads) if key in mine]
        values[:, there] = self.means.values[:, [mine[heads[n]] for n in there]]
        return replace(self, means=replace(self.means, heads=tuple(heads), values=values))

    def thumbnails(self, clips: Sequence[int]) -> dict[str, bytes]:
        """Return the thumbnails of these clips by digest, where there are any."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array([self.means.digests[n] for n in sorted(set(clips))], pa.string())
        if "thumbnail" not in self.table.schema.names:
            return {}
        is_wanted = pc.is_in(pc.field("digest"), wanted) & pc.field("thumbnail").is_valid()
        table = _read(self.table, ["digest", "thumbnail"], is_wanted)
        pairs = zip(table["digest"].to_pylist(), table["thumbnail"].to_pylist(), strict=True)
        return dict(pairs)


def surveyed(rows: Any, clips: Any, runs: Any = None, name: str = "") -> Surveyed:
    """Read one survey.

    Args:
        rows: a table or dataset like ``nlviz.surveys.schema.ROWS``.
        clips: likewise, ``CLIPS``.
        runs: likewise, ``RUNS``; None where they are not known.
        name: what people call it; by default the network's name.
    """
    table = _read(clips, [c for c in LIGHT if c in clips.schema.names])
    lines = _lines(table, "done")
    means = clip_means(rows, list(lines))
    notes: list[str] = []
    known = [lines[digest] for digest in means.digests]
    statuses = table["status"].to_pylist()
    by_status = {s: statuses.count(s) for s in ("done", "failed", "same")}
    run = _run(runs)
    failures = _failures(table)
    notes += _notes(means, by_status, lines, table)
    notes += _said_of_clips(clips)
    if run.get("more"):
        notes.append(run["more"])
    return Surveyed(
        name or str(run.get("model", "")) or "survey",
        means,
        tuple(line["name"] for line in known),
        tuple(line["uri"] for line in known),
        tuple(line["label"] for line in known),
        by_status,
        failures,
        run,
        rows,
        clips,
        tuple(notes),
    )


def _read(source: Any, columns: Sequence[str], where: Any = None) -> pa.Table:
    if hasattr(source, "scanner"):
        return source.to_table(columns=list(columns), filter=where)
    return (source if where is None else source.filter(where)).select(list(columns))


def _lines(table: pa.Table, status: str) -> dict[str, dict[str, str]]:
    """Return the clips of a status by digest; of two with one digest the first by address."""
    import pyarrow.compute as pc

    of = table.filter(pc.equal(table["status"], status)).sort_by("uri")
    out: dict[str, dict[str, str]] = {}
    for digest, uri, name, label in zip(
        *(of[c].to_pylist() for c in ("digest", "uri", "name", "label")), strict=True
    ):
        if digest is not None:
            out.setdefault(digest, {"uri": uri, "name": name, "label": label or ""})
    return out


def _failures(table: pa.Table) -> tuple[Mapping[str, str], ...]:
    import pyarrow.compute as pc

    of = table.filter(pc.equal(table["status"], "failed")).sort_by("uri").slice(0, FAILURES)
    return tuple(
        {"name": line["name"], "fault": line["fault"] or "", "reason": line["reason"] or ""}
        for line in of.select(["name", "fault", "reason"]).to_pylist()
    )


def _run(runs: Any) -> dict[str, Any]:
    if runs is None:
        return {}
    table = _read(runs, runs.schema.names)
    if not table.num_rows:
        return {}
    lines = table.sort_by("started").to_pylist()
    last = lines[-1]
    out = {
        "model": last["model"],
        "weights": last["weights"],
        "options": json.loads(last["options"]) if last["options"] else {},
        "engine": last["engine"],
        "versions": json.loads(last["versions"]) if last["versions"] else {},
        "ended": None if last["ended"] is None else last["ended"].isoformat(),
    }
    told = []
    for what in ("weights", "versions", "device", "platform"):
        if len({line[what] for line in lines}) > 1:
            told.append(what)
    if told:
        out["more"] = (
            f"Its {counted(len(lines), 'run')} differ in {listed(told, 'and')}: the last one's "
            "are shown."
        )
    return out


def _notes(
    means: ClipMeans, by_status: Mapping[str, int], lines: Mapping[str, Any], table: pa.Table
) -> list[str]:
    notes = []
    read = len(means.digests)
    if read < FEW:
        notes.append(
            f"{counted(read, 'clip')}: of fewer than {FEW} no interval is told, and no label is "
            "certain."
        )
    if by_status["same"]:
        notes.append(
            f"{counted(by_status['same'], 'clip has', 'clips have')} the same bytes as another: "
            "each content counts once."
        )
    several = _several_labels(table)
    if several:
        notes.append(
            f"{counted(several, 'content stands', 'contents stand')} under two labels or more: "
            "that of the first clip by its address counts."
        )
    if by_status["failed"]:
        more = f"; {FAILURES:,} of them are listed" if by_status["failed"] > FAILURES else ""
        notes.append(
            f"{counted(by_status['failed'], 'clip')} failed and "
            f"{'is' if by_status['failed'] == 1 else 'are'} in no mean{more}."
        )
    if means.left_out:
        notes.append(
            f"Of {len(lines):,} clips the report takes {len(lines) - means.left_out:,}, those "
            "whose digests come first: a draw by chance. The tables hold all."
        )
    elif len(lines) > read:
        missing = len(lines) - read
        notes.append(f"{counted(missing, 'clip that is', 'clips that are')} done without any row.")
    if means.strangers:
        notes.append(
            f"{counted(means.strangers, 'row')} of clips that are not among the clips that are "
            "done: left out."
        )
    for name, count in (means.infinite or {}).items():
        notes.append(
            f"{FIGURES[name].label} is infinite in {counted(count, 'row')}: there it is not told."
        )
    notes += _receipts(means)
    return notes


def _said_of_clips(clips: Any) -> list[str]:
    """Return the notes that most clips have, say on why a figure is not known, with how many."""
    import pyarrow.compute as pc

    if "notes" not in clips.schema.names:
        return []
    table = _read(clips, ["status", "notes"])
    each = pc.list_flatten(table.filter(pc.equal(table["status"], "done"))["notes"])
    counts = [(c["counts"], c["values"]) for c in pc.value_counts(each).to_pylist()]
    counts = sorted(((n, note) for n, note in counts if note), key=lambda c: (-c[0], c[1]))
    out = [f"{counted(n, 'clip')}: {note}" for n, note in counts[:SAID]]
    if len(counts) > SAID:
        out.append(f"{counted(len(counts) - SAID, 'note')} of fewer clips: the table of clips.")
    return out


def _several_labels(table: pa.Table) -> int:
    """Return how many contents have clips of several labels."""
    import pyarrow.compute as pc

    of = table.filter(pc.and_(pc.is_valid(table["digest"]), pc.not_equal(table["label"], "")))
    each = of.group_by("digest").aggregate([("label", "count_distinct")])
    return int(pc.sum(pc.greater(each["label_count_distinct"], 1)).as_py() or 0)


def _receipts(means: ClipMeans) -> list[str]:
    """Say it where a block's rows do not give the block's output."""
    receipt = means.of("receipt")
    if not np.isfinite(receipt).any():
        return []
    most = {
        block: float(np.nanmax(receipt[:, [n for n, k in enumerate(means.heads) if k[0] == block]]))
        for block in dict(means.heads)
        if np.isfinite(receipt[:, [n for n, k in enumerate(means.heads) if k[0] == block]]).any()
    }
    wrong = {block: value for block, value in most.items() if value > WRONG}
    return [
        f"Rows of {block} give its output with an error of {value_text('receipt', value)} in one "
        "clip: its figures may not be of what the network computes."
        for block, value in wrong.items()
    ]


WRONG = 1e-2  # relative error of a block's output from which its rows are doubtful
