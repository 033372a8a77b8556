"""The page of figures of the networks over sequences, ``docs/sequences.md``, made of measures.

The paper of MUSE (arXiv 1911.09483) says that attention alone concentrates on too little, or
spreads over too much, on long inputs. Whether it does so here is read off the measures by a rule
that is written down in ``verdict``, whatever comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nlviz.affinity.pairwise import OF_BLOCKS
from nlviz.networks.sequence.tasks import TASKS
from nlviz.sentences import listed

Results = Mapping[str, Mapping[str, Any]]  # network -> seed -> measures by length
Measure = Callable[[Mapping[str, Any]], float]
SHOWN = (8, 32, 64, 128, 256)
LONG, TRAINED = "256", "64"


def values(results: Results, network: str, length: str | int, pick: Measure) -> dict[str, float]:
    """Return a figure of a network at a length, by seed.

    >>> values({"muse.copy": {"0": {"8": {"right": {"muse": 0.5}}}}}, "muse.copy", 8, right("muse"))
    {'0': 0.5}
    """
    seeds = results.get(network, {})
    return {seed: pick(told[str(length)]) for seed, told in seeds.items()}


def right(head: str) -> Measure:
    """Return what picks the share of right symbols of a head."""
    return lambda told: float(told["right"][head])


def whole(head: str) -> Measure:
    """Return what picks the share of sequences that are right as a whole."""
    return lambda told: float(told["whole"][head])


def of_rows(block: str, what: str) -> Callable[[Mapping[str, Any]], float]:
    """Return what picks a figure of the rows of a block."""
    return lambda told: float(told["rows"][block][what])


def verdict(results: Results) -> tuple[str, list[str]]:
    """Return whether the paper's claim is confirmed, and a sentence for each task.

    A task speaks for it where, at 256 symbols and in every seed, MUSE writes more symbols right and
    the rows of its twin's attention to the source have another entropy in the same direction. All
    tasks for it: confirmed; none: not confirmed; else in part.
    """
    told, speaking, counted = [], 0, 0
    for task in TASKS:
        names = {kind: f"{kind}.{task}" for kind in ("muse", "transformer")}
        score = {k: values(results, n, LONG, right(k)) for k, n in names.items()}
        seeds = score["muse"].keys() & score["transformer"].keys()
        if not seeds:
            continue
        counted += 1
        spread = {
            k: values(results, n, LONG, of_rows("decoder.0.cross", "entropy"))
            for k, n in names.items()
        }
        better = [score["muse"][s] - score["transformer"][s] for s in seeds]
        wider = [spread["transformer"][s] - spread["muse"][s] for s in seeds]
        one_way = min(wider) > 0 or max(wider) < 0
        speaking += min(better) > 0 and one_way
        scores = " and ".join(
            f"{who} {_percent(list(score[kind].values()))}"
            for kind, who in (("muse", "MUSE"), ("transformer", "its twin"))
        )
        how = "more widely" if min(wider) > 0 else "more narrowly" if max(wider) < 0 else ""
        rows = (
            f"the twin spreads its rows over the source {how} than MUSE"
            if how
            else ("which of the two spreads its rows more depends on the seed")
        )
        bits = " against ".join(
            _bits(list(spread[kind].values())) for kind in ("transformer", "muse")
        )
        told.append(f"**{task}**: of the symbols {scores} are right; {rows} ({bits} bits).")
    if speaking == counted:
        return "confirmed", told
    return ("confirmed in part" if speaking else "not confirmed"), told


def narrowest(results: Results) -> float:
    """Return the least entropy of self-attention of any twin, as a share of what is possible."""
    return min(
        float(rows["entropy"] / rows["of"])
        for network, seeds in results.items()
        if network.startswith("transformer.")
        for told in seeds.values()
        for block, rows in told[LONG]["rows"].items()
        if block.endswith(".global")
    )


def page(results: Results) -> str:
    """Return the page in Markdown."""
    word, told = verdict(results)
    seeds = sorted({seed for seeds in results.values() for seed in seeds})
    return "\n".join(
        [
            "# Sequences: MUSE, its twin, and four pairwise functions",
            "",
            "<!-- made by nlviz.recipes.sequence_cards; do not edit -->",
            "",
            "Small networks learn five tasks on sequences of symbols whose answer is known: to "
            "copy, to reverse, to shift (the last 3 symbols first), to sort, and to recall which "
            "digit stood behind a letter. `muse.TASK` and `transformer.TASK` are encoder and "
            "causal decoder with cross-attention, of as many parameters within 2 %, trained on "
            "the same sequences in the same order for as many steps: MUSE with dynamic "
            "convolutions of widths 3 and 15 and a feed-forward network beside its attention, "
            "the twin with a wider feed-forward network behind it. `non-local-1d.TASK` holds four "
            "towers of non-local blocks of dimension 1, one for each pairwise function.",
            "",
            "Sources of training have 8 to 64 symbols, short ones more often. Places are "
            "sinusoids from both ends of the source, moved on together by a random number in "
            "training: all places up to 256 have been seen, so what fails beyond 64 symbols is "
            "not a place that is new. Encoder and decoder are given the true symbols before each, "
            "and the end of a sequence counts as a symbol; a sequence that is right as a whole is "
            "the one that the network writes on its own.",
            "",
            f"Seeds: {', '.join(seeds)}. Where there are several, a figure is their mean and the "
            "range stands in brackets. `python -m nlviz.recipes.sequences` trains them again, "
            "`python -m nlviz.recipes.sequence_measures` measures them, "
            "`python -m nlviz.recipes.sequence_cards` writes this page.",
            "",
            "## Symbols that are right",
            "",
            *_of_both(results, right),
            "",
            "## Sequences that are right as a whole",
            "",
            *_of_both(results, whole),
            "",
            "## Rows over length",
            "",
            "Mean entropy of the rows in bits, beside the most that is possible; and the weight "
            "that the best head puts on the source symbol that is to be written.",
            "",
            *_table(
                ["network", "rows of", *(f"{n} symbols" for n in SHOWN)],
                (
                    [
                        f"`{kind}.{task}`",
                        said,
                        *_cells(results, f"{kind}.{task}", pick),
                    ]
                    for task in TASKS
                    for kind in ("muse", "transformer")
                    for said, pick in _rows_of(task)
                ),
            ),
            "",
            "## Is the paper's claim confirmed?",
            "",
            "The claim is that attention alone concentrates on too little, or spreads over too "
            "much, on long inputs. A task speaks for it where MUSE writes more symbols right at "
            "256 symbols in every seed, and the twin's rows over the source are wider, or "
            f"narrower, than those of MUSE in every seed. By this rule it is **{word}**:",
            "",
            *(f"- {sentence}" for sentence in told),
            "",
            "Concentration is not what fails: of the twins' self-attention no block has, on "
            f"average, rows of less than {narrowest(results):.0%} of the entropy that is possible "
            "at 256 symbols. These are small networks, trained for minutes on tasks of symbols: "
            "they say nothing about translation.",
            "",
            "## Four pairwise functions",
            "",
            "The towers write all symbols at once, so sorting is harder for them than for a "
            "decoder that knows what it has written. The concatenation orders keys alike for every "
            "query, and the dot product divides by the number of keys, where a softmax lets one "
            "of them win. The Gaussian compares features with themselves: nothing is as like a "
            "blank as that blank.",
            "",
            *_table(
                ["network", "f", *(f"{n} symbols" for n in SHOWN)],
                (
                    [
                        f"`non-local-1d.{task}`",
                        f.replace("_", " "),
                        *_cells(results, f"non-local-1d.{task}", right(f)),
                    ]
                    for task in TASKS
                    for f in OF_BLOCKS
                ),
            ),
            "",
        ]
    )


def _rows_of(task: str) -> list[tuple[str, Callable[[Mapping[str, Any]], float]]]:
    found = [
        (f"{block}, bits", of_rows(block, "entropy"))
        for block in ("encoder.0.global", "encoder.1.global", "decoder.0.cross")
    ]
    if TASKS[task].positional:  # type: ignore[index]
        found.append(
            ("decoder.0.cross, on the symbol", of_rows("decoder.0.cross", "on the source"))
        )
    return found


def _cells(results: Results, network: str, pick: Measure) -> list[str]:
    """Return a figure at each length: its mean over seeds, with the range of several."""
    shown = []
    for length in SHOWN:
        found = list(values(results, network, length, pick).values())
        mean = f"{sum(found) / len(found):.2f}" if found else "–"
        ends = f" [{min(found):.2f}, {max(found):.2f}]" if len(found) > 1 else ""
        shown.append(mean + ends)
    return shown


def _percent(found: Sequence[float]) -> str:
    return _range(found, lambda x: f"{100 * x:.0f}") + " %"


def _bits(found: Sequence[float]) -> str:
    return _range(found, lambda x: f"{x:.1f}")


def _range(found: Sequence[float], shown: Callable[[float], str]) -> str:
    ends = dict.fromkeys((shown(min(found)), shown(max(found))))
    return " to ".join(ends)


def _of_both(results: Results, measure: Callable[[str], Measure]) -> list[str]:
    """Return a table of MUSE and its twin on each task, over length."""
    return _table(
        ["network", *(f"{n} symbols" for n in SHOWN)],
        (
            [f"`{kind}.{task}`", *_cells(results, f"{kind}.{task}", measure(kind))]
            for task in TASKS
            for kind in ("muse", "transformer")
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def told_of(network: str, measures: Mapping[str, Any]) -> dict[str, str]:
    """Return in sentences what a network learned and what it did not.

    Args:
        network: its name.
        measures: of its weights, by length.

    >>> seen = {n: {"right": {"muse": r}, "rows": {}} for n, r in (("8", 1.0), ("256", 0.3))}
    >>> told_of("muse.sort", seen)["did not learn"][:46]
    'at 256 symbols 0.30 of the symbols are right, '
    """
    kind, _, task = network.partition(".")
    heads = OF_BLOCKS if kind == "non-local-1d" else (kind,)
    learned, failed = [], []
    for head in heads:
        scores = {int(n): told["right"][head] for n, told in measures.items()}
        good = [n for n, score in scores.items() if score >= 0.95]
        poor = {n: score for n, score in scores.items() if score < 0.95}
        who = "" if len(heads) == 1 else f"{head.replace('_', ' ')}: "
        if good:
            lengths = listed([str(n) for n in sorted(good)], "and")
            learned.append(f"{who}19 of 20 symbols or more are right at {lengths} symbols")
        if poor:
            n = max(poor)
            failed.append(f"{who}at {n} symbols {poor[n]:.2f} of the symbols are right")
    cross = [
        told["rows"].get("decoder.0.cross", {}).get("on the source") for told in measures.values()
    ]
    if cross and cross[0] is not None:
        first, last = min(map(int, measures)), max(map(int, measures))
        learned.append(
            f"a head of decoder.0.cross puts {cross[0]:.2f} of its weight on the symbol that is to "
            f"be written at {first} symbols, {cross[-1]:.2f} at {last}"
        )
    if task == "sort":
        failed.append("no symbol of the source is the one to look at: a place in it means nothing")
    chance = 10 if task == "recall" else 16
    failed.append(f"by chance one symbol in {chance} would be right")
    return {"learned": "; ".join(learned) or "little", "did not learn": ", ".join(failed)}
