"""Shared set-up: one thread, and nothing that looks for a network connection or a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from tests.chromium import find

pytest_plugins = ["tests.fixtures"]
os.environ.setdefault("NLVIZ_OFFLINE", "1")
torch.set_num_threads(1)

# A shared machine is slow now and then: nothing here is judged by the clock.
settings.register_profile("nlviz", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("nlviz")


# What takes longest begins first, so that no worker is left alone with it at the end.
LONG_FIRST = ("wheel", "browser", "slow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
            # Other programs may keep a browser from its turn for seconds: one more try, which the
            # summary counts.
            item.add_marker(pytest.mark.flaky(reruns=1))
        if item.nodeid.startswith("tests/app/"):  # whole pages, run by Streamlit
            item.add_marker("slow")

    def rank(item: pytest.Item) -> int:
        marks = {mark.name for mark in item.iter_markers()}
        return next((i for i, name in enumerate(LONG_FIRST) if name in marks), len(LONG_FIRST))

    first: dict[str, int] = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        first[file] = min(rank(item), first.get(file, len(LONG_FIRST)))
    items.sort(key=lambda item: first[item.nodeid.partition("::")[0]])
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, there is none here"))


# One for the whole process: Playwright refuses a second one while the first is open.
@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=find(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield running
        running.close()
