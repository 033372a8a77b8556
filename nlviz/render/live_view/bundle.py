"""One script out of the live view's modules, and the page that works without a server.

The browser code is plain ES modules in this folder. Streamlit takes a component's script as text,
and a page opened from disk may not import its neighbours, so both get the modules joined in the
order of their imports. There is no build step: joining strips ``import`` lines and the word
``export``, which is sound because no two modules share a top-level name (a test says so).
"""

from __future__ import annotations

import base64
import html
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
ENTRIES = ("component", "control", "standalone")
STYLE = "live_view.css"

_IMPORT = re.compile(r'^import\s[^;]*?from\s+"\./([a-z_]+)\.js";[ \t]*\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def modules(entry: str) -> tuple[str, ...]:
    """Return the names of the modules that an entry needs, each after those it imports.

    >>> modules("control")
    ('control',)
    """
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        for needed in _IMPORT.findall(_source(name)):
            visit(needed)
        order.append(name)

    visit(entry)
    return tuple(order)


@cache
def bundle(entry: str) -> str:
    """Return one script that holds an entry and every module it imports.

    The ``export default`` of an entry stays: Streamlit's component needs it.

    Args:
        entry: "component" (Streamlit), "control" (Streamlit, pushes a view into a mounted
            component) or "standalone" (a page of its own).

    >>> "import " in bundle("control")
    False
    """
    parts = [_EXPORT.sub("", _IMPORT.sub("", _source(name))).strip() for name in modules(entry)]
    return "\n\n".join(parts) + "\n"


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
    # "</" would end the script element inside a string; the escape means the same to JavaScript.
    script = bundle("standalone").replace("</", "<\\/")
    body = base64.b64encode(container).decode("ascii")
    return _PAGE.format(title=html.escape(title), style=stylesheet(), script=script, body=body)


def _source(name: str) -> str:
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8")


# Nothing may be fetched: the page says so itself, and pictures come from bytes in the page.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="nlviz">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob: data:">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body class="nlv-page">
<main id="nlv-root"></main>
<noscript>This live view computes its maps in the browser and needs JavaScript.</noscript>
<script type="application/octet-stream;base64" id="nlv-container">{body}</script>
<script type="module">
{script}
</script>
</body>
</html>
"""
