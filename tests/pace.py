"""Waiting in a browser for what was asked for, on machines of any speed."""

from __future__ import annotations

from playwright.sync_api import Page

# A picture can still move when its timers are through: the layout follows an observer of sizes.
_REST = """ms => new Promise(done => setTimeout(() => {
  const places = () => [...document.querySelectorAll("canvas")].map(canvas => {
    const { x, y, width, height } = canvas.getBoundingClientRect();
    return [x, y, width, height];
  }).join();
  let before = places(), still = 0, frames = 0;
  const look = () => {
    const now = places();
    still = now === before ? still + 1 : 0;
    before = now;
    if (still > 2 || ++frames > 120) setTimeout(done);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}, ms))"""


def rest(page: Page, milliseconds: int = 160) -> None:
    """Wait until everything is drawn that the page had put off for less than this, and is still.

    The wait is in the page's own timers and frames, so a slow machine waits for longer.
    """
    page.evaluate(_REST, milliseconds)
