"""The folder of a survey: what is in it is what ``survey.json`` names, and the pieces beside it.

``survey.json`` is replaced whole, and nothing that it names is ever written again: a part is a new
file, and is part of the survey from the moment at which ``survey.json`` names it. So whoever reads
sees one state or the next, whatever is killed when.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import filelock

from nlviz.errors import NlvizError
from nlviz.files.local import put_whole
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.pieces import Origin, Pieces
from nlviz.surveys.schema import FORMAT, VERSION

_FILE, _LOCK = "survey.json", ".lock"
_OWN = {_FILE, _LOCK, "rows", "clips", "pieces", "diaries"}  # the last of workers on Ray


@dataclass(frozen=True)
class Part:
    """Some clips of a survey, in files that are never written again.

    Attributes:
        clips: name of the file with their lines, in ``clips/``.
        rows: name of the file with their rows, in ``rows/``; empty where they have none.
        done: how many clips are in it.
        measured: how many rows.
    """

    clips: str
    rows: str
    done: int
    measured: int


@dataclass(frozen=True)
class Contents:
    """What ``survey.json`` says.

    Attributes:
        model: name of the network.
        load: how it was loaded: family, autocast, flags.
        options: what was asked of every clip.
        weights: digest of its weights; empty before the first worker had it.
        blocks: that were looked at.
        runs: one dict for each, of the columns of RUNS.
        parts: that belong to the survey.
        files: how many parts were ever written, which numbers the next.
        changes: how often this file was replaced.
    """

    model: str
    load: dict[str, Any]
    options: SurveyOptions
    weights: str = ""
    blocks: tuple[str, ...] = ()
    runs: tuple[dict[str, Any], ...] = ()
    parts: tuple[Part, ...] = ()
    files: int = 0
    changes: int = 0

    @property
    def origin(self) -> Origin:
        """What the rows follow from."""
        return Origin(self.weights, self.options.digest)

    def with_run(self, **values: Any) -> Contents:
        """Return the contents with other values in the last run."""
        return replace(self, runs=(*self.runs[:-1], {**self.runs[-1], **values}))


@dataclass(frozen=True)
class SurveyFolder:
    """The folder of a survey.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def file(self) -> Path:
        """The file that names what is in the survey."""
        return self.path / _FILE

    def exists(self) -> bool:
        """Return whether there is a survey."""
        return self.file.is_file()

    def read(self) -> Contents:
        """Return what is in the survey.

        Raises:
            NlvizError: when there is none, or it is another version's.
        """
        try:
            said = json.loads(self.file.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise NlvizError(
                f"{str(self.path)!r} holds no survey; name the folder of `nlviz survey ... -o DIR`"
            ) from None
        except (OSError, ValueError) as error:
            raise NlvizError(f"{str(self.file)!r} cannot be read: {error}") from None
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise NlvizError(f"{str(self.file)!r} does not say that it is a survey of nlviz")
        if said.get("version") != VERSION:
            raise NlvizError(
                f"{str(self.path)!r} is a survey of version {said.get('version')}, and this nlviz "
                f"reads version {VERSION}; survey again, or take the nlviz that wrote it"
            )
        try:
            return Contents(
                model=said["model"],
                load=said["load"],
                options=SurveyOptions.from_dict(said["options"]),
                weights=said["weights"],
                blocks=tuple(said["blocks"]),
                runs=tuple(said["runs"]),
                parts=tuple(Part(**part) for part in said["parts"]),
                files=said["files"],
                changes=said["changes"],
            )
        except (KeyError, TypeError) as error:
            raise NlvizError(
                f"{str(self.file)!r} lacks {error}; it was edited, or another program wrote it"
            ) from None

    def write(self, contents: Contents) -> Contents:
        """Replace what is in the survey; return it as it was written.

        Raises:
            OSError: when the disk does not take it; the survey is as it was.
        """
        contents = replace(contents, changes=contents.changes + 1)
        said = {"format": FORMAT, "version": VERSION, **asdict(contents)}
        said["options"] = contents.options.to_dict()
        put_whole(self.file, json.dumps(said, indent=1).encode(), sync=True)
        return contents

    def pieces(self, contents: Contents) -> Pieces:
        """Return the pieces of the survey."""
        return Pieces(self.path, contents.origin)

    def files_of(self, contents: Contents, table: str) -> list[Path]:
        """Return the files of a table, ``rows`` or ``clips``, in the order of the parts."""
        names = [getattr(part, table) for part in contents.parts]
        return [self.path / table / name for name in names if name]

    def sweep(self, contents: Contents) -> None:
        """Remove files that the survey does not name: of a run that was killed."""
        for table in ("rows", "clips"):
            wanted = set(self.files_of(contents, table))
            for path in (self.path / table).glob("*"):
                if path not in wanted:
                    path.unlink(missing_ok=True)
        for path in self.path.glob(f".{_FILE}.*.part"):
            path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process, made where it is not there.

        The system lets go of the lock when the process ends, however it ends.

        Raises:
            NlvizError: when another process holds it, it cannot be written to, or it holds files
                that are no survey's.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            others = sorted(p.name for p in self.path.iterdir() if p.name not in _OWN)
            if others and not self.exists() and not all(n.startswith(".") for n in others):
                raise NlvizError(
                    f"{str(self.path)!r} holds other files ({', '.join(others[:3])}); a survey "
                    "takes a new or empty folder, -o DIR"
                )
            lock = filelock.FileLock(self.path / _LOCK)
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise NlvizError(
                f"another run writes to {str(self.path)!r}; wait for its end, or take another "
                "folder with -o DIR"
            ) from None
        except OSError as error:
            raise NlvizError(
                f"{str(self.path)!r} cannot be written to ({error.strerror}); take another folder "
                "with -o DIR"
            ) from None
        try:
            for table in ("rows", "clips"):
                (self.path / table).mkdir(exist_ok=True)
            yield
        finally:
            lock.release()


def differences(found: Contents, asked: Contents) -> list[str]:
    """Return in what a survey differs from what is asked, a phrase each: ``queries 32, not 16``.

    >>> one = Contents("lite-nl", {}, SurveyOptions())
    >>> differences(one, Contents("lite-nl", {}, SurveyOptions(queries=16)))
    ['queries 32, not 16']
    """
    told = [] if found.model == asked.model else [f"model {found.model}, not {asked.model}"]
    for was, now in (
        (found.load, asked.load),
        (found.options.to_dict(), asked.options.to_dict()),
    ):
        told += _differences(was, now)
    return told


def _differences(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    told = []
    for name in sorted({*was, *now}):
        a, b = was.get(name), now.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            told += _differences(a, b)
        elif a != b:
            told.append(f"{name} {_said(a)}, not {_said(b)}")
    return told


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " and ".join(str(v) for v in value) or "as it is by default"
    return "as it is by default" if value is None else str(value).lower()
