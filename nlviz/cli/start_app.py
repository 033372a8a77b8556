"""`nlviz app`: the app on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def start_app(
    context: typer.Context,
    view: Annotated[
        Path | None,
        typer.Argument(help="Open this saved capture, or saved view of a bundled input."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="Look into your own network, as this function builds it; may be repeated.",
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="By default the first free one from 8501.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
) -> None:
    """Open the app on this machine; further options go to `streamlit run`."""
    options = list(context.args)
    if view is not None and str(view).startswith("-"):
        options.insert(0, str(view))
        view = None
    address = "/"
    if view is not None:
        address = _address(view)
    if model:
        from nlviz.zoo.app_offers import offer_function

        for name in model:
            offer_function(name)
        address += f"{'&' if '?' in address else '?'}model={model[0]}"
    from nlviz.cli.app_server import serve

    serve(address, port=port, browser=browser, options=options)


def _address(file: Path) -> str:
    """Return the page's address for a saved view; a saved capture is offered to the app."""
    from nlviz.captures.file_format import is_capture

    if is_capture(file) or file.suffix == ".nlviz":
        from nlviz.zoo.app_offers import offer_capture

        offer_capture(file)
        return "/"
    from nlviz.views.view import read_view

    return read_view(file).address
