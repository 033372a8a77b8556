"""Panel of a layer's features as colours: what the network tells apart, over all frames."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

import nlviz

from ..shared import saving
from ..shared.errors import errors_shown, progress_to
from ..shared.language import spoken
from ..shared.saving import Kind
from . import cached

KEPT = 4  # results in a session
LEAST_WIDE, WIDEST = 420, 1000  # CSS pixels of the figure
LARGEST = 4  # CSS pixels for a pixel of a small picture
ABREAST = 4  # frames beside one another in the figure
KINDS = (
    Kind("PNG", "png", "image/png", "Each frame over its colours"),
    Kind("PDF", "pdf", "application/pdf", "The same for a paper"),
    Kind("GIF", "gif", "image/gif", "Frames and colours as time runs"),
    Kind("MP4", "mp4", "video/mp4", "The same as H.264 video"),
)
WHAT = (
    "Each cell of a layer holds a vector of numbers, its features. Here their first three "
    "principal components are red, green and blue, one basis for all frames: cells of one colour "
    "are alike in these three. A colour is a projection; how much of the features it shows is said."
)
Load = Callable[[], "nlviz.Model"]


@st.fragment
def draw(model: Load | None, capture: nlviz.Capture, data: cached.BlockData, block: str) -> None:
    """Draw the panel; nothing is computed before a click.

    Args:
        model: loads the network; None for a saved capture.
        capture: of the clip on the screen.
        data: of the block on the screen.
        block: its name.
    """
    with st.expander(
        spoken("What this layer tells apart: features as colours"), icon=":material/palette:"
    ):
        st.caption(WHAT)
        if model is None and block not in capture.features:
            st.info(
                spoken("A saved capture holds no network, and this one no features of this block.")
            )
            return
        with errors_shown("Explore", cure="Another layer may work."):
            _panel(model, capture, data, block)


def _panel(model: Load | None, capture: nlviz.Capture, data: cached.BlockData, block: str) -> None:
    choose, act = st.columns([8, 2], vertical_alignment="bottom")
    layer = ""
    if model is not None:
        layer = choose.text_input(
            "Layer",
            key="colours_layer",
            placeholder=f"what enters {block}",
            help="Any module of the network by its dotted name, or the end of it, such as layer3 "
            "or blocks.7; empty for what enters the block on the screen",
        ).strip()
    key = (capture.clip.digest, capture.clip.sampling, capture.about, block, layer)
    results: OrderedDict[Any, Any] = st.session_state.setdefault("colours", OrderedDict())
    if act.button("Show", key="colours_run") and key not in results:
        bar = st.progress(0.0, spoken("Running the network for its features"))
        found = _features(model, capture, data, block, layer, progress_to(bar))
        results[key] = nlviz.feature_colours(found)
        while len(results) > KEPT:
            results.popitem(last=False)
        bar.empty()
    if key in results:
        _show(results[key], block, layer)


def _features(
    model: Load | None,
    capture: nlviz.Capture,
    data: cached.BlockData,
    block: str,
    layer: str,
    progress: nlviz.Progress,
) -> nlviz.FeatureMap:
    if layer:
        assert model is not None  # there is no field for a layer without one
        return nlviz.features(model(), capture.clip, layer, progress=progress)
    known = capture if block in capture.features else data.capture
    if block not in known.features:
        assert model is not None
        known = nlviz.with_features(model(), capture, [block], progress=progress)
    grid = replace(known.affinities[block].queries, prefix=0)
    values = known.features[block]
    return nlviz.FeatureMap(f"{block}, input", values, grid, clip=capture.clip)


def _show(drawn: nlviz.FeatureColours, block: str, layer: str) -> None:
    frames, _, wide = drawn.clip.shape
    room = max(LEAST_WIDE, LARGEST * wide * min(frames, ABREAST))
    st.image(drawn.to_bytes("png", notes=False), width=room if room < WIDEST else "stretch")
    for note in drawn.notes:
        st.caption(note)
    still = frames == 1
    kinds = [kind for kind in KINDS if not (still and kind.ending in ("gif", "mp4"))]
    stem = f"{drawn.clip.name.rsplit('.', 1)[0]}-{layer or block}-colours"
    saving.buttons("colours-", kinds, drawn.to_bytes, stem)
