"""`nlviz report`: what every head does over the clips of a survey, as one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlviz.errors import NlvizError

if TYPE_CHECKING:
    from nlviz.surveys.report.survey_report import SurveyReport
    from nlviz.surveys.survey import Survey


def report(
    folder: Annotated[Path, typer.Argument(help="Of a survey, as `nlviz survey -o` wrote it.")],
    beside: Annotated[
        Path | None, typer.Argument(help="A second survey, beside the first.", metavar="[DIR2]")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A page (.html), or all numbers (.json).")
    ] = Path("report.html"),
    server: Annotated[
        str, typer.Option(help="Address of the app that the page's links lead to.")
    ] = "http://localhost:8501",
    seed: Annotated[int, typer.Option(min=0, help="Of the draws that intervals rest on.")] = 0,
) -> None:
    """Write the report of a survey, or of two beside each other."""
    from nlviz.web.survey_page import check_report_file, save_report

    check_report_file(output)
    _, found = report_of([folder, *([] if beside is None else [beside])], seed=seed)
    save_report(found, output, server=server)
    typer.echo(str(found))
    typer.echo(f"Wrote {output}")


def report_of(folders: Sequence[Path], *, seed: int = 0) -> tuple[list[Survey], SurveyReport]:
    """Open one survey or two, and return them with their report.

    Raises:
        NlvizError: when a folder holds no survey, no clip is done, or there are more than two.
    """
    from nlviz.surveys.survey import read_survey

    if len(folders) > 2:
        raise NlvizError(f"two surveys are laid beside each other, no more, got {len(folders)}")
    surveys = [read_survey(folder) for folder in folders]
    reports = [survey.report(seed=seed) for survey in surveys]
    return surveys, reports[0] if len(reports) == 1 else reports[0].beside(reports[1])
