"""`nlviz attend` and `nlviz render`: views of a clip, drawn to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlviz.cli.terminal import (
    AutocastOption,
    DeviceOption,
    FamilyOption,
    FlagsOption,
    ProgressBar,
)
from nlviz.clips.point import Point
from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.captures.model import Capture, Model
    from nlviz.clips.clip import Clip
    from nlviz.views.view import View

WeightsOption = Annotated[
    str | None, typer.Option(help="A file of weights, in place of a model's name.")
]


def attend(
    clip: Annotated[
        str,
        typer.Argument(help="A video, a picture or a saved capture, or a bundled input's name."),
    ],
    query: Annotated[
        str | None,
        typer.Option(
            metavar="FRAME,Y,X",
            help="Sampled frame and pixel, from 0. By default the centre of the middle frame.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="A name that `nlviz models` prints, or your own MODULE:FUNCTION."),
    ] = "lite-nl",
    weights: WeightsOption = None,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    block: Annotated[str, typer.Option(help="Name of the block; LAST is the last one.")] = "LAST",
    source: Annotated[
        str,
        typer.Option(
            help="learned, features, position, untrained, nl_means, pairwise, unary or minus_mean."
        ),
    ] = "learned",
    head: Annotated[str, typer.Option(help="A head from 0, mean or max.")] = "mean",
    direction: Annotated[
        str, typer.Option(help="from: where the query looks; to: who looks at it.")
    ] = "from",
    show: Annotated[str, typer.Option(help="map, links or both.")] = "both",
    top: Annotated[int, typer.Option(help="How many of the strongest links to show.")] = 20,
    smooth: Annotated[bool, typer.Option("--smooth", help="Interpolate between cells.")] = False,
    leave_out: Annotated[
        str, typer.Option(help="nothing, or the query's own cell or frame.")
    ] = "nothing",
    start: Annotated[float, typer.Option(help="Seconds to skip.")] = 0.0,
    stride: Annotated[
        int | None, typer.Option(help="Take every n-th frame instead of spreading them evenly.")
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(help="How many frames; by default as many as the network was trained on."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Shorter side in pixels.")] = None,
    device: DeviceOption = "auto",
    autocast: AutocastOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="look.png, .gif, .mp4, .html, .json or .npz."),
    ] = None,
) -> None:
    """Show where a block looks from one position of a clip."""
    from nlviz.captures.capture import read_capture
    from nlviz.captures.file_format import is_capture
    from nlviz.clips.inputs import find_input
    from nlviz.files.local import KINDS, suffix_of
    from nlviz.views.display import Display, parsed

    # What can be told to be wrong is told before seconds of work.
    display = Display(
        source=source,
        head=parsed("head", head),
        direction=direction,  # type: ignore[arg-type] # Display checks it
        show=show,  # type: ignore[arg-type]
        links=top,
        cells="smooth" if smooth else "cells",
        leave_out=leave_out,  # type: ignore[arg-type]
    )
    if output is not None:
        suffix_of(output, KINDS, what="a view")
    place = None if query is None else Point.parse(query)
    with ProgressBar() as tell:
        if is_capture(clip):
            capture = read_capture(clip)
        else:
            loaded = _load(
                weights or model, device, family, flags, tell.part(0.0, 0.3), autocast=autocast
            )
            spec = loaded.input_spec
            if spec is not None and frames is None:
                frames, stride = spec.frames, spec.stride if stride is None else stride
            frames = 8 if frames is None else frames
            sampled = _read(
                find_input(clip), start=start, stride=stride, frames=frames, size=size, tell=tell
            )
            if place is not None:  # told before the network runs
                place.inside(sampled.shape)
            capture = loaded.capture(sampled, progress=tell.part(0.4, 0.8))
        if place is None:
            t, height, width = capture.clip.shape
            place = Point(t // 2, (height - 1) / 2, (width - 1) / 2)
        names = list(capture.affinities)
        name = names[-1] if block == "LAST" else block
        from nlviz.views.view import View

        view = View.of(capture, name, frame=place[0], y=place[1], x=place[2], display=display)
        if output is None:
            at = "-".join(f"{value:.0f}" for value in place)
            output = Path(f"{Path(capture.clip.name).stem}-{name}-{at}.png")
        _save(output, capture, view, tell)


def render(
    view: Annotated[Path, typer.Argument(help="A view that the app or `nlviz attend` saved.")],
    clip: Annotated[
        Path | None,
        typer.Option(help="The view's clip, where it is neither bundled nor beside the view."),
    ] = None,
    weights: WeightsOption = None,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    device: DeviceOption = "auto",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="By default a .png beside the view."),
    ] = None,
) -> None:
    """Draw a saved view again."""
    from nlviz.files.local import KINDS, suffix_of
    from nlviz.views.view import find_clip, read_view

    wanted = read_view(view)
    output = output or view.with_suffix(".png")
    suffix_of(output, KINDS, what="a view")
    path = find_clip(wanted, beside=view.parent, given=clip)
    ref = wanted.clip
    with ProgressBar() as tell:
        sampled = _read(
            path,
            start=ref.start,
            stride=ref.stride,
            frames=ref.frames,
            size=ref.size,
            tell=tell,
            name=ref.name,
        )
        loaded = _load(weights or wanted.model.name, device, family, flags, tell.part(0.2, 0.4))
        capture = loaded.capture(sampled, progress=tell.part(0.4, 0.8))
        found = capture.about.digest
        if wanted.model.digest and found != wanted.model.digest:
            from nlviz.errors import WeightsMismatch

            raise WeightsMismatch(
                f"the view was made with weights of {wanted.model.name} that have the sha256 "
                f"{wanted.model.digest[:12]}..., these have {found[:12]}...; save the view again, "
                "or empty its model.digest to draw it with these"
            )
        at = wanted.query
        sampled.check(frame=at.frame, y=at.y, x=at.x)
        _save(output, capture, wanted, tell)


def _read(path: Path, *, tell: Progress, **sampling: Any) -> Clip:
    from nlviz.clips.clip import read_clip

    return read_clip(path, progress=tell.part(0.3, 0.4), **sampling)


def _load(
    name: str,
    device: str,
    family: str | None,
    flags: list[str] | None,
    tell: Progress,
    *,
    autocast: str | None = None,
) -> Model:
    from nlviz.errors import UnknownModel
    from nlviz.families.reading.flags import parsed_flags
    from nlviz.zoo.load import load_model

    tell("Loading the model", 0.0)
    from nlviz.zoo.python_models import is_own, own_model

    if is_own(name) and not Path(name).exists():
        return own_model(name, device=device)
    try:
        return load_model(
            name,
            device=device,
            family=family,
            autocast=autocast,
            progress=tell,
            **parsed_flags(flags or ()),
        )
    except UnknownModel as error:
        if " (" not in name:  # a view of a file of weights has the file's name in brackets
            raise
        raise UnknownModel(
            f"the view was made with the weights {name}; say where they are with --weights FILE"
        ) from error


def _save(output: Path, capture: Capture, view: View, tell: Progress) -> None:
    """Write the view, print its path, and say on stderr what its row does."""
    tell("Drawing", 0.8)
    from nlviz.errors import UnknownBlock
    from nlviz.render.save import attention_of, save
    from nlviz.words.rows import row_sentence

    affinity = capture.affinities[view.block]
    source = view.display.source
    if source != "learned":
        from nlviz.analysis.controls import sources

        known = {s.key: s for s in sources(capture, view.block)}
        if source not in known:
            raise UnknownBlock(
                f"the block {view.block} can be shown as {', '.join(known)}, got {source!r}"
            )
        affinity = known[source].build(capture, view.block)
    save(output, capture, affinity, view, progress=tell.part(0.8, 1.0))
    typer.echo(str(output))
    typer.echo(
        f"{view.block}: {row_sentence(capture.clip, attention_of(affinity, view))}", err=True
    )
