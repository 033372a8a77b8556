"""A survey in this process: for a network that exists in Python only, and for small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nlviz.surveys.engines.engine import Heard, Job
from nlviz.surveys.item import Item
from nlviz.surveys.worker import Worker

if TYPE_CHECKING:
    from nlviz.captures.model import Model
    from nlviz.clips.clip import Clip


class InlineEngine:
    """Runs one worker in this process, which has its threads back afterwards.

    Args:
        model: the network; None loads the job's.
        clips: those that are in memory, by the uri of their items.
    """

    name = "inline"

    def __init__(self, model: Model | None = None, clips: Mapping[str, Clip] | None = None) -> None:
        self._model, self._clips = model, clips

    def run(
        self,
        job: Job,
        items: Iterable[Item],
        *,
        workers: int | None,
        heard: Callable[[Heard], None],
    ) -> None:
        """Do all items; see ``Engine``."""
        with as_many_threads(job.options.threads):
            worker = Worker(job, self._model, self._clips)
            heard(worker.ready)
            for done in worker.over(items):
                heard(done)


@contextmanager
def as_many_threads(threads: int) -> Iterator[None]:
    """Let PyTorch compute with so many threads, and with as many as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
