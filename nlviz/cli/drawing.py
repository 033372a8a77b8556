"""Views drawn to files, for the commands that end in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.captures.capture import Capture
    from nlviz.views.view import View


def draw(output: Path, capture: Capture, view: View, tell: Progress) -> None:
    """Write the view, print its path, and say on stderr what its row does."""
    tell("Drawing", 0.0)
    from nlviz.affinity.variants import variant_of
    from nlviz.analysis.controls import variant_affinity
    from nlviz.cli.terminal import print_notes
    from nlviz.render.save import attention_of, save, told_of_token
    from nlviz.words.receipt import receipt_text
    from nlviz.words.rows import row_sentence

    variant = variant_of(view.display.source)
    assert variant is not None  # a display names no other
    affinity = variant_affinity(variant, capture, view.block)
    save(output, capture, affinity, view, progress=tell)
    typer.echo(str(output))
    typer.echo(
        f"{view.block}: {row_sentence(capture.clip, attention_of(affinity, view))}", err=True
    )
    receipt = capture.receipts.get(view.block)
    if receipt is not None:
        typer.echo(f"{view.block}: {receipt_text(receipt.error)}", err=True)
    noted = affinity if variant.several else capture.affinities[view.block]
    print_notes(
        (*capture.all_notes, *filter(None, [noted.note, told_of_token(affinity, view.display)]))
    )
