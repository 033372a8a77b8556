"""How soon a visitor sees something, and whether it stays: ``python -m tests.benchmarks start_up``.

A fresh server each round, for a wide screen and for a phone in turn. The clock is the browser's own
and starts with the navigation, once the server answers. Painted: first contentful paint. First map:
the map is drawn and on the screen, with the sentence over it. Layout shift: the browser's own sum
until the panels are there and nothing is on its way. Panels: after a pin, until they name its point
and the page is at rest; what they said before stands until then, or counts as a blank. The peer is
Streamlit's own demonstration, `streamlit hello`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from tests.benchmarks.measuring import Figure, at_most, processor, save, table
from tests.chromium import find
from tests.processes import Server, free_port, running, served, wait_until_it_answers

PAINT = """() => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return paint ? paint.startTime : null;
}"""
SHIFT = """
window.__shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.__shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
# By the browser's own clock, as its paint is. A view is shown two frames after its map is drawn.
FIRST_MAP = """
window.__firstMap = null;
const look = () => {
  if (!window.__nlvizChannels?.get("explore")?.timings.length) return requestAnimationFrame(look);
  let frames = 3;
  const shown = () => {
    if (frames--) requestAnimationFrame(shown);
    else window.__firstMap = performance.now();
  };
  shown();
};
look();
"""
# In each frame: are the table and the chart of the panels there, and is nothing a placeholder?
BLANKS = """() => {
  window.__blanks = 0;
  const look = () => {
    const chart = document.querySelector("[aria-label^='Weight by frame']");
    const table = document.querySelector("[data-testid=stDataFrame] canvas");
    if (!chart || !table || document.querySelector("[data-testid=stSkeleton]")) window.__blanks++;
    requestAnimationFrame(look);
  };
  look();
}"""
AT_REST = """() => document.querySelector(".stApp").dataset.testScriptState === "notRunning"
  && !document.querySelector("[data-testid=stSkeleton]")"""
PLACE = "[data-testid=stMain] [data-testid=stColumn] [data-testid=stCaptionContainer]"
MOVED = "before => document.querySelector(`" + PLACE + "`).textContent !== before"
LAST = "Save this view"
SCREENS = {"wide": (1400, 900), "phone": (390, 844)}
PINS = 8


class Seen(NamedTuple):
    """What one visitor saw: seconds to the first paint and map, layout shift; the server's work."""

    paint: float
    first_map: float
    shift: float
    work: float


def hello(browser: Browser) -> float:
    """Return seconds to the first paint of ``streamlit hello``."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "hello", f"--server.port={port}"]
    command += ["--server.headless=true", "--browser.gatherUsageStats=false"]
    command += ["--server.address=127.0.0.1"]
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_until_it_answers(port)
        page = opened(browser, "wide")
        page.goto(f"http://127.0.0.1:{port}", wait_until="commit")
        page.wait_for_function(PAINT)
        paint = float(page.evaluate(PAINT))
        page.context.close()
    return paint / 1000


def pins(browser: Browser, url: str) -> tuple[list[float], int]:
    """Return seconds from a pin to its panels, of several, and frames in which a chart was away."""
    page = opened(browser, "wide")
    page.goto(url)
    page.get_by_text(LAST).first.wait_for()
    page.wait_for_function(AT_REST)
    picture = page.locator(".nlv-large .nlv-picture")
    box = picture.bounding_box()
    assert box is not None
    page.evaluate(BLANKS)
    found = []
    for n in range(PINS):
        before = page.locator(PLACE).first.text_content()
        x, y = box["width"] * (0.2 + 0.08 * n), box["height"] * (0.8 - 0.07 * n)
        start = time.perf_counter()
        picture.click(position={"x": x, "y": y})
        page.wait_for_function(MOVED, arg=before, polling=10)
        page.wait_for_function(AT_REST, polling=10)
        found.append(time.perf_counter() - start)
        page.wait_for_timeout(700)
    blanks = int(page.evaluate("window.__blanks"))
    page.context.close()
    return found, blanks


def opened(browser: Browser, screen: str) -> Page:
    """Return an empty page of a visitor who was not here before."""
    width, height = SCREENS[screen]
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(120_000)
    return context.new_page()


def visit(browser: Browser, server: Server, screen: str) -> Seen:
    """Return what a visitor saw who touched nothing."""
    page = opened(browser, screen)
    page.add_init_script(SHIFT)
    page.add_init_script(FIRST_MAP)
    before = processor_seconds(server.pid)
    page.goto(server.url, wait_until="commit")
    page.wait_for_function("window.__firstMap")
    page.locator(".nlv-sentence").first.wait_for()
    first_map = float(page.evaluate("window.__firstMap")) / 1000
    work = processor_seconds(server.pid) - before
    paint = page.evaluate(PAINT)
    page.get_by_text(LAST).first.wait_for()
    page.wait_for_function(AT_REST)
    shift = float(page.evaluate("window.__shift"))
    page.context.close()
    return Seen(paint / 1000 if paint is not None else first_map, first_map, shift, work)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, all threads together."""
    after_name = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    first: list[Seen] = []
    again: list[Seen] = []
    up: list[float] = []
    to_panels: list[float] = []
    blanks = 0
    with sync_playwright() as play, tempfile.TemporaryDirectory() as name:
        browser = play.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        visit_once = browser.new_page()  # the browser itself is warm
        visit_once.goto("about:blank")
        peer = statistics.median(hello(browser) for _ in range(2 if quick else 3))
        for _ in range(1 if quick else 4):
            for screen in SCREENS:
                start = time.perf_counter()
                with served(Path(name)) as server:
                    up.append(time.perf_counter() - start)
                    first.append(visit(browser, server, screen))
                    again.append(visit(browser, server, screen))
                    if screen == "wide":
                        seen, blank = pins(browser, server.url)
                        to_panels += seen
                        blanks += blank
        browser.close()
    first_map = statistics.median(one.first_map for one in first)
    return [
        Figure("server up after the command", f"{statistics.median(up):.2f} s"),
        at_most(
            "first visit: first paint after the server is up",
            statistics.median(one.paint for one in first), 1.5, " s",
        ),
        Figure("first paint of `streamlit hello`", f"{peer:.2f} s"),
        at_most("first visit: first map", first_map, 2.0, " s"),
        at_most(
            "first visit: first map beyond 1.3 x the paint of `streamlit hello`",
            first_map - 1.3 * peer, 0.5, " s",
        ),
        at_most("first visit: layout shift, the largest", max(one.shift for one in first), 0.1),
        Figure(
            "first visit: processor time of the server until the first map",
            f"{statistics.median(one.work for one in first):.2f} s",
        ),
        at_most(
            "second visitor: first paint", statistics.median(one.paint for one in again), 1.5, " s"
        ),
        at_most(
            "second visitor: first map",
            statistics.median(one.first_map for one in again), 1.5, " s",
        ),
        at_most("second visitor: layout shift, the largest", max(one.shift for one in again), 0.1),
        at_most("a pin to its panels", statistics.median(to_panels), 0.3, " s"),
        at_most("frames in which a chart was blank, of all pins", blanks, 0),
    ]  # fmt: skip


CONDITIONS = (
    "by the clock, medians; a fresh server each round, 1400 x 900 and 390 x 844 in turn; "
    "Chromium without a GPU"
)


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    # What else the machine does is in every figure: by the clock there is no way around it.
    load = f"load before {os.getloadavg()[0]:.1f}" + (f" at nice {n}" if (n := os.nice(0)) else "")
    conditions = f"{CONDITIONS}; {load}; {processor()}"
    figures = measure(quick=quick)
    save("start_up", figures, conditions)
    print(f"### Start of the app\n\n{conditions}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
