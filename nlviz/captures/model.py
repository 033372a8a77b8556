"""Networks that can be looked into: prepare, run under a lock, record, read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.captures.attention import seen_in
from nlviz.captures.capture import About as About
from nlviz.captures.capture import Affinities as Affinities
from nlviz.captures.capture import Capture as Capture
from nlviz.captures.capture import Source
from nlviz.captures.freed_memory import give_back
from nlviz.captures.input_check import check_attends, checked_input
from nlviz.captures.outputs import Choice, ClassScores, class_scores, told_scores
from nlviz.captures.own_input import Places, Prepare, own_input
from nlviz.captures.passes import During, Pass, Runner
from nlviz.captures.precision import full
from nlviz.captures.running import held, most_frames, on_device, parts_of, told
from nlviz.captures.text_inputs import asked_about, check_takes, seen_as
from nlviz.captures.time_covered import coverage, lengthened
from nlviz.clips.clip import Clip
from nlviz.clips.text import Text
from nlviz.errors import NlvizError, OutOfMemory, UnknownBlock, did_you_mean
from nlviz.families import adapter_for
from nlviz.families.reading.adapter import AnyAdapter, Detector, InputKind, InputSpec, Prepared
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.families.reading.prepared import Queries
from nlviz.families.reading.prepared_text import text_input
from nlviz.families.reading.report import LoadReport
from nlviz.networks.as_written import as_written, name_as_written
from nlviz.networks.calls import Calls, block_and_run
from nlviz.networks.hooks import recorded
from nlviz.networks.memory import SURELY, Estimate, estimate, free_bytes, too_large
from nlviz.progress import Listener, Progress


class Model:
    """A network, the adapter that reads its family's blocks, and a lock.

    Args:
        net: the network; of one that was compiled or spread over devices, what is inside runs, and
            the attribute ``net`` is that.
        adapter: reads its blocks; found by default.
        about: what is known of it.
        labels: a name per class.
        input_spec: how a clip becomes its input.
        report: of the file that the weights came from.
        autocast: what products are computed in; None: as the weights.
        prepare: makes the network's input of a clip, in place of ``input_spec``: returns a tensor,
            a tuple of positional arguments, a dict of keywords, or a list, which is one argument.
        output: which part of the network's output are class scores, see ``capture``.

    >>> import nlviz
    >>> model = nlviz.load_model("lite-nl")
    >>> model.blocks
    ('stage3', 'stage4')
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        adapter: AnyAdapter | None = None,
        about: About | None = None,
        labels: tuple[str, ...] = (),
        input_spec: InputSpec | None = None,
        report: LoadReport | None = None,
        autocast: torch.dtype | None = None,
        prepare: Prepare | None = None,
        output: Choice | None = None,
    ) -> None:
        self.net = net = as_written(net)
        self.adapter = adapter or adapter_for(net)
        self.about = about or About(type(net).__name__)
        self.labels = labels or self.adapter.labels(net)
        self.input_spec = input_spec
        if input_spec is None and prepare is None:
            self.input_spec = self.adapter.input_spec(net)
        self.report = report  # of the file that the weights came from
        self.autocast = autocast  # what products are computed in; None: as the weights
        self.prepare = prepare
        self.output = output
        self._places: dict[Any, Places] = {}
        self._seen: tuple[str, ...] = ()  # blocks that a pass has shown, where only that tells
        self._estimates: dict[tuple[object, ...], Estimate | None] = {}

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, in forward order.

        Of attention in a network of an unknown family, these are its modules whose code computes
        it, until a capture has shown which do.
        """
        return self._seen or tuple(self.adapter.blocks(self.net))

    @property
    def inputs(self) -> tuple[InputKind, ...]:
        """What the network takes: a ``clip``, a ``text``, or both."""
        return self.adapter.inputs(self.net)

    @property
    def device(self) -> torch.device:
        """Device of the network's parameters."""
        return next((p.device for p in self.net.parameters()), torch.device("cpu"))

    def capture(
        self,
        clip: Clip,
        *,
        text: Text | str | None = None,
        queries: Queries | None = None,
        generate: int = 0,
        boxes: Sequence[Sequence[float]] | None = None,
        blocks: Sequence[str] | None = None,
        progress: Listener | None = None,
        during: During = nullcontext,
    ) -> Capture:
        """Run one forward pass and keep theta and phi of every block.

        The network is left as it was, also after an exception; it runs in eval mode without a
        gradient. Any number of threads may call this at once: they take turns.

        Args:
            clip: the input; of a network of words, a ``Text``.
            text: what is said beside the clip, of a network that takes both.
            queries: words beside a clip whose rows are kept, and no others, by name or number on
                ``Capture.text``; ``"words"`` for all that was written, ``"answer"`` for the answer.
            generate: how many words the network writes first, the likeliest each time.
            boxes: (frame, top, left, bottom, right) of each, for a network whose queries are boxes.
            blocks: names of the blocks that are kept; by default all.
            progress: called with a sentence and a share in [0, 1] between the stages; an exception
                it raises stops the capture.
            during: a context around the pass itself; what it changes in the network comes behind
                what is recorded, see ``nlviz.intervene``.

        Raises:
            OutOfMemory: when the device's memory does not suffice; the sentence says what would.
            UnknownBlock: when there is no block of a name that is asked for.

        >>> import nlviz
        >>> from nlviz.resources import asset
        >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
        >>> nlviz.load_model("lite-nl").capture(clip).affinities["stage4"]
        Affinity(stage4, embedded_gaussian, 294 queries (1x14x21) x 294 keys)
        """
        check_attends(self.about.name, self.report, self.blocks)
        tell = Progress.of(progress)
        tell("Preparing the input", 0.0)
        clip = self.long_enough(asked_about(clip, text, boxes))
        prepared = self.prepared(clip).asking(queries, generate)
        self.check_memory(prepared)
        tell("Running the network", 0.2)
        done = self._runner(clip).run_once(prepared, blocks, during)
        tell("Reading the affinities", 0.9)
        source = Source(self, clip, queries, generate, MappingProxyType(done.readings.sites))
        capture = self._captured(clip, done.prepared or prepared, done, source)
        del prepared, done
        give_back()
        return capture

    def long_enough(self, clip: Clip) -> Clip:
        """Return the clip with its last frame repeated where the network takes no shorter one."""
        if isinstance(clip, Text):
            return clip
        least = max(len(clip.frames), (self.input_spec or InputSpec()).least_frames)
        return lengthened(clip, self.adapter.frames_taken(self.net, least))

    def prepared(self, clip: Clip) -> Prepared:
        """Return the network's input for a clip, made by ``prepare``, or as ``input_spec`` says.

        Raises:
            NlvizError: when ``prepare`` returns nothing that a network could take.
        """
        if self.prepare is None:
            check_takes(self.adapter, self.net, clip, self.about.name)
            return self.adapter.prepare(self.net, clip, self.input_spec)
        if isinstance(clip, Text):
            return text_input(self.prepare(clip), clip)
        found = own_input(self.prepare, clip, self._places)
        return self.adapter.completed(self.net, found)

    def class_scores(self, output: object, prepared: Prepared) -> ClassScores:
        """Return the class scores in what the network returned, with their gradient.

        Raises:
            NlvizError: when ``output`` names nothing in it.
        """
        own = self.adapter.scores(self.net, output, prepared) if self.output is None else None
        if own is not None or (self.adapter.answers and self.output is None):
            return told_scores(own, self.adapter.answers)
        return class_scores(
            self.net,
            output,
            frames=prepared.clip_shape[0],
            batch=len(prepared.tensor),
            labels=len(self.labels),
            choice=self.output,
            each=self.adapter.scores_of,
        )

    def _runner(self, clip: Clip) -> Runner:
        return Runner(
            self.net, self.adapter, self.run, partial(self.exclusive, clip), self.recording
        )

    def _captured(self, clip: Clip, prepared: Prepared, done: Pass, source: Source) -> Capture:
        """Return the capture that a forward pass makes."""
        scores = ClassScores(None)
        if not isinstance(self.adapter, Detector):
            scores = self.class_scores(done.output, prepared)
        found = done.readings
        clip = seen_as(clip, prepared)
        if self.adapter.watches and found.affinities:
            self._seen = tuple(found.affinities)
        return Capture(
            clip=clip,
            logits=None if scores.logits is None else scores.logits.detach().cpu(),
            affinities=Affinities(found.affinities, found.refused),
            features=MappingProxyType({n: full(x) for n, x in found.features.items()}),
            blocks=MappingProxyType(found.blocks),
            about=replace(self.about, device=str(self.device), independent=scores.independent),
            labels=self.labels,
            detections=done.detections,
            notes=(*coverage(clip, self.input_spec), *prepared.notes, *scores.notes, *done.notes),
            receipts=MappingProxyType(found.receipts),
            source=source,
        )

    def logits(self, clip: Clip, *, bypass: str | None = None) -> Float[Tensor, " classes"]:
        """Return the network's logits for a clip, with all its blocks or without one of them.

        Args:
            clip: the input.
            bypass: name of a block that changes nothing in this forward pass; of a block that runs
                several times, ``name#1`` is its first run, and ``name`` stands for all.

        Raises:
            UnknownBlock: when there is no such block.
            NlvizError: when the network's output is no vector of class logits.
            OutOfMemory: when the device's memory does not suffice.

        >>> import nlviz
        >>> from nlviz.resources import asset
        >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
        >>> model = nlviz.load_model("lite-nl")
        >>> model.logits(clip).shape, model.logits(clip, bypass="stage4").shape
        (torch.Size([1000]), torch.Size([1000]))
        """
        if bypass is not None:
            bypass = self.known(bypass)
        return self._scores(clip, bypass).logits.detach().cpu()  # type: ignore[union-attr]

    def probabilities(self, clip: Clip) -> Float[Tensor, " classes"]:
        """Return the probability of each class: shares of 1, or each by itself.

        Raises:
            NlvizError: when the network gives no class scores.
            OutOfMemory: when the device's memory does not suffice.
        """
        found = self._scores(clip)
        logits = found.logits.detach().cpu().float()  # type: ignore[union-attr]
        return logits.sigmoid() if found.independent else logits.softmax(-1)

    def _scores(self, clip: Clip, bypass: str | None = None) -> ClassScores:
        clip = self.long_enough(clip)
        prepared = self.prepared(clip)
        without = nullcontext() if bypass is None else self.adapter.bypass(self.net, bypass)
        with self.exclusive(clip), torch.no_grad(), without:
            found = self.class_scores(self.run(prepared), prepared)
        if found.logits is None:
            raise NlvizError(f"logits are one score per class; {self.about.name}: {found.note}")
        return found

    def known(self, name: str) -> str:
        """Return the name of a block or a run, also where a wrapper stands in it."""
        for found in (name, name_as_written(name)):
            if block_and_run(found)[0] in self.blocks:
                return found
        raise UnknownBlock(f"no block is called {name!r}{did_you_mean(name, self.blocks)}")

    def capture_windows(
        self, clip: Clip, *, frames: int | None = None, progress: Listener | None = None
    ) -> Iterator[Capture]:
        """Yield captures of a long clip, one window of consecutive frames at a time.

        Windows differ by one frame at most; blocks see nothing beyond their own. A capture that is
        dropped is freed before the next window runs.

        Args:
            clip: the input.
            frames: of a window at most; by default as many as the device's memory suffices for.
            progress: as in ``capture``; the sentence names the window.

        Raises:
            NlvizError: when ``frames`` is below 1, or below what the network takes.
            OutOfMemory: when not even one window fits.

        >>> import numpy as np, nlviz
        >>> clip = Clip.from_frames(np.zeros((5, 64, 96, 3), np.uint8))
        >>> model = nlviz.load_model("lite-nl", device="cpu")
        >>> [len(c.clip.frames) for c in model.capture_windows(clip, frames=2)]
        [2, 2, 1]
        """
        total = len(clip.frames)
        if frames is None:
            frames = self._most_frames(clip) or total
        least = self.input_spec.least_frames if self.input_spec else 1
        if frames < least:
            raise NlvizError(f"a window must have at least {least} frames here, got {frames}")
        tell = Progress.of(progress)
        ends = parts_of(total, frames)
        for i, (first, end) in enumerate(ends):
            name = f"Window {i + 1} of {len(ends)}, frames {first} to {end - 1}: "
            yield self.capture(
                clip if len(ends) == 1 else clip.part(first, end),
                progress=tell.part(i / len(ends), (i + 1) / len(ends), prefix=name),
            )

    def estimate(
        self,
        source: Clip | tuple[int, ...],
        *,
        gradient: bool = False,
        like: Prepared | None = None,
    ) -> Estimate:
        """Estimate the memory of a forward pass without running it.

        Args:
            source: a clip, or the shape of the network's input.
            gradient: with all that a backward pass needs, as attribution does.
            like: an input whose other arguments the network gets, too.

        Raises:
            NlvizError: when the course of the network depends on the data (detection, for
                instance), or it does not take such an input.

        >>> import nlviz
        >>> found = nlviz.load_model("lite-nl", device="cpu").estimate((1, 3, 4, 64, 96))
        >>> found.peak > found.kept > 0
        True
        """
        shape = source
        if isinstance(shape, Clip):
            like = self.prepared(shape)
            shape = tuple(like.tensor.shape)
        key = (shape, gradient, self.autocast, self.device)
        if key not in self._estimates:
            self._estimates[key] = self._estimated(shape, gradient, like)
        found = self._estimates[key]
        if found is None:
            raise NlvizError(
                f"the memory of {self.about.name} cannot be told beforehand for an input of "
                f"{shape}; run it and see"
            )
        return found

    def _estimated(
        self, shape: tuple[int, ...], gradient: bool, like: Prepared | None
    ) -> Estimate | None:
        adapter = self.adapter

        def looking() -> AbstractContextManager[object]:
            if isinstance(adapter, AttentionAdapter):
                return seen_in(adapter, self.net)
            return self.recording()

        def run(x: Tensor) -> object:
            with looking() as kept:
                return self._run(x.requires_grad_(gradient), like), kept

        with held(self.net), torch.set_grad_enabled(gradient):
            try:
                return estimate(self.net, run, shape, device=self.device)
            except Exception:  # any network, any complaint about tensors without data
                return None

    def check_memory(self, prepared: Prepared, *, gradient: bool = False) -> None:
        """Refuse an input that does not fit into the device's memory; name sizes that do.

        Raises:
            OutOfMemory: when the pass needs more than is free.
        """
        free = free_bytes(self.device)
        tensor = prepared.tensor
        if free is None or not isinstance(tensor, Tensor) or tensor.nbytes * SURELY <= free:
            return

        def need(shape: tuple[int, ...]) -> int | None:
            try:
                return self.estimate(shape, gradient=gradient, like=prepared).need
            except NlvizError:
                return None

        needed = need(tuple(tensor.shape))
        if needed is not None and needed > free:
            multiple = (self.input_spec or InputSpec()).multiple
            raise OutOfMemory(too_large(tensor.shape, need, free, multiple, str(self.device)))

    def _most_frames(self, clip: Clip) -> int | None:
        """Return how many frames of a clip fit; None if all do, or if that cannot be known."""
        prepared = self.prepared(clip)

        def need(shape: tuple[int, ...]) -> int:
            return self.estimate(shape, like=prepared).need

        return most_frames(prepared.tensor, len(clip.frames), free_bytes(self.device), need)

    def recording(self) -> AbstractContextManager[Calls]:
        """Return a context that records the calls which the adapter reads affinities from."""
        return recorded(self.net, self.adapter.modules(self.net))

    def run(self, prepared: Prepared, tensor: Tensor | None = None) -> object:
        """Run the network on an input, or with another picture in it; the caller holds the lock.

        Raises:
            NlvizError: when the network does not take such an input.
        """
        with checked_input(self.net, prepared, own=self.prepare is not None):
            return self._run(prepared.tensor if tensor is None else tensor, prepared)

    def _run(self, x: Tensor, prepared: Prepared | None = None) -> object:
        call = self.net if prepared is None else partial(prepared.call, self.net)
        x = on_device(self.net, x, self.device)
        if self.autocast is None:
            return call(x)
        with torch.autocast(self.device.type, self.autocast):
            return call(x)

    @contextmanager
    def exclusive(self, clip: Clip) -> Iterator[None]:
        """Hold the network for one thread, in eval mode; afterwards it is as it was.

        Raises:
            OutOfMemory: when the device's memory does not suffice for what is done with the clip.
        """
        with held(self.net), told(self.net, str(self.device), clip.shape):
            yield

    def __repr__(self) -> str:
        return f"Model({self.about.name}, {', '.join(self.blocks) or 'no block'}, on {self.device})"
