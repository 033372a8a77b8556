"""One script out of browser modules, and the page that works without a server.

The browser code is plain ES modules beside the Python that packs their data. Streamlit takes a
component's script as text, and a page opened from disk may not import its neighbours, so both get
the modules joined in the order of their imports. There is no build step: joining strips ``import``
lines and the word ``export``, which is sound because no two modules of a script share a top-level
name (tests say so).
"""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

_IMPORT = re.compile(r'^import\s[^;]*?from\s+"(\.\.?/[a-z0-9_/]+\.js)";[ \t]*\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def in_order(entry: Path) -> tuple[Path, ...]:
    """Return the modules that an entry needs, each after those it imports.

    >>> [path.name for path in in_order(Path(__file__).parent / "live_view" / "control.js")]
    ['control.js']
    """
    order: list[Path] = []

    def visit(path: Path) -> None:
        if path in order:
            return
        for needed in _IMPORT.findall(path.read_text(encoding="utf-8")):
            visit((path.parent / needed).resolve())
        order.append(path)

    visit(entry.resolve())
    return tuple(order)


def joined(entry: Path) -> str:
    """Return one script that holds an entry and every module it imports.

    The ``export default`` of an entry stays: Streamlit's component needs it.

    >>> "import " in joined(Path(__file__).parent / "live_view" / "control.js")
    False
    """
    sources = [path.read_text(encoding="utf-8") for path in in_order(entry)]
    return "\n\n".join(_EXPORT.sub("", _IMPORT.sub("", text)).strip() for text in sources) + "\n"


def offline_page(container: bytes, *, title: str, script: str, style: str, without: str) -> str:
    """Return a page that shows a container by itself: from disk, offline, light and dark.

    Args:
        container: what ``pack`` wrote.
        title: the page's title, plain text.
        script: a joined script that mounts into ``#nlv-root`` what lies in ``#nlv-container``.
        style: its style sheet.
        without: what a reader is told where scripts do not run.

    >>> page = offline_page(b"", title="dog & lead", script="", style="", without="")
    >>> "<title>dog &amp; lead</title>" in page, "https://" in page
    (True, False)
    """
    return _PAGE.format(
        title=html.escape(title),
        style=style,
        # "</" would end the script element inside a string; the escape means the same there.
        script=script.replace("</", "<\\/"),
        body=base64.b64encode(container).decode("ascii"),
        without=html.escape(without),
    )


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
<noscript>{without}</noscript>
<script type="application/octet-stream;base64" id="nlv-container">{body}</script>
<script type="module">
{script}
</script>
</body>
</html>
"""
