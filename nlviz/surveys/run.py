"""One run of a survey: what is still to be done, by an engine, until it is done or stopped."""

from __future__ import annotations

import json
import platform
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from typing import Any

from nlviz.errors import NlvizError, UnreadableClip
from nlviz.sentences import listed
from nlviz.surveys.engines.engine import AGAIN, Engine, Heard, Job, Ready
from nlviz.surveys.item import Item
from nlviz.surveys.known import States
from nlviz.surveys.parts import Parts
from nlviz.surveys.store import Contents, SurveyFolder, differences
from nlviz.surveys.tally import Tally

PART_CLIPS, PART_BYTES = 1000, 64 << 20  # pieces are put into a part when there are as many
FULL = 12  # clips in a row of which the disk takes nothing: then a run stops
Tell = Callable[[Tally], object]


class Run:
    """A run of a survey.

    Args:
        folder: of the survey.
        asked: network and options, as a survey without clips.
        engine: what runs the workers.
        load: keyword arguments of ``load_model``, the device among them.
        tell: called with the tally now and then.
    """

    def __init__(
        self,
        folder: SurveyFolder,
        asked: Contents,
        engine: Engine,
        *,
        load: Mapping[str, Any],
        tell: Tell = lambda tally: None,
    ) -> None:
        self._folder, self._asked, self._engine = folder, asked, engine
        self._load, self._tell = dict(load), tell
        self._id = secrets.token_hex(6)
        self.tally = Tally()
        self._names: dict[str, str] = {}  # of clips that workers have
        self._waiting = self._size = self._full = 0
        self._parts: Parts

    def all(self, items: Iterable[Item], *, workers: int | None, resume: bool) -> Tally:
        """Do all clips that are not done, and return how it went.

        Args:
            items: the clips.
            workers: how many; None for as many as fit.
            resume: go on with the survey that is in the folder, where there is one.

        Raises:
            NlvizError: when there is a survey and it is not to go on, or it is another one; when
                the network cannot be loaded, or the disk is full.
        """
        rest = iter(items)
        first = next(rest, None)  # what is wrong with the clips is said before any work
        if first is None:
            raise NlvizError("a survey looks at clips, and there is none")
        items = chain((first,), rest)
        with self._folder.locked():
            self._open(resume, workers)
            known = self._known()
            job = Job(
                self._asked.model,
                self._asked.options,
                str(self._folder.path.absolute()),
                self._id,
                self._load,
                self._contents.weights,
            )
            with self._merged_at_the_end():
                self._engine.run(job, self._todo(items, known), workers=workers, heard=self._heard)
                self._contents = self._contents.with_run(ended=now())
        return self.tally

    @property
    def _contents(self) -> Contents:
        return self._parts.contents

    @_contents.setter
    def _contents(self, contents: Contents) -> None:
        self._parts.contents = contents

    def _open(self, resume: bool, workers: int | None) -> None:
        """Make the survey, or go on with it: what a run that was killed left is put in order."""
        found = self._folder.read() if self._folder.exists() else None
        if found is None or not (found.weights or found.parts):
            found = self._asked  # also where the network of an earlier run could not be loaded
        else:
            told = differences(found, self._asked)
            where = str(self._folder.path)
            if not resume:
                raise NlvizError(
                    f"{where!r} holds a survey; go on with it with --resume, or take another "
                    "folder with -o DIR"
                )
            if told:
                raise NlvizError(
                    f"a survey goes on as it began, and {where!r} has {listed(told, 'and')}; ask "
                    "for the same, or take another folder with -o DIR"
                )
        self._folder.sweep(found)
        run = {
            "run": self._id,
            "started": now(),
            "ended": None,
            "model": found.model,
            "weights": found.weights,
            "options": json.dumps(found.options.to_dict(), sort_keys=True),
            "engine": self._engine.name,
            "workers": workers or 0,
            "device": "",
            "versions": json.dumps(versions()),
            "platform": platform.platform(),
        }
        self._parts = Parts(self._folder, replace(found, runs=(*found.runs, run)))
        pieces = self._folder.pieces(self._contents)
        try:
            pieces.made().sweep()
            self._merge()
            self._contents = self._folder.write(self._contents)
        except OSError as error:
            raise self._cannot_write(error) from None

    def _known(self) -> States:
        uris: list[str] = []
        states: list[str | None] = []
        for batch in self._parts.batches(["uri", "state", "fault"]):
            uris += batch["uri"].to_pylist()
            states += [
                None if fault in AGAIN else state or ""
                for state, fault in zip(
                    batch["state"].to_pylist(), batch["fault"].to_pylist(), strict=True
                )
            ]
        return States(uris, states)

    def _todo(self, items: Iterable[Item], known: States) -> Iterator[Item]:
        """Yield the clips that are not done, or not as they are now."""
        for item in items:
            if item.uri in known and known.stands(item.uri, state_now(item)):
                self.tally.before += 1
                continue
            self._names[item.uri] = item.name
            yield item

    def _heard(self, message: Heard) -> None:
        if isinstance(message, Ready):
            self._ready(message)
            return
        self.tally.add(message, self._names.pop(message.uri, message.uri))
        self._full = self._full + 1 if message.fault == "disk" else 0
        self._tell(self.tally)
        if self._full >= FULL:
            raise NlvizError(
                f"the disk of {str(self._folder.path)!r} takes nothing: {message.reason}. Free "
                "some space and go on with --resume; what was done before is kept"
            )
        self._waiting, self._size = self._waiting + 1, self._size + message.size
        if self._waiting >= PART_CLIPS or self._size >= PART_BYTES:
            try:
                self._merge()
            except OSError:
                self._waiting = self._size = 0  # they stay pieces, which are read as well

    def _ready(self, message: Ready) -> None:
        """Note what network the first worker has; the others must have the same.

        Raises:
            NlvizError: when they do not.
        """
        self.tally.begin()
        found = self._contents
        if found.weights and found.weights != message.weights:
            raise NlvizError(
                f"all workers must have the same network, and the weights of {found.model} are "
                "others in each; make the function that builds it seed them, or name a file"
            )
        run = found.runs[-1]
        changed = {"weights": message.weights, "device": message.device}
        if not found.weights or any(run[name] != value for name, value in changed.items()):
            found = replace(found, weights=message.weights, blocks=message.blocks)
            try:
                self._contents = self._folder.write(found.with_run(**changed))
            except OSError as error:
                raise self._cannot_write(error) from None
        self._tell(self.tally)

    def _merge(self) -> None:
        self._waiting = self._size = 0
        if self._contents.weights:
            self._parts.commit(self._folder.pieces(self._contents), PART_CLIPS)

    @contextmanager
    def _merged_at_the_end(self) -> Iterator[None]:
        """Put pieces into parts, also where a run was stopped; a full disk leaves them pieces."""
        try:
            yield
        finally:
            pieces = self._folder.pieces(self._contents)
            try:
                self._merge()
                self._contents = self._folder.write(self._contents)
            except OSError:
                if pieces.free_reserve():
                    try:
                        self._contents = self._folder.write(self._contents)
                    except OSError:
                        pass  # the run is not marked as ended; what it did is there

    def _cannot_write(self, error: OSError) -> NlvizError:
        return NlvizError(
            f"{str(self._folder.path)!r} cannot be written to ({error.strerror or error}); free "
            "some space, or take another folder with -o DIR"
        )


def state_now(item: Item) -> str:
    """Return what changes when the file of a clip does; empty where that cannot be told."""
    if item.kind == "remote" or item.uri.startswith("clip:"):
        return ""  # a question to the network for each clip that is done takes days
    from nlviz.surveys.listing.reading import state_of

    try:
        return state_of(item)
    except UnreadableClip:
        return ""


def versions() -> dict[str, str]:
    """Return the versions of what rows depend on."""
    found = {"python": platform.python_version()}
    for name in ("nlviz", "torch", "av", "numpy", "pyarrow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """Return the time as ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
