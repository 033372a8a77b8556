"""Attribution in words: what it is, what it costs, how far it agrees with the map."""

from __future__ import annotations

from nlviz.analysis.agreement import Agreement
from nlviz.analysis.attribution import MOST_STEPS as MOST_STEPS
from nlviz.analysis.attribution import STEPS, Attribution, Method
from nlviz.sentences import counted
from nlviz.words.health import Line
from nlviz.words.numbers import number_text, percent_text

NOT_WHY = (
    "Where a block reads is not why the network decides: the block's map tells from which cells a "
    "position takes features, attribution tells what raises or lowers the score of one class."
)


METHOD_NAMES: dict[Method, str] = {
    "grad-cam": "Grad-CAM",
    "integrated-gradients": "Integrated gradients",
    "occlusion": "Occlusion",
    "legrad": "LeGrad",
}


METHOD_MEANINGS: dict[Method, str] = {
    "grad-cam": "Features that enter the block, weighted by how the score depends on each channel",
    "integrated-gradients": "What each cell's pixels add to the score of a clip in the mean colour",
    "occlusion": "How much the score falls when a window is painted in the mean colour",
    "legrad": "What more weight on a cell adds to the score",
}


def method_text(method: Method) -> str:
    """Return what a method measures and how many passes it takes by default, in two sentences.

    >>> method_text("grad-cam").rpartition(". ")[2]
    '1 pass with gradients through the network.'
    """
    steps = STEPS[method]
    passes = "1 pass with gradients" if steps == 1 else f"Up to {steps + 1} passes"
    over = ", over all layers and heads with softmax rows" if method == "legrad" else ""
    return f"{METHOD_MEANINGS[method]}{over}. {passes} through the network."


def cost_text(found: Attribution) -> str:
    """Return what an attribution took, and how exact it is where that is known."""
    passes = "1 pass" if found.passes == 1 else f"{found.passes} passes"
    text = f"{passes} through the network, {found.seconds:.1f} s"
    if found.layers:
        every = len(found.layers) + len(found.left_out)
        more = f" of {every}" if found.left_out else ""
        text += f"; the mean over {len(found.layers)}{more} attention layers"
    if found.gap is None or found.baseline is None:
        return text
    return (
        f"{text}; the values should add up to {number_text(found.score - found.baseline)}, the "
        f"score less that of a clip in the mean colour, and miss it by "
        f"{percent_text(missed(found))}"
    )


MISSED = 0.1  # of the sum, from which integrated gradients have not converged


def missed(found: Attribution) -> float:
    """Return how far the values of integrated gradients miss their sum, as a share of it.

    0 for methods that have no such sum.
    """
    if found.gap is None or found.baseline is None:
        return 0.0
    return abs(found.gap) / max(abs(found.score - found.baseline), 1e-30)


def converged_text(found: Attribution) -> str:
    """Return the warning of a map that must not be read yet, or an empty string."""
    share = missed(found)
    if share <= MISSED:
        return ""
    return (
        f"Not converged: the check misses by {number_text(abs(found.gap or 0.0))} of "
        f"{number_text(abs(found.score - (found.baseline or 0.0)))} "
        f"({percent_text(share)}). Take more steps before reading this map."
    )


FEW_CELLS = 24  # below as many, chance alone puts two maps in the same order


def agreement_lines(a: Agreement, *, of: str) -> list[Line]:
    """Return how far an attribution agrees with a map, with what chance gives.

    Args:
        a: the agreement.
        of: what the map is, "the pinned query's map" for instance.

    >>> a = Agreement(0.6, (-0.2, 0.3), 0.002, 0.5, 0.1, 0.3, 12, 120, 119)
    >>> [line.value for line in agreement_lines(a, of="the mean map")]
    ['0.60', '50 %']
    """
    low, high = a.chance
    if a.correlation > high:
        says = "They agree more than by chance."
    elif a.correlation < low:
        says = "One is strong where the other is weak, more than by chance."
    else:
        says = "No more agreement than by chance."
    more = "more than by chance" if a.overlap > a.overlap_high else "no more than by chance"
    how = (
        f"Chance: the attribution shifted over the grid in {a.shifts} ways, which keeps its "
        "smoothness (shuffled cells would make any two smooth maps agree)"
    )
    overlap, chance, most = (
        percent_text(share, space=" ") for share in (a.overlap, a.overlap_chance, a.overlap_high)
    )
    if a.cells < FEW_CELLS:
        return [
            Line(
                "",
                "",
                f"{counted(a.cells, 'cell')} are too few to say whether it agrees with {of}.",
            )
        ]
    return [
        Line(
            f"{a.correlation:.2f}",
            f"rank correlation with {of} on {a.cells:,} cells; by chance {low:.2f} to {high:.2f}",
            says,
            how,
        ),
        Line(
            overlap,
            f"of the {counted(a.k, 'strongest cell')} in common; by chance {chance} (95 % of the "
            f"shifts: up to {most})",
            f"The strongest cells overlap {more}.",
            how,
        ),
    ]
