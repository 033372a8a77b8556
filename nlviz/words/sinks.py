"""Sinks in words: what most queries give to one key, and what the head does there."""

from __future__ import annotations

from nlviz.analysis.block_sinks import (
    BROADCAST,
    MOST,
    OFF,
    SHARE,
    SINK,
    BlockSinks,
)
from nlviz.sentences import fixed
from nlviz.words.health import Line
from nlviz.words.numbers import fine_percent_text, multiple_text, number_text, percent_text

SINK_RULE = (
    f"A sink is a key that receives at least {SINK:.0f} times what it would from uniform rows, or "
    f"{100 * SHARE:.0f} % of all weight (Gu et al. 2024, arXiv 2410.10781), and that at least "
    f"{'half' if MOST == 0.5 else percent_text(MOST)} of the queries give three times uniform or "
    f"more. The head switches itself off there if the key's value is shorter than "
    f"{100 * OFF:.0f} % of the median value, and broadcasts if the effective rank of its output is "
    f"below {100 * BROADCAST:.0f} % of that of its values (after Fesser et al. 2026, arXiv "
    "2606.08105). These are rules of nlviz, not published thresholds."
)
KINDS = {
    "none": "no sink",
    "off": "switches itself off",
    "broadcast": "broadcasts",
    "neither": "a sink with a value of its own",
    "unknown": "cannot be told",
}


def sink_sentence(found: BlockSinks, head: int = 0) -> str:
    """Return in a sentence what a head does with its strongest sink.

    >>> import torch
    >>> from nlviz.affinity.grid import TokenGrid
    >>> ones = torch.ones(1, 6)
    >>> even = BlockSinks("b", TokenGrid((1, 2, 3)), (), ones, ones / 6, 0 * ones, torch.ones(1),
    ...                   None, None, None, None, 6)
    >>> sink_sentence(even)
    'No key is a sink: the one that receives most gets 1× uniform.'
    """
    record = found.table()[head]
    who = f"Head {head}" if found.heads > 1 else "The block"
    if record["kind"] == "none":
        return (
            f"No key is a sink: the one that receives most gets {_times(record['multiple'])} "
            "uniform."
        )
    if not record["sinks"]:
        return found.note
    gives = (
        f"most queries give much to {record['where']}, {percent_text(record['share'], space=' ')} "
        "of all weight"
    )
    if record["kind"] == "off":
        return (
            f"{who} switches itself off: {gives}, and what lies there is next to nothing "
            f"({percent_text(record['value_ratio'], space=' ')} of a usual value)."
        )
    if record["kind"] == "broadcast":
        return (
            f"{who} broadcasts: {gives}, and all queries get nearly the same (its output has an "
            f"effective rank of {fixed(record['rank_output'], 1)}, its values "
            f"{fixed(record['rank_values'], 1)})."
        )
    if record["kind"] == "neither":
        return f"{who} has a sink: {gives}; queries still get different things."
    return f"{who} has a sink: {gives}. {found.note}".rstrip()


def sink_lines(found: BlockSinks, head: int = 0) -> list[Line]:
    """Return the numbers of one head, each with its definition."""
    r = found.table()[head]
    lines = [
        Line(
            _times(r["multiple"]),
            f"uniform is what {r['where']} receives, "
            f"{'its strongest sink' if r['sinks'] else 'the most of all keys'}",
            help="The sum of all queries' weights for a key, over what it would be if every query "
            "gave all keys that it reaches the same",
        ),
        Line(
            _times(r["concentration"]),
            "what the median key receives",
            help="The largest of these sums over their median, as multiples of uniform",
        ),
    ]
    if r["value_ratio"] is None:
        return lines
    return [
        *lines,
        Line(
            fine_percent_text(r["value_ratio"]),
            "of the median is the size of its value",
            help="Norm of the value vector of that key over the median norm. Near 0 the head "
            "switches itself off for queries that look there",
        ),
        Line(
            f"{fixed(r['rank_output'], 1)}, {fixed(r['rank_values'], 1)}",
            "effective rank: its output, and its values",
            help="exp(entropy) of the singular values of A V, and of V, as shares of their sum "
            "(Roy and Vetterli 2007), not centred. Near 1 all queries get the same vector",
        ),
        Line(
            number_text(r["output_size"]),
            "median values long is its output, on average",
            help="Mean norm of a query's output y over the median norm of a value",
        ),
    ]


def sink_rows(found: BlockSinks) -> list[dict[str, object]]:
    """Return a row for each head, for a table on a page."""
    return [
        {
            "block": r["block"],
            "head": r["head"],
            "what": KINDS[str(r["kind"])],
            "key": r["where"],
            "multiple": r["multiple"],
            "concentration": r["concentration"],
            "share": r["share"],
            "value": r["value_ratio"],
            "rank": r["rank_output"],
            "of": r["rank_values"],
            "output": r["output_size"],
        }
        for r in found.table()
    ]


def _times(multiple: float | None) -> str:
    if multiple is None or multiple > 1e4:
        return ">10,000×"
    return multiple_text(multiple)
