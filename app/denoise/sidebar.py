"""Sidebar of Denoise: the picture, its noise, the denoisers and their parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..explore.sidebar import upload_field
from ..explore.state import STATE as EXPLORE_STATE
from ..shared import uploads
from ..shared.choices import Chose
from ..shared.language import spoken
from ..shared.markdown import plain
from .choices import BUNDLED, EXPLORE, SIZES, UPLOAD, Choices, Reset, SetParameter
from .state import STATE, Source, open_in_explore

if TYPE_CHECKING:
    from .picture import Picture

NOISES = {
    "gaussian": "Gaussian",
    "poisson-gaussian": "Poisson-Gaussian (a sensor's)",
    "salt-and-pepper": "Salt and pepper",
}
LEAST_SIGMA = 5.0  # of Gaussian noise; below it there is little to see


def choose_picture() -> None:
    """Draw the choice of the picture."""
    now = STATE.now
    kinds = [BUNDLED, UPLOAD]
    if "shown" in st.session_state or now.kind == EXPLORE:
        kinds.append(EXPLORE)
    STATE.fields.pick(st.segmented_control, "Picture", "kind", kinds, now.kind, required=True)
    if now.kind == UPLOAD:
        upload_field(STATE.fields, now.upload, "Picture or video", _keep)
    elif now.kind == EXPLORE:
        shown = st.session_state.get("shown", EXPLORE_STATE.now)
        st.caption(f"The clip that is open in Explore: {plain(shown.name)}.")
    else:
        # Photos first: one picture is the shorter story.
        names = sorted(nlviz.bundled_inputs(), key=lambda name: name.endswith(".mp4"))
        if now.picture not in names:
            names.append(now.picture)  # from the address; reading it says what is wrong
        STATE.fields.pick(
            st.selectbox,
            "Photo or clip",
            "picture",
            names,
            now.picture,
            label_visibility="collapsed",
        )


def _keep(files: Any) -> None:
    STATE.act(Chose("upload", uploads.keep_all(files)))


def source_of(now: Choices) -> Source | None:
    """Return the picture's source, or None while an upload is awaited.

    Raises:
        NlvizError: when an upload is no longer kept, or Explore shows nothing.
    """
    if now.kind == UPLOAD:
        if now.upload is None:
            return None
        now.upload.path()  # told where it is gone
    shown = open_in_explore() if now.kind == EXPLORE else None
    if now.kind == EXPLORE and shown is None:
        raise nlviz.NlvizError("no clip is open in Explore; open one there, or choose a picture")
    return Source(
        now.name if shown is None else shown.name,
        now.upload if now.kind == UPLOAD else None,
        shown,
        now.start,
        now.frame,
        now.whole,
        now.size,
        now.grey,
    )


def choose_size() -> None:
    """Draw the choice of the size; what it does is said above the results."""
    now = STATE.now
    sizes = SIZES if now.size in SIZES else (now.size, *SIZES)
    STATE.fields.pick(
        st.selectbox,
        "Reduce shorter side to",
        "size",
        sizes,
        now.size,
        format_func=lambda s: "as in the file" if s is None else f"{s} px",
        help="Larger pictures are reduced to this before anything else, so that results come in "
        "seconds. Noise is added afterwards.",
    )
    tip = "Take the luminance alone"
    STATE.fields.enter(st.toggle, "In grey", "grey", value=now.grey, help=tip)


def choose_frame(picture: Picture | None) -> None:
    """Draw the choice of a frame, of clips; of a picture that cannot be read, where it begins."""
    now, fields = STATE.now, STATE.fields
    if picture is not None and picture.frames > 1:
        fields.enter(
            st.toggle,
            "Space-time: all frames at once",
            "whole",
            value=now.whole,
            help="Non-local means then also reaches into the frames around each pixel's own",
        )
        if not now.whole:
            count = picture.frames
            fields.enter(
                st.slider,
                "Frame",
                "frame",
                1,
                count,
                value=min(now.frame + 1, count),
                emit=lambda number: STATE.act(Chose("frame", number - 1)),
            )
    if now.kind != EXPLORE and (now.start or (picture is not None and picture.frames > 1)):
        tip = "Where in the video the frames begin"
        value = float(now.start)
        fields.enter(st.number_input, "Start (s)", "start", 0.0, value=value, step=0.5, help=tip)


def choose_noise() -> None:
    """Draw the choice of the noise."""
    now, fields = STATE.now, STATE.fields
    tip = "Add nothing; estimate its noise"
    fields.enter(st.toggle, "Picture is already noisy", "already", value=now.already, help=tip)
    if now.already:
        fields.enter(
            st.number_input,
            "Its noise (sigma)",
            "told",
            0.0,
            255.0,
            value=now.told,
            placeholder="estimated",
            help=f"In grey levels of 255. Empty: the {nlviz.denoise.ESTIMATOR}.",
        )
        return
    words = NOISES.__getitem__
    fields.pick(st.selectbox, "Noise to add", "noise", list(NOISES), now.noise, format_func=words)
    if now.noise == "salt-and-pepper":
        label, value = "Share of black and white pixels", _within(now.amount, 0.0, 0.9)
        fields.enter(st.slider, label, "amount", 0.0, 0.9, value=value, step=0.01)
    else:
        low = LEAST_SIGMA if now.noise == "gaussian" else 0.0
        fields.enter(
            st.slider,
            "Sigma",
            "sigma",
            low,
            100.0,
            value=_within(now.sigma, low, 100.0),
            step=1.0,
            format="%g",
            help="Standard deviation of the noise in grey levels of 255; 25 is a dark room, 50 "
            "hides most textures",
        )
        if now.noise != "gaussian":
            fields.enter(
                st.slider,
                "Gain",
                "gain",
                0.05,
                50.0,
                value=_within(now.gain, 0.05, 50.0),
                step=0.05,
                help="Grey levels per photon: the variance grows by this much with each grey level",
            )
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        tip = "The same seed, the same noise"
        fields.enter(st.number_input, "Seed", "seed", 0, 2**31 - 1, value=now.seed, help=tip)
    with right:
        fields.enter(
            st.toggle,
            "Clipped",
            "clipped",
            value=now.clipped,
            help="Cut values below black and above white off, as a camera's file does; unclipped "
            "noise keeps its mean",
        )


def noise_of(now: Choices) -> nlviz.denoise.Noise | None:
    """Return the noise that is added; None for a picture that is noisy already."""
    if now.already:
        return None
    low = LEAST_SIGMA if now.noise == "gaussian" else 0.0
    return nlviz.denoise.Noise(
        now.noise,
        sigma=_within(now.sigma, low, 100.0),
        gain=_within(now.gain, 0.05, 50.0),
        amount=_within(now.amount, 0.0, 0.9),
        clipped=now.clipped,
    )


def _within(value: float, low: float, high: float) -> float:
    """Keep a value from the address inside what its slider offers."""
    return min(max(float(value), low), high)


def choose_denoisers(
    known: Mapping[str, nlviz.denoise.Denoiser], sigma: float, *, clean: bool
) -> list[str]:
    """Draw the choice of the denoisers and of their parameters; return the names in order."""
    now, fields = STATE.now, STATE.fields
    wanted = [name for name in now.chosen if name in known]
    unknown = [name for name in now.chosen if name not in known]
    fields.pick(
        st.multiselect,
        "Denoisers",
        "chosen",
        list(known),
        wanted,
        emit=lambda names: STATE.act(Chose("chosen", (*names, *unknown))),
        format_func=lambda name: known[name].label,
        placeholder="Choose at least one",
    )
    if unknown:  # from the address, or left behind by a picture of another kind
        st.caption(f"Left out, as they do not run here: {plain(', '.join(unknown))}.")
    fields.enter(
        st.toggle,
        "Fair: tune each against the clean picture",
        "fair",
        value=now.fair,
        disabled=not clean,
        help="The strength of each (its h) is then the best of a grid against the clean picture, "
        "the *oracle h*: nobody has it in practice, but it shows what every method can do at its "
        "best. Same patch, window and input for all; takes some ten times as long.",
    )
    names = [name for name in known if name in wanted]
    for name in names:
        _one(known[name], sigma, tuned=now.fair and clean)
    return names


def _one(denoiser: nlviz.denoise.Denoiser, sigma: float, *, tuned: bool) -> None:
    """Draw formula, source and parameters of one denoiser."""
    chosen = STATE.now.set.get(denoiser.name, {})
    name = spoken(denoiser.label)
    label = f"{name} ·" if chosen else name
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
                spoken("Back to the defaults"),
                key=f"dn_reset_{denoiser.name}",
                on_click=STATE.act,
                args=(Reset(denoiser.name),),
            )


def _parameter(denoiser: nlviz.denoise.Denoiser, name: str, sigma: float) -> None:
    """Draw one parameter; unless it was changed, it follows the noise."""
    parameter = denoiser.parameters[name]
    chosen = STATE.now.set.get(denoiser.name, {})
    default = _default(denoiser, name, chosen, sigma)
    value = chosen.get(name, default)
    words = name.replace("_", " ")
    enter = partial(
        STATE.fields.enter,
        emit=lambda value: STATE.act(SetParameter(denoiser.name, name, value, default)),
        help=f"{parameter.what[:1].upper()}{parameter.what[1:]}",
    )
    field = f"p_{denoiser.name}_{name}"
    low, high, step = parameter.low, parameter.high, parameter.step
    if parameter.kind == "switch":
        enter(st.toggle, words, field, value=bool(value))
    elif parameter.optional:
        value = None if value is None else float(value)
        label = f"{words} ({parameter.unit})"
        number = partial(enter, st.number_input, label, field, low, high, value=value)
        number(step=step, placeholder="none")
    elif parameter.kind == "odd":
        value = int(min(max(value, int(low)), int(high)))
        label = f"{words} ({parameter.unit})"
        enter(st.slider, label, field, int(low), int(high), value=value, step=int(step))
    else:
        unit = "× sigma" if parameter.unit == "sigma" else parameter.unit
        value = _on_grid(parameter, float(value))
        enter(st.slider, f"{words} ({unit})", field, low, high, value=value, step=step)
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
