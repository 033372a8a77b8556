"""A first visit: the view stands before PyTorch is imported, and stays when the rest follows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.processes import served

pytestmark = pytest.mark.browser

# What is loaded behind the first view waits for a file here, so that a test can look before.
_PROGRAM = """#!{python}
import sys, time
from pathlib import Path
from nlviz.cli import main
from nlviz.cli.app_entry import app_module
warm_up = app_module("warm_up")
work = warm_up._work
def later():
    Path("drawn.txt").write_text(str("torch" in sys.modules))
    while not Path("go").exists():
        time.sleep(0.05)
    work()
warm_up._work = later
sys.argv[0] = "nlviz"
main()
"""


def visited(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    page.goto(url)
    page.locator("[data-query]").wait_for()
    return page


def query(page: Page) -> str:
    return page.locator("[data-query]").get_attribute("data-query") or ""


def test_the_first_view_needs_no_pytorch_and_stays(browser: Browser, tmp_path: Path) -> None:
    program = tmp_path / "nlviz"
    program.write_text(_PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    with served(tmp_path, program=program) as server:
        page = visited(browser, server.url)
        page.get_by_text("PyTorch and the network are being loaded").wait_for()
        page.wait_for_function("window.__nlvizChannels?.get('explore')?.timings.length > 0")
        for _ in range(200):  # the browser says that it has drawn, which begins the rest
            if (tmp_path / "drawn.txt").exists():
                break
            page.wait_for_timeout(100)
        assert (tmp_path / "drawn.txt").read_text() == "False"
        # What is done meanwhile is kept.
        page.locator(".nlv-large").evaluate("tile => { tile.dataset.same = 'yes'; }")
        page.locator(".nlv-large .nlv-picture").click(position={"x": 60, "y": 40})
        page.locator("[data-pinned=true]").wait_for()
        pinned = query(page)
        second = visited(browser, server.url)  # another visitor is not kept waiting
        assert query(second) != pinned
        second.context.close()
        (tmp_path / "go").touch()
        page.get_by_text("Can this map be believed?").wait_for()
        page.get_by_text("Save this view").wait_for()
        assert query(page) == pinned
        assert page.locator(".nlv-large").get_attribute("data-same") == "yes"
        page.wait_for_function("new URL(location.href).searchParams.has('at')")
        frame, y, x = pinned.split(",")
        assert f"at={frame}%2C{y}%2C{x}" in page.url or f"at={pinned}" in page.url
        page.context.close()
