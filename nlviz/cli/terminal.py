"""What all commands share: errors as sentences, a progress bar, options."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from nlviz.cli.interrupts import interrupts_heard
from nlviz.errors import NlvizError
from nlviz.progress import SILENT, Progress

Device = Literal["auto", "cpu", "cuda", "mps"]
DeviceOption = Annotated[Device, typer.Option(help="Where the network runs.")]
FamilyOption = Annotated[
    str | None, typer.Option(help="Read the file as this family's, not as the first that fits.")
]
FlagsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FLAG=VALUE",
        help="Override how the network is computed, `--set scale=false`; may be repeated.",
    ),
]
StartOption = Annotated[float, typer.Option(help="Seconds to skip.")]
StrideOption = Annotated[
    int | None, typer.Option(help="Take every n-th frame instead of spreading them evenly.")
]
FramesOption = Annotated[
    int | None,
    typer.Option(help="How many frames; by default as many as the network was trained on."),
]
SizeOption = Annotated[int | None, typer.Option(help="Shorter side in pixels.")]
FpsOption = Annotated[
    float | None, typer.Option(help="Pictures per second, where the pictures say none; 25 else.")
]
RateOption = Annotated[
    float | None,
    typer.Option(
        help="Frames per second that the stride speaks of, 30 for most networks; by default the "
        "film's own."
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="A name that `nlviz models` prints, hf:OWNER/NAME or the folder of a transformer, or "
        "your own MODULE:FUNCTION; by default lite-nl, and muse.reverse for a text."
    ),
]
TextOption = Annotated[
    str | None,
    typer.Option(
        "--text", help="A text: the whole input, or what a network is told beside the clip."
    ),
]
TextFileOption = Annotated[
    Path | None, typer.Option("--text-file", help="The same from a file, in UTF-8.")
]
BoxOption = Annotated[
    str | None,
    typer.Option(
        "--box",
        metavar="FRAME,TOP,LEFT,BOTTOM,RIGHT",
        help="In place of a query the box that overlaps this one most, where queries are boxes.",
    ),
]
WeightsOption = Annotated[
    str | None, typer.Option(help="A file of weights, in place of a model's name.")
]
NameArgument = Annotated[
    str, typer.Argument(help="A file of weights, a model's name, or your own MODULE:FUNCTION.")
]
AutocastOption = Annotated[
    Literal["bfloat16", "float16"] | None,
    typer.Option(help="Run the network in half precision; rows are computed in full."),
]


def print_notes(notes: Iterable[str]) -> None:
    """Print what must be known of a result on stderr, a line each."""
    for note in dict.fromkeys(notes):
        typer.echo(f"note: {note}", err=True)


class Sentences(TyperGroup):
    """Prints what went wrong as a sentence rather than a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            try:
                with interrupts_heard():
                    return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except NlvizError as error:
            typer.echo(f"nlviz: {error}", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read has had enough; the interpreter must not complain when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


class ProgressBar:
    """Progress bar on stderr; silent when stderr is not a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if not sys.stderr.isatty():
            return SILENT
        from rich import progress as rich
        from rich.console import Console

        columns = (
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.TimeElapsedColumn(),
        )
        self._bar = rich.Progress(*columns, console=Console(stderr=True), transient=True)
        task = self._bar.add_task("Starting", total=1.0)
        self._bar.start()

        def show(sentence: str, share: float) -> None:
            self._bar.update(task, description=sentence, completed=share)

        return Progress(show)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
