"""Networks that can be looked into: prepare, run under a lock, record, read."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.captures.capture import About as About
from nlviz.captures.capture import Affinities as Affinities
from nlviz.captures.capture import Capture as Capture
from nlviz.captures.precision import full, full_affinity
from nlviz.clips.clip import Clip
from nlviz.clips.detections import Detection
from nlviz.errors import NlvizError, OutOfMemory, UnknownBlock, did_you_mean
from nlviz.families import adapter_for
from nlviz.families.reading.adapter import AnyAdapter, Detector, InputSpec, Prepared
from nlviz.families.reading.report import LoadReport
from nlviz.networks.hooks import Call, recorded
from nlviz.networks.memory import (
    SURELY,
    Estimate,
    estimate,
    free_bytes,
    largest,
    too_large,
    with_frames,
)
from nlviz.progress import Listener, Progress

# One lock per network, also when several Models wrap it: hooks of two threads must not mix.
_LOCKS: weakref.WeakKeyDictionary[nn.Module, threading.Lock] = weakref.WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


class Model:
    """A network, the adapter that reads its family's blocks, and a lock.

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
    ) -> None:
        self.net = net
        self.adapter = adapter or adapter_for(net)
        self.about = about or About(type(net).__name__)
        self.labels = labels
        self.input_spec = input_spec
        self.report = report  # of the file that the weights came from
        self.autocast = autocast  # what products are computed in; None: as the weights
        self._estimates: dict[tuple[object, ...], Estimate | None] = {}
        with _LOCKS_LOCK:
            self._lock = _LOCKS.setdefault(net, threading.Lock())

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, in forward order."""
        return tuple(self.adapter.blocks(self.net))

    @property
    def device(self) -> torch.device:
        """Device of the network's parameters."""
        first = next(self.net.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def capture(self, clip: Clip, *, progress: Listener | None = None) -> Capture:
        """Run one forward pass and keep theta and phi of every block.

        The network is left as it was, also after an exception; it runs in eval mode without a
        gradient. Any number of threads may call this at once: they take turns.

        Args:
            clip: the input.
            progress: called with a sentence and a share in [0, 1] between the stages; an exception
                it raises stops the capture.

        Raises:
            OutOfMemory: when the device's memory does not suffice; the sentence says what would.

        >>> import nlviz
        >>> from nlviz.resources import asset
        >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
        >>> nlviz.load_model("lite-nl").capture(clip).affinities["stage4"]
        Affinity(stage4, embedded_gaussian, 294 queries (1x14x21) x 294 keys)
        """
        tell = Progress.of(progress)
        tell("Preparing the frames", 0.0)
        prepared = self.adapter.prepare(self.net, clip, self.input_spec)
        self.check_memory(prepared)
        tell("Running the network", 0.2)
        output, calls = self._recorded(clip, prepared)
        tell("Reading the affinities", 0.9)
        return self._read(clip, prepared, output, calls)

    def _recorded(self, clip: Clip, prepared: Prepared) -> tuple[object, dict[str, Call]]:
        """Run the network under its lock; return its output and the calls of its blocks."""
        with self.exclusive(clip), torch.no_grad(), self.recording() as calls:
            return self._run(prepared.tensor), calls

    def _read(
        self, clip: Clip, prepared: Prepared, output: object, calls: dict[str, Call]
    ) -> Capture:
        """Read affinities, features and detections from what was recorded."""
        blocks = self.adapter.blocks(self.net)
        missing = [name for name in blocks if name not in calls]
        if missing:
            raise NlvizError(
                f"the forward pass did not reach the blocks {', '.join(missing)}; a block must be "
                "called in the network's forward to have an affinity"
            )
        detections: tuple[Detection, ...] = ()
        if isinstance(self.adapter, Detector):
            detections = self.adapter.detections(output, calls)
            blocks = self.adapter.readings(blocks, calls)
        affinities = {n: self.adapter.read(n, b, calls, prepared) for n, b in blocks.items()}
        features = {n: self.adapter.features(n, b, calls) for n, b in blocks.items()}
        return Capture(
            clip=clip,
            logits=_class_logits(self.net, output),
            affinities=Affinities({n: full_affinity(a) for n, a in affinities.items()}),
            features=MappingProxyType({n: full(x) for n, x in features.items()}),
            blocks=MappingProxyType(blocks),
            about=replace(self.about, device=str(self.device)),
            labels=self.labels,
            detections=detections,
        )

    def logits(self, clip: Clip, *, bypass: str | None = None) -> Float[Tensor, " classes"]:
        """Return the network's logits for a clip, with all its blocks or without one of them.

        Args:
            clip: the input.
            bypass: name of a block that changes nothing in this forward pass.

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
        if bypass is not None and bypass not in self.blocks:
            raise UnknownBlock(f"no block is called {bypass!r}{did_you_mean(bypass, self.blocks)}")
        prepared = self.adapter.prepare(self.net, clip, self.input_spec)
        without = nullcontext() if bypass is None else self.adapter.bypass(self.net, bypass)
        with self.exclusive(clip), torch.no_grad(), without:
            found = _class_logits(self.net, self._run(prepared.tensor))
        if found is None:
            raise NlvizError(
                f"logits are a vector per clip or frame, {self.about.name} returns something else"
            )
        return found

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
        count = -(-total // frames)
        ends = [-(-total * i // count) for i in range(count + 1)]
        for i, (first, end) in enumerate(pairwise(ends)):
            name = f"Window {i + 1} of {count}, frames {first} to {end - 1}: "
            yield self.capture(
                clip if count == 1 else clip.part(first, end),
                progress=tell.part(i / count, (i + 1) / count, prefix=name),
            )

    def estimate(self, source: Clip | tuple[int, ...], *, gradient: bool = False) -> Estimate:
        """Estimate the memory of a forward pass without running it.

        Args:
            source: a clip, or the shape of the network's input.
            gradient: with all that a backward pass needs, as attribution does.

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
            shape = tuple(self.adapter.prepare(self.net, shape, self.input_spec).tensor.shape)
        key = (shape, gradient, self.autocast, self.device)
        if key not in self._estimates:
            self._estimates[key] = self._estimated(shape, gradient)
        found = self._estimates[key]
        if found is None:
            raise NlvizError(
                f"the memory of {self.about.name} cannot be told beforehand for an input of "
                f"{shape}; run it and see"
            )
        return found

    def _estimated(self, shape: tuple[int, ...], gradient: bool) -> Estimate | None:
        def run(x: Tensor) -> object:
            with self.recording() as calls:
                return self._run(x.requires_grad_(gradient)), calls

        with self._held(), torch.set_grad_enabled(gradient):
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
                return self.estimate(shape, gradient=gradient).need
            except NlvizError:
                return None

        needed = need(tuple(tensor.shape))
        if needed is not None and needed > free:
            multiple = (self.input_spec or InputSpec()).multiple
            raise OutOfMemory(too_large(tensor.shape, need, free, multiple, str(self.device)))

    def _most_frames(self, clip: Clip) -> int | None:
        """Return how many frames of a clip fit; None if all do, or if that cannot be known."""
        free = free_bytes(self.device)
        prepared = self.adapter.prepare(self.net, clip, self.input_spec)
        if free is None or prepared.tensor.nbytes * SURELY <= free:
            return None
        shape = tuple(prepared.tensor.shape)

        def fits(frames: int) -> bool:
            try:
                return self.estimate(with_frames(shape, frames)).need <= free
            except NlvizError:
                return True

        return None if fits(len(clip.frames)) else largest(fits, below=len(clip.frames)) or None

    def recording(self) -> AbstractContextManager[dict[str, Call]]:
        """Return a context that records the calls which the adapter reads affinities from."""
        adapter = self.adapter
        return recorded(
            self.net,
            adapter.modules(self.net),
            trace=adapter.traces,
            products=adapter.products,
        )

    def _run(self, x: Tensor) -> object:
        """Run the network on an input; the caller holds the lock."""
        device = self.device
        if device.type == "cuda" and x.device.type == "cpu":
            # From pinned memory the copy overlaps with the host; convolutions like channels last.
            x = x.pin_memory().to(device, non_blocking=True)
        else:
            x = x.to(device)
        if device.type == "cuda" and x.dim() == 5:
            x = x.contiguous(memory_format=torch.channels_last_3d)
        if self.autocast is None:
            return self.net(x)
        with torch.autocast(device.type, self.autocast):
            return self.net(x)

    @contextmanager
    def exclusive(self, clip: Clip) -> Iterator[None]:
        """Hold the network for one thread, in eval mode; afterwards it is as it was.

        Raises:
            OutOfMemory: when the device's memory does not suffice for what is done with the clip.
        """
        with self._held():
            try:
                yield
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                t, h, w = clip.shape
                raise OutOfMemory(
                    f"{self.device} has too little memory for {t} frames of {w}x{h} px; take "
                    "fewer frames or a smaller size, or another device"
                ) from None

    @contextmanager
    def _held(self) -> Iterator[None]:
        with self._lock:
            modes = [(m, m.training) for m in self.net.modules() if m.training]
            try:
                self.net.eval()
                yield
            finally:
                for module, mode in modes:
                    module.training = mode

    def __repr__(self) -> str:
        return f"Model({self.about.name}, {', '.join(self.blocks)}, on {self.device})"


def capture(
    net: nn.Module,
    clip: Clip,
    *,
    family: str | None = None,
    input_spec: InputSpec | None = None,
) -> Capture:
    """Run a clip through your own network and keep the affinity of each of its blocks.

    Args:
        net: any network in which a family of adapters finds blocks.
        clip: the input.
        family: read the blocks of this family; the same names as in ``load_model``.
        input_spec: size, normalisation and layout of the input; by default shorter side 224,
            ImageNet's mean and deviation, and (1, 3, T, H, W) for a network of 3-D convolutions or
            (T, 3, H, W) for one of 2-D convolutions.

    Raises:
        NoNonLocalBlocks: when the network has no block that a family knows.
        OutOfMemory: when the device's memory does not suffice.

    >>> import numpy as np, nlviz
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.ReLU())
    >>> block = nlviz.insert(net, after="1", pairwise="gaussian")
    >>> clip = Clip.from_frames(np.zeros((2, 64, 96, 3), np.uint8))
    >>> capture(net, clip, input_spec=InputSpec(size=32, layout="frames")).affinities["1"]
    Affinity(1, gaussian, 256 queries (2x8x16) x 256 keys)
    """
    return Model(net, adapter=adapter_for(net, family=family), input_spec=input_spec).capture(clip)


def _class_logits(net: nn.Module, output: object) -> Tensor | None:
    """Return (classes,) when the output looks like logits; the mean over a batch of frames."""
    if getattr(net, "num_classes", None) == 0:
        return None  # so timm calls a network without a head: its output is features
    if isinstance(output, Tensor) and output.dim() == 2:
        return output.detach().float().mean(0).cpu()
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "not enough memory" in str(error) or "can't allocate memory" in str(error)
