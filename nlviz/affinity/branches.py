"""What the branches of a layer add, side by side, at each query: of layers whose parts run beside.

MUSE (Zhao et al. 2019, arXiv 1911.09483) adds W_1 attention, W_2 convolutions and a feed-forward
network of the same input. Their rows are not to be added, their sizes can be compared: the length
of the vector that each adds at a place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.sentences import listed


@dataclass(frozen=True, eq=False)
class Branches:
    """How much each branch of a layer adds at each query.

    Attributes:
        names: of the branches.
        norms: (branches, queries) the length of what each adds.
        mixing: share of each part within a branch that mixes several, by name: of the
            convolutions, softmax(alpha); empty where there is no such branch.

    >>> import torch
    >>> both = Branches(("attention", "feed-forward"), torch.tensor([[3.0, 1.0], [1.0, 1.0]]))
    >>> both.shares(0)
    {'attention': 0.75, 'feed-forward': 0.25}
    """

    names: tuple[str, ...]
    norms: Float[Tensor, "branches queries"]
    mixing: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if len(self.names) != len(self.norms):
            raise NlvizError(
                f"each branch has a name, got {len(self.names)} names of {len(self.norms)} branches"
            )

    def at(self, query: int | None = None) -> dict[str, float]:
        """Return the length of what each branch adds at a query; the mean over all for None."""
        norms = self.norms.mean(1) if query is None else self.norms[:, query]
        return dict(zip(self.names, norms.tolist(), strict=True))

    def shares(self, query: int | None = None) -> dict[str, float]:
        """Return these lengths as shares of their sum; zeros where nothing is added."""
        found = self.at(query)
        total = sum(found.values())
        return {name: norm / total if total else 0.0 for name, norm in found.items()}

    def sentence(self, query: int | None = None) -> str:
        """Return in words what the branches add at a query, or on the mean of all.

        >>> import torch
        >>> Branches(("W_1 attention", "feed-forward"), torch.tensor([[2.0], [1.0]])).sentence(0)
        'At this query the layer adds W_1 attention 2 and feed-forward 1 (lengths of vectors).'
        """
        where = "On the mean of all queries" if query is None else "At this query"
        added = listed([f"{name} {norm:.3g}" for name, norm in self.at(query).items()], "and")
        told = f"{where} the layer adds {added} (lengths of vectors)."
        if self.mixing:
            parts = listed([f"{share:.2f} of {name}" for name, share in self.mixing.items()], "and")
            told += f" The convolutions are mixed as {parts}."
        return told
