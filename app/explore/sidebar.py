"""Sidebar of Explore: input, sampling, network, device, block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

import nlviz

from ..shared import uploads
from ..shared.choices import Chose
from ..shared.language import spoken
from ..shared.markdown import plain
from . import boxes, network, surveyed_clips, texts
from .choices import (
    BUNDLED,
    GRAPH,
    NEEDED,
    SAVED,
    SIZES,
    SURVEY,
    TEXT,
    UPLOAD,
    Choices,
    Heads,
    checked,
)
from .state import STATE, Choice, saved_choice


@dataclass(frozen=True)
class Missing:
    """What must come before anything can be shown.

    Attributes:
        headline: what to do.
        text: how.
    """

    headline: str
    text: str


def choose() -> Choice | Missing:
    """Draw the sidebar; return the choice, or what is missing for one.

    Raises:
        NlvizError: when an upload is no longer kept, or flags cannot be read.
    """
    now = STATE.now
    captures = list(nlviz.zoo.app_offers.captures())
    surveyed = bool(nlviz.zoo.app_offers.surveys()) or now.kind == SURVEY
    kinds = [BUNDLED, UPLOAD, TEXT, GRAPH, *([SAVED] if captures or now.kind == SAVED else [])]
    kinds += [SURVEY] if surveyed else []
    fields = STATE.fields
    with st.sidebar:
        fields.pick(st.segmented_control, "Input", "kind", kinds, now.kind, required=True)
        if now.kind == UPLOAD:
            upload_field(STATE.fields, now.upload, "Video, picture or saved capture", keep)
        elif now.kind in NEEDED:
            (texts.draw if now.kind == TEXT else _graph)(now)
            network.draw(now)
            _device(now)
            return choice_of(now)
        elif now.kind == SAVED:
            offered = captures if now.saved in captures else [*captures, now.saved]
            fields.pick(st.selectbox, "File", "saved", offered, now.saved)
            _about_saved(now.name)
            return choice_of(now)
        elif now.kind == SURVEY:
            surveyed_clips.draw(now)
        else:
            _bundled(now)
        if now.kind == UPLOAD and now.upload is not None and _is_capture(now.upload):
            _about_saved(now.name)
            return choice_of(now)
        if texts.asks(now):
            texts.draw_question(now)
        if texts.asks_boxes(now):
            boxes.draw(now)
        if now.kind != SURVEY:
            _sampling(now)
        network.draw(now)
        _device(now)
    return choice_of(now)


def choice_of(now: Choices) -> Choice | Missing:
    """Return the clip and the network of the choices, or what is missing.

    Raises:
        NlvizError: when an upload is no longer kept, a path leads nowhere, or flags cannot be read.
    """
    if now.kind == SAVED:
        return saved_choice(now.name, None)
    upload = {UPLOAD: now.upload, GRAPH: now.graph_upload}.get(now.kind)
    if upload is not None:
        upload.path()  # told where it is gone
        if now.kind == UPLOAD and _is_capture(upload):
            return saved_choice(now.name, upload)
    chosen = network.chosen(now)
    if now.kind == TEXT and not checked(now.words).strip():
        return Missing(
            "Write a text",
            "Type or paste it into the sidebar, or drop a text file there.",
        )
    if now.kind == UPLOAD and upload is None:
        return Missing(
            "Bring a clip or a picture",
            "Drop it into the sidebar; it is kept on this machine while the app runs.",
        )
    if chosen is None:
        return Missing(*network.missing(now))
    if now.kind == SURVEY and not now.survey:
        return Missing("Choose a clip", "Choose one of the survey's clips in the sidebar.")
    told = texts.told(now)
    if told is not None and not told.strip():
        return Missing(
            "Tell it what to look for",
            "This network reads a text beside the clip: write it in the sidebar, below the clip.",
        )
    sampling = nlviz.Sampling(now.start, now.stride, now.frames, now.size)
    device = _device_of(now)
    half = device != "cpu" and now.half
    common = (chosen.name, device, None, chosen.flags, half)
    if now.kind == TEXT:
        return Choice(now.name, None, nlviz.Sampling(), *common, text=now.words, of_text=True)
    if now.kind == GRAPH:
        return Choice(now.name, upload, nlviz.Sampling(), *common, of_graph=True)
    if now.kind == SURVEY:
        flags, half = surveyed_clips.loaded_as(now, chosen, half=half)
        common = (chosen.name, device, None, flags, half)
        survey = now.survey_digest
        return Choice(now.name, None, nlviz.Sampling(), *common, text=told or "", survey=survey)
    asked = now.boxes if texts.asks_boxes(now) else ()
    return Choice(now.name, upload, sampling, *common, text=told or "", boxes=asked)


def keep(files: Any) -> None:
    """Take over what was dropped into the field for an upload; a text file is a text."""
    if all(file.name.lower().endswith(texts.ENDING) for file in files):
        texts.keep(files)
        return
    STATE.act(Chose("upload", uploads.keep_all(files)))


def upload_field(fields: Any, open_now: uploads.Upload | None, label: str, emit: Any) -> None:
    """Draw a field for a visitor's file, and name what is open.

    Args:
        fields: of the page.
        open_now: the upload that is open, or None.
        label: of the field.
        emit: called with the files.
    """
    fields.drop(
        label,
        "upload",
        emit=emit,
        help="Videos: whatever FFmpeg decodes. Pictures: PNG, JPEG, WebP, TIFF, HEIC, AVIF; stacks "
        "and moving pictures are clips, and so are several pictures dropped at once, in the order "
        "of the numbers in their names. Files are kept on this machine while the app runs; only "
        "who has their address sees them.",
    )
    if open_now is not None:
        st.caption(
            f"Open: **{plain(open_now.name)}**. The address opens it again as long as this server "
            "runs; on another machine it opens nothing."
        )


def choose_block(affinities: Mapping[str, nlviz.Affinity | None]) -> None:
    """Draw the choice of the block, by layer where layers hold several.

    Args:
        affinities: by the block's name; None where they are not there.
    """
    layers = nlviz.words.layers(affinities)
    chosen = next((layer for layer in layers if STATE.now.block in layer.names), layers[-1])
    kinds = {name: _kind(affinity) for name, affinity in affinities.items()}
    if len(set(kinds.values())) == 1:
        kinds = dict.fromkeys(kinds, "")  # alike in all: said below of the one on the screen
    pick = STATE.fields.pick
    if len(layers) == len(affinities):
        labels = {layer.names[0]: _joined(layer.title, kinds[layer.names[0]]) for layer in layers}
        pick(
            st.selectbox,
            "Block",
            "block",
            list(affinities),
            STATE.now.block,
            format_func=labels.__getitem__,
        )
        return
    titles = {layer.title: layer for layer in layers}
    at = chosen.names.index(STATE.now.block) if STATE.now.block in chosen.names else 0

    def emit(title: str) -> None:
        # The same place in the other layer: from spatial attention to spatial attention.
        names = titles[title].names
        STATE.act(Chose("block", names[min(at, len(names) - 1)]))

    pick(st.selectbox, "Layer", "layer", list(titles), chosen.title, emit=emit)
    pick(
        st.selectbox,
        "Block",
        "block",
        list(chosen.names),
        STATE.now.block,
        format_func=lambda name: _within(name, kinds, chosen.names),
    )


def about_block(capture: nlviz.Capture, block: str) -> None:
    """Say grid and keys of the block on the screen, and which blocks are not shown, and why."""
    st.caption(nlviz.words.block_text(capture.affinities[block]))
    last = nlviz.words.last_of_classes(capture.affinities)
    if last is not None:
        st.button(
            spoken("Class token, every head"),
            key="every-head",
            help=f"The maps of all heads of the last layer, {last}, side by side",
            on_click=STATE.act,
            args=(Heads(last, token="cls"),),
        )
    if why := nlviz.words.no_rollout(capture, block):
        st.caption(f"No rollout here: {plain(why)}.")
    if not capture.refused:
        return
    count = len(capture.refused)
    with st.expander(f"{count} block{'s are' if count > 1 else ' is'} not shown"):
        for names, reason in nlviz.words.refusals(capture.refused):
            st.caption(f"**{plain(names)}**: {plain(reason)}")


def _kind(affinity: nlviz.Affinity | None) -> str:
    return "" if affinity is None else nlviz.words.kind_text(affinity)


def _within(name: str, kinds: Mapping[str, str], names: Sequence[str]) -> str:
    """Return what tells a block from the others of its layer: its kind, or name and kind."""
    kind = kinds[name]
    alone = [kinds[other] for other in names].count(kind) == 1
    return kind if kind and alone else _joined(name.rpartition(".")[2] if kind else name, kind)


def _joined(title: str, kind: str) -> str:
    return f"{title} · {kind}" if kind else title


def _bundled(now: Choices) -> None:
    inputs = list(nlviz.bundled_inputs())
    if now.input not in inputs:
        inputs.append(now.input)  # a name from the address; reading it says what is wrong
    STATE.fields.pick(st.selectbox, "Clip or photo", "input", inputs, now.input)


def _graph(now: Choices) -> None:
    names = list(nlviz.bundled_graphs())
    if now.graph not in names:
        names.append(now.graph)  # a name from the address; reading it says what is wrong
    STATE.fields.pick(st.selectbox, "Graph", "graph", names, now.graph)
    STATE.fields.drop(
        "or a file of your own",
        "graph_file",
        emit=_keep_graph,
        help='JSON: {"nodes": ["a", "b"], "edges": [["a", "b"]], "features": [[0.5], [1.0]]}. In '
        "attention the target of an edge looks at its source.",
    )
    if now.graph_upload is not None:
        st.caption(f"Open: **{plain(now.graph_upload.name)}**.")


def _keep_graph(files: Any) -> None:
    STATE.act(Chose("graph_upload", uploads.keep_all(files[:1])))


def _sampling(now: Choices) -> None:
    fields = STATE.fields
    with st.expander(spoken("Frames and size"), expanded=False):
        most = max(256, now.frames or 0)
        fields.enter(
            st.number_input,
            "Number of frames",
            "frames",
            1,
            most,
            value=now.frames,
            placeholder="all",
        )
        fields.enter(st.number_input, "Start (s)", "start", 0.0, value=now.start, step=0.5)
        fields.enter(
            st.number_input,
            "Every n-th frame",
            "stride",
            1,
            max(1000, now.stride or 0),
            value=now.stride,
            placeholder="spread evenly",
            help="Empty: the frames are spread evenly over the rest of the clip.",
        )
        sizes = SIZES if now.size in SIZES else (*SIZES, now.size)
        fields.pick(
            st.selectbox,
            "Shorter side (px)",
            "size",
            sizes,
            now.size,
            format_func=lambda s: "as in the file" if s is None else str(s),
        )


def _device(now: Choices) -> None:
    devices, device = list(nlviz.zoo.list_devices()), _device_of(now)
    fields = STATE.fields
    name = nlviz.zoo.device_name
    fields.pick(st.selectbox, "Device", "device", devices, device, format_func=name)
    if device != "cpu":
        tip = "bfloat16 on the GPU; rows are computed in float32"
        fields.enter(st.toggle, "Half precision", "half", value=now.half, help=tip)


def _device_of(now: Choices) -> str:
    devices = list(nlviz.zoo.list_devices())
    return now.device if now.device in devices else devices[0]


def _is_capture(upload: uploads.Upload) -> bool:
    try:
        return upload.name.endswith(".nlviz") or nlviz.is_capture(upload.path())
    except nlviz.NlvizError:  # said once all controls are drawn
        return False


def _about_saved(name: str) -> None:
    """Say what a saved capture is; sampling, network and device were chosen back then."""
    st.caption(f"**{SAVED}**: {plain(name)}. It holds the clip and the maps, not the network.")
