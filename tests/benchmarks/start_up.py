"""How soon a visitor sees something: ``python -m tests.benchmarks.start_up``.

A fresh server each round; the clock starts when it answers. Painted: the browser's own first
contentful paint, and the page's title on the screen. First map: the sentence under the map is
there, which is written after the map is drawn. Panels: after a pin, until they name its point; what
they said before stands until then. The peer is Streamlit's own demonstration, `streamlit hello`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.benchmarks.measuring import Figure, at_most, processor, save, table
from tests.chromium import find
from tests.processes import free_port, running, served, wait_until_it_answers

PAINT = """() => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return paint ? paint.startTime : null;
}"""


SHIFT = """() => {
  window.__shift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.__shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
}"""
PANELS = "Can this map be believed?"


def hello(browser: Browser) -> float:
    """Return seconds to the first paint of ``streamlit hello``."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "hello", f"--server.port={port}"]
    command += ["--server.headless=true", "--browser.gatherUsageStats=false"]
    command += ["--server.address=127.0.0.1"]
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_until_it_answers(port)
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        page.goto(f"http://127.0.0.1:{port}", wait_until="commit")
        page.wait_for_function(PAINT)
        paint = float(page.evaluate(PAINT))
        page.context.close()
    return paint / 1000


def pins(browser: Browser, url: str) -> tuple[list[float], float]:
    """Return seconds from a pin to its panels, of several, and the layout shift of the visit."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    page.add_init_script(f"({SHIFT})()")
    page.goto(url)
    page.get_by_text(PANELS).first.wait_for(timeout=120_000)
    page.wait_for_timeout(1500)
    shift = float(page.evaluate("window.__shift"))
    picture = page.locator(".nlv-large .nlv-picture")
    box = picture.bounding_box()
    assert box is not None
    found = []
    for n in range(6):
        before = page.url
        x, y = box["width"] * (0.2 + 0.1 * n), box["height"] * (0.7 - 0.08 * n)
        start = time.perf_counter()
        picture.click(position={"x": x, "y": y})
        # The address is written just before the panels of the same run are drawn.
        page.wait_for_function("before => location.href !== before", arg=before, polling=10)
        page.wait_for_function(
            "!document.querySelector('[data-stale=true]')"
            " && !document.querySelector('[data-testid=stStatusWidget]')",
            polling=10,
        )
        found.append(time.perf_counter() - start)
        page.wait_for_timeout(700)
    page.context.close()
    return found, shift


def visit(browser: Browser, url: str) -> tuple[float, float]:
    """Return seconds from the first request to the first paint and to the first map."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator(".nlv-sentence").first.wait_for(timeout=120_000)
    first_map = time.perf_counter() - start
    paint = page.evaluate(PAINT)
    context.close()
    return (paint / 1000 if paint is not None else first_map), first_map


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, all threads together."""
    after_name = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    first: list[tuple[float, float]] = []
    again: list[tuple[float, float]] = []
    up: list[float] = []
    work: list[float] = []
    to_panels: list[float] = []
    shifts: list[float] = []
    with sync_playwright() as play, tempfile.TemporaryDirectory() as name:
        browser = play.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        visit_once = browser.new_page()  # the browser itself is warm
        visit_once.goto("about:blank")
        peer = statistics.median(hello(browser) for _ in range(2 if quick else 3))
        for _ in range(2 if quick else 5):
            start = time.perf_counter()
            with served(Path(name)) as server:
                up.append(time.perf_counter() - start)
                before = processor_seconds(server.pid)
                first.append(visit(browser, server.url))
                work.append(processor_seconds(server.pid) - before)
                seen, shift = pins(browser, server.url)
                to_panels += seen
                shifts.append(shift)
                again.append(visit(browser, server.url))
        browser.close()
    paint, first_map = (statistics.median(v) for v in zip(*first, strict=True))
    paint_again, map_again = (statistics.median(v) for v in zip(*again, strict=True))
    return [
        Figure("server up after the command", f"{statistics.median(up):.2f} s"),
        at_most("first visit: first paint after the server is up", paint, 1.5, " s"),
        Figure("first paint of `streamlit hello`", f"{peer:.2f} s"),
        at_most("first visit: first map", first_map, 2.0, " s"),
        at_most(
            "the same beyond 1.3 x the paint of `streamlit hello`", first_map - 1.3 * peer, 0.5
        ),
        at_most("first visit: layout shift", statistics.median(shifts), 0.1),
        at_most("a pin to its panels", statistics.median(to_panels), 0.3, " s"),
        Figure("first visit: processor time of the server", f"{statistics.median(work):.2f} s"),
        at_most("second visitor: first paint", paint_again, 1.5, " s"),
        at_most("second visitor: first map", map_again, 1.5, " s"),
    ]


CONDITIONS = "by the clock, medians; a fresh server each round; Chromium without a GPU"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("start_up", figures, f"{CONDITIONS}; {processor()}")
    print(f"### Start of the app\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
