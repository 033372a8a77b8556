"""`nlviz site`: a folder of live views with a gallery, for a web server or a static Space."""

from __future__ import annotations

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
    from nlviz.captures.capture import Capture
    from nlviz.cli.render import How
    from nlviz.render.site_cards import Card
    from nlviz.views.compare_view import CompareView
    from nlviz.views.view import View


def site(
    views: Annotated[
        list[Path],
        typer.Argument(
            metavar="VIEW...",
            help="Views (.json), captures (.nlviz) and pages that nlviz exported (.html).",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder.")],
    title: Annotated[str, typer.Option(help="Title of the gallery.")] = "",
    about: Annotated[str, typer.Option(help="A sentence below the title.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the pages, as it is to be said.")] = "",
    clips: Annotated[
        Path | None,
        typer.Option(help="Folder of clips that are neither bundled nor beside their view."),
    ] = None,
    weights: WeightsOption = None,
    family: FamilyOption = None,
    flags: FlagsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Write a folder of live views that needs no server: all of them, or none."""
    from nlviz.cli.render import How
    from nlviz.errors import NlvizError
    from nlviz.render.site import write_site
    from nlviz.render.site_cards import in_words
    from nlviz.sentences import counted

    cards: list[Card] = []
    wrong: list[str] = []
    last = _Last()
    with ProgressBar() as tell:
        for number, path in enumerate(views):
            part = tell.part(0.9 * number / len(views), 0.9 * (number + 1) / len(views))
            how = How(path.parent, None, weights, device, family, flags)
            try:
                cards.append(_card(path, how, clips, last, part))
            except NlvizError as error:
                said = str(error)
                named = said if said.startswith(path.name) else f"{path}: {said}"
                wrong.append(named)
        if wrong:
            raise NlvizError(
                f"{counted(len(wrong), 'view')} of {len(views)} cannot be shown, so that nothing "
                "was written. " + " ".join(f"{one.rstrip('.')}." for one in wrong)
            )
        cards = list({card.name: card for card in cards}.values())  # given twice, shown once
        index = write_site(
            cards, output, title=title, about=about, licence=licence, progress=tell.part(0.9, 1.0)
        )
    typer.echo(str(index))
    typer.echo(
        f"{in_words(cards)}, works from disk; for a Space of Hugging Face: "
        f"hf upload OWNER/NAME {output} . --repo-type space",
        err=True,
    )


class _Last:
    """The pass of the view before: those of one clip and network mostly follow each other."""

    def __init__(self) -> None:
        self.key: object = None
        self.capture: Capture | None = None

    def of(self, view: View, how: How, tell: Progress, *, asked: bool = True) -> Capture:
        from nlviz.captures.feature_captures import OF_FEATURES
        from nlviz.cli.render import capture_of

        key = (view.clip, view.model, view.text, how.beside, how.clip, how.weights)
        kept = self.capture
        whole = view.display.source not in OF_FEATURES
        if kept is not None and self.key == key and whole and view.block in kept.affinities:
            if asked:
                kept.clip.check(**view.query._asdict())
            return kept
        self.capture = None  # one pass at a time
        self.capture, self.key = capture_of(view, how, tell, asked=asked), key
        return self.capture


def _card(path: Path, how: How, clips: Path | None, last: _Last, tell: Progress) -> Card:
    from nlviz.captures.file_format import is_capture
    from nlviz.errors import InvalidView
    from nlviz.render.site_cards import card_of_page
    from nlviz.views.compare_view import CompareView
    from nlviz.views.denoise_view import DenoiseView
    from nlviz.views.reading import read_view

    if path.suffix.lower() in (".html", ".htm"):
        return card_of_page(path)
    if path.is_file() and is_capture(path):
        return _of_capture(path)
    view = read_view(path)
    if isinstance(view, DenoiseView):
        raise InvalidView(
            f"{path.name} is a view of denoisers, which has no page of its own; draw it with "
            "`nlviz render`, and leave it out here"
        )
    if isinstance(view, CompareView):
        return _of_comparison(view, how, clips, last, tell)
    from nlviz.analysis.controls import controls
    from nlviz.render.site_cards import card_of_view

    capture = last.of(view, _with_clip(how, view, clips), tell)
    source = view.display.source
    affinities = controls(capture, view.block)
    if source not in affinities:
        raise InvalidView(f"{path.name}: {view.block} has no source {source!r}")
    return card_of_view(capture, affinities[source], view, licences=_licences(view))


def _of_capture(path: Path) -> Card:
    """Return the card of a capture: its last block, at the point that it opens at."""
    from nlviz.analysis.opening_query import opening_query
    from nlviz.captures.capture import read_capture
    from nlviz.errors import InvalidView
    from nlviz.render.site_cards import card_of_view
    from nlviz.views.view import View

    capture = read_capture(path)
    if not len(capture.affinities):
        raise InvalidView(f"{path.name} holds no block that can be shown")
    block = list(capture.affinities)[-1]
    affinity = capture.affinities[block]
    at, _ = opening_query(capture.clip, affinity)
    view = View.of(capture, block, frame=at.frame, y=at.y, x=at.x)
    return card_of_view(capture, affinity, view, licences=_licences(view))


def _of_comparison(
    view: CompareView, how: How, clips: Path | None, last: _Last, tell: Progress
) -> Card:
    from nlviz.captures.feature_captures import OF_FEATURES
    from nlviz.render.compared import comparison_of
    from nlviz.render.site_cards import card_of_comparison

    a = last.of(view.a, _with_clip(how, view.a, clips), tell.part(0.0, 0.5))
    source, block = view.b.display.source, view.b.block
    there = block in a.affinities and (source not in OF_FEATURES or block in a.features)
    b = a
    if not (view.same_pass and there):
        other = _with_clip(how.of_other(view), view.b, clips)
        b = last.of(view.b, other, tell.part(0.5, 0.9), asked=not view.crossed)
    licences = tuple(dict.fromkeys((*_licences(view.a), *_licences(view.b))))
    return card_of_comparison(comparison_of(view, a, b), view, licences=licences)


def _with_clip(how: How, view: View, clips: Path | None) -> How:
    """Say that a view's clip lies in the folder of clips, where it does."""
    from dataclasses import replace

    path = None if clips is None else clips / view.clip.name
    return replace(how, clip=path) if path is not None and path.exists() else how


def _licences(view: View) -> tuple[tuple[str, str], ...]:
    """Return the licences of clip and network that are known, each with what it is of."""
    from nlviz.render.site_cards import clip_licence
    from nlviz.zoo.cards import CARDS

    found = []
    if licence := clip_licence(view.clip.name):
        found.append((view.clip.name, licence))
    card = CARDS.get(view.model.name)
    if card is not None and card.licence:
        found.append((view.model.name, card.licence))
    return tuple(found)
