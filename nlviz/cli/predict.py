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
    WeightsOption,
    print_notes,
)


def predict(
    clip: Annotated[str, typer.Argument(help="A video or picture, or the name of a bundled one.")],
    model: ModelOption = "lite-nl",
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
    """Print a network's most probable labels for a clip."""
    from nlviz.captures.thirty_views import ONE_CLIP, sees_video, thirty_views
    from nlviz.cli.loading import clip_for, loaded
    from nlviz.clips.inputs import find_input
    from nlviz.errors import NlvizError

    path = find_input(clip)  # a wrong path is reported before the network is loaded
    with ProgressBar() as tell:
        net = loaded(
            weights or model, tell.part(0.0, 0.3), device=device, family=family, flags=flags
        )
        if views:
            found = thirty_views(net, path, rate=rate, progress=tell.part(0.3, 1.0))
            answers, note, known = found.prediction(top), found.note, found.notes
        else:
            sampled = clip_for(net, clip, tell.part(0.3, 0.6), rate=rate)
            tell("Running the network", 0.6)
            capture = net.capture(sampled)
            answers, known = capture.prediction(top), capture.all_notes
            note = ONE_CLIP if sees_video(net) else ""
    if not answers:
        raise NlvizError(f"{net.about.name} has no classes to answer with; take a classifier")
    for label, probability in answers:
        typer.echo(f"{probability:7.2%}  {label}")
    if note:
        typer.echo(note, err=True)
    print_notes(known)
