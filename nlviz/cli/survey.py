"""`nlviz survey`: what every head does over many clips, as tables in a folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nlviz.cli.terminal import (
    AutocastOption,
    DeviceOption,
    FamilyOption,
    FlagsOption,
    FpsOption,
    FramesOption,
    RateOption,
    SizeOption,
    StartOption,
    StrideOption,
    WeightsOption,
    print_notes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from nlviz.surveys.survey import Survey
    from nlviz.surveys.tally import Tally

EACH = 10.0  # seconds between the lines that say how far it is, where there is no terminal


def survey(
    clips: Annotated[
        list[str],
        typer.Argument(
            help="Films, pictures, folders or patterns of them, lists of paths (.txt), tables with "
            "paths and labels (.csv, .parquet, .jsonl), WebDataset tars, addresses (s3://...)."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the survey.")
    ],
    model: Annotated[
        str | None,
        typer.Option(help="A name that `nlviz models` prints, or MODULE:FUNCTION; lite-nl else."),
    ] = None,
    weights: WeightsOption = None,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    device: DeviceOption = "auto",
    autocast: AutocastOption = None,
    blocks: Annotated[
        list[str] | None,
        typer.Option(help="Names of blocks, with commas or repeated; all by default."),
    ] = None,
    queries: Annotated[int, typer.Option(help="Places asked about in each clip.")] = 32,
    engine: Annotated[
        Literal["local", "ray", "inline"],
        typer.Option(help="Processes of this machine, a Ray cluster, or this process alone."),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(help="How many processes; by default one for each core or GPU."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster, as ray.init has it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="The first clips only, so many.")] = None,
    sample: Annotated[int | None, typer.Option(help="Draw so many clips.")] = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="FIGURE", help="Leave a figure out; may be repeated."),
    ] = None,
    knock_out: Annotated[
        bool, typer.Option("--knock-out", help="Cut links, too: passes for each query.")
    ] = False,
    bypass: Annotated[
        bool, typer.Option("--bypass", help="Leave each block out once, too: a pass for each.")
    ] = False,
    start: StartOption = 0.0,
    stride: StrideOption = None,
    frames: FramesOption = None,
    size: SizeOption = None,
    fps: FpsOption = None,
    rate: RateOption = None,
    labels: Annotated[
        Literal["auto", "folder", "none"],
        typer.Option(help="Whether the folder of a clip is its label."),
    ] = "auto",
    label_column: Annotated[
        str | None, typer.Option(help="Column of a table that holds the labels, or `none`.")
    ] = None,
    path_column: Annotated[
        str | None, typer.Option(help="Column of a table that holds the paths.")
    ] = None,
    pictures: Annotated[
        Literal["auto", "frames", "each"],
        typer.Option(help="Pictures of a folder are frames of one clip, or each is a clip."),
    ] = "auto",
    root: Annotated[
        Path | None, typer.Option(help="Folder that paths in lists and tables are relative to.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the survey that is in DIR.")
    ] = False,
) -> None:
    """Survey what every head of a network does over many clips, one row for each query."""
    from nlviz.cli.loading import OF_CLIPS, options
    from nlviz.errors import NlvizError
    from nlviz.surveys.options import Sampling, SurveyOptions
    from nlviz.surveys.start import Request, listing_of, started
    from nlviz.surveys.survey import read_survey

    if model is not None and weights is not None:
        raise NlvizError("a network comes from --model or from --weights; leave one of them out")
    asked = SurveyOptions(
        blocks=_names(blocks),
        queries=queries,
        seed=seed,
        sampling=Sampling(start, stride, frames, size, fps, rate),
        without=_names(without),
        knock_out=knock_out,
        bypass=bypass,
    )
    request = Request(
        clips=clips,
        model=weights or model or OF_CLIPS,
        options=asked,
        folder=output,
        engine=engine,
        workers=workers,
        address=address,
        limit=limit,
        sample=sample,
        resume=resume,
        listing={
            "labels": labels,
            "label_column": label_column,
            "path_column": path_column,
            "pictures": pictures,
            "root": root,
        },
        load={"device": device, "autocast": autocast, **options(family, flags)},
    )
    listing = listing_of(request, clips)
    try:
        with shown() as tell:
            tally = started(request, tell, listing)
    except KeyboardInterrupt:
        typer.echo(
            "Stopped. What was done is kept; the same command with --resume goes on.", err=True
        )
        raise typer.Exit(130) from None
    found = read_survey(output)
    for line in summary(found, tally):
        typer.echo(line)
    print_notes(listing.left_out.sentences())
    if not found.counts["done"]:
        raise typer.Exit(1)


def _names(given: list[str] | None) -> tuple[str, ...]:
    parts = (part.strip() for text in given or () for part in text.split(","))
    return tuple(part for part in parts if part)


@contextmanager
def shown() -> Iterator[Callable[[Tally], object]]:
    """Show how far a run is on stderr: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        last = time.monotonic()

        def line(tally: Tally) -> None:
            nonlocal last
            if time.monotonic() - last >= EACH:
                last = time.monotonic()
                typer.echo(tally.sentence, err=True)

        yield line
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (rich.SpinnerColumn(), rich.BarColumn(), rich.TextColumn("{task.description}"))
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading the network", total=None)

        def update(tally: Tally) -> None:
            done = tally.before + tally.seen
            bar.update(task, description=tally.sentence, total=tally.total, completed=done)

        yield update


def summary(found: Survey, tally: Tally) -> list[str]:
    """Return what a user wants to know at the end: what is there, what failed, what comes next."""
    from nlviz.sentences import counted
    from nlviz.surveys.tally import duration

    counts: dict[str, Any] = found.counts
    parts = [f"{counts['done']:,} done"]
    if counts["same"]:
        parts.append(f"{counts['same']:,} the same as another")
    parts.append(f"{counts['failed']:,} failed")
    lines = [f"{counted(sum(counts.values()), 'clip')}: {', '.join(parts)}"]
    if tally.before:
        lines[0] += f" ({tally.before:,} of them before)"
    for fault, count in tally.failed.most_common():
        told = tally.reasons[fault]
        lines.append(f"{fault} ({count:,}):")
        lines += [f"  {_once(name, reason)}" for name, reason in told]
        if count > len(told):
            lines.append(f"  and {count - len(told):,} more")
    rate = f", {tally.rate:.3g} clips per second" if tally.rate else ""
    took = f" in {duration(tally.seconds)}{rate}" if tally.seen else ""
    lines.append(f"{counted(len(found.rows), 'row')}{took}")
    if counts["done"]:
        lines.append(f"look at it: nlviz app {found.folder}")
        lines.append(f"as a page:  nlviz report {found.folder} -o report.html")
    return lines


def _once(name: str, reason: str) -> str:
    """Return a reason that names its clip once."""
    return reason if name in reason else f"{name}: {reason}"
