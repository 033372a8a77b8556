"""The key layout of a family: how the keys of its files become the weights of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import Tensor, nn

from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.checkpoint import Checkpoint

Origin = Literal["key", "shape", "preset", "file name", "config", "card", "user"]


@dataclass(frozen=True)
class Flag:
    """One property of the computation, and where it is known from.

    Attributes:
        value: what was taken.
        origin: ``key`` and ``shape`` are facts of the file; ``preset`` is what the family's code
            does; ``file name``, ``config`` and ``card`` come with the weights; ``user`` is an
            override by keyword.
        note: what it means, in a few words.
    """

    value: object
    origin: Origin
    note: str = ""


@dataclass(frozen=True)
class Block:
    """One non-local block that a file holds.

    Attributes:
        name: ``res3.1`` stands behind residual block 1 of stage res3, counted from 0.
        channels, inner: of its input, and of theta, phi and g; 0 where they are not known.
        pairwise: the name of f, or of the module's class where f is not known.
    """

    name: str
    channels: int
    inner: int
    pairwise: str


@dataclass(frozen=True, eq=False)
class Reading:
    """How a checkpoint becomes a network.

    Attributes:
        architecture: in words, ``I3D R50`` for instance.
        build: makes the network; it is called where parameters are not initialised.
        names: key in the file -> key of the network.
        change: key in the file -> function of its tensor, where a tensor changes on its way.
        dropped: key in the file -> why it is not used.
        joined: key in the file -> further keys whose tensors follow its own along their first axis,
            as where the network has one layer for queries, keys and values.
        filled: key of the network -> (tensor, why), for what the file need not hold.
        blocks: the non-local blocks, in forward order.
        flags: by name; see ``Flag``.
        input_spec: preprocessing as in training.
        input_note: the same in words.
        labels: name of the list of class names, or empty.
        trained_for: one phrase for titles.
        warnings: whole sentences about known traps.
    """

    architecture: str
    build: Callable[[], nn.Module]
    names: Mapping[str, str]
    blocks: tuple[Block, ...]
    flags: Mapping[str, Flag]
    input_spec: InputSpec
    input_note: str
    change: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    joined: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    filled: Mapping[str, tuple[Tensor, str]] = field(default_factory=dict)
    labels: str = ""
    trained_for: str = "training unknown"
    warnings: tuple[str, ...] = ()


class Layout(Protocol):
    """One way of naming the weights of a network.

    Attributes:
        flags: names of the flags that a user may override, with a few words on each.
    """

    flags: Mapping[str, str]

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, as the end of a sentence, or None."""
        ...

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the checkpoint becomes a network.

        Raises:
            WeightsMismatch: when the keys are this layout's but make no network.
            NlvizError: when an override has a value that makes no sense.
        """
        ...


def as_matrix(weight: Tensor) -> Tensor:
    """Return a classifier's weight that is a convolution's kernel of one cell as (classes, d).

    >>> import torch
    >>> as_matrix(torch.zeros(400, 6, 1, 1, 1)).shape
    torch.Size([400, 6])
    """
    return weight.reshape(weight.shape[0], -1)
