"""`nlviz lesson`: lessons as files that work offline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nlviz.web.lesson_pages import Lesson


def lesson(
    name: Annotated[str | None, typer.Argument(help="Name of a lesson.")] = None,
    every: Annotated[bool, typer.Option("--list", help="List the lessons.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The .html file; by default NAME.html here."),
    ] = None,
) -> None:
    """Write a lesson as one page that works from disk, its pictures live, its answers checked."""
    from nlviz.errors import NlvizError
    from nlviz.files.local import suffix_of, write_whole
    from nlviz.web.lesson_pages import lesson as read
    from nlviz.web.lesson_pages import lessons

    if every:
        _list(lessons())
        return
    if name is None:
        raise NlvizError(
            "a lesson is asked for by its name; run `nlviz lesson --list` to see them, then "
            "`nlviz lesson NAME -o lesson.html`"
        )
    chosen = read(name)
    path = output or Path(f"{name}.html")
    suffix_of(path, ("html",), what="a lesson")
    page = chosen.page().encode()
    write_whole(path, page)
    typer.echo(f"{path}: {chosen.title['en']}, {len(page) / 1e6:.1f} MB, works offline")


def _list(known: tuple[Lesson, ...]) -> None:
    for each in known:
        if sys.stdout.isatty():
            told = f"{each.number}. {each.title['en']} ({each.minutes} minutes)"
            typer.echo(f"{each.name:<10} {told}: {each.about['en']}")
        else:
            typer.echo(f"{each.name}\t{each.title['en']}")
