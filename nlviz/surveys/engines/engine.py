"""What an engine is told, and what it tells: plain values that travel between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from nlviz.surveys.item import Item
from nlviz.surveys.options import SurveyOptions

Status = Literal["done", "failed"]
AGAIN = ("memory", "died", "disk", "unreachable")  # faults whose clips a later run does again
Fault = Literal["unreadable", "missing", "unreachable", "memory", "died", "disk", "refused"]


@dataclass(frozen=True)
class Job:
    """What every worker of a run is told: picklable, and small.

    Attributes:
        model: name of the network, as ``load_model`` takes it.
        options: what is asked of every clip.
        folder: of the survey; workers write their pieces there.
        run: id of the run, which stands beside each clip.
        load: further keyword arguments of ``load_model``: device, family, autocast, flags.
        weights: digest that the network must have; empty where the survey has none yet.
    """

    model: str
    options: SurveyOptions
    folder: str
    run: str
    load: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""


@dataclass(frozen=True)
class Ready:
    """A worker has its network.

    Attributes:
        weights: digest of the network's weights.
        device: where it runs.
        blocks: that are looked at, in forward order.
    """

    weights: str
    device: str
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """What became of a clip; its piece is in the folder already.

    Attributes:
        uri: of the clip.
        status: ``done`` or ``failed``.
        fault: why it failed, in a word; empty where it did not.
        reason: the sentence.
        seconds: that it took.
        stored: whether its piece could be written; False where the disk takes nothing at all.
        size: of what was written, in bytes.
    """

    uri: str
    status: Status
    fault: Fault | Literal[""] = ""
    reason: str = ""
    seconds: float = 0.0
    stored: bool = True
    size: int = 0


Heard = Ready | Done


class Engine(Protocol):
    """Runs workers.

    Each worker is one process with one ``nlviz.surveys.worker.Worker``. ``run`` passes on what
    workers tell, in the caller's thread: each worker is ``Ready`` once, each item is ``Done`` once.
    Items may be endless: they are taken as workers need them. Where ``heard`` or the items raise,
    ``run`` ends its workers and raises the same.
    """

    name: str

    def run(
        self,
        job: Job,
        items: Iterable[Item],
        *,
        workers: int | None,
        heard: Callable[[Heard], None],
    ) -> None:
        """Do all items.

        Args:
            job: what workers are told.
            items: the clips.
            workers: how many; None for as many as fit.
            heard: called with all that workers tell.

        Raises:
            NlvizError: when no worker can be had, or the network cannot be loaded.
        """
