"""How many workers this machine has room for, and which GPU each of them sees."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from nlviz.errors import NlvizError
from nlviz.surveys.engines.engine import Job

A_WORKER = 1.5 * 2**30  # bytes of memory that are reckoned for a worker beside its weights


@dataclass(frozen=True)
class Place:
    """Where a worker runs.

    Attributes:
        environment: variables that make it see its own GPU.
    """

    environment: dict[str, str] = field(default_factory=dict)


def places_for(job: Job, workers: int | None) -> list[Place]:
    """Return a place for each worker: as many as are asked for, or as the machine has room for.

    Without a GPU that is one for each core, fewer where memory is short; with GPUs one for each.

    Raises:
        NlvizError: when fewer than one is asked for.

    >>> from nlviz.surveys.options import SurveyOptions
    >>> len(places_for(Job("lite-nl", SurveyOptions(), "here", "1"), 3))
    3
    """
    if workers is not None and workers < 1:
        raise NlvizError(f"a survey has at least one worker, got {workers}")
    device = str(job.load.get("device") or "auto")
    gpus = visible_gpus() if device in ("auto", "cuda") else []
    if gpus:
        count = workers or len(gpus)
        return [Place({"CUDA_VISIBLE_DEVICES": gpus[n % len(gpus)]}) for n in range(count)]
    if device == "mps":
        return [Place()] * (workers or 1)
    return [Place()] * (workers or room_for(job))


def room_for(job: Job) -> int:
    """Return how many workers memory and cores suffice for, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    path = Path(job.model)
    weights = path.stat().st_size if path.is_file() else 0
    room = psutil.virtual_memory().available // (A_WORKER + 3 * weights)
    threads = job.options.threads
    return int(max(1, min((cores or 1) // threads, room)))


def visible_gpus() -> list[str]:
    """Return the names of the CUDA devices that a process here sees; none where torch sees none."""
    if not (any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi")):
        return []  # and torch, which takes seconds to come, is not asked
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = [name.strip() for name in named.split(",")] if named else []
    return names[:count] if len(names) >= count else [str(n) for n in range(count)]
