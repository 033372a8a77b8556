"""Pages that version 0.3 exported still open: they carry their own code."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.pace import rest
from tests.web.live_view.test_page import root

pytestmark = pytest.mark.browser

# `nlviz attend assets/clips/composed-twins.mp4 --query 2,50,70 --frames 3 --size 72 -o x.html` of
# version 0.3, with a small network of its own in place of lite-nl.
EXPORT = Path(__file__).parents[2] / "fixtures" / "0.3" / "x.html.gz"


def test_a_page_of_0_3_opens_and_answers(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "x.html"
    path.write_bytes(gzip.decompress(EXPORT.read_bytes()))
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("[data-query='2,50,70']")
    page.locator("input[name=y]").fill("30")
    page.locator("input[name=y]").press("Enter")
    page.wait_for_selector("[data-query='2,30,70']")
    page.get_by_role("radio", name="Raw features").click()
    rest(page)
    assert root(page)["source"] == "features"
    assert page.locator(".nlv-sentence").inner_text().startswith("This point at 3.96")
    assert errors == []
    page.close()
