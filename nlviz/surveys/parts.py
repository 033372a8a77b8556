"""Pieces become parts: one commit at a time, after which the same clip is still there once.

Of clips with the same bytes the one whose uri sorts first is ``done``, the others are the ``same``;
which it is may change with each commit, so that in the end it does not depend on who came first.
Memory holds the lines of the clips of one commit, and the rows of one clip.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from nlviz.surveys.known import Hashes
from nlviz.surveys.pieces import ClipPiece, Pieces
from nlviz.surveys.schema import CLIPS, ROWS
from nlviz.surveys.store import Contents, Part, SurveyFolder

TABLES = {"clips": CLIPS, "rows": ROWS}
GROUP = 1 << 16  # rows of a row group, about
_Edits = dict[str, dict[str, dict[str, Any] | None]]  # by part and uri; None: not there any more
_LINE = ("uri", "run", "status", "same_as", "digest")


@dataclass(frozen=True)
class Line:
    """What of a clip in a part decides who holds its rows.

    Attributes:
        uri: of the clip.
        run: that did it.
        status: ``done``, ``same`` or ``failed``.
        same_as: uri of the clip that holds its rows.
        digest: of the bytes.
        file: of the part.
    """

    uri: str
    run: str
    status: str
    same_as: str | None
    digest: str | None
    file: str


class Parts:
    """The parts of a survey, as one writer sees them.

    Args:
        folder: of the survey.
        contents: what is in it.
    """

    def __init__(self, folder: SurveyFolder, contents: Contents) -> None:
        self.contents = contents
        self._folder = folder
        self._uris, self._digests = Hashes(), Hashes()
        self._past: list[Path] = []  # files that no part is any more
        for batch in self.batches(["uri", "digest", "status"]):
            self._know(batch.to_pylist())

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the table of clips, some thousands of lines at a time."""
        yield from self._clips().to_batches(columns=list(columns))

    def commit(self, pieces: Pieces, most: int) -> int:
        """Put pieces into parts, some clips at a time; return how many clips.

        Args:
            pieces: of the survey.
            most: clips of a part.

        Raises:
            OSError: when the disk does not take it; the pieces are as they were.
        """
        count = 0
        waiting: list[ClipPiece] = []
        for piece in pieces.listed():
            waiting.append(piece)
            if len(waiting) == most:
                count += self._commit(pieces, waiting)
                waiting = []
        return count + (self._commit(pieces, waiting) if waiting else 0)

    def _commit(self, pieces: Pieces, given: list[ClipPiece]) -> int:
        known = [p.uri for p in given if p.uri in self._uris]
        old = {line.uri: line for line in self._lines(ds.field("uri").isin(known))} if known else {}
        fresh = [p for p in given if self._is_newer(p, old.get(p.uri))]
        replaced = {p.uri: old[p.uri] for p in fresh if p.uri in old}
        affected = {p.digest for p in fresh if p.digest is not None and p.digest in self._digests}
        affected |= {line.digest for line in replaced.values() if line.digest is not None}
        there = self._members(affected)
        measured = {line.digest for line in there}  # digests whose rows are in a part
        fresh = [p for p in fresh if self._has_rows(p, measured, pieces)]
        replaced = {uri: line for uri, line in replaced.items() if uri in {p.uri for p in fresh}}
        kept = [line for line in there if line.uri not in replaced]
        holder = _holders([*((p.digest, p.uri) for p in fresh), *((x.digest, x.uri) for x in kept)])
        edits: _Edits = defaultdict(dict)
        for uri, line in replaced.items():
            edits[line.file][uri] = None
        for line in kept:
            if line.same_as != (now := _same_as(line.digest, line.uri, holder)):
                edits[line.file][line.uri] = _shared(now)
        past: list[Path] = []
        contents = self._edited(edits, past)
        lost = {line.digest for line in replaced.values()} & measured - set(holder)
        contents = self._without_rows(contents, {digest for digest in lost if digest}, past)
        contents = self._added(contents, pieces, fresh, measured, holder)
        if contents is not self.contents:
            self.contents = self._folder.write(contents)
            for path in self._past:  # whoever read the contents before has opened them by now
                path.unlink(missing_ok=True)
            self._past = past
        self._know([dict(p.line) for p in fresh])
        for piece in given:
            piece.path.unlink(missing_ok=True)
            if piece.digest is not None:
                pieces.drop_rows(piece.digest)
        return len(fresh)

    def _is_newer(self, piece: ClipPiece, old: Line | None) -> bool:
        """Return whether a piece is of a later run than what a part holds of its clip."""
        if old is None:
            return True
        order = {run["run"]: n for n, run in enumerate(self.contents.runs)}
        return order.get(piece.line["run"], -1) > order.get(old.run, -1)

    @staticmethod
    def _has_rows(piece: ClipPiece, measured: set[str | None], pieces: Pieces) -> bool:
        digest = piece.digest
        return digest is None or digest in measured or pieces.about_rows(digest) is not None

    def _members(self, digests: Iterable[str]) -> list[Line]:
        """Return the clips in parts that have one of these digests and did not fail."""
        wanted = list(digests)
        if not wanted:
            return []
        fits = ds.field("digest").isin(wanted) & (ds.field("status") != "failed")
        return list(self._lines(fits))

    def _lines(self, fits: pc.Expression) -> Iterator[Line]:
        for tagged in self._clips().scanner(columns=list(_LINE), filter=fits).scan_batches():
            file = Path(tagged.fragment.path).name
            for one in tagged.record_batch.to_pylist():
                yield Line(**one, file=file)

    def _clips(self) -> ds.Dataset:
        return dataset_of(self._folder, self.contents, "clips")

    def _know(self, lines: Sequence[dict[str, Any]]) -> None:
        self._uris.add(line["uri"] for line in lines)
        self._digests.add(line["digest"] for line in lines if line["status"] != "failed")

    def _next(self, contents: Contents) -> tuple[Contents, str]:
        number = contents.files + 1
        return replace(contents, files=number), f"part-{number:06d}.parquet"

    def _edited(self, edits: _Edits, past: list[Path]) -> Contents:
        """Write the lines of some parts anew, changed or without some clips."""
        contents, parts = self.contents, []
        for part in self.contents.parts:
            if part.clips not in edits:
                parts.append(part)
                continue
            changed = edits[part.clips]
            path = self._folder.path / "clips" / part.clips
            lines = [
                {**line, **(changed.get(line["uri"], {}) or {})}
                for line in pq.read_table(path, schema=CLIPS).to_pylist()
                if changed.get(line["uri"], {}) is not None
            ]
            past.append(path)
            name = ""
            if lines:
                contents, name = self._next(contents)
                self._write_clips(name, lines)
            if name or part.rows:
                parts.append(replace(part, clips=name, done=len(lines)))
        return contents if not edits else replace(contents, parts=tuple(parts))

    def _without_rows(self, contents: Contents, digests: set[str], past: list[Path]) -> Contents:
        """Write the rows of parts anew without those of clips that are no more."""
        if not digests:
            return contents
        parts = []
        for part in contents.parts:
            path = self._folder.path / "rows" / part.rows
            gone = ds.field("digest").isin(list(digests))
            if not part.rows or not ds.dataset(path).count_rows(filter=gone):
                parts.append(part)
                continue
            contents, name = self._next(contents)
            batches = ds.dataset(path, schema=ROWS).to_batches(filter=~gone)
            count = self._write_rows(name, (pa.Table.from_batches([b]) for b in batches))
            past.append(path)
            if count or part.clips:
                parts.append(replace(part, rows=name if count else "", measured=count))
        return replace(contents, parts=tuple(parts))

    def _added(
        self,
        contents: Contents,
        pieces: Pieces,
        fresh: list[ClipPiece],
        measured: set[str | None],
        holder: dict[str, str],
    ) -> Contents:
        """Write a part of the clips that are new."""
        if not fresh:
            return contents
        lines = []
        for piece in fresh:
            same = _same_as(piece.digest, piece.uri, holder)
            lines.append({**piece.line, **({} if piece.digest is None else _shared(same))})
        contents, name = self._next(contents)
        self._write_clips(name, lines)
        digests = sorted({p.digest for p in fresh if p.digest is not None} - measured)
        count = self._write_rows(name, _rows_of(pieces, digests))
        part = Part(name, name if count else "", len(lines), count)
        return replace(contents, parts=(*contents.parts, part))

    def _write_clips(self, name: str, lines: list[dict[str, Any]]) -> None:
        lines.sort(key=lambda line: str(line["uri"]))
        path = self._folder.path / "clips" / name
        _whole(path, CLIPS, [pa.Table.from_pylist(lines, schema=CLIPS)])

    def _write_rows(self, name: str, tables: Iterable[pa.Table]) -> int:
        return _whole(self._folder.path / "rows" / name, ROWS, tables)


def dataset_of(folder: SurveyFolder, contents: Contents, table: str) -> ds.Dataset:
    """Return a table of the parts of a survey, read when it is asked."""
    files = [str(path) for path in folder.files_of(contents, table)]
    return ds.dataset(files, schema=TABLES[table], format="parquet")


def _rows_of(pieces: Pieces, digests: Iterable[str]) -> Iterator[pa.Table]:
    for digest in digests:
        table = pieces.rows_of(digest)
        if table is None:
            raise OSError(f"the rows of the clip with digest {digest} were removed meanwhile")
        yield table


def _whole(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
    """Write a file of Parquet that is there whole or not at all; return the number of rows.

    No file is written where there are no rows.
    """
    beside = path.with_name(f".{path.name}.part")
    count, waiting, held = 0, [], 0
    writer = None
    try:
        with beside.open("wb") as file:
            for table in tables:
                waiting.append(table)
                count, held = count + table.num_rows, held + table.num_rows
                if held >= GROUP:
                    writer = writer or pq.ParquetWriter(file, schema, compression="zstd")
                    writer.write_table(pa.concat_tables(waiting))
                    waiting, held = [], 0
            if held:
                writer = writer or pq.ParquetWriter(file, schema, compression="zstd")
                writer.write_table(pa.concat_tables(waiting))
            if writer is not None:
                writer.close()
            file.flush()
            os.fsync(file.fileno())
        if count:
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return count


def _holders(members: Iterable[tuple[str | None, str]]) -> dict[str, str]:
    """Return for each digest the uri that sorts first."""
    found: dict[str, str] = {}
    for digest, uri in members:
        if digest is not None:
            found[digest] = min(uri, found.get(digest, uri))
    return found


def _same_as(digest: str | None, uri: str, holder: dict[str, str]) -> str | None:
    found = None if digest is None else holder[digest]
    return None if found == uri else found


def _shared(same_as: str | None) -> dict[str, Any]:
    """Return how the line of a clip says that another with the same bytes has the rows, or none."""
    return {"status": "done" if same_as is None else "same", "same_as": same_as}
