"""Pieces: what a worker writes of a clip, each file whole or not there.

A clip that is done leaves two files: its rows, named after the digest of its bytes, then its line
in the table of clips, named after its uri. Who does a clip once more replaces them by the same.
The line counts: rows without one belong to a clip that is not done. A piece says of which network
and options it is, so that none of a worker of another survey is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlviz.files.local import put_whole
from nlviz.surveys.schema import CLIPS, ROWS

_NOTE = b"nlviz"  # key of what a piece says of itself
RESERVE, RESERVED = "reserve", 1 << 20  # bytes kept free so that a full disk can still be told


@dataclass(frozen=True)
class Origin:
    """What rows follow from, beside the clip.

    Attributes:
        weights: digest of the network's weights.
        options: digest of the options.
    """

    weights: str
    options: str


@dataclass(frozen=True)
class ClipPiece:
    """A clip's line in the table of clips, and the file that holds it."""

    path: Path
    line: Mapping[str, Any]

    @property
    def uri(self) -> str:
        """Address of the clip."""
        return str(self.line["uri"])

    @property
    def digest(self) -> str | None:
        """Digest of a clip that is done; None of one that failed."""
        return None if self.line["status"] == "failed" else str(self.line["digest"])


class Pieces:
    """The pieces in the folder of a survey.

    Args:
        folder: of the survey.
        origin: of the pieces that are taken; others are no pieces of this survey.
    """

    def __init__(self, folder: str | Path, origin: Origin) -> None:
        self.clips = Path(folder) / "pieces" / "clips"
        self.rows = Path(folder) / "pieces" / "rows"
        self._reserve = Path(folder) / "pieces" / RESERVE
        self._origin = origin

    def made(self) -> Pieces:
        """Make the folders, and keep some room on the disk.

        Raises:
            OSError: when the folders cannot be made.
        """
        self.clips.mkdir(parents=True, exist_ok=True)
        self.rows.mkdir(exist_ok=True)
        if not self._reserve.exists():
            try:
                put_whole(self._reserve, bytes(RESERVED))
            except OSError:
                pass  # then there is no reserve
        return self

    def free_reserve(self) -> bool:
        """Free the room that was kept; return whether there was any."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def put_rows(self, digest: str, rows: pa.Table, about: Mapping[str, Any]) -> int:
        """Write the rows of a clip; return their size in bytes.

        Args:
            digest: of the clip.
            rows: of the schema ROWS.
            about: what else the network says of these bytes, see ``about_rows``.

        Raises:
            OSError: when the disk does not take them.
        """
        return self._put(self._rows_of(digest), rows.select(ROWS.names).cast(ROWS), about)

    def put_clip(self, line: Mapping[str, Any]) -> int:
        """Write the line of a clip; return its size in bytes.

        Raises:
            OSError: when the disk does not take it.
        """
        table = pa.Table.from_pylist([dict(line)], schema=CLIPS)
        return self._put(self.clips / f"{short(str(line['uri']))}.arrow", table, {})

    def about_rows(self, digest: str) -> dict[str, Any] | None:
        """Return what was written beside the rows of a clip; None where it has none here."""
        found = self._read(self._rows_of(digest))
        return None if found is None else found[1]

    def rows_of(self, digest: str) -> pa.Table | None:
        """Return the rows of a clip; None where there is no piece of them."""
        found = self._read(self._rows_of(digest))
        return None if found is None else found[0]

    def size_of_rows(self, digest: str) -> int:
        """Return the size of the rows of a clip, in bytes; 0 where there is no piece of them."""
        try:
            return self._rows_of(digest).stat().st_size
        except OSError:
            return 0

    def listed(self) -> Iterator[ClipPiece]:
        """Yield the lines of all pieces that are whole and of this survey, by name of the file."""
        for path in sorted(self.clips.glob("*.arrow")):
            found = self._read(path)
            if found is not None and found[0].num_rows == 1:
                yield ClipPiece(path, found[0].to_pylist()[0])

    def drop_rows(self, digest: str) -> None:
        """Remove the rows of a clip, which a part holds by now."""
        self._rows_of(digest).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what belongs to no clip: halves of files, rows without a line, other surveys'."""
        wanted = set()
        for path in self.clips.glob("*.arrow"):
            found = self._read(path)
            if found is None:
                path.unlink(missing_ok=True)
            elif digest := found[0]["digest"][0].as_py():
                wanted.add(self._rows_of(digest))
        for path in (*self.clips.parent.rglob("*.part"), *self.rows.glob("*.arrow")):
            if path not in wanted:
                path.unlink(missing_ok=True)

    def _rows_of(self, digest: str) -> Path:
        return self.rows / f"{short(digest)}.arrow"

    def _put(self, path: Path, table: pa.Table, about: Mapping[str, Any]) -> int:
        note = {"weights": self._origin.weights, "options": self._origin.options, "about": about}
        table = table.replace_schema_metadata({_NOTE: json.dumps(note).encode()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue().to_pybytes()
        put_whole(path, content)
        return len(content)

    def _read(self, path: Path) -> tuple[pa.Table, dict[str, Any]] | None:
        """Return a piece and what it says; None where it is not there, cut off, or another's."""
        try:
            with pa.ipc.open_file(pa.BufferReader(path.read_bytes())) as reader:
                table = reader.read_all()
            note = json.loads(table.schema.metadata[_NOTE])
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return None
        if Origin(note.get("weights"), note.get("options")) != self._origin:
            return None
        return table.replace_schema_metadata(None), note["about"]


def short(text: str) -> str:
    """Return a name for a file, the same for the same text.

    >>> len(short("/films/a.mp4")), short("a") == short("b")
    (32, False)
    """
    return blake2b(text.encode(), digest_size=16).hexdigest()
