"""Files that a page saves: made at a click, with a word meanwhile, and handed to the browser.

A click is an event like any other, so none is lost while the page is at work, and what is saved is
what the page shows once all that came before the click is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import streamlit as st

import nlviz

from .errors import show_error
from .markdown import plain
from .page_state import new_serial


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        label: of its button.
        ending: of its name.
        mime: its type.
        tip: what is in it.
    """

    label: str
    ending: str
    mime: str
    tip: str


class _File(NamedTuple):
    """A file that waits until the browser has it."""

    container: bytes
    serial: str
    said: str


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "nlviz_save", html="<div></div>", js=nlviz.web.LIVE_VIEW.script("save")
    )


def buttons(name: str, kinds: Sequence[Kind], make: Callable[[str], bytes], stem: str) -> None:
    """Draw a button for each kind of file, and make those that were clicked.

    Args:
        name: begins the keys of the row in the session.
        kinds: of files.
        make: returns the bytes of a file, given its ending.
        stem: of the files' names.
    """
    session = st.session_state
    waiting: list[str] = session.setdefault(f"{name}waiting", [])
    with st.container(horizontal=True):
        for kind in kinds:
            st.button(
                kind.label,
                key=f"{name}{kind.ending}",
                help=kind.tip,
                on_click=_want,
                args=(name, kind.ending),
            )
    below = st.container()
    files: list[_File] = session.setdefault(f"{name}files", [])
    while waiting:
        kind = next(each for each in kinds if each.ending == waiting[0])
        with below, st.spinner(f"Making the {kind.label}"):
            try:
                content = make(waiting.pop(0))
            except nlviz.NlvizError as error:
                show_error(error, page=name, cure="Another kind of file may work.")
                continue
            # Before anything else is drawn, where a newer wish may end this run.
            files.append(_packed(f"{stem}.{kind.ending}", kind.mime, content))
    with below:
        for file in files:
            _component()(
                data=file.container,
                key=f"{name}file-{file.serial}",
                on_saved_change=lambda file=file: _saved(name, file),
            )
        for said in session.get(f"{name}said", ()):
            st.caption(said)


def _want(name: str, ending: str) -> None:
    session = st.session_state
    waiting: list[str] = session.setdefault(f"{name}waiting", [])
    session[f"{name}said"] = []
    if ending not in waiting:
        waiting.append(ending)


def _saved(name: str, file: _File) -> None:
    session = st.session_state
    session[f"{name}files"] = [f for f in session[f"{name}files"] if f.serial != file.serial]
    session[f"{name}said"] = [*session.get(f"{name}said", ()), file.said]


def _packed(name: str, mime: str, content: bytes) -> _File:
    serial = new_serial()
    head = json.dumps({"name": name, "mime": mime, "serial": serial}).encode()
    size = f"{len(content) / 2**20:.1f} MiB" if len(content) > 2**19 else f"{len(content)} bytes"
    said = f"Saved **{plain(name)}**, {size}."
    return _File(len(head).to_bytes(4, "little") + head + content, serial, said)
