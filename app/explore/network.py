"""Choice of the network in the sidebar, by name or file of weights, and its load report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

import nlviz

from ..shared import uploads
from ..shared.choices import Chose
from ..shared.markdown import plain
from .choices import FILE, MODEL, NEEDED, Agreed, Choices
from .state import STATE

KINDS = (MODEL, FILE)
TIMM = "timm/"


@dataclass(frozen=True)
class Network:
    """Chosen network.

    Attributes:
        name: a model's name, or the path of a file of weights.
        flags: overrides of how it is computed.
    """

    name: str
    flags: tuple[tuple[str, object], ...] = ()


def draw(now: Choices) -> None:
    """Draw the choice."""
    STATE.fields.pick(st.segmented_control, "Network", "network", KINDS, now.network, required=True)
    if now.network == FILE:
        _draw_file(now)
    else:
        _draw_named(now)


def chosen(now: Choices) -> Network | None:
    """Return the network, or None while a file or the consent to a download is missing.

    Raises:
        NlvizError: when an upload is no longer kept, a path leads nowhere, or flags cannot be read.
    """
    if now.network == MODEL:
        asked = _question(now.named)
        return None if asked and now.named not in now.agreed else Network(now.named)
    if now.weights is not None:
        path = now.weights.path()
    elif now.weights_path:
        path = Path(now.weights_path).expanduser()
        if not path.exists():
            raise nlviz.NlvizError(
                f"there is no file and no folder {now.weights_path} on this machine"
            )
    else:
        return None
    flags = nlviz.zoo.parsed_flags(now.flags.replace(",", " ").split())
    return Network(str(path), tuple(sorted(flags.items())))


def missing(now: Choices) -> tuple[str, str]:
    """Return what must come before a network is there, as a headline and how."""
    if now.network == FILE:
        return "Open a network", "Choose a file of weights in the sidebar, or name its path there."
    card = nlviz.zoo.CARDS.get(now.named)
    way = "Press “Download and open” in the sidebar." if card is None or card.url else card.note
    return f"{now.named} is not on this machine yet", way


def _draw_named(now: Choices) -> None:
    wanted = NEEDED.get(now.kind, "clip")
    known = [name for name in nlviz.list_models() if wanted in nlviz.zoo.CARDS[name].takes]
    models = [
        *nlviz.zoo.app_offers.functions(),
        *sorted(known, key=lambda name: not nlviz.zoo.CARDS[name].weights),
    ]
    if now.named not in models:
        models.append(now.named)  # typed, or from the address; loading it says what is wrong
    STATE.fields.pick(
        st.selectbox,
        "Model",
        f"{wanted}_model" if now.kind in NEEDED else "model",
        models,
        now.named,
        format_func=_label,
        label_visibility="collapsed",
        accept_new_options=True,
        help="A name of the list, timm/ and the name of a transformer of timm, or hf: and the name "
        "of one of transformers, typed here",
    )
    if not (about := _question(now.named)):
        return
    card = nlviz.zoo.CARDS.get(now.named)
    with st.container(border=True):
        st.caption(about)
        if card is None or card.url:
            label = "Try again" if now.named in now.agreed else "Download and open"
            st.button(label, key="agree", on_click=STATE.act, args=(Agreed(now.named),))


def _question(name: str) -> str:
    """Return what must be known before a network is downloaded; empty where it is here."""
    if nlviz.zoo.is_timm(name):
        return nlviz.zoo.timm_download(name)
    if name.startswith("hf:"):
        return nlviz.zoo.transformers_download(name)
    card = nlviz.zoo.CARDS.get(name)
    return "" if card is None or nlviz.zoo.is_here(card) else _about(card)


def _draw_file(now: Choices) -> None:
    fields = STATE.fields
    fields.upload(
        "Weights",
        "weights_upload",
        emit=_keep,
        help="A checkpoint in any of the layouts that `nlviz models` and the README list; its kind "
        "is told by its content. Nothing in it is run. A folder that save_pretrained of "
        "transformers wrote goes by its path: configuration, labels and image processor are read.",
    )
    if now.weights is not None:
        st.caption(f"Open: **{plain(now.weights.name)}**, kept on this machine while the app runs.")
    fields.enter(
        st.text_input,
        "or the path of a file on this machine",
        "weights_path",
        value=now.weights_path,
        placeholder="/data/i3d_nl.pth",
    )
    fields.enter(
        st.text_input,
        "Flags",
        "flags",
        value=now.flags,
        placeholder="scale=false pairwise=dot_product",
        help="What the keys of a file do not tell, NAME=VALUE. The report below the view lists the "
        "flags and where each is known from.",
    )


def _keep(file: Any) -> None:
    STATE.act(Chose("weights", None if file is None else uploads.keep(file.name, file.getvalue())))


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
    note = f" {card.note}" if card.note else ""
    return (
        f"{card.file_name} is not on this machine yet. Licence: {card.licence}{terms} "
        f"([source]({card.source})).{accuracy}{note}"
    )
