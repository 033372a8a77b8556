"""What stands in the page's head from its first byte: its style, and what the browser is to do.

Streamlit sends a page's own style with its first run, after what is drawn before: then all moves.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit

from .shared import waiting

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Streamlit folds the switch between pages into the sidebar where the screen is narrow: there the
# header holds links of its own. The head of a page is low, so that its picture comes first.
STYLE = """
<style>
/* Streamlit's own rules come later in the head; nested in this, ours have more weight. */
:root body {
  .block-container { padding: 3.2rem clamp(1rem, 3vw, 3rem) 3rem; max-width: 1640px; }
  [data-testid="stSidebarHeader"] { height: 2.2rem; margin-bottom: 0; }
  /* Contrast of 4.5 to 1 and more: Streamlit's own captions and chosen segments have less. */
  [data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { color: inherit; }
  [data-testid="stCaptionContainer"] { opacity: 0.8; }
  [data-variant="segmented_control"][data-selected="true"],
  [data-testid="stSliderThumbValue"] { color: inherit !important; font-weight: 600; }
  [data-testid="stSliderThumbValue"] p { color: inherit !important; }
  [data-testid="stSidebar"] [class*="st-key-learn_to_"] :is(button, p) {
    text-align: left; justify-content: start;
  }
  /* Four kinds of input stand in one row of the sidebar. */
  [data-testid="stSidebar"] [data-variant="segmented_control"] { padding-inline: 0.5rem; }
  #nlviz-skip {
    position: fixed; top: -4rem; left: 1rem; z-index: 1000000; padding: 0.4rem 0.8rem;
    border-radius: 0.4rem; background: #14171d; color: #ffffff;
  }
  #nlviz-skip:focus { top: 0.5rem; }
  .st-key-pages { display: none; }
  /* The sidebar comes a moment later and moves all beside it: nothing is shown before. */
  @media (min-width: 768px) {
    .stApp:not(:has([data-testid="stSidebar"])) [data-testid="stAppViewContainer"] {
      visibility: hidden;
    }
  }
  /* A live view has no height before it is drawn: what is below would come up, and go again. */
  .st-key-live:not(:has([data-nlviz-drawn])), .st-key-dn_live:not(:has([data-nlviz-drawn])),
  .st-key-cmp_live:not(:has([data-nlviz-drawn])), .st-key-lesson:not(:has([data-nlviz-drawn])),
  .st-key-survey_whole:not(:has([data-nlviz-drawn])) {
    min-height: 100vh;
  }
  /* What Streamlit fetches late holds the place that it will have. */
  [data-testid="stSidebar"] [data-testid="stSkeleton"] { height: 68px; }
  .st-key-lead [data-testid="stSkeleton"] { height: 1.8rem; width: 5rem; }
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
    .st-key-pages a { min-height: 2rem; padding-inline: 0.4rem; }
    .st-key-pages a > span:has([data-testid="stIconMaterial"]) { display: none; }
  }
}
</style>
"""


# An address is replaced, so that the back button leaves a page with one press: what a visitor did
# there is no place of its own. Streamlit itself would keep an entry for each.
ONE_ENTRY = """
<script>
  {
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
  addEventListener("DOMContentLoaded", () => {
    const link = document.createElement("a");
    link.id = "nlviz-skip";
    link.href = "#";
    link.textContent = "Skip to the picture";
    link.addEventListener("click", (event) => {
      event.preventDefault();
      for (const { shadowRoot } of document.querySelectorAll("div")) {
        const picture = shadowRoot?.querySelector(
          ".nlesson-heading, .nlv-stage, .nsv-cell[tabindex='0']");
        if (!picture) continue;
        picture.focus();
        return;
      }
    });
    const nav = document.createElement("nav");
    nav.setAttribute("aria-label", "Skip");
    nav.append(link);
    document.body.prepend(nav);
  });
</script>
"""

HEAD = (STYLE + waiting.STYLE + ONE_ENTRY + SKIP_LINK).encode()
END = b"</head>"
# Streamlit's browser part fetches the module of an element when it first meets one. These draw the
# first view: they are fetched while the page itself is.
FIRST_MODULES = ("BidiComponent", "PageLink")
# With these the answer would be packed, or be none, as the file that it is made of is the same.
_IMPORTED = re.compile(r'\bimport(?:[^"();]*from)?"\./([\w.-]+\.js)"')
_UNASKED = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
_OF_THE_FILE = (b"content-length", b"etag", b"last-modified", b"accept-ranges")


class WithHead:
    """Put the head's own part into each page that an ASGI app answers with.

    Args:
        app: the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if not _asks_for_page(scope):
            await self._app(scope, receive, send)
            return
        plain = [(name, value) for name, value in scope["headers"] if name not in _UNASKED]
        page = _Page(send)
        await self._app({**scope, "headers": plain, "extensions": {}}, receive, page.send)


def _asks_for_page(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


class _Page:
    """Holds an answer back until all of it is there, if it is a page."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = self._body.replace(END, HEAD + preloads(self._body) + END, 1)
        kept = [(name, value) for name, value in self._start["headers"] if name not in _OF_THE_FILE]
        headers = [*kept, (b"content-length", str(len(body)).encode())]
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def preloads(page: bytes) -> bytes:
    """Return links to the modules that draw the first view, but for those that a page names.

    Where Streamlit's files have other names there are none, and they are fetched when needed.
    """
    return b"".join(
        f'<link rel="modulepreload" crossorigin href="./static/js/{name}">'.encode()
        for name in _modules()
        if name.encode() not in page
    )


@cache
def _modules() -> tuple[str, ...]:
    """Return the file names of the first modules, and of what they import."""
    folder = Path(streamlit.__file__).parent / "static" / "static" / "js"
    left = [file.name for name in FIRST_MODULES for file in folder.glob(f"{name}.*.js")]
    found: list[str] = []
    while left:
        name = left.pop()
        if name not in found and (folder / name).is_file():
            found.append(name)
            left += _IMPORTED.findall((folder / name).read_text("utf-8"))
    return tuple(found)


def _is_page(start: Message) -> bool:
    return start["status"] == 200 and any(
        name == b"content-type" and value.startswith(b"text/html")
        for name, value in start["headers"]
    )
