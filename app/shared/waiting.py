"""Where a page says what it waits for: over it, so that nothing moves when that comes or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

STYLE = """
<style>
:root body .st-key-waiting {
  & {
    position: fixed; top: 3.5rem; left: 50%; transform: translateX(-50%); z-index: 999980;
    width: min(34rem, 92vw); height: 0; overflow: visible; gap: 0;
  }
  [data-testid="stVerticalBlock"] {
    background: var(--nlv-over, Canvas); border-radius: 0.6rem; padding: 0.6rem 0.9rem;
    box-shadow: 0 2px 14px rgb(0 0 0 / 25%); gap: 0.4rem;
  }
}
</style>
"""


def place() -> DeltaGenerator:
    """Return where a bar, a caption and a way to stop may be shown for as long as it takes."""
    with st.container(key="waiting"):
        return st.empty()
