"""Names of queries without a place."""

from __future__ import annotations

from collections.abc import Sequence

PADDING = "padding."
OVERVIEW = "overview."  # and a number: tokens of a picture as a whole, beside those of its tiles


def names_to_ask(names: Sequence[str]) -> list[str]:
    """Return the names of queries without a place that are worth asking for, each once.

    Rows of what padding put beyond the picture are computed by the network and used by none of it.

    >>> names_to_ask(("cls", "padding.0", "cls", "registers.1"))
    ['cls', 'registers.1']
    """
    return [name for name in dict.fromkeys(names) if not name.startswith(PADDING)]
