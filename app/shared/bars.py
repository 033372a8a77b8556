"""Small bar charts as HTML: at once on the page, in its colours, and read aloud as a list."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

import nlviz

MORE, LESS, MARK, QUIET = "#d9481c", "#3f7fd0", "#0aa3c2", "#7d8590"
HIGH = 96  # CSS pixels of the tallest column
LABELLED = 10  # columns that have room for a label each


def columns(
    values: Sequence[float], labels: Sequence[str], texts: Sequence[str], *, own: int, about: str
) -> None:
    """Draw a value for each frame as columns; below zero they hang and are blue.

    Args:
        values: one for each column.
        labels: what each column is.
        texts: each value in words.
        own: index of the column that is marked.
        about: what the chart shows, one sentence for those who do not see it.
    """
    st.html(columns_html(values, labels, texts, own=own, about=about))


def columns_html(
    values: Sequence[float], labels: Sequence[str], texts: Sequence[str], *, own: int, about: str
) -> str:
    """Return the columns as HTML."""
    up, down = max([0.0, *values]), -min([0.0, *values])
    unit = HIGH / ((up + down) or 1.0)
    every = -(-len(values) // LABELLED)
    parts = []
    for index, (value, label, text) in enumerate(zip(values, labels, texts, strict=True)):
        high = max(abs(value) * unit, 1.0)
        top = up * unit - high if value >= 0 else up * unit
        mark = f"outline:2px solid {MARK};outline-offset:1px;" if index == own else ""
        shown = index % every == 0 or index == own
        strong = "font-weight:600;" if index == own else "opacity:.75;"
        parts.append(
            f'<div style="flex:1 1 0;min-width:0" title="{escape(label)}: {escape(text)}">'
            f'<div style="height:{HIGH}px;position:relative">'
            f'<i style="position:absolute;left:12%;right:12%;top:{top:.1f}px;height:{high:.1f}px;'
            f'border-radius:2px;background:{MORE if value >= 0 else LESS};{mark}"></i></div>'
            f'<div style="text-align:center;font-size:11px;white-space:nowrap;{strong}">'
            f"{escape(label) if shown else '&nbsp;'}</div></div>"
        )
    said = "; ".join(f"{label} {text}" for label, text in zip(labels, texts, strict=True))
    return (
        f'<div role="img" aria-label="{escape(about)} {nlviz.words.counted(len(values), "value")}: '
        f'{escape(said)}." style="display:flex;gap:2px;padding:6px 2px 0;overflow:hidden">'
        f"{''.join(parts)}</div>"
    )


def shares_html(shares: Sequence[tuple[str, float]], *, about: str) -> str:
    """Return names with their shares of a whole as horizontal bars, in HTML.

    Args:
        shares: (name, share in [0, 1]), in the order on the page.
        about: what the chart shows, for those who do not see it.
    """
    rows = "".join(
        f'<li style="margin:0 0 6px;list-style:none;font-size:14px">'
        f'<div style="display:flex;justify-content:space-between;gap:8px">'
        f"<span>{escape(name)}</span><b>{100 * share:.0f} %</b></div>"
        f'<div aria-hidden="true" style="height:6px;border-radius:3px;'
        f'background:color-mix(in srgb, currentcolor 12%, transparent)">'
        f'<i style="display:block;height:100%;width:{100 * min(max(share, 0), 1):.1f}%;'
        f'border-radius:3px;background:{QUIET}"></i></div></li>'
        for name, share in shares
    )
    return f'<ul aria-label="{escape(about)}" style="margin:0;padding:0">{rows}</ul>'


def shares(found: Sequence[tuple[str, float]], *, about: str) -> None:
    """Draw names with their shares of a whole as horizontal bars."""
    st.html(shares_html(found, about=about))
