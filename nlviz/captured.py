"""What one forward pass of a network gave: frozen, and free of hooks and locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity import Affinity
from nlviz.clip import Clip
from nlviz.detections import Detection
from nlviz.errors import UnknownBlock, did_you_mean


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
        from nlviz.capture_file import save_capture

        return save_capture(self, path)
