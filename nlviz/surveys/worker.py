"""A worker: one network, loaded once, that measures clips and writes a piece for each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.errors import MissingClip, NlvizError, OutOfMemory, UnreachableClip, UnreadableClip
from nlviz.surveys.engines.engine import Done, Fault, Job, Ready
from nlviz.surveys.item import Item
from nlviz.surveys.pieces import Origin, Pieces

if TYPE_CHECKING:
    from nlviz.captures.model import Model
    from nlviz.clips.clip import Clip

THUMBNAIL = 160  # longer side of a thumbnail, in pixels


@dataclass(frozen=True, eq=False)
class Read:
    """A clip that was read, or why it could not be.

    Attributes:
        item: which one.
        clip: its frames; None where it could not be read.
        state: of its file before it was read; None where that is not known.
        fault: in a word.
        reason: the sentence.
        seconds: that reading took.
    """

    item: Item
    clip: Clip | None
    state: str | None
    fault: Fault | None = None
    reason: str = ""
    seconds: float = 0.0


class Worker:
    """Measures clips of a survey, one at a time; nothing that a clip does makes it raise.

    It computes in the thread that calls it, with as many threads of PyTorch as the options say.

    Args:
        job: what is asked.
        model: the network where the caller has it; else the worker loads it by its name.
        clips: those that are in memory, by the uri of their items; others are read.

    Raises:
        NlvizError: when the network cannot be loaded, is another than the survey's, or does not
            take what is asked.
    """

    def __init__(
        self, job: Job, model: Model | None = None, clips: Mapping[str, Clip] | None = None
    ) -> None:
        from nlviz.surveys.measuring.measurer import Measurer
        from nlviz.zoo.load import load_model

        if model is None:
            model = load_model(job.model, allow_code=True, **job.load)
        weights = weights_of(model)
        if job.weights and weights != job.weights:
            raise NlvizError(
                f"a survey is of one network, and the weights of {job.model} are not those that "
                f"it began with ({weights[:12]}, not {job.weights[:12]}); survey them into "
                "another folder with -o DIR, or make the function that builds the network seed "
                "its weights"
            )
        self.job = job
        self._model, self._clips = model, clips or {}
        self._measurer = Measurer(model, job.options, Path(job.folder))
        self._pieces = Pieces(job.folder, Origin(weights, job.options.digest)).made()
        self.ready = Ready(weights, str(model.device), job.options.blocks or model.blocks)

    def work(self, item: Item) -> Done:
        """Read and measure one clip, write its piece, and tell what became of it."""
        return self.finish(self.read(item))

    def over(self, items: Iterable[Item]) -> Iterator[Done]:
        """Do one clip after the other; a thread reads the next while the network runs."""
        given = iter(items)

        def ahead() -> Read | None:
            item = next(given, None)
            return None if item is None else self.read(item)

        with ThreadPoolExecutor(1, "reading") as pool:
            waiting = pool.submit(ahead)
            while (read := waiting.result()) is not None:
                waiting = pool.submit(ahead)
                yield self.finish(read)

    def read(self, item: Item) -> Read:
        """Read one clip; a clip that cannot be read has a fault."""
        from nlviz.surveys.listing.reading import read_item, state_of

        began = time.perf_counter()
        clip, state, fault, reason = self._clips.get(item.uri), None, None, ""
        if clip is None:
            try:
                state = state_of(item)
                clip = read_item(item, self.job.options.sampling, self._model.input_spec)
            except Exception as error:  # whatever is in the file: the others go on
                fault, reason = fault_of(error), sentence_of(error)
        return Read(item, clip, state, fault, reason, time.perf_counter() - began)

    def finish(self, read: Read) -> Done:
        """Measure a clip that was read, write its piece, and tell what became of it."""
        began = time.perf_counter()
        about: dict[str, Any] = {}
        rows = None
        fault, reason = read.fault, read.reason
        if read.clip is not None:
            try:
                about, rows = self._measured(read.clip)
            except (Exception, SystemExit) as error:  # the network's code may do what it likes
                fault, reason = fault_of(error, "refused"), sentence_of(error)
        line = self._line(read, about)
        line["seconds"] = seconds = read.seconds + time.perf_counter() - began
        if fault == "memory":
            self._free()
        if fault is not None:
            return told(self._pieces, line, fault, reason)
        try:
            size = 0 if rows is None else self._pieces.put_rows(line["digest"], rows, about)
            size += self._pieces.put_clip(line)
        except OSError as error:
            return told(self._pieces, line, "disk", of_disk(error))
        return Done(read.item.uri, "done", seconds=seconds, size=size)

    def _measured(self, clip: Clip) -> tuple[dict[str, Any], Any]:
        """Return what the network says of a clip, and its rows; None where they are there."""
        about = self._pieces.about_rows(clip.digest)
        if about is not None:  # the same bytes under another name
            return about, None
        found = self._measurer.measure(clip)
        about = {
            "prediction": found.prediction,
            "probability": found.probability,
            "notes": list(found.notes),
        }
        return about, found.rows

    def _line(self, read: Read, about: Mapping[str, Any]) -> dict[str, Any]:
        line = blank(self.job, read.item)
        line["state"] = read.state
        clip = read.clip
        if clip is not None:
            frames, height, width = clip.shape
            line |= {"digest": clip.digest, "frames": frames, "height": height, "width": width}
            line["duration"] = float(clip.times[-1] - clip.times[0])
            line["thumbnail"] = thumbnail(clip)
        return line | dict(about)

    def _free(self) -> None:
        import gc

        from nlviz.captures.freed_memory import give_back

        gc.collect()
        give_back()


def blank(job: Job, item: Item) -> dict[str, Any]:
    """Return the line of a clip of which nothing is known yet."""
    from nlviz.surveys.schema import CLIPS

    line: dict[str, Any] = dict.fromkeys(CLIPS.names)
    return line | {
        "uri": item.uri,
        "name": item.name,
        "label": item.label,
        "status": "done",
        "notes": [],
        "seconds": 0.0,
        "run": job.run,
    }


def failed(job: Job, item: Item, fault: Fault, reason: str, seconds: float = 0.0) -> Done:
    """Write the line of a clip that no worker could do, for engines: of one that died.

    Args:
        job: with the weights that the workers had.
        item: the clip.
        fault: in a word.
        reason: the sentence.
        seconds: that it took.
    """
    pieces = Pieces(job.folder, Origin(job.weights, job.options.digest))
    return told(pieces, blank(job, item) | {"seconds": seconds}, fault, reason)


def told(pieces: Pieces, line: Mapping[str, Any], fault: Fault, reason: str) -> Done:
    """Write that a clip failed, if need be into the room that is kept for it on a full disk."""
    line = {**line, "status": "failed", "fault": fault, "reason": reason, "thumbnail": None}
    line |= {"prediction": None, "probability": None}
    size, stored = 0, False
    for _ in range(2):
        try:
            size = pieces.put_clip(line)
        except OSError:
            if not pieces.free_reserve():
                break
        else:
            stored = True
            break
    return Done(str(line["uri"]), "failed", fault, reason, line["seconds"], stored, size)


def fault_of(error: BaseException, otherwise: Fault = "unreadable") -> Fault:
    """Return in a word why a clip failed.

    >>> fault_of(OutOfMemory("too large")), fault_of(ValueError("?"), "refused")
    ('memory', 'refused')
    """
    from nlviz.captures.running import is_out_of_memory

    if isinstance(error, OutOfMemory) or is_out_of_memory(error):
        return "memory"
    if isinstance(error, MissingClip):
        return "missing"
    if isinstance(error, UnreachableClip):
        return "unreachable"
    return "unreadable" if isinstance(error, UnreadableClip) else otherwise


def sentence_of(error: BaseException) -> str:
    """Return what an error says, in one line; of errors of others with their kind."""
    text = " ".join(str(error).split())[:400]
    if isinstance(error, NlvizError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def of_disk(error: OSError) -> str:
    """Return why nothing could be written, as a sentence."""
    return f"its rows could not be written: {(error.strerror or str(error)).lower()}"


def thumbnail(clip: Clip) -> bytes:
    """Return the middle frame as a small JPEG."""
    from nlviz.picture import encode, resized, scaled

    frame = clip.frames[len(clip.frames) // 2]
    scale = min(1.0, THUMBNAIL / max(frame.shape[:2]))
    return encode(resized(frame, scaled(frame.shape, scale)), "jpeg", quality=80)


def weights_of(model: Model) -> str:
    """Return the digest of a network's weights: of their file, or of all its tensors."""
    if model.about.digest:
        return model.about.digest
    import hashlib

    import torch

    found = hashlib.sha256()
    for name, tensor in sorted(model.net.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            plain = tensor.detach().cpu().contiguous().reshape(-1)
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
    return found.hexdigest()
