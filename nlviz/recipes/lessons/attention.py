"""Data of the lesson on self-attention, in parts: ``python -m nlviz.recipes.lessons attention``."""

from __future__ import annotations

from typing import Any

from nlviz.recipes.lessons import (
    attention_bias,
    attention_layouts,
    attention_operators,
    attention_sequences,
)
from nlviz.web.payloads.container import AnyArray, pack

PARTS = (
    attention_sequences.part,
    attention_bias.part,
    attention_layouts.part,
    attention_operators.part,
)


def make() -> bytes:
    """Return the bytes of the lesson's data: what each part adds, side by side."""
    numbers: dict[str, float] = {}
    head: dict[str, Any] = {}
    arrays: dict[str, AnyArray] = {}
    for part in PARTS:
        found = part()
        numbers |= found.numbers
        head |= found.head
        arrays |= found.arrays
    return pack({"numbers": numbers, **head}, arrays)
