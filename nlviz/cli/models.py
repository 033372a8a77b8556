"""`nlviz models`: what can be loaded by name."""

from __future__ import annotations

import sys

import typer


def models() -> None:
    """List the models that can be loaded by name."""
    from nlviz.zoo.load import CARDS, is_here, list_models

    if not sys.stdout.isatty():
        for name in list_models():
            typer.echo(name)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "takes", "trained for", "published", "licence", "file", box=None)
    absent = {True: "downloads", False: "to be put by hand"}
    for name in list_models():
        card = CARDS[name]
        table.add_row(
            name,
            " + ".join(card.takes),
            card.trained_for,
            card.accuracy or "-",
            card.licence + (" (no commercial use)" if card.non_commercial else ""),
            "bundled" if card.weights else "here" if is_here(card) else absent[bool(card.url)],
        )
    Console().print(table)
