"""`nlviz render`: a saved view, drawn again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlviz.cli.terminal import (
    DeviceOption,
    FamilyOption,
    FlagsOption,
    ProgressBar,
    WeightsOption,
)
from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.captures.model import Capture, Model
    from nlviz.clips.clip import Clip
    from nlviz.views.compare_view import CompareView
    from nlviz.views.denoise_view import DenoiseView
    from nlviz.views.view import View


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
    from nlviz.cli.drawing import check_output, draw
    from nlviz.views.compare_view import CompareView
    from nlviz.views.denoise_view import DenoiseView
    from nlviz.views.reading import read_view
    from nlviz.views.view import find_clip

    wanted = read_view(view)
    output = output or view.with_suffix(".png")
    if isinstance(wanted, DenoiseView):
        picture = find_clip(wanted, beside=view.parent, given=clip)
        _render_comparison(wanted, picture, output)
        return
    how = How(view.parent, clip, weights, device, family, flags)
    if isinstance(wanted, CompareView):
        _render_views(wanted, output, how)
        return
    check_output(output)
    with ProgressBar() as tell:
        capture = capture_of(wanted, how, tell.part(0.0, 0.8))
        draw(output, capture, wanted, tell.part(0.8, 1.0))


@dataclass(frozen=True)
class How:
    """What was said beside the view: where its clip is, and its network."""

    beside: Path
    clip: Path | None
    weights: str | None
    device: str
    family: str | None
    flags: list[str] | None

    def of_other(self, view: CompareView) -> How:
        """Return what was said of the second of two views: of what it shares with the first."""
        a, b = view.a, view.b
        found = self if a.clip.name == b.clip.name else replace(self, clip=None)
        return found if a.model.name == b.model.name else replace(found, weights=None)


def capture_of(wanted: View, how: How, tell: Progress, *, asked: bool = True) -> Capture:
    """Return the capture that a view looks into.

    Args:
        wanted: the view.
        how: what was said beside it.
        tell: progress.
        asked: whether the query lies in it.
    """
    from nlviz.captures.feature_captures import capture_for
    from nlviz.clips.boxes import with_boxes
    from nlviz.clips.inputs import read_input
    from nlviz.errors import WeightsMismatch
    from nlviz.views.view import find_clip

    ref = wanted.clip
    if ref.text is not None:
        sampled: Clip = ref.read()
    else:
        sampled = read_input(
            find_clip(wanted, beside=how.beside, given=how.clip),
            start=ref.start,
            stride=ref.stride,
            frames=ref.frames,
            size=ref.size,
            fps=ref.fps,
            name=ref.name,
            progress=tell.part(0.0, 0.25),
        )
        if ref.boxes:
            sampled = with_boxes(sampled, ref.boxes)
    net = _model(wanted, how.weights, how.device, how.family, how.flags, tell.part(0.25, 0.5))
    capture = capture_for(
        net,
        sampled,
        wanted.block,
        wanted.display.source,
        text=wanted.text,
        progress=tell.part(0.5, 1.0),
    )
    found = capture.about.digest
    if wanted.model.digest and found != wanted.model.digest:
        raise WeightsMismatch(
            f"the view was made with weights of {wanted.model.name} that have the sha256 "
            f"{wanted.model.digest[:12]}..., these have {found[:12]}...; save the view again, "
            "or empty its model.digest to draw it with these"
        )
    at = wanted.query
    if asked:
        capture.clip.check(frame=at.frame, y=at.y, x=at.x)
    return capture


def _render_views(view: CompareView, output: Path, how: How) -> None:
    """Draw two views side by side; what both have in common is loaded, read and run once."""
    from nlviz.captures.feature_captures import OF_FEATURES
    from nlviz.files.local import suffix_of
    from nlviz.render.compared import KINDS, comparison_of, save_views

    suffix_of(output, KINDS, what="a comparison of views")
    with ProgressBar() as tell:
        a = capture_of(view.a, how, tell.part(0.0, 0.4))
        source, block = view.b.display.source, view.b.block
        there = block in a.affinities and (source not in OF_FEATURES or block in a.features)
        if view.same_pass and there:
            b = a
        else:
            b = capture_of(view.b, how.of_other(view), tell.part(0.4, 0.8), asked=not view.crossed)
        found = comparison_of(view, a, b)
        save_views(found, output, display=view.a.display, progress=tell.part(0.8, 1.0))
    typer.echo(str(output))


def _render_comparison(view: DenoiseView, path: Path, output: Path) -> None:
    """Compute what a view of the Denoise page shows, and save its figure, table or JSON."""
    from nlviz.files.local import suffix_of
    from nlviz.render.comparison_files import KINDS, comparison_of, save_comparison

    suffix_of(output, KINDS, what="a view of denoisers")
    with ProgressBar() as tell:
        save_comparison(comparison_of(view, path, progress=tell), output)
    typer.echo(str(output))


def _model(
    view: View,
    weights: str | None,
    device: str,
    family: str | None,
    flags: list[str] | None,
    tell: Progress,
) -> Model:
    """Load the view's model, or what stands in for it.

    A view may come from a stranger: code that its model's name would run is not run.

    Raises:
        UnknownModel: when the view names a file of weights, or a function.
    """
    from nlviz.cli.loading import loaded, options
    from nlviz.errors import UnknownModel
    from nlviz.zoo.load import load_model
    from nlviz.zoo.python_models import is_function

    if weights is not None:
        return loaded(
            weights,
            tell,
            device=device,
            family=family,
            flags=flags,
            needs_blocks=", features" not in view.block,
        )
    name = view.model.name
    tell("Loading the model", 0.0)
    try:
        return load_model(name, device=device, progress=tell, **options(family, flags))
    except UnknownModel as error:
        if is_function(name):
            raise UnknownModel(
                f"the view was made with a network of your own, {name}, and a view file runs no "
                f"code by itself; if the code is yours, say --weights {name}"
            ) from error
        if " (" not in name:  # a view of a file of weights has the file's name in brackets
            raise
        raise UnknownModel(
            f"the view was made with the weights {name}; say where they are with --weights FILE"
        ) from error
