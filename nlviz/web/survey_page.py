"""The report of a survey as one page that works from disk: nothing is fetched.

Links of the page lead to an app that runs: it is started with the survey's folder, which offers
the survey's clips and no others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.files.local import suffix_of, write_whole
from nlviz.web.bundle import SURVEY
from nlviz.web.payloads.survey import survey_payload

if TYPE_CHECKING:
    from nlviz.surveys.report.survey_report import SurveyReport

KINDS = ("html", "json")
SERVER = "http://localhost:8501"


def report_page(
    report: Mapping[str, Any], *, server: str = SERVER, language: str | None = None
) -> str:
    """Return a survey's report as one page of HTML.

    Args:
        report: what ``SurveyReport.to_dict`` returns.
        server: address of the app that links lead to; readers may change it on the page.
        language: in which the page opens; None for its reader's.

    >>> page = report_page({"surveys": [{"name": "<cups>"}], "typical": []})
    >>> "<cups>" in page, "<title>Survey: &lt;cups&gt;</title>" in page
    (False, True)
    """
    payload = survey_payload(report, server=server, language=language)
    return SURVEY.page(payload, title=title_of(report.get("surveys") or []))


def save_report(
    report: SurveyReport, path: str | Path, *, server: str = SERVER, language: str | None = None
) -> None:
    """Write the report of a survey into a file: a page that works offline, or its numbers.

    Args:
        report: of one survey or two, ``nlviz.read_survey(DIR).report()``.
        path: ``.html`` for the page, ``.json`` for all that is in it.
        server: address of the app that links of the page lead to; readers may change it there.
        language: in which the page opens; None for its reader's.

    Raises:
        NlvizError: when the path has another ending, or cannot be written.

    >>> save_report(None, "report.pdf")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nlviz.errors.NlvizError: a report is saved as .html or .json...
    """
    kind = check_report_file(path)
    whole = report.to_dict()
    if kind == "json":
        text = json.dumps(whole, ensure_ascii=False, allow_nan=False) + "\n"
    else:
        text = report_page(whole, server=server, language=language)
    write_whole(path, text.encode())


def check_report_file(path: str | Path) -> str:
    """Return the ending of a path that a report can be written to, in lower case.

    Raises:
        NlvizError: when it has another.
    """
    return suffix_of(path, KINDS, what="a report")


def title_of(surveys: Sequence[Mapping[str, Any]]) -> str:
    """Return what a page of these surveys is called.

    >>> title_of([{"name": "a"}, {"name": "b"}])
    'Survey: a | b'
    """
    return "Survey: " + " | ".join(str(each.get("name", "")) for each in surveys)
