"""Hovering in Chromium: row and drawing, and pointer event to painted frame.

``python -m tests.benchmarks.hover`` opens the standalone page on 6272 queries x 1568 keys, d = 512,
on 3136 tokens x 12 heads of which the mean is shown, on 4096 words x 12 heads, and on others,
moves a real pointer over the pictures and prints medians. An event counts as painted when a task
that the frame's animation callback posted has run, which is after the frame was handed over.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from functools import partial
from pathlib import Path

from playwright.sync_api import sync_playwright

from nlviz.web.bundle import LIVE_VIEW
from tests.benchmarks.measuring import Figure, at_most, processor, save, table
from tests.chromium import find
from tests.web.live_view.containers import random_container
from tests.web.live_view.text_containers import long_container

CASES = {
    "6272 x 1568, d 512": partial(random_container, (8, 28, 28), (8, 14, 14), 512, 1),
    "11200 x 11200, d 40": partial(random_container, (8, 28, 50), (8, 28, 50), 40, 1),
    "1568 x 1568, d 256": partial(random_container, (8, 14, 14), (8, 14, 14), 256, 1),
    "3136 x 3136, 12 heads, mean": partial(random_container, (16, 14, 14), (16, 14, 14), 64, 12),
    "4096 words, 12 heads, mean": partial(long_container, 4096, 12, 64),
}
LIMITS = {  # milliseconds
    ("6272 x 1568, d 512", "row_and_draw", "median"): 8.0,
    ("3136 x 3136, 12 heads, mean", "row_and_draw", "median"): 16.0,
    ("3136 x 3136, 12 heads, mean", "row_and_draw", "95th percentile"): 16.0,
    ("4096 words, 12 heads, mean", "row_and_draw", "median"): 16.0,
    ("4096 words, 12 heads, mean", "row_and_draw", "95th percentile"): 16.0,
    ("6272 x 1568, d 512", "event_to_painted", "median"): 20.0,
    ("6272 x 1568, d 512", "event_to_painted", "95th percentile"): 34.0,
}

PROBE = """
window.painted = [];
const channel = new MessageChannel();
let started = null;
channel.port1.onmessage = () => {
  window.painted.push(performance.now() - started);
  started = null;
};
document.querySelector(".nlv-stage").addEventListener("pointermove", (event) => {
  if (started !== null) return;
  started = event.timeStamp;
  requestAnimationFrame(() => channel.port2.postMessage(0));
});
"""


def measure(container: bytes, moves: int) -> dict[str, list[float]]:
    """Return milliseconds of row and drawing, and of event to painted, for this many moves."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        path = Path(folder) / "hover.html"
        path.write_text(LIVE_VIEW.page(container, title="hover"), encoding="utf-8")
        browser = play.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_selector(".nlv-stage")
        page.wait_for_timeout(500)
        page.evaluate(PROBE)
        box = page.locator(".nlv-large .nlv-picture, .nlv-words").first.bounding_box()
        if box is None:
            raise SystemExit("the page shows no picture")
        for _ in range(20):
            page.mouse.move(box["x"] + rng.random() * box["width"], box["y"] + 40)
        page.wait_for_timeout(300)
        page.evaluate("nlviz.timings.length = 0; painted.length = 0")
        for _ in range(moves):
            x = box["x"] + rng.uniform(0.02, 0.98) * box["width"]
            y = box["y"] + rng.uniform(0.02, 0.98) * box["height"]
            page.mouse.move(x, y)
            page.wait_for_timeout(rng.uniform(5, 40))
        page.wait_for_timeout(200)
        figures: dict[str, list[float]] = page.evaluate(
            "({row_and_draw: nlviz.timings.slice(), event_to_painted: painted.slice()})"
        )
        browser.close()
    return figures


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Measure every case; print medians and 95th percentiles and leave them with the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--case", choices=CASES, action="append")
    options = parser.parse_args()
    found = []
    for name in options.case or CASES:
        measured = measure(CASES[name](), options.moves)
        for what, values in measured.items():
            middle, slow = statistics.median(values), percentile(values, 0.95)
            label = f"{name}: {what.replace('_', ' ')}"
            for part, value in (("median", middle), ("95th percentile", slow)):
                limit = LIMITS.get((name, what, part))
                shown = f"{label}, {part}"
                found.append(
                    at_most(shown, value, limit, " ms")
                    if limit
                    else Figure(shown, f"{value:.3g} ms")
                )
    print(table(found))
    if not options.case:
        save("hover", found, f"{options.moves} moves, Chromium without a GPU; {processor()}")


if __name__ == "__main__":
    main()
