"""Page set-up and navigation; heavy imports come later, so that the page appears at once."""

from __future__ import annotations

import streamlit as st

from .denoise import page as denoise
from .explore import page as explore

STYLE = """
<style>
  .block-container { padding-top: 4.4rem; padding-bottom: 3rem; max-width: 1560px; }
  [data-testid="stSidebarHeader"] { height: 2.2rem; margin-bottom: 0; }
</style>
"""


def run() -> None:
    """Draw the app; Streamlit calls this on every rerun."""
    st.set_page_config(
        page_title="nlviz · where it looks",
        page_icon=":material/center_focus_strong:",
        layout="wide",
        menu_items={"about": "nlviz shows where non-local blocks look, and what to believe."},
    )
    st.html(STYLE)
    pages = [
        st.Page(explore.page, title="Explore", icon=":material/center_focus_strong:", default=True),
        st.Page(denoise.page, title="Denoise", icon=":material/blur_off:", url_path="denoise"),
    ]
    st.navigation(pages, position="top").run()
