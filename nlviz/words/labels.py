"""Labels of what is on a page, and counts and times as every page says them."""

from __future__ import annotations

from nlviz.affinity.variants import VARIANTS
from nlviz.sentences import counted as counted
from nlviz.sentences import times_text as times_text


def source_label(key: str) -> str:
    """Return the label of a source of the live view, or its key where there is none.

    >>> source_label("none such")
    'none such'
    """
    return next((variant.label for variant in VARIANTS if variant.key == key), key)
