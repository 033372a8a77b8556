"""Position: how much of the pinned row follows from where its query is, whatever is shown."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

import nlviz

from ...shared.errors import sentence
from ...shared.language import spoken
from .asked import NO_NETWORK, Asked, Load
from .pictures import picture
from .working import computed

HELP = (
    "Runs the network on 16 other clips of the same shape, parts of the bundled films and photos "
    "(of a text: 16 other texts of its words), and takes the mean row of each position"
)


def draw(asked: Asked) -> None:
    """Draw the figures of the pinned query and the mean row of its place."""
    if why := nlviz.no_position(asked.capture, asked.block):
        st.info(sentence(why))
        return
    mean = nlviz.known_position(asked.capture, asked.block)
    if mean is None:
        mean = _computed(asked)
    if mean is None:
        return
    head = asked.head if isinstance(asked.head, int) else None
    share = nlviz.position_only(asked.capture, asked.block, asked.query, mean=mean, head=head)
    nouns = nlviz.words.nouns_of(asked.affinity.queries)
    told, drawn = st.columns([4, 7], gap="medium")
    with told:
        st.markdown(nlviz.words.position_sentence(share, nouns=nouns))
        for line in nlviz.words.position_lines(share, nouns=nouns):
            st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help or None)
        st.caption(share.note)
        _block(asked, mean, nouns)
    with drawn:
        view = asked.view
        token = view.display.token
        frame, y, x = view.query
        of_clip, of_place = (
            one.map(frame=frame, y=y, x=x, head=head, token=token or None)
            for one in (asked.affinity, mean.rows)
        )
        top = of_clip.top_of_scale() / of_clip.uniform
        st.caption(spoken("On this clip:"))
        picture(asked.capture.clip, of_clip, top=top)
        st.caption(
            spoken("The mean over other clips, for a query at this place, on the same scale:")
        )
        title = f"{asked.block}, mean row of this place over {mean.clips} inputs"
        picture(asked.capture.clip, replace(of_place, title=title), top=top)


def _computed(asked: Asked) -> nlviz.MeanPosition | None:
    if asked.model is None:
        st.info(NO_NETWORK)
        return None
    found: nlviz.MeanPosition | None = computed(
        ("mean position", *asked.key[:-1]),
        "Take mean rows over 16 clips",
        partial(_mean, asked.model, asked.capture, asked.block),
        help=HELP,
    )
    return found


def _mean(
    model: Load, capture: nlviz.Capture, block: str, progress: nlviz.Progress
) -> nlviz.MeanPosition:
    return nlviz.mean_position(model(), capture, block, progress=progress)


def _block(asked: Asked, mean: nlviz.MeanPosition, nouns: nlviz.words.Nouns) -> None:
    """Draw the same of the block as a whole, on a click."""
    share = computed(
        ("position of all", *asked.key[:-1]),
        "The same for the whole block",
        partial(_of_block, asked.capture, asked.block, mean),
        help="Means over 64 queries, spread evenly",
    )
    if share is not None:
        st.markdown(f"**{asked.block}**: {nlviz.words.position_sentence(share, nouns=nouns)}")
        for line in nlviz.words.position_lines(share, nouns=nouns):
            st.markdown(f"**{line.value}** &nbsp; {line.label}", help=line.help or None)


def _of_block(
    capture: nlviz.Capture, block: str, mean: nlviz.MeanPosition, progress: nlviz.Progress
) -> nlviz.PositionShare:
    return nlviz.position_only(capture, block, mean=mean, progress=progress)
