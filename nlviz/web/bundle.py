"""One script out of browser modules, and the page that works without a server.

The browser code is plain ES modules in this folder. Streamlit takes a
component's script as text, and a page opened from disk may not import its neighbours, so both get
the modules joined in the order of their imports. There is no build step: joining strips ``import``
lines and the word ``export``, which is sound because no two modules of a script share a top-level
name (tests say so).
"""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_IMPORT = re.compile(r'^import\s[^;]*?from\s+"((?:\.\.?/)+[a-z0-9_/]+\.js)";[ \t]*\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def in_order(entry: Path) -> tuple[Path, ...]:
    """Return the modules that an entry needs, each after those it imports.

    >>> [path.name for path in in_order(FOLDER / "shared" / "control.js")]
    ['told.js', 'control.js']
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

    >>> "import " in joined(FOLDER / "shared" / "control.js")
    False
    """
    sources = [path.read_text(encoding="utf-8") for path in in_order(entry)]
    return "\n\n".join(_EXPORT.sub("", _IMPORT.sub("", text)).strip() for text in sources) + "\n"


@dataclass(frozen=True)
class Script:
    """One part of the browser's code: its entries, its style and its page without a server.

    Attributes:
        entries: path of each entry below this folder, by name.
        styles: paths of its style sheets, in their order.
        without: sentence shown where scripts do not run.

    >>> LIVE_VIEW.modules("control")
    ('told', 'control')
    """

    entries: tuple[tuple[str, str], ...]
    styles: tuple[str, ...]
    without: str

    def files(self, entry: str) -> tuple[Path, ...]:
        """Return the modules that an entry needs, each after those it imports."""
        return in_order(FOLDER / dict(self.entries)[entry])

    def modules(self, entry: str) -> tuple[str, ...]:
        """Return the names of the modules that an entry needs, each after those it imports."""
        return tuple(path.stem for path in self.files(entry))

    @cache  # noqa: B019 (one for each script, for ever)
    def script(self, entry: str) -> str:
        """Return one script that holds an entry and every module it imports.

        Args:
            entry: "component" (Streamlit), "control" (Streamlit, pushes a view into a mounted
                component), "save" (Streamlit, hands a file over), "drawn" (Streamlit, says that a
                mounted component has drawn) or "standalone" (a page by itself).

        >>> "import " in LENS.script("standalone")
        False
        """
        return joined(FOLDER / dict(self.entries)[entry])

    @cache  # noqa: B019
    def stylesheet(self) -> str:
        """Return the style sheet, for light and dark, inside and outside Streamlit."""
        return "\n".join((FOLDER / style).read_text(encoding="utf-8") for style in self.styles)

    def page(self, container: bytes, *, title: str) -> str:
        """Return a page that shows a container by itself: from disk, offline, light and dark.

        Args:
            container: the bytes that the page draws from.
            title: the page's title, plain text.

        >>> page = LIVE_VIEW.page(b"", title="dog & lead")
        >>> "<title>dog &amp; lead</title>" in page, "https://" in page
        (True, False)
        """
        return _PAGE.format(
            title=html.escape(title),
            style=self.stylesheet(),
            # "</" would end the script element inside a string; the escape means the same there.
            script=self.script("standalone").replace("</", "<\\/"),
            body=base64.b64encode(container).decode("ascii"),
            without=html.escape(self.without),
        )


LIVE_VIEW = Script(
    entries=(
        ("component", "live_view/component.js"),
        ("control", "shared/control.js"),
        ("save", "shared/save.js"),
        ("drawn", "shared/drawn.js"),
        ("standalone", "live_view/standalone.js"),
    ),
    styles=("live_view/live_view.css", "live_view/text.css"),
    without="This live view computes its maps in the browser and needs JavaScript.",
)
# The lens builds on the style of the live view, whose "control" moves a mounted lens, too.
LENS = Script(
    entries=(("component", "lens/component.js"), ("standalone", "lens/standalone.js")),
    styles=("live_view/live_view.css", "lens/lens.css"),
    without="This comparison magnifies its pictures in the browser and needs JavaScript.",
)
# A | B is two live views, and is moved like one.
LINKED = Script(
    entries=(("component", "linked/component.js"), ("standalone", "linked/standalone.js")),
    styles=("live_view/live_view.css", "live_view/text.css", "linked/linked.css"),
    without="These live views compute their maps in the browser and need JavaScript.",
)
# The atlas follows the pointer of a live view on the same page.
ATLAS = Script(
    entries=(("component", "atlas/component.js"), ("standalone", "atlas/standalone.js")),
    styles=("live_view/live_view.css", "atlas/atlas.css"),
    without="These maps of all heads are drawn in the browser and need JavaScript.",
)

# The report of a survey.
SURVEY = Script(
    entries=(("component", "survey/component.js"), ("standalone", "survey/standalone.js")),
    styles=("live_view/live_view.css", "survey/survey.css", "survey/head.css"),
    without="This report is drawn in the browser and needs JavaScript.",
)

# What leads to pages of live views.
GALLERY = Script(
    entries=(("standalone", "gallery/standalone.js"),),
    styles=("live_view/live_view.css", "gallery/gallery.css"),
    without="This gallery of live views needs JavaScript, as the views do.",
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
