"""What a survey asks of every clip: all that its rows follow from, beside clip and network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from nlviz.errors import NlvizError

MOST_QUERIES = 4096


@dataclass(frozen=True)
class Sampling:
    """How the frames of each clip are chosen; None is as the network was trained.

    Attributes:
        start: seconds to skip.
        stride: take every stride-th frame.
        frames: how many frames.
        size: shorter side in pixels.
        fps: frames per second of pictures that say none themselves.
        rate: frames per second that ``stride`` speaks of.
    """

    start: float = 0.0
    stride: int | None = None
    frames: int | None = None
    size: int | None = None
    fps: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class SurveyOptions:
    """What a survey asks of every clip.

    Two surveys of one network with the same options have the same rows of the same clip, bit by
    bit, whatever runs them: every worker computes with ``threads`` threads.

    Attributes:
        blocks: names of the blocks; empty for all.
        queries: places that are asked about in each clip.
        seed: of the places, and of all that is drawn.
        sampling: how frames are chosen.
        without: names of figures that are left out.
        knock_out: whether links are cut, see ``nlviz.knock_out``: passes for each query.
        bypass: whether each block is left out once: a pass for each.
        threads: of PyTorch in each worker.

    >>> SurveyOptions().digest == SurveyOptions(queries=32).digest
    True
    """

    blocks: tuple[str, ...] = ()
    queries: int = 32
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    without: tuple[str, ...] = ()
    knock_out: bool = False
    bypass: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.queries <= MOST_QUERIES:
            raise NlvizError(
                f"a survey asks 1 to {MOST_QUERIES:,} queries of each clip, got {self.queries}"
            )
        if self.threads < 1:
            raise NlvizError(f"a worker has at least one thread, got {self.threads}")

    def to_dict(self) -> dict[str, Any]:
        """Return the options as what JSON can hold."""
        whole: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return whole

    @classmethod
    def from_dict(cls, whole: dict[str, Any]) -> SurveyOptions:
        """Return the options that ``to_dict`` wrote."""
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in whole.items()
        }
        return cls(**{**values, "sampling": Sampling(**whole["sampling"])})

    @property
    def digest(self) -> str:
        """Sha256 of the options, in hex."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()
