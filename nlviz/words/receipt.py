"""The receipt of a captured block in words."""

from __future__ import annotations

import math

from nlviz.words.numbers import RAISED, power_text


def receipt_text(error: float) -> str:
    """Return how well a map was verified, from the error of its receipt.

    >>> receipt_text(5e-7)
    'verified: recomputed from these weights, the output differs by 5·10⁻⁷'
    """
    return f"verified: recomputed from these weights, the output differs by {power_text(error)}"


def receipt_caption(error: float) -> str:
    """Return the same for a figure: the power of ten that the error stays below, as a sentence.

    >>> receipt_caption(5e-7)
    'Verified: the block put out what these weights give, to 10⁻⁶.'
    >>> receipt_caption(0.0)
    'Verified: the block put out what these weights give.'
    """
    said = "Verified: the block put out what these weights give"
    if error <= 0 or not math.isfinite(error):
        return f"{said}."
    return f"{said}, to 10{str(math.floor(math.log10(error)) + 1).translate(RAISED)}."
