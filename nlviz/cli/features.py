"""`nlviz features`: what a layer tells apart on a clip, as colours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nlviz.cli.terminal import (
    AutocastOption,
    DeviceOption,
    FamilyOption,
    FlagsOption,
    FpsOption,
    FramesOption,
    ModelOption,
    ProgressBar,
    RateOption,
    SizeOption,
    StartOption,
    StrideOption,
    WeightsOption,
    print_notes,
)


def features(
    clip: Annotated[
        str,
        typer.Argument(
            help="A video, a picture, a folder or pattern of pictures, or a bundled input's name."
        ),
    ],
    layer: Annotated[
        str,
        typer.Option(
            help="Dotted name of any module of the network, or its end: layer3, blocks.7."
        ),
    ],
    model: ModelOption = None,
    weights: WeightsOption = None,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    side: Annotated[
        Literal["output", "input"], typer.Option(help="What the layer returns, or is given.")
    ] = "output",
    foreground: Annotated[
        float | None,
        typer.Option(
            help="Take the basis of the cells whose first component is above this share of its "
            "range; below it where the number is negative."
        ),
    ] = None,
    start: StartOption = 0.0,
    stride: StrideOption = None,
    frames: FramesOption = None,
    size: SizeOption = None,
    fps: FpsOption = None,
    rate: RateOption = None,
    device: DeviceOption = "auto",
    autocast: AutocastOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="colours.png, .pdf, .svg, .gif, .mp4 or .npz."),
    ] = None,
) -> None:
    """Show a layer's features as colours: their first three principal components."""
    from nlviz.analysis.principal_components import Foreground, principal_components
    from nlviz.captures.layer_features import features as features_of
    from nlviz.cli.loading import OF_CLIPS, loaded, sampled_for
    from nlviz.clips.inputs import find_input
    from nlviz.files.local import suffix_of, write_whole
    from nlviz.render.feature_colours import KINDS, feature_colours, npz

    # What is wrong with the options is reported before seconds of work.
    kind = "png" if output is None else suffix_of(output, (*KINDS, "npz"), what="features")
    kept = None
    if foreground is not None:
        kept = Foreground(abs(foreground), "above" if foreground > 0 else "below")
    find_input(clip)
    with ProgressBar() as tell:
        net = loaded(
            weights or model or OF_CLIPS,
            tell.part(0.0, 0.3),
            device=device,
            family=family,
            flags=flags,
            autocast=autocast,
            needs_blocks=False,
        )
        sampled = sampled_for(
            net,
            clip,
            tell.part(0.3, 0.4),
            start=start,
            stride=stride,
            frames=frames,
            size=size,
            fps=fps,
            rate=rate,
        )
        found = features_of(net, sampled, layer, side=side, progress=tell.part(0.4, 0.8))
        tell("Taking principal components", 0.8)
        n = min(3, found.channels, found.grid.size)
        drawn = feature_colours(found, principal_components(found, n, foreground=kept))
        if output is None:
            output = Path(f"{Path(sampled.name).stem}-{found.name.replace(', ', '-')}.png")
        tell("Drawing", 0.9)
        content = npz(drawn) if kind == "npz" else drawn.to_bytes(kind)
        write_whole(output, content)
    typer.echo(str(output))
    typer.echo(f"{found.name}: {drawn.sentence}", err=True)
    print_notes(drawn.notes[1:])
