"""`nlviz inspect`: what a file of weights holds, and whether its blocks are alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nlviz.cli.terminal import DeviceOption, FamilyOption, FlagsOption, NameArgument, ProgressBar
from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.captures.model import Model


def inspect(
    weights: NameArgument,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    clip: Annotated[
        str | None,
        typer.Option(help="Run this video or picture, and say whether the blocks are alive."),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Run this text, alone or beside the clip, and say the same.")
    ] = None,
    device: DeviceOption = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what a file of weights holds and how its network is computed."""
    from nlviz.cli.loading import options
    from nlviz.words.load_report import report_json, report_text
    from nlviz.zoo.source import ModelSource

    source = ModelSource.parse(weights)
    asked = {**options(family, flags), "allow_code": True}
    with ProgressBar() as tell:
        model: Model | None = None
        runs = clip is not None or text is not None
        if not runs:
            report = source.inspect(progress=tell.part(0.0, 0.5), **asked)
        else:
            report, model = source.examine(device=device, progress=tell.part(0.0, 0.5), **asked)
        typer.echo(report_json(report) if json else report_text(report))
        if runs and report.complete:
            model = model or source.load(device=device, **asked)  # whose error says why not
            for line in _health(model, clip, text, tell.part(0.5, 1.0)):
                typer.echo(line, err=json)
    if not report.complete:
        raise typer.Exit(1)


def _health(model: Model, clip: str | None, text: str | None, tell: Progress) -> list[str]:
    """Return what one forward pass of a clip, a text or both says of each block."""
    from nlviz.analysis.health import block_health
    from nlviz.cli.loading import clip_for
    from nlviz.clips.text import read_text
    from nlviz.networks.running_statistics import watched
    from nlviz.words.health import health_lines
    from nlviz.words.nouns import nouns_of

    words = None if text is None else read_text(text)
    sampled = words if clip is None else clip_for(model, clip, tell.part(0.0, 0.2))
    assert sampled is not None  # for the type checker: one of the two was given
    beside = None if clip is None else words
    with watched(model.net) as statistics:
        capture = model.capture(sampled, text=beside, progress=tell.part(0.2, 0.6))
    told = statistics.fault or statistics.doubt(sampled.name)
    lines = ["", told] if told else []
    for i, block in enumerate(capture.affinities):
        tell(f"Testing {block}", 0.6 + 0.4 * i / len(capture.affinities))
        lines += ["", f"{block} on {capture.clip.name}"]
        nouns = nouns_of(capture.affinities[block].queries)
        for line in health_lines(block_health(model, capture, block), nouns=nouns):
            lines.append(f"  {line.value:>9}  {line.label}")
            if line.meaning:
                lines.append(f"  {'':9}  {line.meaning}")
    return lines
