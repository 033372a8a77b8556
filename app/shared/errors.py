"""Errors in a sentence: a traceback helps nobody who looks at a page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

import nlviz

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


@contextmanager
def told(page: str, waiting: DeltaGenerator | None = None, *, cure: str) -> Iterator[None]:
    """Progress errors in a sentence.

    What was being waited for does not come any more, so its place is emptied.

    Args:
        page: name of the page, for the log.
        waiting: where something was waited for.
        cure: what may help where the error is ours, as a sentence.
    """
    try:
        yield
    except Exception as error:
        if waiting is not None:
            waiting.empty()
        tell_error(error, page=page, cure=cure)


def tell_error(error: Exception, *, page: str, cure: str) -> None:
    """Draw an error as a sentence; errors that are not meant go to the log as well."""
    if isinstance(error, nlviz.NlvizError):
        st.error(sentence(str(error)), icon=":material/error:")
        return
    logging.getLogger("nlviz.app").error("the %s page failed", page, exc_info=error)
    st.error(
        f"This went wrong inside nlviz ({type(error).__name__}); the log has the details. {cure}",
        icon=":material/error:",
    )


def sentence(text: str) -> str:
    """Return a message with a capital letter and a full stop."""
    first = text.split(maxsplit=1)[0]
    if first.isalpha():  # a file's name stays as it is
        text = text[:1].upper() + text[1:]
    return text + ("" if text.endswith((".", "?", "...")) else ".")


def progress_to(bar: DeltaGenerator) -> nlviz.Progress:
    """Return progress that moves a bar; Cancel stops the script there, between two stages."""
    return nlviz.Progress(lambda sentence, share: bar.progress(min(max(share, 0.0), 1.0), sentence))
