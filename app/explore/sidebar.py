"""Sidebar of Explore: input, sampling, network, device."""

from __future__ import annotations

import streamlit as st

import nlviz

from ..shared.markdown import plain
from . import network
from .state import SAVED, SIZES, Choice, saved_choice


def choose() -> Choice | None:
    """Draw the sidebar; return the choice, or None while an upload or a network is missing."""
    state = st.session_state
    inputs = list(nlviz.bundled_inputs())
    if state.input not in inputs:
        inputs.append(state.input)  # a name from the address; reading it says what is wrong
    kinds = ["Bundled", "Upload", *([SAVED] if nlviz.zoo.app_offers.captures() else [])]
    with st.sidebar:
        st.markdown("**nlviz** &nbsp;·&nbsp; where it looks")
        st.segmented_control("Input", kinds, key="kind", required=True)
        name: str = state.input
        upload: bytes | None = None
        if state.kind == "Upload":
            file = st.file_uploader(
                "Video, picture or saved capture",
                key="upload",
                help="Videos: whatever FFmpeg decodes. Pictures: PNG, JPEG, WebP, TIFF. The file "
                "stays in this session's memory; nobody else sees it.",
            )
            if file is not None:
                name, upload = file.name, file.getvalue()
                if nlviz.is_capture(upload) or name.endswith(".nlviz"):
                    return _saved(name, upload)
        elif state.kind == SAVED:
            st.selectbox("File", list(nlviz.zoo.app_offers.captures()), key="saved")
            return _saved(state.saved, None)
        else:
            st.selectbox("Clip or photo", inputs, key="input")
            name = state.input
        with st.expander("Frames and size", expanded=False):
            st.number_input("Number of frames", 1, 256, key="frames")
            st.number_input("Start (s)", 0.0, step=0.5, key="start")
            st.number_input(
                "Every n-th frame",
                1,
                1000,
                key="stride",
                placeholder="spread evenly",
                help="Empty: the frames are spread evenly over the rest of the clip.",
            )
            sizes = SIZES if state.size in SIZES else (*SIZES, state.size)
            st.selectbox(
                "Shorter side (px)",
                sizes,
                key="size",
                format_func=lambda s: "as in the file" if s is None else str(s),
            )
        chosen = network.choose()
        st.selectbox(
            "Device", nlviz.zoo.list_devices(), key="device", format_func=nlviz.zoo.device_name
        )
        half = state.device != "cpu" and st.toggle(
            "Half precision", key="half", help="bfloat16 on the GPU; rows are computed in float32"
        )
    if chosen is None or (state.kind == "Upload" and upload is None):
        return None
    sampling = nlviz.Sampling(float(state.start), state.stride, state.frames, state.size)
    return Choice(
        name, upload, sampling, chosen.name, state.device, state.block, chosen.flags, half
    )


def _saved(name: str, upload: bytes | None) -> Choice:
    """Return the choice of a saved capture; sampling, network and device were chosen back then."""
    st.caption(f"**{SAVED}**: {plain(name)}. It holds the clip and the maps, not the network.")
    return saved_choice(name, upload)
