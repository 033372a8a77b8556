"""What runs on a node of a Ray cluster: one worker, which survives that its process is killed.

Ray starts an actor again whose process died, and gives it the same block of clips again, as often
as that happens: a clip that kills its process would hold up a survey for ever. So each block has a
diary in the survey's folder, which says what was done before the process died. The clips that were
not done are then done one by one, each once; the one that kills the process again is told as
``died``.
"""

from __future__ import annotations

import json
import platform
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlviz.errors import NlvizError
from nlviz.surveys.engines.engine import Done, Heard, Job, Ready
from nlviz.surveys.item import Item
from nlviz.surveys.worker import Worker, failed

HEARD = pa.schema([pa.field("kind", pa.string()), pa.field("told", pa.string())])
BLOCK = pa.schema(
    [
        pa.field("block", pa.string()),  # number of the block in its run
        *(pa.field(name, pa.string()) for name in ("uri", "kind", "name", "label")),
    ]
)
DIED = (
    "the process of the worker was killed while it did this clip, alone and for the second time: "
    "out of memory, or a crash in the decoder"
)


@dataclass(frozen=True)
class Meeting:
    """How a node knows that it stands on the same ground as the process that runs the survey.

    Attributes:
        folder: for diaries, within the survey's folder.
        token: what ``folder/token`` must say.
        versions: of the packages on which the bits of a row depend.
    """

    folder: str
    token: str
    versions: dict[str, str]

    @classmethod
    def called(cls, folder: Path, token: str) -> Meeting:
        """Return a meeting in a folder of this machine, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "token").write_text(token, "utf-8")
        return cls(str(folder), token, versions())

    def check(self) -> None:
        """Raise where this node sees another folder, or has other packages.

        Raises:
            NlvizError: which of them it is, on which node, and what helps.
        """
        here = f"on node {socket.gethostname()}"
        try:
            told = (Path(self.folder) / "token").read_text("utf-8")
        except OSError:
            told = ""
        if told != self.token:
            raise NlvizError(
                f"every node of a Ray cluster must see the survey's folder under the same path, "
                f"but {here} there is no {Path(self.folder).parent} of this survey; put it on a "
                "file system that all nodes share (NFS, Lustre, EFS), with the clips"
            )
        found = versions()
        other = [n for n, wanted in self.versions.items() if found.get(n) != wanted]
        if other:
            there = ", ".join(f"{n} {found.get(n)} for {self.versions[n]}" for n in other)
            raise NlvizError(
                f"all nodes need the same versions, or rows would differ, but {here} there is "
                f"{there}; install the same on all nodes"
            )


def versions() -> dict[str, str]:
    """Return the versions of what computes a row, as they are installed on this machine."""
    found = {"machine": platform.machine()}
    for name in ("nlviz", "torch", "av", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a checkout on the path
            found[name] = "as it lies there"
    return found


class Diary:
    """What became of the clips of one block, in a file that outlives the process.

    Args:
        path: of the file; the folder exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, Done] = {}
        self.alone: set[str] = set()
        self.opened_before = path.exists()
        if self.opened_before:
            for line in path.read_text("utf-8").splitlines():
                with suppress(ValueError):  # the process died within the line
                    self._read(json.loads(line))

    def _read(self, told: dict[str, Any]) -> None:
        if "alone" in told:
            self.alone.add(told["alone"])
        else:
            self.done[told["uri"]] = Done(**told)

    def write(self, told: dict[str, Any]) -> None:
        """Add a line; a full disk takes none, and is told by the worker's piece."""
        with suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")

    def close(self) -> None:
        """Remove the file: the block is told."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


class RayActor:
    """Holds one worker for Ray Data's ``map_batches``; a batch is a block of clips.

    Args:
        job: what is asked.
        meeting: where the process that runs the survey waits.

    Raises:
        NlvizError: when the node is not like the others, or the network cannot be loaded.
    """

    def __init__(self, job: Job, meeting: Meeting) -> None:
        import torch

        meeting.check()
        torch.set_num_threads(job.options.threads)
        self._diaries = Path(meeting.folder)
        self._worker = Worker(job)
        self._job = replace(job, weights=self._worker.ready.weights)
        self._is_told = False

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Do the clips of a block (table ``BLOCK``) and return what is heard (``HEARD``)."""
        told: list[Heard] = [] if self._is_told else [self._worker.ready]
        told += self.done(batch)
        self._is_told = True
        return packed(told)

    def done(self, batch: pa.Table) -> Iterator[Done]:
        """Do the clips of a block; those that were done before the process died are not."""
        rows = batch.to_pylist()
        items = [Item(**{k: v for k, v in row.items() if k != "block"}) for row in rows]
        diary = Diary(self._diaries / f"{rows[0]['block']}.jsonl")
        if diary.opened_before:
            yield from self._again(items, diary)
        else:
            diary.write({"alone": ""})  # the file is there from now on
            for done in self._worker.over(items):
                diary.write(asdict(done))
                yield done
        diary.close()

    def _again(self, items: list[Item], diary: Diary) -> Iterator[Done]:
        for item in items:
            if item.uri in diary.done:
                yield diary.done[item.uri]
                continue
            if item.uri in diary.alone:
                done = failed(self._job, item, "died", DIED)
            else:
                diary.write({"alone": item.uri})
                done = self._worker.work(item)
            diary.write(asdict(done))
            yield done


def block(number: str, items: list[Item]) -> pa.Table:
    """Return clips as the table that an actor takes."""
    return pa.Table.from_pylist([{"block": number, **asdict(i)} for i in items], schema=BLOCK)


def packed(told: list[Heard]) -> pa.Table:
    """Return what workers tell as a table, for ``unpacked``.

    >>> done = Done("a.mp4", "failed", "missing", "it is gone")
    >>> list(unpacked(packed([done]))) == [done]
    True
    """
    rows = [{"kind": type(t).__name__, "told": json.dumps(asdict(t))} for t in told]
    return pa.Table.from_pylist(rows, schema=HEARD)


def unpacked(table: pa.Table) -> Iterator[Heard]:
    """Return what workers told."""
    for row in table.to_pylist():
        whole = json.loads(row["told"])
        if row["kind"] == Ready.__name__:
            yield Ready(**{**whole, "blocks": tuple(whole["blocks"])})
        else:
            yield Done(**whole)
