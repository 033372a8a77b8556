"""A real server and a real Chromium, one of each for all browser tests."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(command: list[str], *, port: int, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start an app server and wait until it answers."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=subprocess.STDOUT)
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                return process
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    process.terminate()
    raise RuntimeError(f"the app did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    folder = tmp_path_factory.mktemp("server")
    program = str(Path(sys.executable).with_name("nlviz"))
    command = [program, "app", "--port", str(port), "--no-browser"]
    process = serve(command, port=port, cwd=folder, log=folder / "log.txt")
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1400, "height": 1100})
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def opened(page: Page, url: str) -> Page:
    """Open the app and wait for its first map and for the panels below it."""
    page.goto(url)
    page.locator(".nlv-sentence").first.wait_for()
    page.get_by_text("Save this view").wait_for()
    return page
