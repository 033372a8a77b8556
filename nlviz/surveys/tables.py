"""The tables of a survey, read when they are asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from nlviz.errors import NlvizError
from nlviz.surveys.parts import TABLES, dataset_of
from nlviz.surveys.pieces import ClipPiece, Pieces
from nlviz.surveys.schema import RUNS
from nlviz.surveys.store import Contents, SurveyFolder

_TRIES = 20  # for a state of the folder that is not changed while it is read


@dataclass(frozen=True)
class SurveyTable:
    """A table that is read when it is asked, as far as it is asked.

    Attributes:
        dataset: of pyarrow, for whoever knows it.
    """

    dataset: ds.Dataset

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self.dataset.schema

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.schema.names)

    def __len__(self) -> int:
        return int(self.dataset.count_rows())

    def count_rows(self, filter: Any = None) -> int:
        """Return how many lines there are, or how many of them fit."""
        return int(self.dataset.count_rows(filter=filter))

    def to_table(self, columns: Sequence[str] | None = None, filter: Any = None) -> pa.Table:
        """Read the table, or some columns of the lines that fit, into memory.

        Args:
            columns: names; None for all.
            filter: an expression of pyarrow, ``pyarrow.dataset.field("block") == "stage4"``.
        """
        return self.dataset.to_table(columns=None if columns is None else [*columns], filter=filter)

    def to_batches(
        self, columns: Sequence[str] | None = None, filter: Any = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the table in batches, so that memory holds a few of them; as ``to_table``."""
        names = None if columns is None else [*columns]
        yield from self.dataset.to_batches(columns=names, filter=filter)

    def to_pandas(self, columns: Sequence[str] | None = None, filter: Any = None) -> Any:
        """Return the table as a data frame of pandas; as ``to_table``.

        Raises:
            NlvizError: when pandas is not installed.
        """
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise NlvizError("a data frame takes pandas; pip install pandas") from None
        return self.to_table(columns, filter).to_pandas()

    def to_polars(self, columns: Sequence[str] | None = None, filter: Any = None) -> Any:
        """Return the table as a data frame of polars; as ``to_table``.

        Raises:
            NlvizError: when polars is not installed.
        """
        try:
            import polars
        except ImportError:
            raise NlvizError("a data frame takes polars; pip install polars") from None
        return polars.from_arrow(self.to_table(columns, filter))

    def __repr__(self) -> str:
        return f"SurveyTable({len(self):,} lines of {len(self.columns)} columns)"


@dataclass(frozen=True)
class Snapshot:
    """One state of a survey's folder: its parts, and the pieces that no part holds.

    Attributes:
        folder: of the survey.
        contents: what is in it.
        clips: lines of the pieces.
        rows: of the pieces.
    """

    folder: SurveyFolder
    contents: Contents
    clips: pa.Table
    rows: pa.Table

    @classmethod
    def of(cls, folder: SurveyFolder) -> Snapshot:
        """Return the state of a folder, which another process may write to.

        Raises:
            NlvizError: when there is no survey.
        """
        for _ in range(_TRIES):
            contents = folder.read()
            try:
                found = cls._taken(folder, contents)
            except FileNotFoundError:
                continue  # a part that was replaced meanwhile
            if folder.read().changes == contents.changes:
                return found
        raise NlvizError(f"{str(folder.path)!r} changes all the time; read it a little later")

    @classmethod
    def _taken(cls, folder: SurveyFolder, contents: Contents) -> Snapshot:
        pieces = folder.pieces(contents)
        parts = dataset_of(folder, contents, "clips")
        given = list(pieces.listed())
        uri, digest, status = (ds.field(name) for name in ("uri", "digest", "status"))
        there: set[str] = set()
        holder: dict[str, str] = {}
        if given:
            known = parts.to_table(
                ["uri"], filter=uri.isin(pa.array([p.uri for p in given], pa.string()))
            )
            there = set(known["uri"].to_pylist())
            own = pa.array([p.digest for p in given if p.digest is not None], pa.string())
            done = parts.to_table(["digest", "uri"], filter=digest.isin(own) & (status == "done"))
            holder = dict(zip(done["digest"].to_pylist(), done["uri"].to_pylist(), strict=True))
        fresh = [p for p in given if p.uri not in there and _whole(p, holder, pieces)]
        lines: list[dict[str, Any]] = []
        new: dict[str, str] = {}
        for piece in sorted(fresh, key=lambda p: p.uri):
            line = dict(piece.line)
            if piece.digest is not None:
                first = holder.get(piece.digest) or new.setdefault(piece.digest, piece.uri)
                if first != piece.uri:
                    line |= {"status": "same", "same_as": first}
            lines.append(line)
        table = pa.Table.from_pylist(lines, schema=TABLES["clips"])
        tables = (pieces.rows_of(digest) for digest in sorted(new))
        rows = [TABLES["rows"].empty_table(), *(table for table in tables if table is not None)]
        return cls(folder, contents, table, pa.concat_tables(rows))

    def table(self, name: str) -> SurveyTable:
        """Return ``rows`` or ``clips``."""
        parts = dataset_of(self.folder, self.contents, name)
        fresh: pa.Table = getattr(self, name)
        if not fresh.num_rows:
            return SurveyTable(parts)
        return SurveyTable(ds.dataset([parts, ds.dataset(fresh)]))

    def runs(self) -> pa.Table:
        """Return the table of runs."""
        return runs_table(self.contents)


def runs_table(contents: Contents) -> pa.Table:
    """Return the runs of a survey as a table of the schema RUNS."""
    from datetime import datetime

    def timed(run: dict[str, Any]) -> dict[str, Any]:
        times = {name: run[name] and datetime.fromisoformat(run[name]) for name in _TIMES}
        return {**run, **times}

    return pa.Table.from_pylist([timed(run) for run in contents.runs], schema=RUNS)


_TIMES = ("started", "ended")


def _whole(piece: ClipPiece, holder: dict[str, str], pieces: Pieces) -> bool:
    digest = piece.digest
    return digest is None or digest in holder or pieces.size_of_rows(digest) > 0
