"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from nlviz.cli.attend import attend
from nlviz.cli.compare import compare
from nlviz.cli.denoise import denoise
from nlviz.cli.features import features
from nlviz.cli.info import info
from nlviz.cli.inspect import inspect
from nlviz.cli.lesson import lesson
from nlviz.cli.models import models
from nlviz.cli.predict import predict
from nlviz.cli.render import render
from nlviz.cli.report import report
from nlviz.cli.site import site
from nlviz.cli.start_app import start_app
from nlviz.cli.survey import survey
from nlviz.cli.terminal import Sentences
from nlviz.cli.test import test
from nlviz.cli.verify import verify

app = typer.Typer(
    cls=Sentences,
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Point at a position of a clip and see where a non-local network looks, across space and "
    "time.",
)


@app.callback()
def _first(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.")
    ] = False,
) -> None:
    if version:
        from nlviz import __version__

        typer.echo(__version__)
        raise typer.Exit


app.command("attend")(attend)
app.command("survey")(survey)
app.command("test")(test)
app.command("compare")(compare)
app.command("features")(features)
app.command("render")(render)
app.command("site")(site)
app.command("report")(report)
app.command("predict")(predict)
app.command("denoise")(denoise)
app.command("lesson")(lesson)
app.command("models")(models)
app.command("inspect")(inspect)
app.command("verify")(verify)
app.command("info")(info)
app.command("app", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    start_app
)


def main() -> None:
    """Run the command line."""
    app(prog_name="nlviz")
