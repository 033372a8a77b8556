"""Cards of the weights that can be had by name, collected from the families.

The facts are those of the model tables in the repositories that each card names as its source.
A name is ``architecture-depth.data-source``, with what tells its variants apart at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nlviz.families import FAMILIES
from nlviz.families.reading.adapter import InputKind
from nlviz.families.reading.card import ModelCard as ModelCard

CARDS: Mapping[str, ModelCard] = MappingProxyType(
    {card.name: card for family in FAMILIES for card in family.cards}
)


def inputs_of(name: str) -> tuple[InputKind, ...] | None:
    """Return what a network by name is given; None where only the network itself tells.

    >>> inputs_of("lite-nl"), inputs_of("hf:some/model") is None
    (('clip',), True)
    """
    card = CARDS.get(name)
    return None if card is None else card.takes
