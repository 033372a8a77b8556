"""The bundled first view is what a fresh capture gives, and is read without PyTorch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import nlviz
from nlviz.recipes.first_view import made
from nlviz.web import unpack

HEAVY = ("torch", "timm", "cv2", "av", "torchvision", "numba", "captum")


@pytest.mark.slow
def test_it_is_what_a_fresh_capture_gives() -> None:
    (header, arrays), (fresh, anew) = unpack(nlviz.web.first_view().payload), unpack(made())
    parity = header["block"].pop("parity"), fresh["block"].pop("parity")
    assert max(parity) < 1e-5
    for one, again in zip(header["sources"], fresh["sources"], strict=True):
        # Another processor rounds otherwise, scales of controls too.
        assert one.pop("scale", 0.0) == pytest.approx(again.pop("scale", 0.0), rel=1e-5)
    assert header == fresh, "make it again: python -m nlviz.recipes.first_view"
    assert arrays.keys() == anew.keys()
    for name, found in arrays.items():
        wanted = anew[name].astype(np.float64)
        # Another processor rounds otherwise; pictures and tables are whole numbers.
        close = 0 if found.dtype.kind in "iu" else 4e-3 * max(np.abs(wanted).max(), 1e-6)
        assert np.abs(found.astype(np.float64) - wanted).max() <= close, name


def test_it_says_what_a_page_must_know() -> None:
    view = nlviz.web.first_view()
    t, h, w = view.shape
    assert 0 <= view.opening.frame < t and 0 <= view.opening.y < h and 0 <= view.opening.x < w
    assert view.display["source"] == "learned" and view.heads["learned"] == 1


def test_nothing_heavy_is_imported_to_draw_it() -> None:
    program = (
        "import sys\n"
        "from nlviz.cli.app_entry import app_module\n"
        "app_module('main')\n"
        "first, state = app_module('explore.first_view'), app_module('explore.state')\n"
        "import nlviz\n"
        "assert first.is_first(state.STATE.now)\n"
        "nlviz.web.first_view(), nlviz.web.LIVE_VIEW.script('component')\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert out.stdout.strip() == "[]", out.stderr[-2000:]
