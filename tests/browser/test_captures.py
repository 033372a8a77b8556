"""The server with a saved capture, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import opened
from tests.captures.test_file_format import made
from tests.processes import served

pytestmark = pytest.mark.browser


def test_the_app_opens_on_a_saved_capture(page: Page, tmp_path: Path) -> None:
    path = made().save(tmp_path / "look.nlviz")
    with served(tmp_path, str(path)) as server:
        opened(page, server.url)
        expect(page.locator(".nlv-title")).to_contain_text("net")
        expect(page.get_by_text("It holds the clip and the maps")).to_be_visible()
        assert not page.get_by_test_id("stAlertContentError").count()
        assert "clip=" not in page.url
