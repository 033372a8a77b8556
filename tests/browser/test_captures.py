"""The server with a saved capture, in a real browser."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import free_port, opened, serve
from tests.captures.test_file_format import made

pytestmark = pytest.mark.browser


def test_the_app_opens_on_a_saved_capture(page: Page, tmp_path: Path) -> None:
    path = made().save(tmp_path / "look.nlviz")
    port = free_port()
    program = str(Path(sys.executable).with_name("nlviz"))
    command = [program, "app", str(path), "--port", str(port), "--no-browser"]
    process = serve(command, port=port, cwd=tmp_path, log=tmp_path / "log.txt")
    try:
        opened(page, f"http://127.0.0.1:{port}/")
        expect(page.locator(".nlv-title")).to_contain_text("net")
        expect(page.get_by_text("It holds the clip and the maps")).to_be_visible()
        assert not page.get_by_test_id("stAlertContentError").count()
        assert "clip=" not in page.url
    finally:
        process.terminate()
        process.wait(timeout=20)
