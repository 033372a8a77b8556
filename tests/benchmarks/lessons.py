"""How soon a lesson is there: ``python -m tests.benchmarks lessons``.

From disk: one HTML file, from the navigation until its figure is drawn, by the clock. In the app: a
link to a lesson on a server that answers and has shown nothing yet, until the same. Drawn: two
frames after the figure, and its live view where it has one, are there. The peer is the first paint
of Streamlit's own demonstration, `streamlit hello`.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import nlviz
from tests.benchmarks.measuring import Figure, at_most, processor, save, table
from tests.benchmarks.start_up import hello, opened
from tests.chromium import find
from tests.processes import served

# A live view has its own sign; other figures are drawn where they are made.
DRAWN = """() => {
  const shadows = [...document.querySelectorAll("div")].map((node) => node.shadowRoot);
  const roots = [document, ...shadows.filter(Boolean)];
  const figure = roots.map((root) => root.querySelector(".nlesson-drawn")).find(Boolean);
  if (!figure || !figure.childElementCount) return false;
  return !figure.classList.contains("nlesson-of-live") || Boolean(figure.querySelector(".nlv-bar"));
}"""
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def until_drawn(page: Page, address: str) -> float:
    """Return seconds from the navigation until the lesson's first figure is on the screen."""
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(DRAWN, polling=10)
    page.evaluate(FRAMES)
    return time.perf_counter() - start


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    lessons = nlviz.web.lessons()
    disk: list[float] = []
    fresh: list[float] = []
    later: list[float] = []
    sizes = {}
    with sync_playwright() as play, tempfile.TemporaryDirectory() as name:
        browser = play.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        browser.new_page().goto("about:blank")
        peer = statistics.median(hello(browser) for _ in range(2 if quick else 3))
        for each in lessons:
            file = Path(name) / f"{each.name}.html"
            file.write_text(each.page(), "utf-8")
            sizes[each.name] = file.stat().st_size / 1e6
            for screen in ("wide", "phone"):
                page = opened(browser, screen)
                disk.append(until_drawn(page, file.as_uri()))
                page.context.close()
        for each in lessons[:2] if quick else lessons:
            with served(Path(name)) as server:
                for found in (fresh, later):
                    page = opened(browser, "wide")
                    found.append(until_drawn(page, f"{server.url}/learn?lesson={each.name}"))
                    page.context.close()
        browser.close()
    largest = max(sizes, key=sizes.__getitem__)
    times = {
        "a lesson from its file: drawn, median": statistics.median(disk),
        "a lesson from its file: drawn, the slowest": max(disk),
        "a lesson in the app, fresh server: drawn, median": statistics.median(fresh),
        "a lesson in the app, fresh server: drawn, the slowest": max(fresh),
        "a lesson in the app, second visitor: drawn, median": statistics.median(later),
    }
    return [
        *(at_most(what, seconds, 2.0, " s") for what, seconds in times.items()),
        Figure("first paint of `streamlit hello`", f"{peer:.2f} s"),
        at_most(f"largest file, `{largest}`", sizes[largest], 6.0, " MB"),
    ]


CONDITIONS = "by the clock; all lessons, 1400 x 900 and from disk 390 x 844, too; Chromium, no GPU"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    load = f"load before {os.getloadavg()[0]:.1f}" + (f" at nice {n}" if (n := os.nice(0)) else "")
    conditions = f"{CONDITIONS}; {load}; {processor()}"
    figures = measure(quick=quick)
    save("lessons", figures, conditions)
    print(f"### Lessons\n\n{conditions}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
