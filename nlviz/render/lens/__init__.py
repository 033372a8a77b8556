"""The lens: pictures of one scene side by side, magnified at the same place, in the browser.

``lens_payload`` writes the bytes that one comparison needs, ``bundle`` and ``stylesheet`` give the
browser code, and ``lens_html`` joins all three into a page that works from disk.
"""

from nlviz.render.lens.bundle import bundle, lens_html, modules, stylesheet
from nlviz.render.lens.payload import LensPicture, lens_payload

__all__ = [
    "LensPicture",
    "bundle",
    "lens_html",
    "lens_payload",
    "modules",
    "stylesheet",
]
