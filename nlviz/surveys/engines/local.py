"""Workers on this machine: a process for each, which ends with the one that started it."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from nlviz.errors import NlvizError
from nlviz.sentences import counted
from nlviz.surveys.engines.engine import Done, Heard, Job, Ready
from nlviz.surveys.engines.messages import Ended, Hello, Sorry, receive, send
from nlviz.surveys.engines.places import Place, places_for
from nlviz.surveys.item import Item
from nlviz.surveys.worker import failed

AHEAD = 2  # items that a worker has: one that it measures, one that it reads
MOST_DEATHS = 8  # of workers, one after another, with no clip done between them


@dataclass(eq=False)
class _Process:
    """A worker's process, and what it was given."""

    process: subprocess.Popen[bytes]
    log: Any
    place: Place
    items: list[Item] = field(default_factory=list)
    ready: bool = False
    told_all: bool = False

    def give(self, item: Item | None) -> None:
        """Send an item, or None where there are no more; a dead worker is noticed elsewhere."""
        assert self.process.stdin is not None
        if item is None:
            self.told_all = True
        else:
            self.items.append(item)
        try:
            send(self.process.stdin.fileno(), item)
        except Ended:
            pass

    def last_line(self) -> str:
        """Return the last thing that the worker said on stderr."""
        try:
            self.log.seek(0)
            lines = self.log.read().decode("utf-8", "replace").split("\n")
        except (OSError, ValueError):
            return ""
        said = [line.strip() for line in lines if line.strip() and not line.startswith(" ")]
        return said[0 if said and said[0].startswith("Fatal") else -1][:200] if said else ""

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.log):
            pipe.close()  # type: ignore[union-attr]


_Event = tuple[_Process, Any]


class LocalEngine:
    """Runs workers as processes of this machine.

    A worker that dies is replaced. What it had in hand is done at the end, one clip at a time and
    with no other worker, so that it has all the memory there is; a clip whose worker dies once more
    has failed.
    """

    name = "local"

    def run(
        self,
        job: Job,
        items: Iterable[Item],
        *,
        workers: int | None,
        heard: Callable[[Heard], None],
    ) -> None:
        """Do all items; see ``Engine``.

        Raises:
            NlvizError: when the network cannot be loaded, or workers die whatever they are given.
        """
        _Run(job, iter(items), heard).all(workers)


class _Run:
    """One run: first all items by all workers, then those whose workers died by the last one."""

    def __init__(self, job: Job, items: Iterator[Item], heard: Callable[[Heard], None]) -> None:
        self._job, self._items, self._heard = job, items, heard
        self._events: queue.Queue[_Event] = queue.Queue()
        self._alive: list[_Process] = []
        self._next: Item | None = None  # the item that was taken last and is given to nobody yet
        self._suspects: list[Item] = []  # that a worker had in hand when it died
        self._alone = False  # whether they are done by now, one at a time
        self._deaths = 0

    def all(self, workers: int | None) -> None:
        """Do all items, then those whose workers died, alone."""
        try:
            for place in places_for(self._job, workers):
                self._start(place)
            while self._alive:
                self._hear()
        finally:
            for one in self._alive:
                one.end()

    def _hear(self) -> None:
        """Wait for what a worker tells, and answer."""
        try:
            one, message = self._events.get(timeout=0.5)  # so that Ctrl-C is heard everywhere
        except queue.Empty:
            return
        if isinstance(message, Sorry):
            raise NlvizError(message.sentence)
        if isinstance(message, Ready):
            self._heard(message)
            self._job = replace(self._job, weights=message.weights)
            one.ready = True
        elif isinstance(message, Done):
            self._deaths = 0
            one.items = [item for item in one.items if item.uri != message.uri]
            self._heard(message)
        else:
            self._gone(one)
            return
        self._feed(one)

    def _gone(self, one: _Process) -> None:
        """Take leave of a process; replace it where it died and there is something to do."""
        code = one.process.wait()
        self._alive.remove(one)
        died = not one.told_all or one.items
        why = how_it_ended(code, one.last_line()) if died else ""
        one.end()
        if died:
            self._died(one, why)
        others = [other for other in self._alive if not other.told_all]
        if (died and self._more()) or (not others and (self._more() or self._suspects)):
            self._start(one.place)
        for other in others:
            if other.ready and not other.items:
                self._feed(other)

    def _died(self, one: _Process, why: str) -> None:
        if not one.ready:
            raise NlvizError(f"a worker could not load the network: {why}")
        if self._alone:
            for item in one.items:
                self._heard(failed(self._job, item, "died", why))
            return
        self._suspects += one.items
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            raise NlvizError(
                f"{counted(self._deaths, 'worker')} died one after another and no clip was done; "
                f"of the last, {why}; try one clip with nlviz attend"
            )

    def _more(self) -> bool:
        """Return whether there is an item that was given to nobody yet."""
        if self._next is None:
            self._next = next(self._items, None)
        return self._next is not None

    def _feed(self, one: _Process) -> None:
        """Give a worker what it can take, or tell it that this was all."""
        while len(one.items) < AHEAD and self._more():
            item, self._next = self._next, None
            one.give(item)
        if one.items:
            return
        others = [other for other in self._alive if other is not one]
        if any(not other.told_all for other in others) or not self._suspects:
            one.give(None)
        elif not others:  # the last one, which has all memory: there is no other worker any more
            self._alone = True
            one.give(self._suspects.pop(0))

    def _start(self, place: Place) -> None:
        log = tempfile.TemporaryFile()
        threads = str(self._job.options.threads)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = {**dict.fromkeys(names, threads), **place.environment}
        group: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
        process = subprocess.Popen(
            [sys.executable, "-m", "nlviz.surveys.engines.serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            env={
                **os.environ,
                **environment,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            **group,  # Ctrl-C is for the one who runs the survey, who then ends its workers
        )
        one = _Process(process, log, place)
        self._alive.append(one)
        assert process.stdin is not None
        try:
            send(process.stdin.fileno(), Hello(sys.path, environment, pickle.dumps(self._job)))
        except Ended:
            pass  # it is gone, and the thread below says so
        threading.Thread(target=self._listen, args=(one,), daemon=True).start()

    def _listen(self, one: _Process) -> None:
        assert one.process.stdout is not None
        file = one.process.stdout.fileno()
        try:
            while True:
                self._events.put((one, receive(file)))
        except (Ended, Exception):
            self._events.put((one, None))


def how_it_ended(code: int, said: str = "") -> str:
    """Return in words how a process ended.

    >>> how_it_ended(3, "cannot go on")
    'its worker ended itself with code 3; it said: cannot go on'
    """
    if code >= 0:
        why = f"its worker ended itself with code {code}"
    else:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        why = f"its worker crashed with {name}"
        if name == "SIGKILL":
            why = "its worker was killed (SIGKILL), as the system does when memory runs out"
    return f"{why}; it said: {said}" if said else why
