"""A worker: one network, loaded once, that measures clips and writes a piece for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from nlviz.surveys.engines.engine import Done, Job, Ready
from nlviz.surveys.item import Item

if TYPE_CHECKING:
    from nlviz.captures.model import Model


class Worker:
    """Measures clips of a survey, one at a time; nothing that a clip does makes it raise.

    Args:
        job: what is asked.
        model: the network where the caller has it; else the worker loads it by its name.

    Raises:
        NlvizError: when the network cannot be loaded, or has other weights than the survey's.
    """

    def __init__(self, job: Job, model: Model | None = None) -> None:
        self.job = job
        self.ready: Ready

    def work(self, item: Item) -> Done:
        """Read and measure one clip, write its piece, and tell what became of it."""
        raise NotImplementedError

    def over(self, items: Iterable[Item]) -> Iterator[Done]:
        """Do one clip after the other; a thread reads the next while the network runs."""
        raise NotImplementedError


def failed(job: Job, item: Item, fault: str, reason: str, seconds: float = 0.0) -> Done:
    """Write the piece of a clip whose worker could not do it, for engines: one that died."""
    raise NotImplementedError
