"""`nlviz predict`: what a network answers, for one clip or for 30 views of a video."""

from __future__ import annotations

from typing import Annotated

import typer

from nlviz.cli.terminal import DeviceOption, FamilyOption, FlagsOption, ProgressBar


def predict(
    clip: Annotated[str, typer.Argument(help="A video or picture, or the name of a bundled one.")],
    model: Annotated[str, typer.Option(help="A name that `nlviz models` prints.")] = "lite-nl",
    weights: Annotated[
        str | None, typer.Option(help="A file of weights, in place of a model's name.")
    ] = None,
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
    device: DeviceOption = "auto",
) -> None:
    """Print a network's most probable labels for a clip."""
    from nlviz.captures.thirty_views import ONE_CLIP, sees_video, thirty_views
    from nlviz.clips.clip import read_clip
    from nlviz.clips.inputs import find_input
    from nlviz.families.reading.flags import parsed_flags
    from nlviz.zoo.load import load_model

    path = find_input(clip)
    with ProgressBar() as tell:
        loaded = load_model(
            weights or model,
            device=device,
            family=family,
            progress=tell.part(0.0, 0.3),
            **parsed_flags(flags or ()),
        )
        if views:
            found = thirty_views(loaded, path, progress=tell.part(0.3, 1.0))
            answers, note = found.prediction(top), found.note
        else:
            spec = loaded.input_spec
            sampled = read_clip(
                path,
                frames=(spec.frames if spec else None) or 8,
                stride=spec.stride if spec else None,
            )
            tell("Running the network", 0.6)
            shot = loaded.capture(sampled)
            answers = shot.prediction(top)
            note = ONE_CLIP if sees_video(loaded) else ""
    if not answers:
        from nlviz.errors import NlvizError

        raise NlvizError(f"{loaded.about.name} has no classes to answer with; take a classifier")
    for label, probability in answers:
        typer.echo(f"{probability:7.2%}  {label}")
    if note:
        typer.echo(note, err=True)
