"""Views drawn to files, for the commands that end in one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.affinity.base import Affinity
    from nlviz.captures.capture import Capture
    from nlviz.views.view import View


def check_output(output: Path) -> None:
    """Refuse a file that a view is not saved as, before seconds of work.

    Raises:
        NlvizError: for another ending, or where what writes it is not installed.
    """
    from nlviz.files.local import KINDS, suffix_of

    if suffix_of(output, KINDS, what="a view") == "rrd":
        from nlviz.render.recording import rerun_sdk

        rerun_sdk()


def draw(output: Path, capture: Capture, view: View, tell: Progress) -> None:
    """Write the view, print its path, and say on stderr what its row does."""
    tell("Drawing", 0.0)
    from nlviz.render.save import save

    affinity = _affinity_of(capture, view)
    save(output, capture, affinity, view, progress=tell)
    typer.echo(str(output))
    _say(capture, affinity, view)


def print_table(capture: Capture, view: View, top: int) -> None:
    """Print the strongest keys of a view's row, a line each, and say on stderr what the row does.

    A line has the weight, its multiple of uniform attention, the number of the key, and its word or
    its place in the clip. Words beside a clip stand below its places.
    """
    from nlviz.render.save import attention_of
    from nlviz.words.keys import row_heading, top_keys, top_words

    affinity = _affinity_of(capture, view)
    attention = attention_of(affinity, view)
    typer.echo(f"{row_heading(attention)}, in {view.block}:")
    for row in (*top_keys(capture.clip, attention, k=top), *top_words(attention, k=top)):
        typer.echo(_line(row))
    _say(capture, affinity, view)


def _line(row: Mapping[str, Any]) -> str:
    numbers = f"{row['weight']:8.4f} {row['multiple']:7.1f}x"
    if "place" in row:
        return f"{numbers} {row['place']:5d}  {row['name']}"
    return f"{numbers} {row['when']:>7}  y {row['y']:.0f}, x {row['x']:.0f}"


def _affinity_of(capture: Capture, view: View) -> Affinity:
    from nlviz.affinity.variants import variant_of
    from nlviz.analysis.controls import variant_affinity

    variant = variant_of(view.display.source)
    assert variant is not None  # a display names no other
    return variant_affinity(variant, capture, view.block)


def _say(capture: Capture, affinity: Affinity, view: View) -> None:
    """Say on stderr what a row does, whether it was verified, and what must be known."""
    from nlviz.affinity.variants import variant_of
    from nlviz.cli.terminal import print_notes
    from nlviz.render.save import attention_of, told_of_token
    from nlviz.words.receipt import receipt_text
    from nlviz.words.rows import row_sentence

    typer.echo(
        f"{view.block}: {row_sentence(capture.clip, attention_of(affinity, view))}", err=True
    )
    receipt = capture.receipts.get(view.block)
    if receipt is not None:
        typer.echo(f"{view.block}: {receipt_text(receipt.error)}", err=True)
    variant = variant_of(view.display.source)
    several = variant is not None and variant.several
    noted = affinity if several else capture.affinities[view.block]
    print_notes(
        (*capture.all_notes, *filter(None, [noted.note, told_of_token(affinity, view.display)]))
    )
