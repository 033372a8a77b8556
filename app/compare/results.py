"""What is said of both maps below the views: how far they agree, figures, files."""

from __future__ import annotations

import streamlit as st

import nlviz

from ..shared import saving
from ..shared.errors import sentence
from ..shared.language import spoken
from ..shared.markdown import plain
from ..shared.saving import Kind

MOVIES = ("gif", "mp4")  # a picture has none
KINDS = (
    Kind("PNG", "png", "image/png", "A, B and B minus A on one page"),
    Kind("PDF", "pdf", "application/pdf", "The same for a paper: text and marks as vectors"),
    Kind("SVG", "svg", "image/svg+xml", "The same to edit: text and marks as vectors"),
    Kind("GIF", "gif", "image/gif", "The three side by side, looping"),
    Kind("MP4", "mp4", "video/mp4", "The same as H.264 video"),
    Kind("HTML", "html", "text/html", "Both live views as one file that works offline"),
    Kind("JSON", "json", "application/json", "The view itself; `nlviz render` draws it again"),
)


def draw(found: nlviz.Comparison, view: nlviz.CompareView) -> None:
    """Draw the panels of one comparison."""
    left, right = st.columns([6, 6], gap="medium")
    with left:
        st.markdown(spoken("##### How far do they agree?"))
        for line in nlviz.words.comparison_lines(found):
            value = f"**{line.value}** &nbsp; " if line.value else ""
            st.markdown(f"{value}{line.label}", help=line.help or None)
            if line.meaning:
                st.caption(line.meaning)
        for note in found.notes:
            st.caption(sentence(plain(note)))
    with right:
        st.markdown(spoken("##### What each row does"))
        st.dataframe(
            nlviz.words.figure_rows(found),
            hide_index=True,
            column_order=("what", "A", "B", "B minus A"),
            column_config={"what": st.column_config.TextColumn(" ", width="medium")},
            key="cmp-figures",
        )
    st.markdown(spoken("##### Save this comparison"))

    def make(kind: str) -> bytes:
        display = view.a.display
        return bytes(nlviz.render.views_bytes(kind, found, display=display))

    still = all(len(side.clip.frames) == 1 for side, _ in found.sides)
    kinds = tuple(kind for kind in KINDS if not (still and kind.ending in MOVIES))
    stems = [side.clip.name.rsplit(".", 1)[0] for side, _ in found.sides]
    saving.buttons("cmp-save-", kinds, make, "-".join(dict.fromkeys([*stems, found.a.block])))
