"""What the browser tests of the live view share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.chromium import find


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A headless Chromium, closed when the tests of this folder are done."""
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        yield running
        running.close()
