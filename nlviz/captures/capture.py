"""Captures: the frozen result of one forward pass, and how it is saved and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.receipt import Receipt
from nlviz.captures.file_format import Parts, decode, decode_file, encode
from nlviz.clips.clip import Clip
from nlviz.clips.detections import Detection
from nlviz.clips.text import Text, prompt_of
from nlviz.errors import (
    BlockRefused,
    NlvizError,
    UnknownBlock,
    UnreadableCheckpoint,
    did_you_mean,
)
from nlviz.files.checked_json import checked
from nlviz.files.local import write_whole
from nlviz.networks.attention.sites import Site
from nlviz.sentences import refusals

CHANGED = ("The clip was changed:", "Changed:")  # how ``nlviz.interventions`` begins its notes


@dataclass(frozen=True)
class About:
    """What is known of a model, for titles and files.

    Attributes:
        name: full name.
        trained_for: one phrase; ``not trained`` where nothing is.
        digest: sha256 of the weights, or empty.
        device: where the forward pass ran.
        independent: whether each class has a probability of its own, the sigmoid of its logit.
    """

    name: str
    trained_for: str = "training unknown"
    digest: str = ""
    device: str = "cpu"
    independent: bool = False

    @property
    def training(self) -> str:
        """What the network was trained for, as a phrase that stands alone.

        >>> About("a", "detection on COCO").training, About("b").training
        ('trained for detection on COCO', 'training unknown')
        """
        complete = self.trained_for.startswith(("not ", "trained", "training"))
        return self.trained_for if complete else f"trained for {self.trained_for}"


class Affinities(Mapping[str, Affinity]):
    """Affinities by block name, in forward order; an unknown name raises with close ones.

    Attributes:
        refused: blocks that are not shown, and why; to ask for one raises ``BlockRefused``.
    """

    def __init__(
        self, by_name: Mapping[str, Affinity], refused: Mapping[str, str] | None = None
    ) -> None:
        self._by_name = MappingProxyType(dict(by_name))
        self.refused: Mapping[str, str] = MappingProxyType(dict(refused or {}))

    def __getitem__(self, name: str) -> Affinity:
        if name in self.refused:
            raise BlockRefused(self.refused[name])
        if name not in self._by_name:
            raise UnknownBlock(f"no block is called {name!r}{did_you_mean(name, self._by_name)}")
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return "\n".join(repr(a) for a in self._by_name.values())


@dataclass(frozen=True, eq=False)
class Source:
    """What a capture was made from, so that its pass can run again; no file holds it.

    Attributes:
        model: the ``Model`` that made it.
        clip: what the network was asked about.
        queries, generate: as ``Model.capture`` was given them.
        sites: where in the pass the rows of each block are computed, where that was seen.
    """

    model: Any
    clip: Clip
    queries: Any = None
    generate: int = 0
    sites: Mapping[str, Site] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, eq=False)
class Capture:
    """The result of one forward pass: frozen, and free of hooks and locks.

    Attributes:
        clip: the input, as the network saw it; of a network of words, a ``Text``.
        logits: (classes,) of the network, or None where its output is something else.
        affinities: by block name, in forward order.
        features: what entered each block, (channels, t, h, w).
        blocks: the modules themselves; empty where it was read from a file.
        about: what is known of the model.
        labels: a name per class, or empty.
        detections: the objects that a detection network found, or empty.
        notes: one sentence for each thing that a user must know of the pass: which part of the
            output the logits are, say. What is to be known of the frames stands in ``clip.notes``.
        receipts: by block name, what was checked of it: rows times values against what the block
            itself computed. A block that fails is refused, see ``refused``; one whose family keeps
            no output has none.
        source: what it was made from; None for a capture that was read from a file.
    """

    clip: Clip
    logits: Float[Tensor, " classes"] | None
    affinities: Affinities
    features: Mapping[str, Float[Tensor, "channels t h w"]]
    blocks: Mapping[str, nn.Module]
    about: About
    labels: tuple[str, ...] = field(default=(), repr=False)
    detections: tuple[Detection, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    receipts: Mapping[str, Receipt] = field(default_factory=lambda: MappingProxyType({}))
    source: Source | None = field(default=None, repr=False)

    @property
    def model(self) -> Any:
        """The ``Model`` that made it; None for a capture that was read from a file."""
        return None if self.source is None else self.source.model

    @property
    def text(self) -> Text | None:
        """The text as the network saw it: the input itself, or what stood beside the clip."""
        return self.clip if isinstance(self.clip, Text) else prompt_of(self.clip)

    @property
    def changes(self) -> tuple[str, ...]:
        """What was changed of the input or inside the pass, a clause each; see interventions."""
        notes = (*self.clip.notes, *self.notes)
        told = [n.removeprefix(c).strip(" .") for n in notes for c in CHANGED if n.startswith(c)]
        return tuple(dict.fromkeys(told))

    @property
    def refused(self) -> Mapping[str, str]:
        """Blocks that ran, or were there, and are not shown: a sentence for each."""
        return self.affinities.refused

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What a user must know of the frames, of the pass and of what is not shown, each once."""
        refused = (
            f"{names} {'are' if ', ' in names else 'is'} not shown: {why}."
            for names, why in refusals(self.refused)
        )
        return tuple(dict.fromkeys((*self.clip.notes, *self.notes, *refused)))

    def prediction(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the k most probable labels with their probabilities.

        They are the softmax of the logits, or the sigmoid where each class has a probability of
        its own; empty where the network gives no class scores, which ``notes`` say.
        """
        if self.logits is None:
            return []
        logits = self.logits.float()
        shares = logits.sigmoid() if self.about.independent else logits.softmax(-1)
        return most_probable(shares, self.labels, k)

    def save(self, path: str | Path) -> Path:
        """Save the capture without its modules as one file, written whole or not at all.

        ``nlviz.read_capture`` reads it and `nlviz app` opens it, both without the network.

        Raises:
            NlvizError: when an affinity is not held as embeddings, or the file cannot be written.
        """
        content = encode(
            Parts(
                clip=self.clip,
                affinities=self.affinities,
                features=self.features,
                about=asdict(self.about),
                logits=self.logits,
                labels=self.labels,
                detections=self.detections,
                notes=self.notes,
                receipts=self.receipts,
                refused=self.refused,
            )
        )
        return write_whole(path, content)


def most_probable(
    probabilities: Float[Tensor, " classes"], labels: Sequence[str], k: int
) -> list[tuple[str, float]]:
    """Return the k most probable classes, most probable first, by label or by number.

    >>> most_probable(Tensor([0.2, 0.7, 0.1]), ("cat", "dog", "bird"), 2)[0][0]
    'dog'
    """
    p, index = probabilities.topk(min(k, probabilities.numel()))
    named = len(labels) == probabilities.numel()
    return [
        (labels[i] if named else f"class {i}", float(v))
        for i, v in zip(index.tolist(), p.tolist(), strict=True)
    ]


def read_capture(source: str | Path | bytes, *, name: str = "") -> Capture:
    """Read a capture that ``Capture.save`` wrote; its rows are the same, bit for bit.

    A capture that was read has no modules: ``blocks`` is empty, and nothing that needs the
    network works on it.

    Args:
        source: the file, whatever its ending, or its bytes.
        name: what to call it in errors; the file's name by default.

    Raises:
        UnreadableCheckpoint: when it is not a capture of this version, or its parts do not fit.

    >>> import nlviz, tempfile
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = nlviz.load_model("lite-nl").capture(clip).save(Path(folder) / "c.nlviz")
    ...     read_capture(path).affinities["stage4"]
    Affinity(stage4, embedded_gaussian, 294 queries (1x14x21) x 294 keys)
    """
    label = name or ("upload" if isinstance(source, bytes) else Path(source).name)
    try:
        parts = decode(source) if isinstance(source, bytes) else decode_file(Path(source))
        about = checked(parts.about, About, of="its about's")
    except OSError as error:
        raise UnreadableCheckpoint(
            f"the capture {str(source)!r} cannot be read ({error.strerror}); give the path of "
            "a file"
        ) from None
    except NlvizError as error:
        raise UnreadableCheckpoint(
            f"{label} is not a capture that fits together: {error}; save the capture again"
        ) from None
    return Capture(
        clip=parts.clip,
        logits=parts.logits,
        affinities=Affinities(parts.affinities, parts.refused),
        features=MappingProxyType(dict(parts.features)),
        blocks=MappingProxyType({}),
        about=about,
        labels=parts.labels,
        detections=parts.detections,
        notes=parts.notes,
        receipts=MappingProxyType(dict(parts.receipts)),
    )
