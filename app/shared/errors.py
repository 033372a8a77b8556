"""Errors of a page: shown as a sentence, with the ways that lead on, logged where they are ours."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

import nlviz

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


@contextmanager
def errors_shown(
    page: str,
    waiting: DeltaGenerator | None = None,
    *,
    cure: str,
    ways_on: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Show an error that ends the block as a sentence on the page.

    Args:
        page: name of the page, for the log.
        waiting: container of what was waited for; it is emptied, as nothing comes any more.
        cure: what may help if the error is a fault of ours, as a sentence.
        ways_on: draws what leads on from there.
    """
    try:
        yield
    except Exception as error:
        if waiting is not None:
            waiting.empty()
        show_error(error, page=page, cure=cure)
        if ways_on is not None:
            ways_on()


def show_error(error: Exception, *, page: str, cure: str) -> None:
    """Draw an error as a sentence; log it too unless it was raised for the user to read."""
    if isinstance(error, nlviz.NlvizError):
        st.error(sentence(str(error)), icon=":material/error:")
        return
    logging.getLogger("nlviz.app").error("the %s page failed", page, exc_info=error)
    st.error(
        f"This went wrong inside nlviz ({type(error).__name__}); the log has the details. {cure}",
        icon=":material/error:",
    )


def sentence(text: str) -> str:
    """Return a message with a capital letter and a full stop.

    What a message quotes of an address or a file makes no link, picture or formula.
    """
    text = re.sub(r"([\[\]<>$`])", r"\\\1", text)
    first = text.split(maxsplit=1)[0]
    if first.isalpha():  # a file's name stays as it is
        text = text[:1].upper() + text[1:]
    return text + ("" if text.endswith((".", "?", "...")) else ".")


def progress_to(bar: DeltaGenerator) -> nlviz.Progress:
    """Return the progress that moves a bar; Cancel ends the script at its next report."""
    return nlviz.Progress(lambda sentence, share: bar.progress(min(max(share, 0.0), 1.0), sentence))
