"""How soon the report of a survey of 1,000 clips is there, and how large it is.

``python -m tests.benchmarks.survey_report``: the file from disk and the page of a running app, both
in Chromium, from the navigation until the atlas and the head below it are on the screen.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from playwright.sync_api import Page, sync_playwright

from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.store import Contents, Part, SurveyFolder
from nlviz.surveys.survey import Survey, read_survey
from nlviz.web.survey_page import save_report
from tests.benchmarks.measuring import Figure, at_most, processor, save, table
from tests.chromium import find
from tests.processes import served
from tests.surveys.tables import tables

CLIPS, QUERIES = 1000, 32
BLOCKS = {"stage3": 1, "stage4": 1}
SECONDS = 3.0
DRAWN = """() => {
  const shadows = [...document.querySelectorAll("div")].map((node) => node.shadowRoot);
  const roots = [document, ...shadows.filter(Boolean)];
  const has = (root, what) => root.querySelector(what) !== null;
  return roots.some((root) => has(root, ".nsv-cell") && has(root, ".nsv-cards li"));
}"""
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def written(folder: Path) -> Survey:
    """Write a survey of clips that were drawn at random, and open it."""
    drawn = tables(CLIPS, BLOCKS, QUERIES, labels=("cup", "dog", "street"))
    for name, content in (("rows", drawn.rows), ("clips", drawn.clips)):
        (folder / name).mkdir(parents=True)
        pq.write_table(content, folder / name / "part-0.parquet")
    [run] = drawn.runs.to_pylist()
    run = {name: str(v) if name in ("started", "ended") else v for name, v in run.items()}
    part = Part("part-0.parquet", "part-0.parquet", len(drawn.clips), len(drawn.rows))
    options = SurveyOptions(queries=QUERIES)
    contents = Contents("planted", {}, options, "0" * 64, tuple(BLOCKS), (run,), (part,), 1)
    SurveyFolder(folder).write(contents)
    return read_survey(folder)


def until_drawn(page: Page, address: str) -> float:
    """Return seconds from the navigation until the report is on the screen."""
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(DRAWN, polling=10)
    page.evaluate(FRAMES)
    return time.perf_counter() - start


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    rounds = 3 if quick else 7
    with sync_playwright() as play, tempfile.TemporaryDirectory() as name:
        folder, file = Path(name) / "look", Path(name) / "report.html"
        survey = written(folder)
        start = time.perf_counter()
        save_report(survey.report(), file)
        made = time.perf_counter() - start
        browser = play.chromium.launch(executable_path=find(), args=["--no-sandbox"])

        def median(address: str) -> float:
            times = []
            for _ in range(rounds):  # each in a browser that has seen nothing
                context = browser.new_context(viewport={"width": 1400, "height": 900})
                times.append(until_drawn(context.new_page(), address))
                context.close()
            return statistics.median(times)

        disk = median(file.as_uri())
        with served(Path(name), str(folder)) as server:
            until_drawn(browser.new_page(), f"{server.url}/survey")
            app = median(f"{server.url}/survey")
        browser.close()
        size = file.stat().st_size / 1e6
    what = f"{CLIPS:,} clips x {len(BLOCKS)} blocks x {QUERIES} queries"
    return [
        at_most(f"the file of {what} opens", disk, SECONDS, " s"),
        at_most(f"the page of a running app of {what} opens", app, SECONDS, " s"),
        at_most("size of the file", size, 1.0, " MB"),
        Figure("the report is computed and written", f"{made:.3g} s"),
    ]


CONDITIONS = "by the clock, the median of visits with an empty cache; 1400 x 900, Chromium, no GPU"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    load = f"load before {os.getloadavg()[0]:.1f}" + (f" at nice {n}" if (n := os.nice(0)) else "")
    conditions = f"{CONDITIONS}; {load}; {processor()}"
    figures = measure(quick=quick)
    save("survey_report", figures, conditions)
    print(f"### The report of a survey\n\n{conditions}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
