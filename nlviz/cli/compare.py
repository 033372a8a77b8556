"""`nlviz compare`: one query in two blocks, heads, networks or clips, drawn side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlviz.cli.terminal import (
    DeviceOption,
    FamilyOption,
    FlagsOption,
    FramesOption,
    ModelOption,
    ProgressBar,
    SizeOption,
    StartOption,
    StrideOption,
    WeightsOption,
)
from nlviz.views.display import SOURCES

if TYPE_CHECKING:
    from nlviz.analysis.compare import Comparison
    from nlviz.captures.capture import Capture
    from nlviz.progress import Progress

SAME = "by default as of A"


def compare(
    clip: Annotated[
        str,
        typer.Argument(help="A video, a picture, a saved capture, or a bundled input's name: A's."),
    ],
    other: Annotated[
        str | None, typer.Argument(help="B's input; by default A's.", metavar="[OTHER]")
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(
            metavar="FRAME,Y,X",
            help="Sampled frame and pixel of A, from 0; or a token without a place, cls. By "
            "default by a stated rule.",
        ),
    ] = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    other_model: Annotated[
        str | None, typer.Option(help=f"Name or file of B's network, {SAME}.")
    ] = None,
    block: Annotated[str, typer.Option(help="Name of A's block; LAST is the last one.")] = "LAST",
    other_block: Annotated[str | None, typer.Option(help=f"Of B, {SAME}.")] = None,
    head: Annotated[str, typer.Option(help="A's head from 0, mean or max.")] = "mean",
    other_head: Annotated[str | None, typer.Option(help=f"Of B, {SAME}.")] = None,
    source: Annotated[
        str, typer.Option(help=f"What A shows: {', '.join(SOURCES[:-1])} or {SOURCES[-1]}.")
    ] = SOURCES[0],
    other_source: Annotated[str | None, typer.Option(help=f"Of B, {SAME}.")] = None,
    crossed: Annotated[
        bool, typer.Option("--crossed", help="B is A's query over the keys of the other input.")
    ] = False,
    start: StartOption = 0.0,
    stride: StrideOption = None,
    frames: FramesOption = None,
    size: SizeOption = None,
    device: DeviceOption = "auto",
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="both.png, .pdf, .svg, .gif, .mp4, .html or .json; may be repeated.",
        ),
    ] = None,
) -> None:
    """Compare one query in two views: the difference, and how far they agree beside chance."""
    from nlviz.analysis.compare import Side, compare_views
    from nlviz.captures.capture import read_capture
    from nlviz.captures.file_format import is_capture
    from nlviz.cli.loading import OF_CLIPS, loaded, sampled_for
    from nlviz.cli.queries import Asked
    from nlviz.errors import NlvizError
    from nlviz.files.local import suffix_of
    from nlviz.render.compared import KINDS, save_views
    from nlviz.views.display import parsed

    for path in output or ():  # before seconds of work
        suffix_of(path, KINDS, what="a comparison of views")
    asked = Asked.parse(query, None, words=False)
    heads = parsed("head", head), parsed("head", other_head or head)
    if crossed and (other is None or other_model or other_block or other_source):
        raise NlvizError(
            "queries of one input ask keys of another in one block of one network; give a second "
            "input, and leave --other-model, --other-block and --other-source out"
        )
    first = weights or model or OF_CLIPS
    known: dict[tuple[str, str], Capture] = {}

    def captured(path: str, name: str, tell: Progress) -> Capture:
        if is_capture(path):
            return read_capture(path)
        if (path, name) not in known:
            own = name == first
            net = loaded(
                name,
                tell.part(0.0, 0.3),
                device=device,
                family=family if own else None,
                flags=flags if own else None,
            )
            sampled = sampled_for(
                net, path, tell.part(0.3, 0.4),
                start=start, stride=stride, frames=frames, size=size, fps=None, rate=None,
            )  # fmt: skip
            known[path, name] = net.capture(sampled, progress=tell.part(0.4, 1.0))
        return known[path, name]

    with ProgressBar() as tell:
        a = captured(clip, first, tell.part(0.0, 0.4))
        b = captured(other or clip, other_model or first, tell.part(0.4, 0.8))
        name = "" if block == "LAST" else block
        one = Side(a, name, heads[0], source)
        named = other_block or (one.block if one.block in b.affinities else "")
        two = (
            Side(a, one.block, heads[1], keys_of=b)
            if crossed
            else Side(b, named, heads[1], other_source or source)
        )
        found = compare_views(one, two, query=asked.name or asked.point)
        for path in output or ():
            save_views(found, path, progress=tell.part(0.8, 1.0))
    _print(found)
    for path in output or ():
        typer.echo(str(path))


def _print(found: Comparison) -> None:
    """Print both sides, how far they agree and the figures, and on stderr what must be known."""
    from nlviz.cli.terminal import print_notes
    from nlviz.words.compare import comparison_lines, figure_rows

    typer.echo(f"A  {found.a.label}\nB  {found.b.label}")
    for line in comparison_lines(found):
        typer.echo(f"{line.value:>7}  {line.label}" if line.value else f"         {line.label}")
        if line.meaning:
            typer.echo(f"         {line.meaning}")
    rows = figure_rows(found)
    typer.echo(f"{'A':>9} {'B':>9} {'B minus A':>10}")
    for row in rows:
        typer.echo(f"{row['A']:>9} {row['B']:>9} {row['B minus A']:>10}  {row['what']}")
    print_notes(found.notes)
