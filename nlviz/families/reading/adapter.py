"""The adapter of a family: how its live networks take a clip, and how its blocks are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.clips.clip import Clip
from nlviz.clips.detections import Detection
from nlviz.clips.point import Shape
from nlviz.errors import NlvizError
from nlviz.families.reading.input_spec import InputSpec as InputSpec
from nlviz.families.reading.prepared import Prepared as Prepared
from nlviz.families.reading.prepared import place as place
from nlviz.families.reading.prepared import prepare as prepare
from nlviz.networks.attention.running import Edit
from nlviz.networks.attention.sites import Site
from nlviz.networks.hooks import Call, block_and_run, replaced

BlockT = TypeVar("BlockT", bound=nn.Module)


InputKind = Literal["clip", "text", "boxes", "graph"]


@dataclass(frozen=True)
class Branch:
    """Where to see what a block adds to its input x.

    Attributes:
        whole: the module whose first argument is x.
        added: the module whose output is the branch, or x plus the branch.
        with_input: whether that output includes x.
    """

    whole: nn.Module
    added: nn.Module
    with_input: bool


class Adapter(ABC, Generic[BlockT]):
    """Reads the affinities of one family's live blocks; ``BlockT`` is their module class.

    Attributes:
        traces: whether ``read`` needs to know where cells lie in the network's input, which is
            found by following positions to the block; a family that knows its own geometry saves
            that.
        watches: whether attention products are seen as they run, wherever they are; then ``read``
            has no part, see ``nlviz.families.reading.attention_adapter``.
        scores_of: what each row of the network's output scores by itself, ``node`` for instance;
            empty where it scores the whole input.
        answers: what the networks say in the place of class scores; empty where they may give some.
    """

    traces: bool = True
    watches: bool = False
    scores_of: str = ""
    answers: str = ""

    @abstractmethod
    def blocks(self, net: nn.Module) -> dict[str, BlockT]:
        """Return the blocks with an affinity by name, in forward order; empty without one."""

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the modules whose calls ``read`` needs, by any name; by default the blocks."""
        return dict(self.blocks(net))

    def inputs(self, net: nn.Module) -> tuple[InputKind, ...]:
        """Return what the network takes: a clip, a text, both, or another kind of input."""
        return ("clip",)

    @abstractmethod
    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Turn a clip, or a text, into the network's input."""

    def frames_taken(self, net: nn.Module, frames: int) -> int:
        """Return the smallest number of frames that the network takes, ``frames`` or more."""
        return frames

    def takes(self, net: nn.Module) -> bool:
        """Check whether it is known how a network takes a clip, also where it has no such block."""
        return False

    def completed(self, net: nn.Module, prepared: Prepared) -> Prepared:
        """Return an input that the caller made, with what only the family knows of it."""
        return prepared

    @abstractmethod
    def read(
        self, name: str, block: BlockT, calls: Mapping[str, Call], prepared: Prepared
    ) -> Affinity:
        """Return one block's affinity from what was recorded."""

    def labels(self, net: nn.Module) -> tuple[str, ...]:
        """Return a name for each class, where the network itself says it."""
        return ()

    def scores(self, net: nn.Module, output: Any, prepared: Prepared) -> Tensor | str | None:
        """Return the class scores in an output whose form the family knows.

        Or a sentence on why there are none; None where any other output is looked through.
        """
        return None

    def input_spec(self, net: nn.Module) -> InputSpec | None:
        """Return how the network takes a clip, where the network itself says it."""
        return None

    def token_names(self, net: nn.Module) -> tuple[str, ...]:
        """Return the names of a picture's tokens without a place, in the order of the network."""
        return ()

    def features(
        self, name: str, block: BlockT, calls: Mapping[str, Call]
    ) -> Float[Tensor, "channels t h w"] | None:
        """Return the features that entered the block, without tokens that have no place.

        None where queries and keys are made of different ones.
        """
        return features_of(calls[name].args[0])

    def positions(self, name: str, block: BlockT, calls: Mapping[str, Call]) -> Tensor:
        """Return what entered the block on a walk of positions: (channels, t, h, w) of cells.

        Tokens in any order are (channels, frames, tokens).
        """
        found = self.features(name, block, calls)
        if found is None:
            raise NlvizError(f"{name} has no features that its queries and keys are both made of")
        return found

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which a block changes nothing, as if it were not in the network.

        A non-local block returns what it was given; attention adds nothing to its residual path.
        A name with a run, ``layer3#2``, stands for that run alone, a plain one for all runs.
        """
        block, run = block_and_run(name)
        return bypassed(self.blocks(net)[block], run=run)

    def running(
        self, net: nn.Module, name: str, affinity: Affinity, edit: Edit
    ) -> AbstractContextManager[None]:
        """Return a context in which the product of a block, or of a run of it, is edited.

        Args:
            net: the network.
            name: of the block or the run.
            affinity: as it was read.
            edit: called with the product as it runs.

        Raises:
            NlvizError: when it is not known where the block multiplies its rows with the values.
        """
        raise NlvizError(
            f"rows must be seen where they multiply the values to be changed, those of {name} are "
            "not; bypass the block instead"
        )

    def site(self, name: str, block: BlockT, calls: Mapping[str, Call]) -> Site | None:
        """Return which rows of the product that ``running`` edits are those of an affinity.

        None where its tokens are those of the product in their order, runs one after another.
        """
        return None

    def branch(self, net: nn.Module, name: str) -> Branch | None:
        """Return where to see what a block adds to its input; None where no module shows it.

        A non-local block returns z = x + W_z y, from which x is subtracted.
        """
        block = self.blocks(net)[block_and_run(name)[0]]
        return Branch(block, block, with_input=True)


AnyAdapter = Adapter[Any]  # of any family


@runtime_checkable
class Detector(Protocol):
    """What an adapter adds for networks that detect objects."""

    def detections(self, output: Any, calls: Mapping[str, Call]) -> tuple[Detection, ...]:
        """Return what the network found, in the clip's pixels."""
        ...

    def readings(
        self, blocks: Mapping[str, nn.Module], calls: Mapping[str, Call]
    ) -> dict[str, nn.Module]:
        """Return the blocks by the names of what is read: several where one ran per object."""
        ...


def features_of(x: Tensor) -> Float[Tensor, "channels t h w"]:
    """Return the features that entered a block as (channels, t, h, w), whatever its dimension.

    Args:
        x: (1, channels, t), (frames, channels, h, w) or (parts of a clip, channels, t, h, w).

    >>> import torch
    >>> features_of(torch.zeros(4, 8, 5, 7)).shape
    torch.Size([8, 4, 5, 7])
    """
    if x.dim() == 3:  # time alone
        return rearrange(x[0], "channels t -> channels t 1 1")
    if x.dim() == 4:
        return rearrange(x, "t channels h w -> channels t h w")
    return rearrange(x, "parts channels t h w -> channels (parts t) h w")


def bypassed(block: nn.Module, *, run: int | None = None) -> AbstractContextManager[None]:
    """Return a context in which a block, or one run of it, returns what it was given."""
    return replaced(block, lambda args, output: args[0], run=run)


def prepare_for(
    net: nn.Module, clip: Clip, spec: InputSpec | None, blocks: Iterable[nn.Module]
) -> Prepared:
    """Return (1, 3, T, H, W) for a network of 3-D convolutions, (T, 3, H, W) else.

    Args:
        net: the network.
        clip: the input.
        spec: how to prepare it, where it is known.
        blocks: the non-local blocks, whose own convolutions are 3-D on 2-D networks, too.
    """
    if spec is None:
        inside = {m for block in blocks for m in block.modules()}
        three = any(isinstance(m, nn.Conv3d) for m in net.modules() if m not in inside)
        spec = InputSpec(layout="clip" if three else "frames")
    return prepare(clip, spec, net)


def shape_of(features: Tensor, dimension: int) -> Shape:
    """Return the cells (t, h, w) of features with 1, 2 or 3 axes behind batch and channels.

    A batch is the frames of one clip in two dimensions, its consecutive parts in three.

    >>> import torch
    >>> shape_of(torch.zeros(4, 8, 5, 7), 2), shape_of(torch.zeros(2, 8, 3, 5, 7), 3)
    ((4, 5, 7), (6, 5, 7))
    """
    batch, cells = features.shape[0], tuple(features.shape[2:])
    if dimension == 1:
        return (batch * cells[0], 1, 1)
    if dimension == 2:
        return (batch, cells[0], cells[1])
    return (batch * cells[0], cells[1], cells[2])


def grid_of(call: Call, dimension: int, prepared: Prepared) -> TokenGrid:
    """Return where the cells of a block's input lie in the clip.

    They lie where the network before the block puts them, or evenly spread where that could be
    neither followed nor measured.

    Args:
        call: of the block.
        dimension: 1 (time), 2 (space) or 3.
        prepared: the network's input.
    """
    features: Tensor = call.args[0]
    shape = shape_of(features, dimension)
    if dimension == 1 and prepared.text is not None:
        return line_of(call, shape[0], prepared)
    cells = call.cells
    if cells is not None and cells.shape[1:] == shape[1:]:
        y, x, off = cells.y, cells.x, cells.off
    else:
        size = prepared.tensor.shape[-2:]
        y, x = (Axis(n / m, (n / m - 1) / 2) for n, m in zip(size, shape[1:], strict=True))
        off = (0.0, 0.0, 0.0)
    # A block that ran once per frame saw all frames together.
    t = cells.t if cells is not None and cells.shape == shape else Axis()
    in_clip = (prepared.t, prepared.y, prepared.x)
    t, y, x = (place(axis, where) for axis, where in zip((t, y, x), in_clip, strict=True))
    ot, oy, ox = (o * abs(where.stride) for o, where in zip(off, in_clip, strict=True))
    return TokenGrid.of_axes(shape, t, y, x, off=(ot, oy, ox))


def line_of(call: Call, count: int, prepared: Prepared) -> TokenGrid:
    """Return where the steps of a sequence stand in a text.

    They stand where the network before the block puts them, or evenly spread where that could not
    be followed.
    """
    assert prepared.text is not None
    length = len(prepared.text.tokens)
    at = Axis(length / count, (length / count - 1) / 2)
    if call.places is not None and call.places.x.size == count:
        x = call.places.x.reshape(-1)
        steps = x[1:] - x[:-1]
        if count > 1 and steps.min() > 0 and steps.max() - steps.min() < 1e-3:
            at = Axis(round(float(steps.mean()), 6), round(float(x[0]), 6))
        elif count == 1:
            at = Axis(at.stride, round(float(x[0]), 6))
    return prepared.line(TokenGrid.of_axes((1, 1, count), Axis(), Axis(), at))
