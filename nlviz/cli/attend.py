"""`nlviz attend`: where a block looks from one position of a clip, drawn to a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlviz.affinity.variants import COSINE
from nlviz.cli.terminal import (
    AutocastOption,
    BoxOption,
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
    TextFileOption,
    TextOption,
    WeightsOption,
)
from nlviz.views.display import SOURCES

if TYPE_CHECKING:
    from nlviz.captures.capture import Capture
    from nlviz.clips.clip import Clip
    from nlviz.clips.point import Point
    from nlviz.views.view import View


def attend(
    clip: Annotated[
        str | None,
        typer.Argument(
            help="A video, a picture, a folder or pattern of pictures, a saved capture, or a "
            "bundled input's name; none for a text alone."
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(
            metavar="FRAME,Y,X",
            help="Sampled frame and pixel, from 0; of a text a word or its number, from 0; or a "
            "token without a place: cls, registers.2. By default the middle.",
        ),
    ] = None,
    box: BoxOption = None,
    text: TextOption = None,
    text_file: TextFileOption = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    block: Annotated[str, typer.Option(help="Name of the block; LAST is the last one.")] = "LAST",
    layer: Annotated[
        str | None,
        typer.Option(
            help="In place of a block any module by its dotted name, or the end of it: the cosine "
            "of its features, over all frames."
        ),
    ] = None,
    source: Annotated[
        str, typer.Option(help=f"{', '.join(SOURCES[:-1])} or {SOURCES[-1]}.")
    ] = SOURCES[0],
    head: Annotated[str, typer.Option(help="A head from 0, mean or max.")] = "mean",
    residual: Annotated[
        float, typer.Option(help="Share of the residual path in a rollout, from 0 to below 1.")
    ] = 0.5,
    direction: Annotated[
        str, typer.Option(help="from: where the query looks; to: who looks at it.")
    ] = "from",
    show: Annotated[str, typer.Option(help="map, links or both.")] = "both",
    top: Annotated[int, typer.Option(help="How many of the strongest links to show.")] = 20,
    smooth: Annotated[bool, typer.Option("--smooth", help="Interpolate between cells.")] = False,
    leave_out: Annotated[
        str, typer.Option(help="nothing, or the query's own cell or frame.")
    ] = "nothing",
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
        typer.Option(
            "--output",
            "-o",
            help="look.png, .pdf, .svg, .gif, .mp4, .html, .json, .npz or .rrd (Rerun); without it "
            "a table of the strongest keys is printed of a text, and a .png written of a clip.",
        ),
    ] = None,
) -> None:
    """Show where a block looks from one position of a clip, or one word of a text."""
    from nlviz.captures.capture import read_capture
    from nlviz.captures.feature_captures import OF_FEATURES, feature_capture, with_features
    from nlviz.captures.file_format import is_capture
    from nlviz.cli.drawing import check_output, draw, print_table
    from nlviz.cli.loading import OF_CLIPS, OF_TEXTS, given_text, loaded, sampled_for
    from nlviz.cli.queries import Asked
    from nlviz.clips.graph import is_graph
    from nlviz.clips.inputs import find_input
    from nlviz.errors import NlvizError
    from nlviz.views.display import Display, parsed
    from nlviz.views.view import View

    # What is wrong with the options is reported before seconds of work.
    words = given_text(text, text_file, clip=clip)
    saved = read_capture(clip) if clip is not None and is_capture(clip) else None
    of_words = words is not None or (saved is not None and saved.text is not None)
    of_words = of_words or (clip is not None and is_graph(find_input(clip)))  # nodes have names
    asked = Asked.parse(query, box, words=of_words)
    display = Display(
        source=source,
        head=parsed("head", head),
        direction=direction,  # type: ignore[arg-type] # Display checks it
        show=show,  # type: ignore[arg-type]
        links=top,
        cells="smooth" if smooth else "cells",
        leave_out=leave_out,  # type: ignore[arg-type]
        residual=residual,
    )
    if output is not None:
        check_output(output)
    if layer is not None:
        if source not in (SOURCES[0], COSINE.key):
            raise NlvizError(
                f"a layer is shown by the cosine of its features, got --source {source}; leave one "
                "of the two out"
            )
        display = replace(display, source=SOURCES[0])
    net = None
    with ProgressBar() as tell:
        if saved is not None:
            if layer is not None or words is not None:
                what = "features of a layer need" if layer is not None else "another text needs"
                raise NlvizError(f"{what} the network, {clip} holds none; give the clip itself")
            capture = saved
        else:
            net = loaded(
                weights or model or (OF_TEXTS if clip is None else OF_CLIPS),
                tell.part(0.0, 0.3),
                device=device,
                family=family,
                flags=flags,
                autocast=autocast,
                needs_blocks=layer is None,
            )
            if clip is None:
                assert words is not None  # for the type checker: there is a clip or a text
                sampled: Clip = words
                beside = None
            else:
                beside = words
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
                if asked.point is not None:  # before the network runs
                    asked.point.inside(sampled.shape)
            if layer is None:
                boxes = [asked.box] if asked.box is not None and "boxes" in net.inputs else None
                capture = net.capture(
                    sampled, text=beside, boxes=boxes, progress=tell.part(0.4, 0.7)
                )
            else:
                capture = feature_capture(net, sampled, [layer], progress=tell.part(0.4, 0.8))
        name = block
        if block == "LAST" or layer:
            name = asked.last_block(capture, display)
        if net is not None and source in OF_FEATURES and name not in capture.features:
            capture = with_features(net, capture, [name], progress=tell.part(0.7, 0.8))
        point, display = asked.placed(capture, capture.affinities[name], display)
        view = View.of(capture, name, frame=point.frame, y=point.y, x=point.x, display=display)
        if output is not None or capture.text is None:
            draw(output or _named(capture, view, point), capture, view, tell.part(0.8, 1.0))
            return
    print_table(capture, view, top)


def _named(capture: Capture, view: View, point: Point) -> Path:
    """Return the name of a picture that nobody named."""
    at = view.display.token or "-".join(f"{value:.0f}" for value in point)
    return Path(f"{Path(capture.clip.name).stem}-{view.block.replace(', ', '-')}-{at}.png")
