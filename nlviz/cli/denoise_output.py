"""What `nlviz denoise` prints and writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from nlviz.cli.denoise_input import Input
    from nlviz.denoise.comparison.run import Comparison


def check_endings(output: Sequence[Path], result: Path | None) -> None:
    """Check that all files can be written as their endings ask, before seconds of work.

    Raises:
        NlvizError: when an ending is not known.
    """
    from nlviz.denoise.value_files import KINDS as VALUES
    from nlviz.files.local import suffix_of
    from nlviz.render.comparison_files import KINDS

    for path in output:
        suffix_of(path, KINDS, what="a comparison")
    if result is not None:
        suffix_of(result, VALUES, what="a result")


def write(
    done: Comparison, output: Sequence[Path], result: Path | None, given: Input
) -> tuple[str, ...]:
    """Write a comparison to each file, and its best result to ``result``; return what is lost."""
    from nlviz.render.comparison_files import save_comparison

    for path in output:
        save_comparison(done, path)
    return () if result is None else _save_result(done, result, given)


def _save_result(done: Comparison, path: Path, given: Input) -> tuple[str, ...]:
    """Write the best result, or the only one, in the type of the picture."""
    from nlviz.denoise.axes import arranged
    from nlviz.denoise.value_files import write_values
    from nlviz.errors import NlvizError

    name = done.best("psnr") or next(iter(done.results))
    if done.clean is None and len(done.results) > 1:
        raise NlvizError(
            "without a clean picture none is best; name one denoiser with --denoiser to write "
            "its result"
        )
    picture = done.results[name].picture
    if path.suffix.lower() == ".npy":
        picture = arranged(given.image, done.setup.axes).back(picture)
    many = done.kind != "picture"
    return write_values(path, picture, given.kept, done.range, coloured=done.coloured, many=many)


def print_denoisers() -> None:
    """Print the denoisers that run here; on a terminal with formula, source and licence."""
    from nlviz.denoise.registry import known_denoisers, list_clip_denoisers

    known = {**known_denoisers(of_clips=True), **known_denoisers()}
    for name in list_clip_denoisers():
        if not sys.stdout.isatty():
            typer.echo(name)
            continue
        one = known[name]
        typer.echo(f"{name:20} {one.formula}\n{'':20} {one.source}. {one.licence}")


def print_table(done: Comparison, lost: Sequence[str] = ()) -> None:
    """Print the table, aligned, with a star at the best value; in bold on a terminal."""
    from nlviz.denoise.comparison.results import COLUMNS, numbers_of

    before = {"psnr": done.psnr, "ssim": done.ssim, "seconds": 0.0}
    first: tuple[str, tuple[str, ...], set[str], str]
    first = ("noisy", (*numbers_of(before)[:2], ""), set(), "")
    rows = [first]
    for row in done.table:
        values = " ".join(
            f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}".lower()
            for k, v in row["parameters"].items()
        )
        rows.append((row["denoiser"], numbers_of(row), row["best"], values))
    head = ("denoiser", "PSNR", "SSIM", "seconds", "parameters")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for index, title in enumerate(head):
            table.add_column(title, justify="right" if 0 < index < 4 else "left")
        for name, numbers, best, values in rows:
            cells = [
                f"[bold]{text}[/bold]" if column in best else text
                for column, text in zip(COLUMNS, numbers, strict=True)
            ]
            table.add_row(name, *cells, values)
        Console().print(table)
    else:
        typer.echo(f"{head[0]:18}{head[1]:>8} {head[2]:>8} {head[3]:>9}   {head[4]}")
        for name, numbers, best, values in rows:
            cells = [
                text + ("*" if column in best else " ")
                for column, text in zip(COLUMNS, numbers, strict=True)
            ]
            line = f"{name:18}{cells[0]:>8} {cells[1]:>8} {cells[2]:>9}  {values}"
            typer.echo(line.rstrip())
    typer.echo(f"sigma {done.sigma:.4g}, {done.sigma_from}; input: {done.precision}", err=True)
    against = "" if done.clean is None else "; PSNR and SSIM are measured against it"
    typer.echo(f"range {done.range.sentence}{against}", err=True)
    for note in (*done.notes, *lost):
        typer.echo(f"note: {note}", err=True)
    for row in done.table:
        if "non-commercial" in row["licence"]:
            typer.echo(f"{row['label']}: {row['licence']}", err=True)
