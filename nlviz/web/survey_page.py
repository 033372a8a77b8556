"""The report of a survey as one page that works from disk: nothing is fetched.

Links of the page lead to an app that runs: it is started with the survey's folder, which offers
the survey's clips and no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nlviz.web.bundle import SURVEY
from nlviz.web.payloads.survey import survey_payload

SERVER = "http://localhost:8501"


def survey_page(
    report: Mapping[str, Any], *, server: str = SERVER, language: str | None = None
) -> str:
    """Return a survey's report as one page of HTML.

    Args:
        report: what ``SurveyReport.to_dict`` returns.
        server: address of the app that links lead to; readers may change it on the page.
        language: in which the page opens; None for its reader's.

    >>> page = survey_page({"surveys": [{"name": "<cups>"}], "typical": []})
    >>> "<cups>" in page, "<title>Survey: &lt;cups&gt;</title>" in page
    (False, True)
    """
    payload = survey_payload(report, server=server, language=language)
    return SURVEY.page(payload, title=title_of(report.get("surveys") or []))


def title_of(surveys: Sequence[Mapping[str, Any]]) -> str:
    """Return what a page of these surveys is called.

    >>> title_of([{"name": "a"}, {"name": "b"}])
    'Survey: a | b'
    """
    return "Survey: " + " | ".join(str(each.get("name", "")) for each in surveys)
