"""Workers on a Ray cluster, or on a Ray that is started here: the clips go through Ray Data.

Ray Data hands blocks of clips to a pool of actors, each with one worker, and hands back what they
tell as soon as a block is done; rows never pass through Ray, workers write them to the survey's
folder themselves. Nothing is shuffled. Moritz et al. 2018 (Ray, arXiv 1712.05889); Luan et al. 2025
(Ray Data's streaming batches, arXiv 2501.12407); https://docs.ray.io/en/latest/data/data.html.
"""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nlviz.errors import NlvizError
from nlviz.surveys.engines.engine import Heard, Job, Ready
from nlviz.surveys.engines.ray_actor import Meeting, RayActor, block, unpacked
from nlviz.surveys.engines.ray_cluster import Places, cluster, explained
from nlviz.surveys.item import Item
from nlviz.surveys.worker import failed

if TYPE_CHECKING:
    import pyarrow as pa

CLIPS_PER_WORKER = 1000  # in a round; what a worker costs at its start is then nothing
LARGEST_ROUND = 250_000  # clips; the process that runs the survey needs 2 KiB for each
LARGEST_BLOCK = 16  # clips
BLOCKS_PER_WORKER = 16  # at least, where there are so many clips: the last ones end together
LOST = "Ray gave the clip to a worker and heard nothing of it"


class RayEngine:
    """Runs workers as actors of Ray Data.

    Args:
        address: of the cluster: None starts a Ray on this machine, and ends it; ``auto`` is the
            cluster that this machine belongs to; ``host:6379`` or ``ray://host:10001`` another.

    >>> RayEngine("auto").name
    'ray'
    """

    name = "ray"

    def __init__(self, address: str | None = None) -> None:
        self.address = address

    def run(
        self,
        job: Job,
        items: Iterable[Item],
        *,
        workers: int | None,
        heard: Callable[[Heard], None],
    ) -> None:
        """Do all items; they are taken a round at a time, ``CLIPS_PER_WORKER`` for each worker.

        Args:
            job: what workers are told.
            items: the clips.
            workers: how many; None for as many as the cluster has processors or GPUs for.
            heard: called with all that workers tell.

        Raises:
            NlvizError: when Ray is not installed, the cluster does not answer or has another
                version, a node does not see the survey's folder or has no nlviz, or the network
                cannot be loaded.
        """
        wanted()
        folder = Path(job.folder).absolute()
        job = replace(job, folder=str(folder))
        diaries = folder / "diaries"
        shutil.rmtree(diaries, ignore_errors=True)  # of a run that was killed
        try:
            meeting = Meeting.called(diaries / job.run, uuid.uuid4().hex)
            with cluster(self.address, job, workers) as places:
                size = min(places.workers * CLIPS_PER_WORKER, LARGEST_ROUND)
                for number, clips in enumerate(_rounds(iter(items), size)):
                    job = _round(job, f"{number}", clips, places, meeting, heard)
        finally:
            shutil.rmtree(diaries, ignore_errors=True)


def wanted() -> None:
    """Raise where Ray Data is not installed.

    Raises:
        NlvizError: with the command that installs it.
    """
    missing = [name for name in ("ray", "msgpack") if importlib.util.find_spec(name) is None]
    if missing:
        raise NlvizError(
            "the engine 'ray' needs Ray Data, which is not installed; "
            "pip install 'nlviz[ray]', or use --engine local"
        )


def _rounds(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while clips := list(itertools.islice(items, size)):
        yield clips


def _round(
    job: Job,
    number: str,
    clips: list[Item],
    places: Places,
    meeting: Meeting,
    heard: Callable[[Heard], None],
) -> Job:
    """Send clips through Ray Data, hear of each once, and return the job with its weights."""
    places = replace(places, workers=min(places.workers, len(clips)))
    size = max(1, min(LARGEST_BLOCK, len(clips) // (places.workers * BLOCKS_PER_WORKER)))
    blocks = [
        block(f"{number}-{first}", clips[first : first + size])
        for first in range(0, len(clips), size)
    ]
    outstanding = {clip.uri for clip in clips}
    with closing(_stream(job, blocks, places, meeting)) as tables:
        for told in itertools.chain.from_iterable(map(unpacked, tables)):
            if isinstance(told, Ready):
                job = replace(job, weights=told.weights)
            elif told.uri not in outstanding:
                continue  # Ray did a block once more, whose node was lost after it was told
            else:
                outstanding.remove(told.uri)
            heard(told)
    for clip in clips:
        if clip.uri in outstanding:
            heard(failed(job, clip, "died", LOST))
    return job


def _stream(
    job: Job, blocks: list[pa.Table], places: Places, meeting: Meeting
) -> Generator[pa.Table]:
    """Yield the tables that actors return, as blocks are done."""
    import ray.data

    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a clip takes as long as it takes
    with explained(), ray.data.DataContext.current(context):
        told = ray.data.from_arrow(blocks).map_batches(
            RayActor,
            fn_constructor_args=(job, meeting),
            batch_size=None,  # a block at a time
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ray.data.ActorPoolStrategy(size=places.workers),
            num_cpus=job.options.threads,
            num_gpus=places.gpus,
        )
        yield from told.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
