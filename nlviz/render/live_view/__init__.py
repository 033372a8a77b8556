"""The live view: affinities drawn in the browser, in the app and in a page of its own.

``pack`` writes the bytes that one view needs, ``bundle`` and ``stylesheet`` give the browser code,
and ``standalone_html`` joins all three into a page that works from disk.
"""

from nlviz.render.live_view.bundle import bundle, modules, standalone_html, stylesheet
from nlviz.render.live_view.container import pack, unpack

__all__ = [
    "bundle",
    "modules",
    "pack",
    "standalone_html",
    "stylesheet",
    "unpack",
]
