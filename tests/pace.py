"""Waiting in a browser for what was asked for, on machines of any speed."""

from __future__ import annotations

from playwright.sync_api import Page

_REST = """ms => new Promise(done => setTimeout(
  () => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))), ms))"""


def rest(page: Page, milliseconds: int = 160) -> None:
    """Wait until everything is drawn that the page had put off for less than this.

    The wait is in the page's own timers and frames, so a slow machine waits for longer.
    """
    page.evaluate(_REST, milliseconds)
