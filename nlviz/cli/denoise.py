"""`nlviz denoise`: denoisers on one picture, measured, as a table and as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlviz.cli.terminal import ProgressBar
from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.denoise.comparison.run import Comparison
    from nlviz.denoise.image import Image


def denoise(
    picture: Annotated[
        str | None,
        typer.Argument(
            help="A picture, a video, an array (.npy), the name of a bundled one, or a comparison "
            "(.json) to compute again.",
        ),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            help="Of the noise to add, in units of the picture; 25 of 255 by default. With "
            "--noisy: what the denoisers are told, estimated by default."
        ),
    ] = None,
    noise: Annotated[
        str, typer.Option(help="gaussian, poisson-gaussian or salt-and-pepper.")
    ] = "gaussian",
    gain: Annotated[float, typer.Option(help="Units per photon, of poisson-gaussian.")] = 1.0,
    amount: Annotated[float, typer.Option(help="Share of the pixels, of salt-and-pepper.")] = 0.1,
    clipped: Annotated[
        bool, typer.Option("--clipped", help="Cut noisy values off at black and white.")
    ] = False,
    noisy: Annotated[
        bool, typer.Option("--noisy", help="The picture is noisy already: add nothing.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    denoiser: Annotated[
        list[str] | None,
        typer.Option(help="One of --list; may be repeated. By default all but the very slow."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[DENOISER.]NAME=VALUE",
            help="A parameter, for all that have it or for one: `--set patch=5`, "
            "`--set bm3d.level=20`; may be repeated.",
        ),
    ] = None,
    fair: Annotated[
        bool,
        typer.Option(
            "--fair",
            help="Same patch, window and input type for all, and each strength the best of a grid "
            "against the clean picture.",
        ),
    ] = False,
    precision: Annotated[
        str | None, typer.Option(help="Input for all: float or uint8, which rounds and clips.")
    ] = None,
    white: Annotated[
        float | None, typer.Option(help="Value of white, where a float array's own is not told.")
    ] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Take the picture's luminance.")] = False,
    size: Annotated[int | None, typer.Option(help="Shorter side in pixels.")] = None,
    frames: Annotated[
        int, typer.Option(min=1, help="Of a video; 1 denoises its first frame as a picture.")
    ] = 1,
    start: Annotated[float, typer.Option(help="Seconds of a video to skip.")] = 0.0,
    stride: Annotated[int, typer.Option(min=1, help="Take every n-th frame of a video.")] = 1,
    listed: Annotated[
        bool, typer.Option("--list", help="Print the denoisers that run here, and leave.")
    ] = False,
    original: Annotated[
        Path | None,
        typer.Option(help="The picture of a .json that is neither bundled nor beside it."),
    ] = None,
    result: Annotated[
        Path | None,
        typer.Option(help="Write the best result itself: .png in 8 bits, or .npy in float."),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="A .png or .pdf figure, a .csv table, or a .json to compute it again from; may "
            "be repeated.",
        ),
    ] = None,
) -> None:
    """Denoise a picture by several methods, and print what each gives."""
    from nlviz.errors import NlvizError
    from nlviz.files.local import suffix_of
    from nlviz.render.comparison_files import KINDS, made_again, read_comparison, save_comparison

    if listed:
        _print_denoisers()
        return
    if picture is None:
        raise NlvizError(
            "a picture is needed, its file or a bundled name; try nlviz denoise cat.jpg"
        )
    for path in output or ():
        suffix_of(path, KINDS, what="a comparison")
    if result is not None:
        suffix_of(result, ("png", "npy"), what="a result")
    with ProgressBar() as tell:
        if Path(picture).suffix.lower() == ".json":
            saved = read_comparison(picture)
            where = original or _beside(saved.source, Path(picture))
            image, source = _read(where, tell, **_sampling(saved.source))
            done = made_again(saved, image, progress=tell.part(0.1, 0.95))
        else:
            from nlviz.denoise.comparison.run import compare
            from nlviz.denoise.noise import Noise

            sampling: dict[str, Any] = {
                "grey": grey,
                "size": size,
                "frames": frames,
                "start": start,
            }
            image, source = _read(picture, tell, **sampling, stride=stride)
            kind: Any = noise
            plain = noise == "gaussian" or noisy
            base = 25.0 if sigma is None and noise == "gaussian" else (sigma or 0.0)
            given = None if plain else Noise(kind, sigma=base, gain=gain, amount=amount)
            level: Any = precision
            done = compare(
                image,
                sigma=sigma if plain else None,
                denoisers=denoiser or None,
                seed=seed,
                noise=given,
                clipped=clipped,
                noisy=noisy or None,
                fair=fair,
                parameters=parsed_parameters(settings or ()),
                precision=level,
                data_range=white,
                name=source["name"],
                progress=tell.part(0.1, 0.95),
            )
        done = replace(done, source=source)
        tell("Drawing", 0.95)
        for path in output or ():
            save_comparison(done, path)
        if result is not None:
            _save_result(done, result)
    _print_table(done)
    for path in [*(output or ()), *([result] if result else ())]:
        typer.echo(str(path))


def parsed_parameters(given: Sequence[str]) -> dict[str, Any]:
    """Return parameters as :func:`nlviz.denoise.compare` takes them.

    Raises:
        NlvizError: when one is not NAME=VALUE.

    >>> parsed_parameters(["patch=5", "bm3d.level=20", "bias=false"])
    {'patch': 5, 'bm3d': {'level': 20}, 'bias': False}
    """
    from nlviz.errors import NlvizError

    out: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise NlvizError(f"a parameter is NAME=VALUE, got {text!r}; try --set h=15")
        owner, dot, inner = name.rpartition(".")
        place = out.setdefault(owner, {}) if dot else out
        place[inner] = _value(value)
    return out


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _read(
    picture: str | Path,
    tell: Progress,
    *,
    grey: bool,
    size: int | None,
    frames: int,
    start: float,
    stride: int,
) -> tuple[Image, dict[str, Any]]:
    """Return the pixels, and how to find them again."""
    import numpy as np

    from nlviz.clips.inputs import find_input
    from nlviz.errors import NlvizError, UnreadableClip
    from nlviz.files.local import digest_of

    if grey and frames > 1:
        raise NlvizError("clips are denoised in colour; leave --grey out, or --frames")

    path = find_input(str(picture))
    tell(f"Reading {path.name}", 0.0)
    source: dict[str, Any] = {"name": path.name}
    if path.suffix.lower() == ".npy":
        try:
            image: Image = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UnreadableClip(f"{path.name} is no array of numbers ({error})") from None
        return image, {**source, "digest": digest_of(path)}
    from nlviz.clips.clip import read_clip
    from nlviz.denoise.image import picture_of

    clip = read_clip(
        path, start=start, stride=stride, frames=frames, size=size, progress=tell.part(0.0, 0.1)
    )
    sampling: dict[str, Any] = {
        "grey": grey,
        "size": size,
        "frames": frames,
        "start": start,
        "stride": stride,
    }
    source |= {"digest": clip.digest, **sampling}
    if len(clip.frames) > 1:
        return np.ascontiguousarray(clip.frames), source
    return picture_of(np.asarray(clip.frames[0]), grey=grey), source


def _sampling(source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "grey": bool(source.get("grey", False)),
        "size": source.get("size"),
        "frames": source.get("frames") or 1,
        "start": source.get("start") or 0.0,
        "stride": source.get("stride") or 1,
    }


def _beside(source: Mapping[str, Any], view: Path) -> str:
    from nlviz.errors import InvalidView
    from nlviz.resources import bundled_inputs

    name = source.get("name")
    if not name:
        raise InvalidView(
            f"the comparison {view.name} does not say where its picture came from; give the file "
            "with --original"
        )
    near = view.parent / str(name)
    return str(near if near.is_file() and name not in bundled_inputs() else name)


def _save_result(done: Comparison, path: Path) -> None:
    """Write the best result, or the only one."""
    from io import BytesIO

    import numpy as np

    from nlviz.errors import NlvizError
    from nlviz.files.local import write_whole
    from nlviz.picture import encode

    name = done.best("psnr") or next(iter(done.results))
    if done.clean is None and len(done.results) > 1:
        raise NlvizError(
            "without a clean picture none is best; name one denoiser with --denoiser to write "
            "its result"
        )
    if path.suffix.lower() == ".png":
        if done.of_clip:
            raise NlvizError("a .png holds one picture, this is a clip; write a .npy")
        write_whole(path, encode(done.shown(name)))
        return
    buffer = BytesIO()
    np.save(buffer, done.results[name].picture)
    write_whole(path, buffer.getvalue())


def _print_denoisers() -> None:
    import sys

    from nlviz.denoise.registry import CLIP_DENOISERS, DENOISERS, list_clip_denoisers

    known = {**CLIP_DENOISERS, **DENOISERS}
    for name in list_clip_denoisers():
        if not sys.stdout.isatty():
            typer.echo(name)
            continue
        one = known[name]
        typer.echo(f"{name:20} {one.formula}\n{'':20} {one.source}. {one.licence}")


def _print_table(done: Comparison) -> None:
    """Print the table, aligned, with a star at the best value; in bold on a terminal."""
    import sys

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
    for row in done.table:
        if "non-commercial" in row["licence"]:
            typer.echo(f"{row['label']}: {row['licence']}", err=True)
