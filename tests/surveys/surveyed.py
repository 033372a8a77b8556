"""What the tests of runs share: a small survey of a tiny network, and its tables as bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from nlviz.surveys.schema import ROW_KEY
from nlviz.surveys.survey import Survey, read_survey, survey

ASKED: dict[str, Any] = {"queries": 5, "frames": 4, "without": ("position", "nl_means")}
TINY = "tests.surveys.nets:tiny"


def surveyed(clips: Any, out: Path, **options: Any) -> Survey:
    """Survey clips with a tiny network."""
    return survey(clips, out=out, **{"model": TINY, **ASKED, **options})


def bits(folder: Path | Survey) -> tuple[bytes, bytes]:
    """Return all that the tables of rows and of clips hold, in an order that is always the same.

    Times that clips took and the ids of runs are left out. Not a number is the same as itself here.
    """
    found = folder if isinstance(folder, Survey) else read_survey(folder)
    rows = found.rows.to_table().sort_by([(name, "ascending") for name in ROW_KEY])
    clips = found.clips.to_table().drop_columns(["seconds", "run"]).sort_by("uri")
    return _bytes(rows), _bytes(clips)


def told(folder: Path | Survey) -> dict[str, tuple[str, str | None]]:
    """Return status and fault of each clip by its name."""
    found = folder if isinstance(folder, Survey) else read_survey(folder)
    table = found.clips.to_table(["name", "status", "fault"]).to_pylist()
    return {line["name"]: (line["status"], line["fault"]) for line in table}


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()
