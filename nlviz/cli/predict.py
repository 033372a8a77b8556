"""`nlviz predict`: what a network answers, for one clip or for 30 views of a video."""

from __future__ import annotations

from typing import Annotated

import typer

from nlviz.cli.terminal import (
    DeviceOption,
    FamilyOption,
    FlagsOption,
    ModelOption,
    ProgressBar,
    RateOption,
    TextFileOption,
    TextOption,
    WeightsOption,
    print_notes,
)


def predict(
    clip: Annotated[
        str | None,
        typer.Argument(
            help="A video or picture, or the name of a bundled one; none for a text alone."
        ),
    ] = None,
    text: TextOption = None,
    text_file: TextFileOption = None,
    model: ModelOption = None,
    weights: WeightsOption = None,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    views: Annotated[
        bool,
        typer.Option(
            "--views",
            help="Average 10 clips x 3 crops of the whole video, as published accuracies do.",
        ),
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="How many labels to print.")] = 5,
    rate: RateOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Print a network's most probable labels for a clip or a text."""
    from nlviz.captures.thirty_views import ONE_CLIP, sees_video, thirty_views
    from nlviz.cli.loading import OF_CLIPS, OF_TEXTS, clip_for, given_text, loaded
    from nlviz.clips.inputs import find_input
    from nlviz.errors import NlvizError

    words = given_text(text, text_file, clip=clip)
    path = None if clip is None else find_input(clip)  # told before the network is loaded
    if views and (words is not None or path is None):
        raise NlvizError("30 views are of a video alone; leave --views out")
    name = weights or model or (OF_TEXTS if clip is None else OF_CLIPS)
    with ProgressBar() as tell:
        net = loaded(name, tell.part(0.0, 0.3), device=device, family=family, flags=flags)
        if views and path is not None:
            found = thirty_views(net, path, rate=rate, progress=tell.part(0.3, 1.0))
            answers, note, known = found.prediction(top), found.note, found.notes
        else:
            tell("Running the network", 0.3)
            if clip is None and words is not None:
                capture = net.capture(words)
            elif clip is not None:
                sampled = clip_for(net, clip, tell.part(0.3, 0.6), rate=rate)
                capture = net.capture(sampled, text=words)
            answers, known = capture.prediction(top), capture.all_notes
            note = ONE_CLIP if sees_video(net) and words is None else ""
    if not answers:
        raise NlvizError(f"{net.about.name} has no classes to answer with; take a classifier")
    for label, probability in answers:
        typer.echo(f"{probability:7.2%}  {label}")
    if note:
        typer.echo(note, err=True)
    print_notes(known)
