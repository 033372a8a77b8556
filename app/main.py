"""Page set-up and navigation; heavy imports come later, so that the page appears at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from . import warm_up
from .denoise import page as denoise
from .explore import page as explore
from .shared import waiting

ICON = Path(__file__).with_name("icon.png")
# Streamlit folds the switch between pages into the sidebar where the screen is narrow: there the
# header holds links of its own. The head of a page is low, so that its picture comes first.
STYLE = """
<style>
  [data-testid="stElementContainer"]:has(> [data-testid="stMarkdown"] style) { display: none; }
  .block-container { padding: 3.2rem clamp(1rem, 3vw, 3rem) 3rem; max-width: 1640px; }
  [data-testid="stSidebarHeader"] { height: 2.2rem; margin-bottom: 0; }
  /* Contrast of 4.5 to 1 and more: Streamlit's own captions and chosen segments have less. */
  [data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { color: inherit; }
  [data-testid="stCaptionContainer"] { opacity: 0.8; }
  [data-variant="segmented_control"][data-selected="true"],
  [data-testid="stSliderThumbValue"] { color: inherit !important; font-weight: 600; }
  [data-testid="stSliderThumbValue"] p { color: inherit !important; }
  #nlviz-skip {
    position: fixed; top: -4rem; left: 1rem; z-index: 1000000; padding: 0.4rem 0.8rem;
    border-radius: 0.4rem; background: #14171d; color: #ffffff;
  }
  #nlviz-skip:focus { top: 0.5rem; }
  .st-key-pages { display: none; }
  /* The sidebar comes a moment later and moves all else: nothing is shown before. */
  @media (min-width: 768px) {
    .stApp:not(:has([data-testid="stSidebar"])) [data-testid="stMain"] { visibility: hidden; }
  }
  .st-key-lead h4 { padding: 0; margin: 0; font-size: 1.2rem; line-height: 1.9rem; }
  .st-key-lead p { font-size: 0.95rem; line-height: 1.4; margin: 0; }
  .st-key-lead [data-testid="stMarkdownContainer"] { margin-bottom: 0; }
  .st-key-lead, .st-key-lead div { row-gap: 0.25rem; }
  .st-key-lead [data-testid="stPopover"] button { min-height: 1.8rem; padding: 0 0.45rem; }
  .st-key-lead [data-testid="stPopover"] button p { font-size: 0.85rem; }
  @media (max-width: 767.98px) {
    .st-key-pages {
      display: flex; position: fixed; top: 0.8rem; left: 3.6rem; z-index: 999991; width: auto;
      gap: 0.2rem;
    }
    .st-key-pages a { min-height: 2rem; }
  }
</style>
"""


# An address is replaced, so that the back button leaves a page with one press: what a visitor did
# there is no place of its own. Streamlit itself would keep an entry for each.
ONE_ENTRY = """
<script>
  if (!window.__nlvizOneEntry) {
    window.__nlvizOneEntry = true;
    const push = history.pushState.bind(history);
    history.pushState = (state, title, url) => {
      const same = new URL(url ?? location.href, location.href).pathname === location.pathname;
      if (same) history.replaceState(state, title, url);
      else push(state, title, url);
    };
  }
</script>
"""


# The first stop of the Tab key: some thirty controls of the sidebar come before the picture.
SKIP_LINK = """
<script>
  if (!document.getElementById("nlviz-skip")) {
    const link = document.createElement("a");
    link.id = "nlviz-skip";
    link.href = "#";
    link.textContent = "Skip to the picture";
    link.addEventListener("click", (event) => {
      event.preventDefault();
      for (const { shadowRoot } of document.querySelectorAll("div")) {
        const picture = shadowRoot?.querySelector(".nlv-stage");
        if (!picture) continue;
        picture.focus();
        return;
      }
    });
    const nav = document.createElement("nav");
    nav.setAttribute("aria-label", "Skip");
    nav.append(link);
    document.body.prepend(nav);
  }
</script>
"""


def _first_views() -> list[Callable[[], None]]:
    def of_explore() -> None:
        from .explore import cached

        cached.fill_first_view()

    def of_denoise() -> None:
        from .denoise import live

        live.fill_first_view()

    return [of_explore, of_denoise]


def run() -> None:
    """Draw the app; Streamlit calls this on every rerun."""
    warm_up.first_views[:] = _first_views()
    pages = [
        st.Page(explore.page, title="Explore", icon=":material/center_focus_strong:", default=True),
        st.Page(denoise.page, title="Denoise", icon=":material/blur_off:", url_path="denoise"),
    ]
    page = st.navigation(pages, position="top")
    st.set_page_config(
        page_title=f"{page.title} · nlviz",
        page_icon=str(ICON),  # a file of our own: a Material icon would come from another host
        layout="wide",
        menu_items={"about": "nlviz shows where non-local blocks look, and what to believe."},
    )
    # Markdown, as the page has it at once: what draws HTML is fetched later, when all would move.
    st.markdown(STYLE + waiting.STYLE, unsafe_allow_html=True)
    st.html(ONE_ENTRY + SKIP_LINK, unsafe_allow_javascript=True)
    # The sidebar comes first: it moves all that is on the page already.
    st.sidebar.markdown("**nlviz** &nbsp;·&nbsp; where it looks")
    with st.container(key="pages", horizontal=True):
        for each in pages:
            st.page_link(each)
    page.run()
