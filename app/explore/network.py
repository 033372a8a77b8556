"""Choice of the network in the sidebar, by name or file of weights, and its load report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

import nlviz

from ..shared import uploads
from ..shared.markdown import plain

KINDS = ("Model", "File")


@dataclass(frozen=True)
class Network:
    """Chosen network.

    Attributes:
        name: a model's name, or the path of a file of weights.
        flags: overrides of how it is computed.
    """

    name: str
    flags: tuple[tuple[str, object], ...] = ()


def choose() -> Network | None:
    """Draw the choice; return None while a file or the consent to a download is missing."""
    st.segmented_control("Network", KINDS, key="network", required=True)
    if st.session_state.network == "File":
        return _file()
    return _named()


def _named() -> Network | None:
    state = st.session_state
    models = [
        *nlviz.zoo.app_offers.functions(),
        *sorted(nlviz.list_models(), key=lambda name: not nlviz.zoo.CARDS[name].weights),
    ]
    if state.model not in models:
        models.append(state.model)  # a name from the address; loading it says what is wrong
    st.selectbox("Model", models, key="model", format_func=_label, label_visibility="collapsed")
    card = nlviz.zoo.CARDS.get(state.model)
    if card is None or nlviz.zoo.is_here(card):
        return Network(state.model)
    agreed: set[str] = state.setdefault("agreed", set())
    with st.container(border=True):
        st.caption(_about(card))
        if card.url:
            again = card.name in agreed
            label = "Try again" if again else "Download and open"
            st.button(label, key="agree", on_click=agreed.add, args=(card.name,))
            if again:
                return Network(state.model)
        else:
            st.caption(card.note)
    return None


def _file() -> Network | None:
    state = st.session_state
    sent = st.file_uploader(
        "Weights",
        key="weights_upload",
        help="A checkpoint in any of the layouts that `nlviz models` and the README list; its kind "
        "is told by its content. Nothing in it is run.",
    )
    st.text_input(
        "or the path of a file on this machine", key="weights_path", placeholder="/data/i3d_nl.pth"
    )
    st.text_input(
        "Flags",
        key="weights_flags",
        placeholder="scale=false pairwise=dot_product",
        help="What the keys of a file do not tell, NAME=VALUE. The report below the view lists the "
        "flags and where each is known from.",
    )
    if sent is not None:
        path = uploads.keep(sent.name, sent.getvalue())
    elif state.weights_path:
        path = Path(state.weights_path).expanduser()
        if not path.is_file():
            st.error(f"There is no file {state.weights_path}.", icon=":material/error:")
            return None
    else:
        return None

    try:
        flags = nlviz.zoo.parsed_flags(state.weights_flags.replace(",", " ").split())
    except nlviz.NlvizError as error:
        st.error(f"{error}.", icon=":material/error:")
        return None
    return Network(str(path), tuple(sorted(flags.items())))


def is_bundled(name: str) -> bool:
    """Return whether a model's weights come with this package."""
    return name in nlviz.zoo.CARDS and bool(nlviz.zoo.CARDS[name].weights)


def report(found: nlviz.LoadReport | None) -> None:
    """Draw the load report of a file of weights."""
    if found is None:
        return

    icon = ":material/task_alt:" if found.complete else ":material/error:"
    with st.expander(f"What was found in {found.file}", icon=icon):
        st.caption(nlviz.words.verdict(found))
        for warning in found.warnings:
            st.warning(warning, icon=":material/warning:")
        for part in nlviz.words.sections(found, warnings=False):
            lines = [f"| **{part.title}** | | |", "| --- | --- | --- |"]
            lines += [f"| {' | '.join(map(plain, row))} |" for row in part.rows]
            st.markdown("\n".join(lines))


def _label(name: str) -> str:
    card = nlviz.zoo.CARDS.get(name)
    return name if card is None or card.weights or nlviz.zoo.is_here(card) else f"{name} ↓"


def _about(card: nlviz.ModelCard) -> str:
    """Return licence, source and accuracy of a download, in words."""
    terms = "; **no commercial use**" if card.non_commercial else ""
    accuracy = f" Published: {card.accuracy}." if card.accuracy else ""
    note = f" {card.note}" if card.note and card.url else ""
    return (
        f"{card.file_name} is not on this machine yet. Licence: {card.licence}{terms} "
        f"([source]({card.source})).{accuracy}{note}"
    )
