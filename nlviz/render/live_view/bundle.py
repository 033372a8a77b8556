"""The live view's script, style sheet and stand-alone page, joined from the files beside this."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nlviz.render.joining import in_order, joined, offline_page

FOLDER = Path(__file__).parent
ENTRIES = ("component", "control", "standalone")
STYLE = "live_view.css"


def modules(entry: str) -> tuple[str, ...]:
    """Return the names of the modules that an entry needs, each after those it imports.

    >>> modules("control")
    ('control',)
    """
    return tuple(path.stem for path in in_order(FOLDER / f"{entry}.js"))


@cache
def bundle(entry: str) -> str:
    """Return one script that holds an entry and every module it imports.

    Args:
        entry: "component" (Streamlit), "control" (Streamlit, pushes a view into a mounted
            component) or "standalone" (a page of its own).

    >>> "import " in bundle("control")
    False
    """
    return joined(FOLDER / f"{entry}.js")


@cache
def stylesheet() -> str:
    """Return the live view's style sheet, for light and dark, inside and outside Streamlit."""
    return (FOLDER / STYLE).read_text(encoding="utf-8")


def standalone_html(container: bytes, *, title: str) -> str:
    """Return a page that shows a live view by itself: from disk, offline, light and dark.

    Args:
        container: what ``pack`` wrote.
        title: the page's title, plain text.

    >>> page = standalone_html(b"", title="dog & lead")
    >>> "<title>dog &amp; lead</title>" in page, "https://" in page
    (True, False)
    """
    return offline_page(
        container,
        title=title,
        script=bundle("standalone"),
        style=stylesheet(),
        without="This live view computes its maps in the browser and needs JavaScript.",
    )
