"""`nlviz denoise`: denoisers on one picture, measured, as a table and as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlviz.cli.terminal import ProgressBar, SizeOption
from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.cli.denoise_input import Input
    from nlviz.denoise.comparison.run import Comparison
    from nlviz.denoise.noise import Noise


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
            "--noisy: what the denoisers are told, estimated by default. Values of 16 bits reach "
            "to 65535."
        ),
    ] = None,
    noise: Annotated[
        str,
        typer.Option(
            help="gaussian, poisson, poisson-gaussian or salt-and-pepper. With --noisy: the noise "
            "in the picture; one that grows with the signal is made even for the denoisers."
        ),
    ] = "gaussian",
    gain: Annotated[
        float | None,
        typer.Option(
            help="Units per photon, of poisson and poisson-gaussian; 1 by default. With --noisy "
            "estimated by default."
        ),
    ] = None,
    offset: Annotated[
        float, typer.Option(help="Value where there is no light, of poisson-gaussian.")
    ] = 0.0,
    stabilise: Annotated[
        bool,
        typer.Option(
            "--stabilise",
            help="Make noise that is added, and grows with the signal, even for the denoisers.",
        ),
    ] = False,
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
    ends: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--range",
            metavar="BLACK WHITE",
            help="Values of black and white, for PSNR, SSIM and denoisers that ask; of floats and "
            "signed numbers they are told by the values.",
        ),
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(
            help="A letter for each axis of an array or a stack: T frames, Z slices, Y, X, C "
            "channels; ZYX is a volume, denoised in three dimensions."
        ),
    ] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Take the picture's luminance.")] = False,
    size: SizeOption = None,
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
        typer.Option(
            help="Write the best result itself, with its alpha and colour profile: .png or .tif in "
            "the type of the picture, or .npy in float."
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="A .png, .pdf or .svg figure, a .csv table, or a .json to compute it again from; "
            "may be repeated.",
        ),
    ] = None,
) -> None:
    """Denoise a picture by several methods, and print what each gives."""
    from nlviz.cli import denoise_output
    from nlviz.errors import NlvizError

    if listed:
        denoise_output.print_denoisers()
        return
    if picture is None:
        raise NlvizError(
            "a picture is needed, its file or a bundled name; try nlviz denoise cat.jpg"
        )
    denoise_output.check_endings(output or (), result)
    with ProgressBar() as tell:
        if Path(picture).suffix.lower() == ".json":
            done, kept = _again(picture, original, tell)
        else:
            given = _Noise(noise, sigma, gain, amount, clipped, noisy, seed, offset, stabilise)
            sampling = {
                "grey": grey,
                "size": size,
                "frames": frames,
                "start": start,
                "stride": stride,
            }
            done, kept = _compared(
                picture,
                sampling,
                given,
                tell,
                denoisers=denoiser or None,
                fair=fair,
                parameters=parsed_parameters(settings or ()),
                precision=precision,
                data_range=white,
                range=ends,
                axes=axes,
            )
        tell("Drawing", 0.95)
        lost = denoise_output.write(done, output or (), result, kept)
    denoise_output.print_table(done, lost)
    for path in [*(output or ()), *([result] if result else ())]:
        typer.echo(str(path))


@dataclass(frozen=True)
class _Noise:
    """What the options say of the noise, ``--noise`` to ``--seed``."""

    kind: str
    sigma: float | None
    gain: float | None
    amount: float
    clipped: bool
    noisy: bool
    seed: int
    offset: float
    stabilise: bool


def _again(saved: str, original: Path | None, tell: Progress) -> tuple[Comparison, Input]:
    """Compute a saved comparison again from its picture."""
    from nlviz.cli.denoise_input import near, read, sampling_of
    from nlviz.render.comparison_files import made_again, read_comparison

    before = read_comparison(saved)
    found = read(
        original or near(before.source, Path(saved)),
        tell,
        axes=before.setup.axes,
        **sampling_of(before.source),
    )
    done = made_again(before, found.image, mask=found.mask, progress=tell.part(0.1, 0.95))
    return replace(done, source=found.source, notes=(*found.notes, *done.notes)), found


def _compared(
    picture: str, sampling: Mapping[str, Any], given: _Noise, tell: Progress, **options: Any
) -> tuple[Comparison, Input]:
    """Read a picture and compare denoisers on it; the options are those of ``compare``."""
    from nlviz.cli.denoise_input import read
    from nlviz.denoise.comparison.run import compare

    found = read(picture, tell, axes=options.pop("axes"), **sampling)
    if options["data_range"] is None and options["range"] is None:
        options["range"] = found.range
    noise, sigma = _noise_of(given, found)
    done = compare(
        found.image,
        sigma=sigma,
        noise=noise,
        clipped=given.clipped,
        noisy=given.noisy or None,
        seed=given.seed,
        mask=found.mask,
        axes=found.axes,
        stabilise=given.stabilise,
        name=found.source["name"],
        progress=tell.part(0.1, 0.95),
        **options,
    )
    return replace(done, source=found.source, notes=(*found.notes, *done.notes)), found


def _noise_of(given: _Noise, found: Input) -> tuple[Noise | None, float | None]:
    """Return the noise that is added, or that the picture has, and the sigma that is told."""
    from nlviz.denoise.estimation import estimate_noise
    from nlviz.denoise.noise import Noise

    if given.kind == "gaussian":
        return None, given.sigma
    kind: Any = given.kind  # Noise checks it
    sigma = 0.0 if given.kind == "poisson" else given.sigma
    if given.noisy and given.kind.startswith("poisson"):
        if given.gain is None:
            estimated = estimate_noise(
                found.image, offset=given.offset, sigma=sigma, mask=found.mask, axes=found.axes
            )
            return estimated, None
    elif given.noisy:
        return None, given.sigma
    gain = 1.0 if given.gain is None else given.gain
    amount, offset = given.amount, given.offset
    return Noise(kind, sigma=sigma or 0.0, gain=gain, amount=amount, offset=offset), None


def parsed_parameters(given: Sequence[str]) -> dict[str, Any]:
    """Return parameters as :func:`nlviz.denoise.compare` takes them.

    Raises:
        NlvizError: when one is not NAME=VALUE.

    >>> parsed_parameters(["patch=5", "bm3d.level=20", "bias=false"])
    {'patch': 5, 'bm3d': {'level': 20}, 'bias': False}
    """
    from nlviz.named_values import named_value

    out: dict[str, Any] = {}
    for text in given:
        name, value = named_value(text, what="a parameter", example="--set h=15")
        denoiser, dot, parameter = name.rpartition(".")
        of = out.setdefault(denoiser, {}) if dot else out
        of[parameter] = value
    return out
