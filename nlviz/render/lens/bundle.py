"""The lens's script, style sheet and stand-alone page, joined from the files beside this."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nlviz.render.joining import in_order, joined, offline_page
from nlviz.render.live_view import stylesheet as base_stylesheet

FOLDER = Path(__file__).parent
ENTRIES = ("component", "standalone")
STYLE = "lens.css"


def modules(entry: str) -> tuple[str, ...]:
    """Return the names of the modules that an entry needs, each after those it imports.

    >>> modules("standalone")[-1]
    'standalone'
    """
    return tuple(path.stem for path in in_order(FOLDER / f"{entry}.js"))


@cache
def bundle(entry: str) -> str:
    """Return one script that holds an entry and every module it imports.

    Args:
        entry: "component" (Streamlit) or "standalone" (a page of its own). The live view's
            "control" moves a mounted lens, too.

    >>> "import " in bundle("standalone")
    False
    """
    return joined(FOLDER / f"{entry}.js")


@cache
def stylesheet() -> str:
    """Return the style sheet of the lens, which builds on that of the live view."""
    return base_stylesheet() + "\n" + (FOLDER / STYLE).read_text(encoding="utf-8")


def lens_html(payload: bytes, title: str) -> str:
    """Return a page that shows a comparison by itself: from disk, offline, light and dark.

    Args:
        payload: what ``lens_payload`` wrote.
        title: the page's title, plain text.

    >>> page = lens_html(b"", "dog & lead")
    >>> "<title>dog &amp; lead</title>" in page, "https://" in page
    (True, False)
    """
    return offline_page(
        payload,
        title=title,
        script=bundle("standalone"),
        style=stylesheet(),
        without="This comparison magnifies its pictures in the browser and needs JavaScript.",
    )
