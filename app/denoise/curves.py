"""Curves that are computed on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from ..shared.errors import errors_shown, progress_to
from ..shared.language import spoken

if TYPE_CHECKING:
    from .picture import Picture

QUIET = {"displayModeBar": False}
CURE = "Another picture or denoiser may work."


def draw(
    done: nlviz.denoise.Comparison,
    picture: Picture,
    known: Mapping[str, nlviz.denoise.Denoiser],
    key: object,
) -> None:
    """Draw the two curves, or the buttons that ask for them."""
    from .cached import effective_curve, quality_curve

    left, right = st.columns(2, gap="large")
    labels = {name: result.label for name, result in done.results.items()}

    def over_sigma(progress: nlviz.Progress) -> None:
        curve = quality_curve(picture, done.setup, progress)
        st.plotly_chart(
            nlviz.render.charts.quality(curve, labels), config=QUIET, key="dn_curve_sigma"
        )
        st.caption(
            spoken(
                "Gaussian noise of each sigma on this picture. Defaults follow the noise; "
                "parameters that you set stay."
            )
        )

    def over_h(progress: nlviz.Progress) -> None:
        curve = effective_curve(picture, done.setup, known, progress)
        result = done.results.get("non-local-means")
        h = None if result is None else result.parameters.get("h")
        figure = nlviz.render.charts.averaged(curve, h=None if h is None else float(h))
        st.plotly_chart(figure, config=QUIET, key="dn_curve_h")
        st.caption(
            f"Over how many pixels non-local means spreads its weight, at pixels drawn at random "
            f"(exp(entropy)); {curve.pixels:,} is the whole window, all alike. Noise left over is "
            "about sigma divided by the root of this number."
        )

    with left:
        st.markdown(spoken("##### PSNR over the noise"))
        if done.clean is None:
            st.caption(spoken("Needs a clean picture."))
        else:
            if done.setup.fair:
                st.caption(spoken("Each strength is tuned at each sigma: some minutes."))
            _asked("sigma", (key, "sigma"), "Compute PSNR over sigma", over_sigma)
    with right:
        st.markdown(spoken("##### How many pixels are averaged, over h"))
        _asked("h", (key, "h"), "Count averaged pixels over h", over_h)


def _asked(name: str, key: object, label: str, work: Callable[[nlviz.Progress], None]) -> None:
    """Draw a button, or its work with a bar; Cancel stops between two stages."""
    session = st.session_state
    slot = f"dn_curve_wanted_{name}"
    place = st.empty()
    if session.get(slot) != key:
        place.button(label, key=f"dn_curve_run_{name}", on_click=_want, args=(slot, key))
        return
    with place.container():
        bar = st.progress(0.0, spoken("Computing"))
        st.button(
            spoken("Cancel"), key=f"dn_curve_cancel_{name}", on_click=_want, args=(slot, None)
        )
    with errors_shown("Denoise", place, cure=CURE):
        work(progress_to(bar))
        place.empty()


def _want(slot: str, key: object) -> None:
    st.session_state[slot] = key
