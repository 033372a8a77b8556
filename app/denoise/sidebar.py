"""Sidebar of Denoise: the picture, its noise, the denoisers and their parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..shared.markdown import plain
from .state import BUNDLED, EXPLORE, SIZES, UPLOAD, Source

if TYPE_CHECKING:
    from .picture import Picture

NOISES = {
    "gaussian": "Gaussian",
    "poisson-gaussian": "Poisson-Gaussian (a sensor's)",
    "salt-and-pepper": "Salt and pepper",
}


def choose_picture() -> Source | None:
    """Draw the choice of the picture; None while an upload is awaited."""
    state = st.session_state
    shown: Any = state.get("shown")
    kinds = [BUNDLED, UPLOAD, *([EXPLORE] if shown is not None else [])]
    if state.dn_kind not in kinds:
        state.dn_kind = BUNDLED
    # Photos first: one picture is the shorter story.
    names = sorted(nlviz.bundled_inputs(), key=lambda name: name.endswith(".mp4"))
    if state.dn_picture not in names:
        names.append(state.dn_picture)  # a name from the address; reading it says what is wrong
    name: str = state.dn_picture
    upload: bytes | None = None
    st.segmented_control("Picture", kinds, key="dn_kind", required=True)
    if state.dn_kind == UPLOAD:
        file = st.file_uploader(
            "Picture or video",
            key="dn_upload",
            help="PNG, JPEG, WebP, TIFF, or whatever FFmpeg decodes. It stays in this session's "
            "memory; nobody else sees it.",
        )
        if file is None:
            return None
        name, upload = file.name, file.getvalue()
    elif state.dn_kind == EXPLORE:
        name = shown.name
        st.caption(f"The clip that is open in Explore: {plain(name)}.")
    else:
        st.selectbox("Photo or clip", names, key="dn_picture", label_visibility="collapsed")
        name = state.dn_picture
    return Source(
        name,
        upload,
        shown if state.dn_kind == EXPLORE else None,
        float(state.dn_start),
        int(state.dn_frame),
        bool(state.dn_whole),
        state.dn_size,
        bool(state.dn_grey),
    )


def choose_size() -> None:
    """Draw the choice of the size; what it does is said above the results."""
    state = st.session_state
    sizes = SIZES if state.dn_size in SIZES else (state.dn_size, *SIZES)
    st.selectbox(
        "Largest shorter side",
        sizes,
        key="dn_size",
        format_func=lambda s: "as in the file" if s is None else f"{s} px",
        help="Larger pictures are reduced to this before anything else, so that results come in "
        "seconds. Noise is added afterwards.",
    )
    st.toggle("In grey", key="dn_grey", help="Take the luminance alone")


def choose_frame(picture: Picture) -> None:
    """Draw the choice of a frame, of clips."""
    state = st.session_state
    if picture.frames < 2:
        return
    st.toggle(
        "Space-time: all frames at once",
        key="dn_whole",
        help="Non-local means then also reaches into the frames around each pixel's own",
    )
    if not state.dn_whole:
        state.dn_frame = min(state.dn_frame, picture.frames - 1)
        st.slider("Frame", 0, picture.frames - 1, key="dn_frame")
    if state.dn_kind != EXPLORE:
        st.number_input(
            "Start (s)", 0.0, step=0.5, key="dn_start", help="Where in the video the frames begin"
        )


def choose_noise() -> nlviz.denoise.Noise | None:
    """Draw the choice of the noise; None for a picture that is noisy already."""
    state = st.session_state
    if state.dn_noise not in NOISES:
        state.dn_noise = "gaussian"
    st.toggle("It is noisy already", key="dn_already", help="Add nothing; estimate its noise")
    if state.dn_already:
        st.number_input(
            "Its sigma",
            0.0,
            255.0,
            key="dn_told",
            placeholder="estimated",
            help=f"In grey levels of 255. Empty: the {nlviz.denoise.ESTIMATOR}.",
        )
        return None
    st.selectbox("Noise to add", list(NOISES), key="dn_noise", format_func=NOISES.__getitem__)
    if state.dn_noise == "salt-and-pepper":
        _within("dn_amount", 0.0, 0.9)
        st.slider("Share of black and white pixels", 0.0, 0.9, step=0.01, key="dn_amount")
    else:
        gaussian = state.dn_noise == "gaussian"
        low = 5.0 if gaussian else 0.0
        _within("dn_sigma", low, 100.0)
        st.slider(
            "Sigma",
            low,
            100.0,
            step=1.0,
            key="dn_sigma",
            format="%g",
            help="Standard deviation of the noise in grey levels of 255; 25 is a dark room, 50 "
            "hides most textures",
        )
        if not gaussian:
            _within("dn_gain", 0.05, 50.0)
            st.slider(
                "Gain",
                0.05,
                50.0,
                step=0.05,
                key="dn_gain",
                help="Grey levels per photon: the variance grows by this much with each grey level",
            )
    left, right = st.columns(2, vertical_alignment="bottom")
    state.dn_seed = max(int(state.dn_seed), 0)
    left.number_input("Seed", 0, 2**31 - 1, key="dn_seed", help="The same seed, the same noise")
    right.toggle(
        "Clipped",
        key="dn_clipped",
        help="Cut values below black and above white off, as a camera's file does; unclipped "
        "noise keeps its mean",
    )
    return nlviz.denoise.Noise(
        state.dn_noise,
        sigma=float(state.dn_sigma),
        gain=float(state.dn_gain),
        amount=float(state.dn_amount),
        clipped=bool(state.dn_clipped),
    )


def _within(key: str, low: float, high: float) -> None:
    """Keep a value from the address inside what its slider offers."""
    st.session_state[key] = min(max(float(st.session_state[key]), low), high)


def choose_denoisers(
    known: Mapping[str, nlviz.denoise.Denoiser], sigma: float, *, clean: bool
) -> list[str]:
    """Draw the choice of the denoisers and of their parameters; return the names in order."""
    state = st.session_state
    wanted = [name for name in state.dn_with if name in known]
    unknown = [name for name in state.dn_with if name not in known]
    state.dn_with = wanted
    st.multiselect(
        "Denoisers",
        list(known),
        key="dn_with",
        format_func=lambda name: known[name].label,
        placeholder="Choose at least one",
    )
    if unknown:  # from the address, or left behind by a picture of another kind
        st.caption(f"Left out, as they do not run here: {plain(', '.join(unknown))}.")
    st.toggle(
        "Fair: tune each against the clean picture",
        key="dn_fair",
        disabled=not clean,
        help="The strength of each (its h) is then the best of a grid against the clean picture, "
        "the *oracle h*: nobody has it in practice, but it shows what every method can do at its "
        "best. Same patch, window and input for all; takes some ten times as long.",
    )
    names = [name for name in known if name in state.dn_with]
    for name in names:
        _one(known[name], sigma, tuned=state.dn_fair and clean)
    return names


def _one(denoiser: nlviz.denoise.Denoiser, sigma: float, *, tuned: bool) -> None:
    """Draw formula, source and parameters of one denoiser."""
    chosen = st.session_state.dn_set.get(denoiser.name, {})
    label = f"{denoiser.label} ·" if chosen else denoiser.label
    with st.expander(label):
        st.markdown(f"`{denoiser.formula}`")
        free = "non-commercial" not in denoiser.licence
        licence = "" if free else f" :orange[**Licence: {denoiser.licence}.**]"
        st.caption(f"{denoiser.source}. {denoiser.note}{licence}")
        for parameter in denoiser.parameters:
            if tuned and parameter == denoiser.strength:
                st.caption(f"{parameter}: tuned against the clean picture")
                continue
            _parameter(denoiser, parameter, sigma)
        if chosen:
            st.button(
                "Back to the defaults",
                key=f"dn_reset_{denoiser.name}",
                on_click=_reset,
                args=(denoiser.name,),
            )


def _parameter(denoiser: nlviz.denoise.Denoiser, name: str, sigma: float) -> None:
    """Draw one parameter; unless it was changed, it follows the noise."""
    parameter = denoiser.parameters[name]
    state = st.session_state
    chosen = state.dn_set.get(denoiser.name, {})
    default = _default(denoiser, name, chosen, sigma)
    value = chosen.get(name, default)
    key = f"dn_p_{denoiser.name}_{name}"
    args: dict[str, Any] = {
        "key": key,
        "help": f"{parameter.what[:1].upper()}{parameter.what[1:]}",
        "on_change": _chosen,
        "args": (denoiser.name, name, key, default),
    }
    words = name.replace("_", " ")
    if parameter.kind == "switch":
        state[key] = bool(value)
        st.toggle(words, **args)
    elif parameter.optional:
        state[key] = None if value is None else float(value)
        st.number_input(
            f"{words} ({parameter.unit})",
            parameter.low,
            parameter.high,
            step=parameter.step,
            placeholder="none",
            **args,
        )
    elif parameter.kind == "odd":
        low, high = int(parameter.low), int(parameter.high)
        state[key] = int(min(max(value, low), high))
        st.slider(f"{words} ({parameter.unit})", low, high, step=int(parameter.step), **args)
    else:
        state[key] = _on_grid(parameter, float(value))
        unit = "× sigma" if parameter.unit == "sigma" else parameter.unit
        st.slider(f"{words} ({unit})", parameter.low, parameter.high, step=parameter.step, **args)
        if parameter.unit == "sigma":
            st.caption(f"{words} = {float(value) * sigma:.4g} grey levels")


def _default(
    denoiser: nlviz.denoise.Denoiser, name: str, chosen: Mapping[str, Any], sigma: float
) -> Any:
    """Return the default in the unit of its slider."""
    units = denoiser.values(max(sigma, 1.0), 255.0, _switches(denoiser, chosen))
    value = units[name]
    if value is None or denoiser.parameters[name].unit != "sigma":
        return value
    return float(value) / max(sigma, 1.0)


def _switches(denoiser: nlviz.denoise.Denoiser, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chosen switches; defaults of other parameters depend on them."""
    known = denoiser.parameters
    return {n: v for n, v in chosen.items() if n in known and known[n].kind == "switch"}


def _on_grid(parameter: nlviz.denoise.Parameter, value: float) -> float:
    steps = round((value - parameter.low) / parameter.step)
    steps = min(max(steps, 0), math.floor((parameter.high - parameter.low) / parameter.step + 1e-9))
    return round(parameter.low + steps * parameter.step, 6)


def _chosen(denoiser: str, parameter: str, key: str, default: Any) -> None:
    value = st.session_state[key]
    chosen = {name: dict(of) for name, of in st.session_state.dn_set.items()}
    chosen.setdefault(denoiser, {})[parameter] = value
    if value == default:
        del chosen[denoiser][parameter]
    st.session_state.dn_set = {name: of for name, of in chosen.items() if of}


def _reset(denoiser: str) -> None:
    st.session_state.dn_set = {n: of for n, of in st.session_state.dn_set.items() if n != denoiser}
