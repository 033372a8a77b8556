"""`nlviz test`: whether a map is content, position or a sink, and whether it matters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    TextFileOption,
    TextOption,
    WeightsOption,
)

if TYPE_CHECKING:
    from nlviz.affinity.asked import Query
    from nlviz.analysis.verdict import Verdict
    from nlviz.captures.capture import Capture
    from nlviz.cli.queries import Asked


def test(
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
    text: TextOption = None,
    text_file: TextFileOption = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    block: Annotated[str, typer.Option(help="Name of the block; LAST is the last one.")] = "LAST",
    head: Annotated[str, typer.Option(help="A head from 0, or mean.")] = "mean",
    top: Annotated[int, typer.Option(min=1, help="Links that are cut at least.")] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of as many other links.")] = 8,
    contents: Annotated[
        int, typer.Option(min=1, help="Other inputs that tell content from position.")
    ] = 6,
    start: StartOption = 0.0,
    stride: StrideOption = None,
    frames: FramesOption = None,
    size: SizeOption = None,
    fps: FpsOption = None,
    rate: RateOption = None,
    device: DeviceOption = "auto",
    autocast: AutocastOption = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="verdict.png, .pdf, .svg or .json; may be repeated."),
    ] = None,
) -> None:
    """Say what a map follows from and whether the answer depends on it, with all figures."""
    from nlviz.analysis.verdict import verdict
    from nlviz.captures.capture import read_capture
    from nlviz.captures.file_format import is_capture
    from nlviz.cli.loading import OF_CLIPS, OF_TEXTS, given_text, loaded, sampled_for
    from nlviz.cli.queries import Asked
    from nlviz.clips.graph import is_graph
    from nlviz.clips.inputs import find_input
    from nlviz.files.local import suffix_of
    from nlviz.render.verdict_figure import KINDS, save_verdict
    from nlviz.views.display import Display, parsed

    for path in output or ():  # before seconds of work
        suffix_of(path, KINDS, what="a verdict")
    words = given_text(text, text_file, clip=clip)
    saved = read_capture(clip) if clip is not None and is_capture(clip) else None
    of_words = words is not None or (saved is not None and saved.text is not None)
    of_words = of_words or (clip is not None and is_graph(find_input(clip)))
    asked = Asked.parse(query, None, words=of_words)
    display = Display(head=parsed("head", head))
    with ProgressBar() as tell:
        if saved is not None:
            capture = saved
        else:
            net = loaded(
                weights or model or (OF_TEXTS if clip is None else OF_CLIPS),
                tell.part(0.0, 0.2),
                device=device,
                family=family,
                flags=flags,
                autocast=autocast,
            )
            sampled = words if clip is None else sampled_for(
                net, clip, tell.part(0.2, 0.3),
                start=start, stride=stride, frames=frames, size=size, fps=fps, rate=rate,
            )  # fmt: skip
            assert sampled is not None  # for the type checker: there is a clip or a text
            if asked.point is not None:  # before the network runs
                asked.point.inside(sampled.shape)
            beside = None if clip is None else words
            capture = net.capture(sampled, text=beside, progress=tell.part(0.3, 0.4))
        name = asked.last_block(capture, display) if block == "LAST" else block
        found = verdict(
            capture,
            name,
            _query(asked, capture, name, display),
            head=display.head,
            top=top,
            seeds=seeds,
            contents=contents,
            progress=tell.part(0.4, 0.95),
        )
        for path in output or ():
            save_verdict(found, path)
    print_verdict(found)
    for path in output or ():
        typer.echo(str(path))


def _query(asked: Asked, capture: Capture, block: str, display: object) -> Query:
    """Return the query that the command line asks for: a place, a word or a token."""
    point, shown = asked.placed(capture, capture.affinities[block], display)  # type: ignore[arg-type]
    return shown.token if isinstance(shown.token, str) and shown.token else point


def print_verdict(v: Verdict) -> None:
    """Print the verdict, a line for each figure, and on stderr what must be known."""
    from nlviz.cli.terminal import print_notes
    from nlviz.words.map_verdict import VERDICT_RULES, verdict_lines, verdict_text

    typer.echo(verdict_text(v))
    lines = verdict_lines(v)
    wide = max(len(line.value) for line in lines)
    for line in lines:
        typer.echo(f"{line.value:>{wide}}  {line.label}")
    print_notes((*v.notes, VERDICT_RULES))
