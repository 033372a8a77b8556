"""A change of what a network is given, or of what it computes inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip


class Change(ABC):
    """Something that is changed before a pass runs again; a frozen dataclass each."""

    @property
    @abstractmethod
    def said(self) -> str:
        """What is changed, as a clause: ``frame 3 is frozen``; frames and cells count from 0."""


class ClipChange(Change):
    """A change of the clip; its shape stays."""

    @abstractmethod
    def apply(self, clip: Clip) -> Clip:
        """Return the changed clip, of the same number of frames and the same size.

        Raises:
            NlvizError: when the clip has no such frame or region.
        """


class PassChange(Change):
    """A change of what a network computes inside, in one of its blocks.

    Attributes:
        block: name of the block, as of ``Capture.affinities``.
        around: whether it changes which tokens there are, so that it must be in place also where
            these are followed to the picture.
    """

    around: ClassVar[bool] = False
    block: str

    def acting(self, model: Model) -> AbstractContextManager[None]:
        """Return a context in which the network computes with the change; the caller holds it.

        Changes of rows have none: they are put in by ``editing``, which knows where rows are.

        Raises:
            UnknownBlock: when there is no such block.
        """
        return nullcontext()

    def named(self, before: Affinity, after: Affinity) -> Affinity:
        """Return an affinity of a pass with the change, its tokens called by their names.

        Args:
            before: of the same block without the change.
            after: with it.
        """
        return after


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one block, where they multiply the values.

    Attributes:
        weights: the rows, of the heads that change.
        heads: numbers of these heads.
        numbers: the queries that they are of, those without a place first.
        keys: the key of each column, those without a place first; -1 for a column that is none.
        affinity: of the block as it was, whose grids numbers and keys are of.
    """

    weights: Float[Tensor, "heads n columns"]
    heads: Int[Tensor, " heads"]
    numbers: Int[Tensor, " n"]
    keys: Int[Tensor, " columns"]
    affinity: Affinity

    def some(self, which: Int[Tensor, " n"]) -> Rows:
        """Return some of these rows."""
        weights = self.weights[:, which.to(self.weights.device)]
        return replace(self, weights=weights, numbers=self.numbers[which.to(self.numbers.device)])


class RowChange(PassChange):
    """A change of rows of one block, where they are multiplied with the values.

    Attributes:
        block: name of the block.
        heads: the heads whose rows change; None for all.
    """

    heads: tuple[int, ...] | None

    @abstractmethod
    def numbers(self, affinity: Affinity) -> Int[Tensor, " n"] | None:
        """Return the queries whose rows change, those without a place first; None for all.

        Raises:
            NlvizError: when the affinity has no such queries or keys.
        """

    @abstractmethod
    def changed(self, rows: Rows) -> Float[Tensor, "heads n columns"]:
        """Return what rows become; the argument is not written to."""
