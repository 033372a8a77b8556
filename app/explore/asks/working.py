"""Long work of a question: asked for with a click, done outside fragments, kept for a while.

A click inside a fragment does not interrupt what runs there, so Cancel would not work: a button
says what is wanted, the whole script runs again, and ``work`` does it at the end of the page.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import streamlit as st

import nlviz

from ...shared.errors import progress_to, show_error
from ...shared.language import spoken

KEPT = 12  # results in a session
_RESULTS, _WANTED = "asks_results", "asks_wanted"
Make = Callable[["nlviz.Progress"], Any]


def computed(key: object, label: str, make: Make, *, help: str | None = None) -> Any:
    """Return what was computed for a key; until then draw a button that asks for it.

    Args:
        key: of the result, hashable: all that it depends on.
        label: of the button.
        make: computes it, called with a progress; raising ``NlvizError`` shows its sentence.
        help: of the button.

    Returns:
        What ``make`` returned, or None.
    """
    found = _results()
    if key in found:
        found.move_to_end(key)
        return found[key]
    if st.button(label, key=f"asks-run-{label}", help=help, type="primary"):
        ask_for(key, label, make)
    return None


def ask_for(key: object, label: str, make: Make) -> None:
    """Have something computed at the end of the page, and the page drawn again with it."""
    st.session_state[_WANTED] = (key, label, make)
    st.rerun()


def known(key: object) -> Any:
    """Return what was computed for a key, or None."""
    return _results().get(key)


def work() -> None:
    """Compute what was asked for, with a bar; Cancel stops it at its next report.

    Called by the page outside of any fragment.
    """
    wanted = st.session_state.get(_WANTED)
    if wanted is None:
        return
    key, label, make = wanted
    place = st.empty()
    with place.container():
        bar = st.progress(0.0, label)
        st.button(spoken("Cancel"), key="asks-cancel", on_click=_forget)
    try:
        found = make(progress_to(bar))
    except nlviz.NlvizError as error:
        _forget()
        place.empty()
        with place.container():
            show_error(error, page="Explore", cure="Another query or block may work.")
        return
    results = _results()
    results[key] = found
    while len(results) > KEPT:
        results.popitem(last=False)
    _forget()
    st.rerun()


def _results() -> OrderedDict[Any, Any]:
    found: OrderedDict[Any, Any] = st.session_state.setdefault(_RESULTS, OrderedDict())
    return found


def _forget() -> None:
    st.session_state[_WANTED] = None
