"""`nlviz app`: the app on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from nlviz.errors import NlvizError

SURVEY_PAGE = "/survey"
MOST_ADDRESS = 8000  # characters, escaped; servers and browsers cut longer ones off


def start_app(
    context: typer.Context,
    view: Annotated[
        Path | None,
        typer.Argument(
            help="Open this saved capture, saved view of a bundled input, or folder of a survey."
        ),
    ] = None,
    beside: Annotated[
        Path | None, typer.Argument(help="A second survey, beside the first.", metavar="[DIR2]")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Look into your own network, as this function builds it; may be repeated.",
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Open this text, with --model or a bundled network of texts.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="By default the first free one from 8501.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """Open the app on this machine; further options go to `streamlit run`."""
    options = list(context.args)
    given = [str(each) for each in (view, beside) if each is not None]
    mine = next((n for n, each in enumerate(given) if each.startswith("-")), len(given))
    options[:0] = given[mine:]  # options of Streamlit, and their values
    files = [Path(each) for each in given[:mine]]
    view = files[0] if files else None
    address = "/"
    if view is not None:
        address = _address(*files, functions=model or ())
    if text is not None:
        if view is not None:
            raise NlvizError(f"the app opens {view} or a text; leave one of the two out")
        address = f"/?{urlencode({'text': text})}"
    if model:
        from nlviz.zoo.app_offers import offer_function

        for name in model:
            offer_function(name)
        if address != SURVEY_PAGE:  # its links name their network
            address += f"{'&' if '?' in address else '?'}model={model[0]}"
    if len(address) > MOST_ADDRESS:
        raise NlvizError(
            f"an address has room for {MOST_ADDRESS:,} characters, this text takes "
            f"{len(address):,}; start the app and paste it there, or drop its file"
        )
    from nlviz.cli.app_server import serve

    serve(address, port=port, browser=browser, options=options)


def _address(file: Path, *others: Path, functions: Sequence[str]) -> str:
    """Return the page's address for a saved view; captures and surveys are offered to the app."""
    from nlviz.captures.file_format import is_capture

    if file.is_dir() or others:
        _offer_surveys((file, *others), functions)
        return SURVEY_PAGE
    if is_capture(file) or file.suffix == ".nlviz":
        from nlviz.zoo.app_offers import offer_capture

        offer_capture(file)
        return "/"
    from nlviz.views.reading import read_view

    return read_view(file).address


def _offer_surveys(folders: Sequence[Path], functions: Sequence[str]) -> None:
    """Let the app show surveys; code that a survey names runs only where it was named here, too."""
    from nlviz.cli.report import report_of
    from nlviz.surveys.offered import OfferedSurvey
    from nlviz.zoo.app_offers import offer_surveys
    from nlviz.zoo.python_models import is_function

    surveys, report = report_of(folders)
    offer_surveys([OfferedSurvey(survey) for survey in surveys], report.to_dict())
    for name in dict.fromkeys(survey.model for survey in surveys):
        if is_function(name) and name not in functions:
            typer.echo(
                f"The network of this survey is built by {name}, which is code: links open once "
                f"the app may run it, with --model {name}",
                err=True,
            )
