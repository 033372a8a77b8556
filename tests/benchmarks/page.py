"""The page of all figures: ``python -m tests.benchmarks.page`` writes docs/benchmarks.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.benchmarks.measuring import RESULTS, Figure, table

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
# Name of the results, what was measured, in the order of the page.
SECTIONS = {
    "rows": "Rows on demand",
    "all_queries": "Statistics of all queries",
    "atlas": "One query in every head",
    "knock_out": "A knock-out",
    "block": "The non-local block",
    "video_network": "A video network with five blocks",
    "capture": "Captures, and the command line",
    "attention": "Attention of every layer",
    "video_language": "A word over a video",
    "loading": "Files of weights",
    "hover": "Hovering in the browser",
    "head_view": "Words in the browser, beside bertviz' head view",
    "start_up": "The app's first page",
    "lessons": "A lesson",
    "survey": "A survey, beside a bare loop",
    "survey_ray": "A survey on Ray",
    "survey_report": "The report of a survey",
    "opening": "Opening a saved capture",
    "non_local_means": "Non-local means",
}
# Tables that a benchmark writes itself, as they are more than a list of figures; and how to read
# them.
OWN_TABLES = {
    "correspondence": (
        "Does the learned affinity find what it should?",
        """\
60 composed clips: objects and backgrounds that training never saw, several objects each, some
with an identical twin as distractor. Counted are the links of a block's own grid into *other*
frames: the share of the strongest link (top-1), of the 20 strongest and of the whole mass that
lies on the same object, or on the same point within 1.5 cells. 95 % bootstrap intervals over
clips.

What `lite-nl` does not do, by the same benchmark: on noisy frames `stage3` is *worse* than
pixel non-local means (top-1 0.505 against 0.756); on the graf pair, with its strong change of
view, `stage4` is below the raw features on clean frames (0.71 against 0.83, 24 points); and the
blocks *restore* no more than a map that looks at its own position alone (remaining error of
noisy `stage4` features 0.722 against 0.721), nor do noisy frames' ImageNet answers improve.""",
    ),
    "denoisers": (
        "Denoisers",
        """\
13 pictures that training never saw, all on the same unclipped input; standard errors of paired
differences. The two learned denoisers differ in one block: non-local, or a bottleneck of as
many parameters (within 0.01 %) that looks at its own cell. The non-local block buys nothing
that can be measured here.""",
    ),
}
HEAD = """# Figures

`make bench` measures all of it, `python -m tests.benchmarks NAME` one of them. Ratios alternate
with their peer in one run. A figure that misses its goal says so. This page is written by
`python -m tests.benchmarks.page` from the figures of the last run.
"""
GPU = """
No figure was measured on a GPU: there was not any at hand.
"""


def page() -> str:
    """Return the page, in Markdown."""
    parts = [HEAD]
    for name, title in SECTIONS.items():
        path = RESULTS / f"{name}.json"
        if not path.is_file():
            continue
        found = json.loads(path.read_text("utf-8"))
        figures = table([Figure(**figure) for figure in found["figures"]])
        conditions = found["conditions"]
        parts.append(
            f"## {title}\n\n`python -m tests.benchmarks {name}`: {conditions}.\n\n{figures}\n"
        )
    for name, (title, how) in OWN_TABLES.items():
        own = (RESULTS / f"{name}.md").read_text("utf-8").strip()
        below = re.sub(r"^\*\*(.+)\*\*$", r"### \1", own, flags=re.M)
        parts.append(f"## {title}\n\n`python -m tests.benchmarks {name}`\n\n{how}\n\n{below}\n")
    return "\n".join([*parts, GPU.strip(), ""])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
