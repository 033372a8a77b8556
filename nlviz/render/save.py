"""Saving a view: pictures, movies, a page of its own, the view itself, the raw rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.base import Affinity
from nlviz.affinity.reach import asks_without_place
from nlviz.affinity.several import ComposedAffinity, CrossAffinity
from nlviz.affinity.variants import LEARNED, variant_of
from nlviz.analysis.controls import controls
from nlviz.analysis.rollout import RolloutAffinity
from nlviz.captures.model import Capture
from nlviz.clips.point import Point
from nlviz.errors import InvalidView, did_you_mean
from nlviz.files.local import KINDS, suffix_of, write_whole
from nlviz.progress import Listener
from nlviz.render.colour_scale import Unit, scale_of
from nlviz.render.frame_maps import Look
from nlviz.render.overlay import Overlay
from nlviz.views.display import Display
from nlviz.views.view import View
from nlviz.words.receipt import receipt_caption
from nlviz.words.tokens import token_sentence

MOST_PAGES = 48  # of a movie that goes through the words of a text


def save(
    path: str | Path,
    capture: Capture,
    affinity: Affinity,
    view: View,
    *,
    progress: Listener | None = None,
) -> Path:
    """Save a view as the kind of file that the path's ending asks for.

    .png, .pdf and .svg a film strip (text and marks as vectors in the last two), .gif and .mp4 the
    clip under the map, .html the live view as one page that works offline, .json the view itself,
    .npz the raw rows, .rrd a recording for the viewer of Rerun (``nlviz.render.recording``). The
    file is written whole or not at all.

    Args:
        path: where to.
        capture: what the forward pass gave.
        affinity: what is shown: the block's own, or the control that ``view.display.source`` names.
        view: block, query and display.
        progress: called with a sentence and a share in [0, 1].

    Returns:
        The path.

    Raises:
        NlvizError: for another ending, or when the file cannot be written.
    """
    kind = suffix_of(path, KINDS, what="a view")
    return write_whole(path, render_bytes(kind, capture, affinity, view, progress=progress))


def save_view(
    capture: Capture, view: View, path: str | Path, *, progress: Listener | None = None
) -> Path:
    """Save a view of a capture as .png, .gif, .mp4, .html, .json, .npz or .rrd, by its ending.

    The affinity is the one that ``view.display.source`` names: the block's own or a control.

    Args:
        capture: the forward pass that the view looks into.
        view: block, query and display.
        path: where to; the file is written whole or not at all.
        progress: called with a sentence and a share in [0, 1].

    Returns:
        The path.

    Raises:
        NlvizError: for another ending, an unknown block or source, or when the file cannot be
            written.

    >>> import tempfile, nlviz
    >>> clip = nlviz.read_clip(nlviz.bundled_inputs()["coffee.jpg"], size=96)
    >>> capture = nlviz.load_model("lite-nl").capture(clip)
    >>> view = nlviz.View.of(capture, "stage4", frame=0, y=40, x=60, display={"source": "features"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nlviz.save_view(capture, view, folder + "/look.png").name
    'look.png'
    """
    affinities = controls(capture, view.block)
    source = view.display.source
    if source not in affinities:
        raise InvalidView(
            f"{view.block} has no source {source!r}{did_you_mean(source, affinities)}"
        )
    own = capture.affinities[view.block]
    if view.display.token and _word(own, view.display) is None:
        own.named_token(view.display.token)
    return save(path, capture, affinities[source], view, progress=progress)


def render_bytes(
    kind: str,
    capture: Capture,
    affinity: Affinity,
    view: View,
    *,
    progress: Listener | None = None,
) -> bytes:
    """Return the bytes of a file of this kind, see ``save``.

    Raises:
        InvalidView: when there is no such kind, or a JSON would be drawn again without what was
            changed of the capture.
    """
    if kind == "json":
        if capture.changes:
            raise InvalidView(
                "a view says what is shown, not how an input or a pass was changed "
                f"({'; '.join(capture.changes)}), and would be drawn without it; save a picture or "
                "a page"
            )
        return view.to_json().encode()
    if kind == "npz":
        return _npz(capture, affinity, view)
    if kind == "html":
        return _html(capture, view)
    if kind not in KINDS:
        raise InvalidView(f"a view is saved as {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    if kind == "rrd":
        return _rrd(capture, affinity, view, progress)
    drawn = overlay_of(capture, affinity, view)
    told = None if capture.changes else view.to_json()
    return drawn.to_bytes(kind, metadata=told, progress=progress)


def attention_of(affinity: Affinity, view: View) -> AttentionMap:
    """Return the map that a view shows: its direction, head, values and what it leaves out."""
    affinity = _of_display(affinity, view.display)
    display, at = _shown(affinity, view.display), view.query
    if display.token:
        direction = display.direction
        return affinity.map(token=display.token, head=display.head, direction=direction)
    logits = display.values == "logits"
    attention = affinity.map(
        frame=at.frame,
        y=at.y,
        x=at.x,
        head=display.head,
        direction=display.direction,
        values="logits" if logits else "weights",
    )
    if display.leave_out == "nothing":
        return attention
    rest = attention.without(display.leave_out)
    # Logits and similarities have no mass.
    return replace(rest, left_out=0.0) if logits or attention.values == "similarity" else rest


def overlay_of(capture: Capture, affinity: Affinity, view: View) -> Overlay:
    """Return a view as an overlay with its title and caption."""
    affinity = _of_display(affinity, view.display)
    display = _shown(affinity, view.display)
    attention = attention_of(affinity, view)
    unit: Unit = "logit" if display.values == "logits" else display.unit
    if isinstance(affinity, CrossAffinity):  # several rows have no common uniform attention
        unit = "absolute"
    scale = scale_of(
        attention,
        top=display.top if display.scale == "locked" else None,
        per_frame=display.scale == "frame",
        logarithmic=display.scale == "log",
        unit=unit,
    )
    asked = affinity.queries if display.direction == "from" else affinity.keys
    look = Look(
        scale,
        smooth=display.cells == "smooth",
        strength=display.strength,
        show_map=display.show != "links",
        links=0 if display.show == "map" or display.token else display.links,
        marked=not display.token,
        cell=(asked.stride[1], asked.stride[2]) if asked.kind == "grid" else None,
    )
    return Overlay(
        capture.clip,
        attention,
        look,
        title=f"{view.clip.name} · {view.model.name} · {view.block}",
        about=_about(capture, affinity, display),
        notes=(
            *filter(None, (told_of_token(affinity, view.display),)),
            *_notes(affinity, display, view.query),
            *_verified(capture, view),
            *capture.notes,
        ),
        objects=capture.detections if display.objects == "shown" else (),
        sweep=_sweep(affinity, view),
    )


def _sweep(affinity: Affinity, view: View) -> Callable[[], list[AttentionMap]] | None:
    """Return what gives the maps of all words or nodes, or of those around the query; else None."""
    display = _shown(affinity, view.display)
    asked = affinity.queries if display.direction == "from" else affinity.keys
    if display.token or asked.kind not in ("line", "nodes") or affinity.keys.kind != asked.kind:
        return None

    def maps() -> list[AttentionMap]:
        own = asked.nearest(**view.query._asdict())
        first = min(max(own - MOST_PAGES // 2, 0), max(asked.size - MOST_PAGES, 0))
        return [
            attention_of(affinity, replace(view, query=asked.centre(i)))
            for i in range(first, min(first + MOST_PAGES, asked.size))
        ]

    return maps


def _of_display(affinity: Affinity, display: Display) -> Affinity:
    """Return the affinity that a display means: a rollout with its share of the residual path."""
    if isinstance(affinity, RolloutAffinity):
        return affinity.with_residual(display.residual)
    return affinity


def _shown(affinity: Affinity, display: Display) -> Display:
    """Return the display as far as an affinity has it: differences have no logits.

    What is made of several products has none either, and a composition has no heads.

    A token without a place is asked for its row, a word beside the picture for its column, too; an
    affinity without it shows the point.
    """
    several = isinstance(affinity, (CrossAffinity, ComposedAffinity))
    if affinity.row_values == "difference" or several:
        display = replace(display, values="rows")
    if isinstance(affinity, RolloutAffinity):  # a column would take the rows of all queries
        display = replace(display, values="rows", direction="from")
    if several and isinstance(display.head, int) and display.head >= affinity.heads:
        display = replace(display, head="mean")
    if not display.token and affinity.token_names and asks_without_place(affinity):
        display = replace(display, token=affinity.token_names[0])
    if display.token in affinity.token_names:
        return replace(display, values="rows", direction="from", leave_out="nothing")
    if _word(affinity, display) is not None:
        return replace(display, values="rows", leave_out="nothing")
    return replace(display, token="")


def _word(affinity: Affinity, display: Display) -> int | None:
    """Return the number of the word beside the picture that is asked for, or None."""
    grid = affinity.queries if display.direction == "from" else affinity.keys
    number, mark, word = display.token.partition(":")
    if grid.line is None or not mark or not number.isdecimal():
        return None
    at = int(number)
    return at if at < grid.line.size and grid.line.words[at] == word else None


def _about(capture: Capture, affinity: Affinity, display: Display) -> str:
    """Return what the model was trained for, or that something else is shown than the model."""
    variant = variant_of(display.source)
    if variant is not None and variant.caption:
        return variant.caption
    if affinity.pairwise.similarity:
        return "Cosine of the features of this layer, no softmax"
    return capture.about.training


def _notes(affinity: Affinity, display: Display, query: Point) -> tuple[str, ...]:
    notes = []
    if display.token:
        notes.append(token_sentence(display.token, affinity.token_names))
    if isinstance(affinity, (CrossAffinity, ComposedAffinity, RolloutAffinity)):
        notes.append(affinity.note)
    one = display.direction == "from" and display.head != "max"
    if isinstance(affinity, CrossAffinity) and one:
        at = affinity.queries.nearest(**query._asdict())
        notes.append(affinity.masses_text(at, display.head))
    if display.direction == "to":
        notes.append("Weight that every query gives to this key.")
    if affinity.heads > 1:
        head = display.head
        count = affinity.heads
        whole = f"{'Maximum' if head == 'max' else 'Mean'} over {count} heads."
        notes.append(f"Head {head + 1} of {count}." if isinstance(head, int) else whole)
    return tuple(notes)


def told_of_token(affinity: Affinity, display: Display) -> str:
    """Return what to tell where a token is asked for that is no query of what is shown."""
    known = display.token in affinity.token_names or _word(affinity, display) is not None
    if not display.token or known:
        return ""
    return (
        f"{display.token} is no query of {affinity.name}: shown is the row of the outlined place."
    )


def _verified(capture: Capture, view: View) -> tuple[str, ...]:
    """Return the receipt of the block's own rows as a sentence; none of a control."""
    receipt = capture.receipts.get(view.block)
    own = view.display.source == LEARNED.key and view.display.values == "rows"
    return (receipt_caption(receipt.error),) if receipt is not None and own else ()


def _npz(capture: Capture, affinity: Affinity, view: View) -> bytes:
    """Return the raw rows as NumPy arrays: every head, nothing left out.

    ``rows`` (heads, t, h, w), ``off_grid`` (heads, tokens without a place), ``grid_shape``,
    ``grid_stride``, ``grid_origin`` of the grid they lie on, ``query`` (frame, y, x) of the token,
    ``times`` (T,) seconds of the clip's frames, ``direction`` and ``view`` (JSON).
    """
    affinity = _of_display(affinity, view.display)
    display = _shown(affinity, view.display)
    at, direction = view.query, display.direction
    asked, grid = affinity.queries, affinity.keys
    if direction == "to":
        asked, grid = grid, asked
    index = asked.nearest(frame=at.frame, y=at.y, x=at.x)
    prefix = 0
    if display.token and direction == "from":
        word = _word(affinity, display)
        own = [n for n, name in enumerate(affinity.token_names) if name == display.token]
        own = own if word is None else [word]
        rows, prefix = affinity.token_rows(own).mean(1), grid.prefix
    elif display.token:  # the column of a word beside the picture
        heads = [
            affinity.map(token=display.token, head=h, direction="to") for h in range(affinity.heads)
        ]
        rows = torch.from_numpy(np.stack([one.weights.ravel() for one in heads]))
    elif direction == "from":
        rows, prefix = affinity.rows([index])[:, 0], grid.prefix
    else:
        rows = affinity.column(index)
    values = rows.detach().float().cpu().numpy()
    buffer = BytesIO()
    np.savez_compressed(
        buffer,
        rows=values[:, prefix:].reshape(-1, *grid.shape),
        off_grid=values[:, :prefix],
        grid_shape=np.array(grid.shape),
        grid_stride=np.array(grid.stride, np.float64),
        grid_origin=np.array(grid.origin, np.float64),
        query=np.array(asked.centre(index), np.float64),
        times=capture.clip.times,
        direction=np.array(direction),
        view=np.array("" if capture.changes else view.to_json()),
    )
    return buffer.getvalue()


def _rrd(capture: Capture, affinity: Affinity, view: View, progress: Listener | None) -> bytes:
    """Return the recording of a view, every head of its block in it."""
    from nlviz.render.recording import MOST_HEADS, recording, rerun_sdk

    rerun_sdk()  # what is not installed is missed before anything is drawn
    drawn = overlay_of(capture, affinity, view)
    count = _of_display(affinity, view.display).heads
    heads = {
        n: attention_of(affinity, replace(view, display=replace(view.display, head=n)))
        for n in range(min(count, MOST_HEADS) if count > 1 else 0)
    }
    told = None if capture.changes else view.to_json()
    return recording(drawn, heads=heads, view=told, progress=progress)


def _html(capture: Capture, view: View) -> bytes:
    from nlviz.web.bundle import LIVE_VIEW
    from nlviz.web.payloads.live_view import live_view

    at = view.query
    container = live_view(
        capture,
        view.block,
        query=(at.frame, at.y, at.x),
        display=view.display.to_dict(),
        limit=1 << 62,  # no server answers a page on disk: it carries all embeddings
    )
    title = f"{view.clip.name} · {view.model.name} · {view.block}"
    return LIVE_VIEW.page(container, title=title).encode()
