"""The live view in a notebook."""

from __future__ import annotations

import html
from pathlib import Path

from nlviz.captures.capture import Capture
from nlviz.clips.point import Point, Triple
from nlviz.errors import NlvizError
from nlviz.files.local import suffix_of, write_whole
from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.payloads.live_view import live_view

WITHOUT_SERVER = 1 << 62  # bytes of embeddings: no server is there to send the rows of a pin


class LiveView:
    """One block's live view as a page of its own; a notebook shows it where it is evaluated."""

    def __init__(self, page: str, *, title: str, height: int) -> None:
        self._page, self.title, self.height = page, title, height

    def save(self, path: str | Path) -> Path:
        """Write the page to a .html file, which works offline.

        Raises:
            InvalidView: when the file is called otherwise.
        """
        suffix_of(path, ("html",), what="a live view")
        return write_whole(path, self._page.encode())

    def _repr_html_(self) -> str:
        # The frame keeps styles and keys of page and notebook apart; it may run scripts and save
        # files, and has no part in the notebook's origin.
        return (
            f'<iframe title="{html.escape(self.title)}" sandbox="allow-scripts allow-downloads" '
            f'style="width:100%;height:{self.height}px;border:0" '
            f'srcdoc="{html.escape(self._page)}"></iframe>'
        )

    def __repr__(self) -> str:
        return f"LiveView({self.title})"


def view(
    capture: Capture,
    block: str | None = None,
    *,
    query: Point | Triple | None = None,
    height: int = 900,
) -> LiveView:
    """Return the live view of a block: hover, pin and switch as in the app, without a server.

    Args:
        capture: what a forward pass gave.
        block: its name; the last one by default.
        query: (frame, y, x) in pixels of the clip to open at; by a stated rule when None.
        height: of the view in a notebook, in pixels.

    Raises:
        UnknownBlock: when there is no such block.
        OutsideClip: when the query is not in the clip.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> view(nlviz.load_model("lite-nl").capture(clip))
    LiveView(coffee.jpg · lite-nl · stage4)
    """
    names = list(capture.affinities)
    if not names:
        raise NlvizError("a live view shows a block's affinity, this capture has none")
    name = names[-1] if block is None else block
    if query is not None:
        frame, y, x = query
        capture.clip.check(frame=frame, y=y, x=x)
    container = live_view(capture, name, query=query, limit=WITHOUT_SERVER)
    title = f"{capture.clip.name} · {capture.about.name} · {name}"
    return LiveView(LIVE_VIEW.page(container, title=title), title=title, height=height)
