"""`nlviz verify`: whether a model is what was published, and computes what it should."""

from __future__ import annotations

import typer

from nlviz.cli.terminal import DeviceOption, FamilyOption, FlagsOption, NameArgument, ProgressBar


def verify(
    weights: NameArgument,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Check a file against what is published of it: digest, keys, blocks and an answer."""
    from nlviz.cli.loading import options
    from nlviz.words.load_report import verdict
    from nlviz.zoo.verify import verify as verification

    with ProgressBar() as tell:
        found = verification(
            weights, device=device, progress=tell, allow_code=True, **options(family, flags)
        )
    report = found.report
    typer.echo(f"{report.file}: {report.family}, {report.architecture}")
    typer.echo(verdict(report))
    digest = {True: "as published", False: "NOT as published", None: "nothing published"}
    if report.digest:
        typer.echo(f"sha256 {report.digest}, {digest[found.digest_fits]}")
    for block, size in found.block_sizes.items():
        typer.echo(f"{block} adds {size:.1%} of its input's size")
    if found.prediction:
        answers = ", ".join(f"{label} {p:.0%}" for label, p in found.prediction)
        typer.echo(f"{found.clip}: {answers}")
    typer.echo(found.hint)
    for warning in (*report.warnings, *found.notes):
        typer.echo(f"Note: {warning}")
    for complaint in found.complaints:
        typer.echo(f"Wrong: {complaint}", err=True)
    if not found.passed:
        raise typer.Exit(1)
    typer.echo("Nothing speaks against it.")
