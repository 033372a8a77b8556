"""`nlviz inspect` and `nlviz verify`: what a file of weights holds, and whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nlviz.cli.terminal import DeviceOption, FamilyOption, FlagsOption, ProgressBar
from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.captures.model import Model


def inspect(
    weights: Annotated[str, typer.Argument(help="A file of weights, or a model's name.")],
    family: FamilyOption = None,
    flags: FlagsOption = None,
    clip: Annotated[
        str | None,
        typer.Option(help="Run this video or picture, and say whether the blocks are alive."),
    ] = None,
    device: DeviceOption = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what a file of weights holds and how its network is computed."""
    from nlviz.families.reading.flags import parsed_flags
    from nlviz.words.load_report import report_json, report_text
    from nlviz.zoo.load import inspect_weights, load_model

    asked = parsed_flags(flags or ())
    with ProgressBar() as tell:
        report = inspect_weights(weights, family=family, progress=tell.part(0, 0.3), **asked)
        typer.echo(report_json(report) if json else report_text(report))
        if clip is not None and report.complete:
            model = load_model(
                weights, device=device, family=family, progress=tell.part(0.3, 0.5), **asked
            )
            for line in _health(model, clip, tell.part(0.5, 1.0)):
                typer.echo(line, err=json)
    if not report.complete:
        raise typer.Exit(1)


def verify(
    weights: Annotated[str, typer.Argument(help="A file of weights, or a model's name.")],
    family: FamilyOption = None,
    flags: FlagsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Check a file against what is published of it: digest, keys, blocks and an answer."""
    from nlviz.families.reading.flags import parsed_flags
    from nlviz.words.load_report import verdict
    from nlviz.zoo.verify import verify as verification

    with ProgressBar() as tell:
        found = verification(
            weights, device=device, family=family, progress=tell, **parsed_flags(flags or ())
        )
    report = found.report
    typer.echo(f"{report.file}: {report.family}, {report.architecture}")
    typer.echo(verdict(report))
    digest = {True: "as published", False: "NOT as published", None: "nothing published"}
    typer.echo(f"sha256 {report.digest}, {digest[found.digest_fits]}")
    for block, size in found.block_sizes.items():
        typer.echo(f"{block} adds {size:.1%} of its input's size")
    if found.prediction:
        answers = ", ".join(f"{label} {p:.0%}" for label, p in found.prediction)
        typer.echo(f"{found.clip}: {answers}")
    typer.echo(found.hint)
    for warning in report.warnings:
        typer.echo(f"Note: {warning}")
    for complaint in found.complaints:
        typer.echo(f"Wrong: {complaint}", err=True)
    if not found.passed:
        raise typer.Exit(1)
    typer.echo("Nothing speaks against it.")


def _health(model: Model, clip: str, tell: Progress) -> list[str]:
    """Return what one forward pass of a clip says of each block."""
    from nlviz.analysis.health import block_health
    from nlviz.clips.clip import read_clip
    from nlviz.clips.inputs import find_input
    from nlviz.words.health import health_lines

    spec = model.input_spec
    shot = model.capture(
        read_clip(
            find_input(clip),
            frames=(spec.frames if spec else None) or 8,
            stride=spec.stride if spec else None,
            progress=tell.part(0.0, 0.2),
        ),
        progress=tell.part(0.2, 0.6),
    )
    lines = []
    for i, block in enumerate(shot.affinities):
        tell(f"Testing {block}", 0.6 + 0.4 * i / len(shot.affinities))
        lines += ["", f"{block} on {shot.clip.name}"]
        for line in health_lines(block_health(model, shot, block)):
            lines.append(f"  {line.value:>9}  {line.label}")
            if line.meaning:
                lines.append(f"  {'':9}  {line.meaning}")
    return lines
