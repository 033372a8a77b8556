"""Networks that are ready to be looked into, and what one forward pass of them gave."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity import Affinity
from nlviz.clip import Clip
from nlviz.detections import Detection
from nlviz.errors import NlvizError, OutOfMemory, UnknownBlock, did_you_mean
from nlviz.families import adapter_for
from nlviz.families.adapter import Adapter, Detector, InputSpec
from nlviz.layouts.report import LoadReport
from nlviz.recording import recorded

Progress = Callable[[str, float], None]

# One lock per network, also when several Models wrap it: hooks of two threads must not mix.
_LOCKS: weakref.WeakKeyDictionary[nn.Module, threading.Lock] = weakref.WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


@dataclass(frozen=True)
class About:
    """What is known of a model, for titles and files.

    Attributes:
        name: full name.
        trained_for: one phrase; ``not trained`` where nothing is.
        digest: sha256 of the weights, or empty.
        device: where the forward pass ran.
    """

    name: str
    trained_for: str = "training unknown"
    digest: str = ""
    device: str = "cpu"


class Affinities(Mapping[str, Affinity]):
    """Affinities by block name, in forward order; a wrong name is answered with the close ones."""

    def __init__(self, by_name: Mapping[str, Affinity]) -> None:
        self._by_name = MappingProxyType(dict(by_name))

    def __getitem__(self, name: str) -> Affinity:
        if name not in self._by_name:
            raise UnknownBlock(f"no block is called {name!r}{did_you_mean(name, self._by_name)}")
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return "\n".join(repr(a) for a in self._by_name.values())


@dataclass(frozen=True, eq=False)
class Capture:
    """What one forward pass gave: frozen, and free of hooks and locks.

    Attributes:
        clip: the input.
        logits: (classes,) of the network, or None where its output is something else.
        affinities: by block name, in forward order.
        features: what entered each block, (channels, t, h, w).
        blocks: the modules themselves.
        about: what is known of the model.
        labels: a name per class, or empty.
        detections: the objects that a detection network found, or empty.
    """

    clip: Clip
    logits: Float[Tensor, " classes"] | None
    affinities: Affinities
    features: Mapping[str, Float[Tensor, "channels t h w"]]
    blocks: Mapping[str, nn.Module]
    about: About
    labels: tuple[str, ...] = field(default=(), repr=False)
    detections: tuple[Detection, ...] = field(default=(), repr=False)

    def prediction(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the k most probable labels with their probabilities (softmax of the logits)."""
        if self.logits is None:
            return []
        p, index = self.logits.float().softmax(-1).topk(min(k, self.logits.numel()))
        named = len(self.labels) == self.logits.numel()
        return [
            (self.labels[i] if named else f"class {i}", float(v))
            for i, v in zip(index.tolist(), p.tolist(), strict=True)
        ]


class Model:
    """A network, the adapter that knows it, and a lock.

    >>> import nlviz
    >>> model = nlviz.load_model("lite-nl")
    >>> model.blocks
    ('stage3', 'stage4')
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        adapter: Adapter | None = None,
        about: About | None = None,
        labels: tuple[str, ...] = (),
        input_spec: InputSpec | None = None,
        report: LoadReport | None = None,
    ) -> None:
        self.net = net
        self.adapter = adapter or adapter_for(net)
        self.about = about or About(type(net).__name__)
        self.labels = labels
        self.input_spec = input_spec
        self.report = report  # of the file that the weights came from
        with _LOCKS_LOCK:
            self._lock = _LOCKS.setdefault(net, threading.Lock())

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, in forward order."""
        return tuple(self.adapter.blocks(self.net))

    @property
    def device(self) -> torch.device:
        """Where the network's parameters are."""
        first = next(self.net.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def capture(self, clip: Clip, *, progress: Progress | None = None) -> Capture:
        """Run one forward pass and keep theta and phi of every block.

        The network is left as it was, also after an exception; it runs in eval mode without a
        gradient. Any number of threads may call this at once: they take turns.

        Args:
            clip: the input.
            progress: called with a sentence and a share in [0, 1] between the stages; an exception
                it raises stops the capture.

        Raises:
            OutOfMemory: when the device's memory does not suffice.

        >>> import nlviz
        >>> from nlviz.resources import asset
        >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
        >>> nlviz.load_model("lite-nl").capture(clip).affinities["stage4"]
        Affinity(stage4, embedded_gaussian, 294 queries (1x14x21) x 294 keys)
        """
        tell = progress or (lambda sentence, share: None)
        tell("Preparing the frames", 0.0)
        prepared = self.adapter.prepare(self.net, clip, self.input_spec)
        blocks = self.adapter.blocks(self.net)
        modules = self.adapter.modules(self.net)
        tell("Running the network", 0.2)
        with (
            self.exclusive(clip),
            torch.no_grad(),
            recorded(self.net, modules, trace=self.adapter.traces) as calls,
        ):
            output = self.net(prepared.tensor.to(self.device))
        tell("Reading the affinities", 0.9)
        missing = [name for name in blocks if name not in calls]
        if missing:
            raise NlvizError(
                f"the forward pass did not reach the blocks {', '.join(missing)}; a block must be "
                "called in the network's forward to have an affinity"
            )
        return Capture(
            clip=clip,
        detections: tuple[Detection, ...] = ()
        if isinstance(self.adapter, Detector):
            detections = self.adapter.detections(output, calls)
            blocks = self.adapter.readings(blocks, calls)
            logits=_class_logits(output),
            affinities=Affinities(
                {n: self.adapter.read(n, b, calls, prepared) for n, b in blocks.items()}
            ),
            features=MappingProxyType(
                {n: self.adapter.features(n, b, calls) for n, b in blocks.items()}
            ),
            blocks=MappingProxyType(blocks),
            about=About(
                self.about.name, self.about.trained_for, self.about.digest, str(self.device)
            ),
            labels=self.labels,
        )

            detections=detections,
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
            found = _class_logits(self.net(prepared.tensor.to(self.device)))
        if found is None:
            raise NlvizError(
                f"logits are a vector per clip or frame, {self.about.name} returns something else"
            )
        return found

    @contextmanager
    def exclusive(self, clip: Clip) -> Iterator[None]:
        """Hold the network for one thread, in eval mode; afterwards it is as it was.

        Raises:
            OutOfMemory: when the device's memory does not suffice for what is done with the clip.
        """
        with self._lock:
            modes = [(m, m.training) for m in self.net.modules() if m.training]
            try:
                self.net.eval()
                yield
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                t, h, w = clip.shape
                raise OutOfMemory(
                    f"{self.device} has too little memory for {t} frames of {w}x{h} px; take "
                    "fewer frames or a smaller size, or another device"
                ) from None
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
        family: take this family of adapters.
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


def _class_logits(output: object) -> Tensor | None:
    """Return (classes,) when the output looks like logits; the mean over a batch of frames."""
    if isinstance(output, Tensor) and output.dim() == 2:
        return output.detach().float().mean(0).cpu()
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "not enough memory" in str(error) or "can't allocate memory" in str(error)
