"""`nlviz app`: the app on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from nlviz.errors import NlvizError

MOST_ADDRESS = 8000  # characters, escaped; servers and browsers cut longer ones off


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
    if view is not None and str(view).startswith("-"):
        options.insert(0, str(view))
        view = None
    address = "/"
    if view is not None:
        address = _address(view)
    if text is not None:
        if view is not None:
            raise NlvizError(f"the app opens {view} or a text; leave one of the two out")
        address = f"/?{urlencode({'text': text})}"
    if model:
        from nlviz.zoo.app_offers import offer_function

        for name in model:
            offer_function(name)
        address += f"{'&' if '?' in address else '?'}model={model[0]}"
    if len(address) > MOST_ADDRESS:
        raise NlvizError(
            f"an address has room for {MOST_ADDRESS:,} characters, this text takes "
            f"{len(address):,}; start the app and paste it there, or drop its file"
        )
    from nlviz.cli.app_server import serve

    serve(address, port=port, browser=browser, options=options)


def _address(file: Path) -> str:
    """Return the page's address for a saved view; a saved capture is offered to the app."""
    from nlviz.captures.file_format import is_capture

    if is_capture(file) or file.suffix == ".nlviz":
        from nlviz.zoo.app_offers import offer_capture

        offer_capture(file)
        return "/"
    from nlviz.views.reading import read_view

    return read_view(file).address
