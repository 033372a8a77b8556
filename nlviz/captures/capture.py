"""What one forward pass of a network gave: frozen, and free of hooks and locks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.captures.file_format import (
    _CURE,
    _OPTIONAL,
    FORMAT,
    VERSION,
    _affinity,
    _described,
    _detections,
    _fits,
    _header,
    _require,
    _tensor,
    _text,
)
from nlviz.clips.clip import Clip, Sampling
from nlviz.clips.detections import Detection
from nlviz.errors import NlvizError, UnknownBlock, UnreadableCheckpoint, did_you_mean
from nlviz.files.local import write_whole


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
        blocks: the modules themselves; empty where it was read from a file.
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

    def save(self, path: str | Path) -> Path:
        """Save all of it but the modules as one file, whole or not at all.

        ``nlviz.read_capture`` reads it and `nlviz app` opens it, both without the network.

        Raises:
            NlvizError: when an affinity is not held as embeddings, or the file cannot be written.
        """
        return save_capture(self, path)


def save_capture(capture: Capture, path: str | Path) -> Path:
    """Save a capture as a file that ``read_capture`` reads; whole or not at all.

    Raises:
        NlvizError: when an affinity is not held as embeddings, or the file cannot be written.
    """
    tensors: dict[str, Tensor] = {
        "clip.frames": torch.from_numpy(capture.clip.frames.copy()),
        "clip.times": torch.from_numpy(capture.clip.times.copy()),
    }
    if capture.logits is not None:
        tensors["logits"] = capture.logits
    if capture.detections:
        text = json.dumps([d.to_dict() for d in capture.detections]).encode()
        tensors["detections"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    blocks = []
    for n, (name, affinity) in enumerate(capture.affinities.items()):
        if not isinstance(affinity, EmbeddedAffinity):
            raise NlvizError(
                f"a saved capture holds embeddings, the affinity of {name} is a "
                f"{type(affinity).__name__}; save its rows as .npz instead"
            )
        found = {key: getattr(affinity, key) for key in ("theta", "phi", *_OPTIONAL)}
        found["features"] = capture.features[name]
        tensors |= {f"{n}.{key}": value for key, value in found.items() if value is not None}
        blocks.append(_described(name, affinity))
    clip = capture.clip
    told = {
        "clip": {"name": clip.name, "digest": clip.digest, "sampling": asdict(clip.sampling)},
        "about": asdict(capture.about),
        "labels": list(capture.labels),
        "blocks": blocks,
    }
    # Cloned: a Gaussian's theta and phi are one tensor, which safetensors refuses to write.
    content = save_tensors(
        {
            k: v.detach().cpu().clone(memory_format=torch.contiguous_format)
            for k, v in tensors.items()
        },
        metadata={"format": FORMAT, "version": str(VERSION), "capture": json.dumps(told)},
    )
    return write_whole(path, content)


def read_capture(source: str | Path | bytes, *, name: str = "") -> Capture:
    """Read a capture that ``Capture.save`` wrote; its rows are the same, bit for bit.

    It has no modules: ``blocks`` is empty, and what needs the network cannot be asked of it.

    Args:
        source: the file, whatever its ending, or its bytes.
        name: what to call it in errors; the file's name by default.

    Raises:
        UnreadableCheckpoint: when it is no capture of this version, or its parts do not fit.

    >>> import nlviz, tempfile
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = nlviz.load_model("lite-nl").capture(clip).save(Path(folder) / "c.nlviz")
    ...     read_capture(path).affinities["stage4"]
    Affinity(stage4, embedded_gaussian, 294 queries (1x14x21) x 294 keys)
    """
    if isinstance(source, bytes):
        label, content = name or "upload", source
    else:
        label = name or Path(source).name
        try:
            content = Path(source).read_bytes()
        except OSError as error:
            raise UnreadableCheckpoint(
                f"the capture {str(source)!r} cannot be read ({error.strerror}); give the path of "
                "a file"
            ) from None
    try:
        told = _header(content)
        tensors = load_tensors(content)
        return _capture(told, tensors)
    except SafetensorError as error:
        reason = f"is cut short or broken ({error})"
    except NlvizError as error:
        reason = f"is no capture that fits together: {error}"
    except (
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
        AttributeError,
    ) as error:
        reason = f"is no capture: a part of it is missing or of another kind ({error})"
    raise UnreadableCheckpoint(f"{label} {reason}; {_CURE}")


def _capture(told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Capture:
    for key in ("clip.frames", "clip.times"):
        _tensor(tensors, key)
    times = tensors["clip.times"]
    _require(times.dtype == torch.float64, "clip.times must be float64")
    _require(bool(times.isfinite().all()), "clip.times must be finite")
    about = told["clip"]
    clip = Clip(
        tensors["clip.frames"].numpy(),
        times.numpy(),
        _text(about["name"]),
        _text(about["digest"]),
        Sampling(**about["sampling"]),
    )
    blocks = told["blocks"]
    _require(isinstance(blocks, list) and blocks != [], "it must have at least one block")
    affinities, features = {}, {}
    for n, block in enumerate(blocks):
        name = _text(block["name"])
        _require(name not in affinities, f"two blocks are called {name!r}")
        affinities[name] = _affinity(n, block, tensors, clip.shape)
        entered = _tensor(tensors, f"{n}.features", 4)
        shape = affinities[name].queries.shape
        _fits(f"{n}.features", entered, (None, *shape))
        features[name] = entered
    logits = tensors.get("logits")
    if logits is not None:
        logits = _tensor(tensors, "logits", 1)
        _require(logits.numel() > 0, "logits must have at least one class")
    return Capture(
        clip=clip,
        logits=logits,
        affinities=Affinities(affinities),
        features=MappingProxyType(features),
        blocks=MappingProxyType({}),
        about=About(**{key: _text(value) for key, value in told["about"].items()}),
        labels=tuple(_text(label) for label in told["labels"]),
        detections=_detections(tensors.get("detections"), clip.shape),
    )
