"""Values beside the spread of others, as HTML: at once on the page, and read aloud as a list."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from ...shared.bars import MORE, QUIET


def draw(rows: Sequence[tuple[str, str, Sequence[float]]], *, end: float, about: str) -> None:
    """Draw a line for each row from its least to its most value, a dot for each, from zero on.

    Args:
        rows: label, text and values of each; the first is what the others are compared with.
        end: of the scale.
        about: what the chart shows, one sentence for those who do not see it.
    """
    st.html(html(rows, end=end, about=about))


def html(rows: Sequence[tuple[str, str, Sequence[float]]], *, end: float, about: str) -> str:
    """Return the chart as HTML."""
    parts = []
    for number, (label, text, values) in enumerate(rows):
        colour = QUIET if number else MORE
        places = [100 * min(value / end, 1.0) for value in values]
        low, high = min(places, default=0.0), max(places, default=0.0)
        dots = "".join(
            f'<i style="position:absolute;left:{place:.2f}%;top:50%;width:9px;height:9px;'
            f'margin:-4.5px 0 0 -4.5px;border-radius:50%;background:{colour}"></i>'
            for place in places
        )
        strong = "" if number else "font-weight:600;"
        parts.append(
            f'<span style="{strong}">{escape(label)}</span>'
            '<span style="position:relative;height:20px;margin:0 6px">'
            '<i style="position:absolute;left:0;right:0;top:50%;height:1px;background:currentColor;'
            'opacity:.2"></i>'
            f'<i style="position:absolute;left:{low:.2f}%;width:{high - low:.2f}%;top:50%;'
            f'height:3px;margin-top:-1.5px;background:{colour}"></i>{dots}</span>'
            f'<span style="text-align:right;white-space:nowrap;{strong}">{escape(text)}</span>'
        )
    said = "; ".join(f"{label}: {text}" for label, text, _ in rows)
    return (
        f'<div role="img" aria-label="{escape(about)} {escape(said)}." style="display:grid;'
        "grid-template-columns:minmax(7em,2fr) minmax(6em,3fr) auto;gap:3px 8px;"
        f'align-items:center;font-size:13px">{"".join(parts)}</div>'
    )
