"""Writes the reports that ``docs/survey-findings.md`` is about, from surveys of its clips.

    python -m nlviz.recipes.survey_clips CLIPS --footage FOOTAGE [FOLDER ...]
    nlviz survey CLIPS/films --model lite-nl --bypass --knock-out -o SURVEYS/lite-nl
    nlviz survey CLIPS/recall --model recall.dot-product --bypass --knock-out -o SURVEYS/recall.dot-product
    (and so on for recall.embedded-gaussian, recall.gaussian and recall.concatenation)
    python -m nlviz.recipes.survey_reports SURVEYS --out docs/surveys

Pictures of footage whose licence does not let them be passed on are left out.
"""  # noqa: E501 # commands are not broken

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlviz.files.local import write_whole
from nlviz.surveys.report.survey_report import SurveyReport
from nlviz.surveys.survey import read_survey
from nlviz.web.survey_page import report_page

PASSED_ON = ("bunny", "composed", "composed-space", "composed-twins", "red", "green", "blue",
             "yellow", "violet")  # fmt: skip
REPORTS = {
    "lite-nl": ("lite-nl",),
    "recall": ("recall.embedded-gaussian", "recall.dot-product"),
}


def without_pictures(report: SurveyReport) -> dict[str, Any]:
    """Return a report whose pictures are those of clips that may be passed on."""
    whole = report.to_dict()
    labels = {
        example["digest"]: example["label"]
        for survey in whole["typical"]
        for layer in survey
        for head in layer
        for examples in head.values()
        for example in examples
    }
    pictures = whole.get("thumbnails") or {}
    kept = {digest: p for digest, p in pictures.items() if labels.get(digest) in PASSED_ON}
    return {**whole, "thumbnails": kept}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("surveys", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/surveys"))
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, (first, *others) in REPORTS.items():
        report = read_survey(given.surveys / first).report()
        for other in others:
            report = report.beside(read_survey(given.surveys / other).report())
        page = report_page(without_pictures(report))
        write_whole(given.out / f"{name}.html", page.encode())


if __name__ == "__main__":
    main()
