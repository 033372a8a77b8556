"""What is said beside one query in every layer and head."""

from __future__ import annotations

from collections.abc import Mapping

from nlviz.affinity.base import Affinity
from nlviz.analysis.atlas import HeadMaps
from nlviz.analysis.atlas_figures import FIGURES, figure_of
from nlviz.sentences import counted, listed
from nlviz.words.blocks import kind_text, layers

FORWARD = "Layer and head"  # how the order of the network is called


def figure_labels() -> dict[str, str]:
    """Return the label of every figure that heads are sorted by, by name.

    >>> figure_labels()["pixels"]
    'Mean distance'
    """
    return {name: figure.label for name, figure in FIGURES.items()}


def figure_definition(name: str) -> str:
    """Return what a figure is, as a sentence.

    >>> figure_definition("own_cell")
    'Own cell: weight that the query gives to its own cell.'
    """
    figure = figure_of(name)
    return f"{figure.label}: {figure.definition}."


def figure_takes(name: str) -> str:
    """Return what has to be computed for a figure, as a phrase; empty for the row alone."""
    return {
        "row": "",
        "rows": "Takes one pass over the rows of all queries, in every layer",
        "passes": "Runs the network again, in parts, for every layer",
    }[figure_of(name).takes]


def short_names(affinities: Mapping[str, Affinity]) -> dict[str, str]:
    """Return the shortest names that tell blocks apart: their layer, and what each attends along.

    >>> import nlviz
    >>> text = nlviz.read_text("a b")
    >>> capture = nlviz.load_model("transformer.copy").capture(text)
    >>> list(short_names(capture.affinities).values())[-2:]
    ['decoder 0 causal', 'decoder 0 cross']
    """
    found: dict[str, str] = {}
    for layer in layers(affinities):
        kinds = [kind_text(affinities[name]).replace("-attention", "").replace(" attention", "")
                 for name in layer.names]  # fmt: skip
        told = len(set(kinds)) == len(kinds)
        for name, kind in zip(layer.names, kinds, strict=True):
            alone = len(layer.names) == 1
            found[name] = layer.title if alone else f"{layer.title} {kind}".strip()
            if not alone and not told:
                found[name] = name
    return found


def atlas_rows(atlas: HeadMaps) -> list[dict[str, object]]:
    """Return a row for each head, heads counted from 1, figures under their names."""
    return [{**row, "head": int(row["head"]) + 1} for row in atlas.table()]


def atlas_notes(atlas: HeadMaps, figure: str | None = None) -> list[str]:
    """Return what a reader must know of an atlas, as sentences.

    Args:
        atlas: what is shown.
        figure: name of the figure that it is sorted by; None for none.
    """
    reasons: dict[str, list[str]] = {}
    for block, why in atlas.left_out.items():
        reasons.setdefault(why.replace(block, ""), []).append(block)
    notes = []
    if figure is not None and figure in atlas.untold:
        label = figure_of(figure).label
        notes.append(f"{label} is not told everywhere: {atlas.untold[figure].rstrip('.')}.")
    called = short_names(atlas.capture.affinities)
    for blocks in reasons.values():
        few = len(blocks) < 4
        some = listed((called[b] for b in blocks), "and") if few else counted(len(blocks), "layer")
        why = atlas.left_out[blocks[0]].replace(blocks[0], called[blocks[0]])
        notes.append(f"Without {some}: {why.rstrip('.')}.")
    return notes
