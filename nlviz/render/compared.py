"""Two views of one query as a figure or a movie: A, B and B minus A, one colour scale for both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap
from nlviz.analysis.compare import Comparison, Side, compare_views
from nlviz.captures.capture import Capture
from nlviz.errors import InvalidView, NlvizError, did_you_mean
from nlviz.files.local import suffix_of, write_whole
from nlviz.progress import Listener, Progress
from nlviz.render import movie
from nlviz.render.colour_scale import ColourScale, scale_of
from nlviz.render.figure import sheet_of
from nlviz.render.frame_maps import Look
from nlviz.render.moving_pictures import gif_of, mp4_of
from nlviz.render.overlay import Overlay
from nlviz.render.sheet import Sheet
from nlviz.views.compare_view import CompareView
from nlviz.views.display import Display
from nlviz.web.bundle import LINKED
from nlviz.web.notebook import WITHOUT_SERVER
from nlviz.web.payloads.linked import linked_view
from nlviz.words.compare import ONE_SCALE, comparison_sentences
from nlviz.words.rows import place_text

KINDS = ("png", "pdf", "svg", "gif", "mp4", "html", "json")  # what a comparison is saved as
FIRST_DISPLAY = Display(show="map")
BETWEEN = 8  # pixels between the pictures of a movie
SIDE = 480  # longest side of each of them, in pixels

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _OneScale(ColourScale):
    """The colour scale of two maps, or of their difference."""

    what: str = "Weight"

    @property
    def title(self) -> str:
        """What the colour bar shows."""
        unit = {"uniform": ", × uniform attention", "cosine": ", cosine"}.get(self.unit, "")
        return f"{self.what}{unit}"


def save_views(
    found: Comparison,
    path: str | Path,
    *,
    display: Display | Mapping[str, Any] | None = None,
    progress: Listener | None = None,
) -> Path:
    """Save a comparison as .png, .pdf, .svg, .gif, .mp4, .html or .json, by its ending.

    The first three are a figure of A, B and B minus A, the movies show the three side by side, the
    page shows two live views that are moved as one, and ``nlviz render`` draws the .json again.

    Args:
        found: the comparison.
        path: where to; the file is written whole or not at all.
        display: how maps are drawn, see ``Display``; the map alone by default.
        progress: called with a sentence and a share in [0, 1].

    Returns:
        The path.

    Raises:
        NlvizError: for another ending, one that this comparison has no such file of, or when the
            file cannot be written.

    >>> import nlviz, tempfile
    >>> clip = nlviz.read_clip(nlviz.bundled_inputs()["coffee.jpg"], size=96)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> found = nlviz.compare_views((capture, "stage3"), (capture, "stage4"), query=(0, 40, 60))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nlviz.save_views(found, folder + "/both.png").name
    'both.png'
    """
    kind = suffix_of(path, KINDS, what="a comparison of views")
    return write_whole(path, views_bytes(kind, found, display=display, progress=progress))


def views_bytes(
    kind: str,
    found: Comparison,
    *,
    display: Display | Mapping[str, Any] | None = None,
    progress: Listener | None = None,
) -> bytes:
    """Return the bytes of a file of this kind, see :func:`save_views`.

    Raises:
        InvalidView: when there is no such kind.
        NlvizError: when this comparison has no such file.
    """
    if kind not in KINDS:
        raise InvalidView(f"a comparison is saved as {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    shown = display if isinstance(display, Display) else _display(display)
    if kind == "json":
        return _json(found, shown).encode()
    if kind == "html":
        container = linked_view(found, display=shown, limit=WITHOUT_SERVER)
        return LINKED.page(container, title=title_of(found)).encode()
    drawn = drawn_sides(found, shown)
    if kind in ("gif", "mp4"):
        return _movie(kind, found, drawn, Progress.of(progress))
    sheet = stacked(drawn)
    metadata = _metadata(found, shown)
    if kind == "png":
        return sheet.png(key="nlviz.view", metadata=metadata)
    title = title_of(found)
    return sheet.vector("pdf" if kind == "pdf" else "svg", title=title, metadata=metadata)


def title_of(found: Comparison) -> str:
    """Return the title of a comparison: what both sides are called."""
    return f"A · {found.a.label} | B · {found.b.label}"


def _display(given: Mapping[str, Any] | None) -> Display:
    return Display.from_dict({**FIRST_DISPLAY.to_dict(), **(given or {})})


def _metadata(found: Comparison, display: Display) -> str | None:
    """Return the JSON of the view; None where a side shows what no file names."""
    try:
        return _json(found, display)
    except InvalidView:
        return None


def _json(found: Comparison, display: Display) -> str:
    """Return the JSON of the view.

    Raises:
        InvalidView: when a side shows what no file names: an affinity, or a pass, of one's own.
    """
    changes = [*found.a.changes, *found.b.changes]
    if changes:
        raise InvalidView(
            "a view says what is shown, not how an input or a pass was changed "
            f"({'; '.join(changes)}), and would be drawn without it; save a picture or a page"
        )
    return CompareView.of(found, display=display).to_json()


def comparison_of(view: CompareView, a: Capture, b: Capture) -> Comparison:
    """Return the comparison that a view shows.

    Args:
        view: the view.
        a: capture of its first input by its first network.
        b: of the second ones.

    Raises:
        NlvizError: what ``nlviz.compare_views`` raises.
    """
    return compare_views(*view.sides(a, b), query=view.query)


def drawn_sides(found: Comparison, display: Display = FIRST_DISPLAY) -> list[Overlay]:
    """Return A, B and, where there is one, B minus A as overlays, on one scale.

    >>> import nlviz
    >>> clip = nlviz.read_clip(nlviz.bundled_inputs()["coffee.jpg"], size=96)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> found = nlviz.compare_views((capture, "stage3"), (capture, "stage4"), query=(0, 40, 60))
    >>> [drawn.title.partition(" · ")[0] for drawn in drawn_sides(found)]
    ['A', 'B', 'B minus A']
    """
    told = comparison_sentences(found)
    drawn = [_side(found, which, side, row, display) for which, side, row in _lettered(found)]
    if found.difference is None:
        drawn[-1] = replace(drawn[-1], notes=(*drawn[-1].notes, *told))
        return drawn
    scale = _scale(found.difference, None, "B minus A")
    look = _look(scale, display, found.a, found.difference)
    about = "Where B gives more than A, and where it gives less"
    more = Overlay(
        found.a.clip, found.difference, look, title="B minus A", about=about, notes=tuple(told)
    )
    return [*drawn, more]


def _lettered(found: Comparison) -> list[tuple[str, Side, AttentionMap]]:
    return [(letter, side, row) for letter, (side, row) in zip("AB", found.sides, strict=True)]


def _side(
    found: Comparison, which: str, side: Side, row: AttentionMap, display: Display
) -> Overlay:
    capture = side.capture
    scale = _scale(row, found.top, "Weight" if row.values == "weights" else "Weight minus mean row")
    notes = [] if found.top is None else [ONE_SCALE]
    if side.keys_of is not None:
        own = replace(row, keys=side.shown.queries, apart=False)
        place = place_text(capture.clip, own)
        notes.append(f"Asked: {place} of {capture.clip.name}; no place of this clip is the query.")
    return Overlay(
        side.clip,
        row,
        _look(scale, display, side, row),
        title=f"{which} · {side.label}",
        about=capture.about.training,
        notes=(*notes, *capture.notes),
        objects=capture.detections if display.objects == "shown" else (),
    )


def _scale(row: AttentionMap, top: float | None, what: str) -> _OneScale:
    made = scale_of(row, top=top)
    given = {field.name: getattr(made, field.name) for field in fields(made)}
    return _OneScale(**given | {"fixed": False}, what=what)


def _look(scale: ColourScale, display: Display, side: Side, row: AttentionMap) -> Look:
    asked = side.shown.queries if side.direction == "from" else side.shown.keys
    marked = not row.token and side.keys_of is None
    own = row.values != "difference" or row.keys == side.shown.keys
    return Look(
        scale,
        smooth=display.cells == "smooth",
        strength=display.strength,
        show_map=display.show != "links" or row.values == "difference",
        links=0 if display.show == "map" or not marked else display.links,
        marked=marked,
        cell=(asked.stride[1], asked.stride[2]) if own and asked.kind == "grid" else None,
    )


def stacked(drawn: list[Overlay]) -> Sheet:
    """Return a page with one figure below the other."""
    page = sheet_of(drawn[0])
    for each in drawn[1:]:
        sheet_of(each, below=page)
    return page


def _movie(kind: str, found: Comparison, drawn: list[Overlay], progress: Progress) -> bytes:
    """Return the three side by side as a movie, which runs as long as the longer of both clips."""
    if any(each.attention.keys.kind in ("line", "nodes") for each in drawn):
        raise NlvizError(
            "a movie of a comparison runs through the frames of clips, these are no clips; save a "
            ".png, .pdf or .svg"
        )
    clip = max((each.clip for each in drawn), key=lambda each: len(each.frames))
    pages = _side_by_side(drawn, progress, len(clip.frames))
    notes = " ".join(dict.fromkeys(n for each in drawn for n in movie.notes_of(each)))
    if kind == "mp4":
        return mp4_of(pages, clip, title=title_of(found), comment=notes)
    return gif_of([movie.indexed(page, *drawn) for page in pages], clip, comment=notes)


def _side_by_side(drawn: list[Overlay], progress: Progress, count: int) -> Iterator[Picture]:
    """Yield the pages of all movies in one row; one that has ended stays as it is."""
    named = [replace(each, notes=(f"{each.title}.", *each.notes)) for each in drawn]
    last: list[Picture | None] = [None] * len(drawn)
    for number, pages in enumerate(zip_longest(*(movie.pages(each, most=SIDE) for each in named))):
        last = [old if page is None else page for page, old in zip(pages, last, strict=True)]
        there = [page for page in last if page is not None]
        high = max(page.shape[0] for page in there)
        tall = [
            np.pad(page, ((0, high - page.shape[0]), (0, BETWEEN), (0, 0)), constant_values=20)
            for page in there
        ]
        yield np.concatenate(tall, 1)[:, :-BETWEEN]
        progress("Drawing the frames", (number + 1) / count)
