"""The language of the app's labels: the reader's browser's, or one that was chosen.

A label is looked up by its English, which stands in the code. What has no translation is said in
English: sentences of ``nlviz.words`` about maps, for instance.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

import nlviz

ADDRESS = "lang"  # parameter of an address
_CHOSEN = "language"  # in the session
_FOLDER = Path(__file__).parents[1] / "languages"


@cache
def table(language: str) -> dict[str, str]:
    """Return the translations of the app's labels by their English."""
    if language == "en":
        return {}
    found: dict[str, str] = json.loads((_FOLDER / f"{language}.json").read_text("utf-8"))
    return found


def now() -> str:
    """Return the code of the language of this visitor."""
    chosen: str | None = st.session_state.get(_CHOSEN)
    return chosen or _browsers()


def _browsers() -> str:
    return nlviz.web.language_of(st.context.locale) or "en"


def begin() -> None:
    """Take over the language that an address names, once in a session."""
    asked = nlviz.web.language_of(st.query_params.get(ADDRESS))
    if asked and _CHOSEN not in st.session_state:
        choose(asked)


def choose(language: str) -> None:
    """Speak a language from now on."""
    st.session_state[_CHOSEN] = language


def parameters() -> dict[str, str]:
    """Return the parameter of an address that keeps the language, where one was chosen."""
    language = now()
    return {ADDRESS: language} if language != _browsers() else {}


def spoken(text: str) -> str:
    """Return a label in the visitor's language; in English where it has no translation.

    What a label has in common with the browser's part, such as the name of a denoiser, is said as
    there.
    """
    language = now()
    return table(language).get(text) or nlviz.web.translations(language).get(text, text)


def spoken_by(said: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return how options are said in the visitor's language, of how they are said in English."""
    return lambda option: spoken(said(option))


def switch() -> None:
    """Draw the choice of the language."""
    key = f"language_{now()}"  # a new one for each language, which shows it
    st.segmented_control(
        "Language / 语言 / 言語",
        list(nlviz.web.LANGUAGES),
        default=now(),
        format_func=nlviz.web.LANGUAGES.__getitem__,
        key=key,
        label_visibility="collapsed",
        required=True,
        on_change=_switched,
        args=(key,),
    )


def _switched(key: str) -> None:
    chosen = st.session_state.get(key)
    if chosen:
        choose(chosen)
