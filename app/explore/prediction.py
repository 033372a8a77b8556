"""Prediction panel: the answer for this clip and, on request, over 30 views of the whole video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

import nlviz

from ..shared import bars
from ..shared.errors import progress_to
from ..shared.language import spoken

Load = Callable[[], "nlviz.Model"]


def draw(model: Load | None, capture: nlviz.Capture, source: Path | bytes | None) -> None:
    """Draw the prediction panel.

    Args:
        model: loads the network; None for a saved capture.
        capture: of the clip on the screen.
        source: file or bytes of the video that the clip is taken from, or None.
    """
    found = capture.prediction()
    if not found:
        return
    what = "text" if isinstance(capture.clip, nlviz.Text) else "clip"
    unknown = nlviz.words.unknown_text(found, what)
    if unknown:
        st.caption(unknown)
        with st.expander(spoken("What it says nevertheless")):
            bars.shares(found, about="The network's first answers")
    else:
        st.caption(f"The network's own answer for this {what}")
        bars.shares(found, about="The network's first answers")
    if model is None or not (note := nlviz.words.one_clip_note(loaded := model())):
        return
    st.caption(note)
    if source is None or len(capture.clip.frames) == 1:
        return
    key = (capture.clip.digest, capture.about.name, capture.about.digest, capture.about.device)
    if st.button(
        spoken("Run 10 × 3 views"),
        key="views_run",
        help=spoken(
            "30 forward passes over the whole video: 10 clips, 3 squares of 256 px of each"
        ),
    ):
        views = _run(loaded, source)
        st.session_state.views = None if views is None else (key, views)
    kept = st.session_state.get("views")
    if kept is not None and kept[0] == key:
        _show(kept[1])


def _run(model: nlviz.Model, source: Path | bytes) -> nlviz.ThirtyViews | None:
    """Run the views with a bar; a click on Cancel stops them before the next one."""
    place = st.empty()
    with place.container():
        bar = st.progress(0.0, spoken("Listing the frames"))
        st.button(spoken("Cancel"), key="views_cancel")

    try:
        return nlviz.thirty_views(model, source, progress=progress_to(bar))
    except nlviz.NlvizError as error:
        st.error(str(error), icon=":material/error:")
        return None
    finally:
        place.empty()


def _show(views: nlviz.ThirtyViews) -> None:
    st.caption(spoken("All views together"))
    bars.shares(views.prediction(), about="The network's first answers over all views")
    st.caption(f"{views.note} {views.agreeing():.0%} of the views have this label first.")
