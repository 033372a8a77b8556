"""The verdict in words: one sentence, then every figure with its definition and source."""

from __future__ import annotations

import math
from typing import Any

from nlviz.analysis.health import LITTLE
from nlviz.analysis.row_effect import STRONG, RowEffect
from nlviz.analysis.row_origin import RowOrigin
from nlviz.analysis.verdict import (
    ITSELF,
    LEAST,
    NEAR_UNIFORM,
    POSITION,
    SAME,
    SINK,
    Matters,
    Source,
    Verdict,
)
from nlviz.sentences import counted, fixed
from nlviz.words.health import Line
from nlviz.words.numbers import fine_percent_text, percent_text


def _percent(share: float) -> str:
    return percent_text(share, space=" ")


SOURCE_NAMES: dict[Source, str] = {
    "content": "Content",
    "position": "Position",
    "sink": "A sink",
    "same": "The same for all queries",
    "near uniform": "Near uniform",
    "cannot be told": "What it follows from cannot be told",
}
MATTERS_NAMES: dict[Matters, str] = {
    "matters": "and it matters",
    "does not matter": "and it does not matter here",
    "cannot be told": "and whether it matters cannot be told",
}
VERDICT_RULES = (
    f"Rules, the first that holds. Near uniform: {_percent(NEAR_UNIFORM)} or more in common with "
    f"the even row. A sink: {_percent(SINK)} or more on the few keys that the other queries give "
    f"most. The same for all queries: {_percent(SAME)} or more in common with their mean row. "
    f"Cannot be told: {_percent(ITSELF)} or more on the query itself. Position: of what other "
    f"queries do not tell of the row, the position tells {_percent(POSITION)} or more. Content: "
    f"none of these. It does not matter here: nothing that is done to this query's row moves the "
    f"answer's log-odds by {LEAST:g}. It matters: cutting its strong links moves them by {LEAST:g} "
    "or more, and by more than every draw of as many other links."
)
# Of docs/verdict.md; a test compares them.
VERDICT_MEASURED = (
    "Of 237 cases whose truth is known and that had no part in choosing the rules, the verdict was "
    "right in 99.8\u00a0% (95\u00a0% interval 98.0 to 100.0\u00a0%), “cannot be told” counted as "
    "half."
)
_BECAUSE: dict[Source, str] = {
    "content": "the row changes when what is seen changes and the query stays where it is",
    "position": "the row stays nearly the same when everything that is seen changes",
    "sink": "most of the row lies on a few keys that the other queries look at, too",
    "same": "the other queries have nearly the same row",
    "near uniform": "nearly all keys get the same",
    "cannot be told": "no other input tells content and position apart here",
}


def headline(v: Verdict) -> str:
    """Return what a map follows from and whether it matters, as a title."""
    return f"{SOURCE_NAMES[v.source]}, {MATTERS_NAMES[v.matters]}"


def verdict_text(v: Verdict) -> str:
    """Return the verdict as sentences: what the row follows from, why, and what cutting it does.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> capture = nlviz.load_model("lite-nl", device="cpu").capture(clip)
    >>> print(verdict_text(nlviz.verdict(capture, "stage4", (0, 30, 40), contents=2)))
    Content, and it does not matter here: the row changes when what is seen changes and the query \
stays where it is; whatever becomes of this query's row, the odds of eggnog change by less than \
5 %. Without the whole block, a class changes by up to 1.2 %.
    """
    text = f"{headline(v)}: {_because(v)}; {_effect_text(v)}."
    if v.health.state == "dead":
        return f"{text} The block is dead: it adds next to nothing."
    if v.health.state == "untrained":
        return f"{text} The block looks untrained."
    whole = v.health.effect
    if v.matters == "does not matter" and whole is not None and whole.probability >= LITTLE:
        most = fine_percent_text(whole.probability)
        return f"{text} Without the whole block, a class changes by up to {most}."
    return text


def _because(v: Verdict) -> str:
    if v.source == "cannot be told" and v.origin.own >= ITSELF:
        return "the query looks at itself, where content and position both point"
    return _BECAUSE[v.source]


def _effect_text(v: Verdict) -> str:
    effect = v.effect
    if effect is None:
        return "nothing could be cut to see what the answer does"
    answer = v.answer or "the answer"
    if v.matters == "does not matter":
        return (
            f"whatever becomes of this query's row, the odds of {answer} change by less than "
            f"{_percent(math.expm1(LEAST))}"
        )
    links = counted(effect.links, "strong link")
    cut = f"cutting its {links} multiplies the odds of {answer} by {factor_text(effect.strong)}"
    if not effect.random:
        return f"{cut}, and there are not as many others to compare with"
    most = max(effect.random, key=abs)
    return f"{cut}, cutting as many others by {factor_text(most)} at most"


def factor_text(change: float) -> str:
    """Return by what odds are multiplied, from the change of their logarithm.

    >>> factor_text(-2.0), factor_text(0.1), factor_text(0.001), factor_text(9.0)
    ('0.14', '1.11', '1.00', 'more than 1,000')
    """
    if change > math.log(1000):
        return "more than 1,000"
    if change < -math.log(1000):
        return "less than 0.001"
    factor = math.exp(change)
    return fixed(factor, 3 if factor < 0.1 else 2 if factor < 10 else 0)


def verdict_lines(v: Verdict) -> list[Line]:
    """Return every figure that the verdict rests on, with how it is computed and its source.

    Args:
        v: the verdict.
    """
    return [*origin_lines(v.origin), *effect_lines(v)]


def origin_lines(o: RowOrigin) -> list[Line]:
    """Return the figures of what a row follows from."""
    many = fixed(o.effective, 1 if o.effective < 10 else 0)
    lines = [
        Line(
            f"{many} of {o.keys:,}",
            "keys share the weight",
            help="exp(entropy) of the row: 1 if one key has all the weight, all if they have the "
            "same",
        ),
        Line(
            fine_percent_text(o.uniform),
            "in common with the even row",
            help="Σ min(row, even row) over the keys that the query reaches; near uniform from "
            f"{_percent(NEAR_UNIFORM)}",
        ),
        Line(
            fine_percent_text(o.sink),
            "on keys that all queries look at",
            help="Mass on the hundredth of the keys, one at least, that the other queries give "
            f"most: the row's own or theirs, whichever is less; a sink from {_percent(SINK)}. "
            "Sinks: Xiao et al. 2024, arXiv 2309.17453",
        ),
    ]
    if o.shared is not None:
        lines.append(
            Line(
                fine_percent_text(o.shared),
                "in common with the mean row of other queries",
                help="Σ min(row, mean row of up to 128 other queries); the same for all from "
                f"{_percent(SAME)}. After GCNet, Cao et al. 2019, arXiv 1904.11492",
            )
        )
    lines.append(
        Line(
            fine_percent_text(o.own),
            "on the query itself",
            help="Mass on the query's own key, where content and position both point; the next two "
            f"figures leave it out, and from {_percent(ITSELF)} nothing is left to tell",
        )
    )
    if o.position is not None and o.beyond is not None:
        lines += [
            Line(
                fine_percent_text(o.position),
                "in common with this place's mean row over other contents",
                help=f"Σ min(row, mean row of the same query over {o.contents} other inputs): the "
                "clip's own frames moved, mirrored and shuffled, and photos; of a text its words "
                "in other orders. After Cordonnier et al. 2020, arXiv 1911.03584",
            ),
            Line(
                fine_percent_text(max(o.beyond, 0.0)),
                "of what other queries do not tell is told by the position",
                help="(p − b) / (1 − b): p is the figure above, b what the row has in common with "
                "the mean row of the other queries over these other inputs; position from "
                f"{_percent(POSITION)}",
            ),
        ]
    return lines


def effect_lines(v: Verdict) -> list[Line]:
    """Return the figures of whether it matters; none where nothing was cut."""
    e, whole = v.effect, v.health.effect
    if e is None:
        return []
    odds = (
        "Change of log p / (1 − p) of the most probable class; the network runs on from the block"
    )
    lines = [
        Line(
            change_of(e.strong),
            f"change of the answer's log-odds if {counted(e.links, 'strong link')} "
            f"{'is' if e.links == 1 else 'are'} cut",
            help=f"{odds}. Links at least {_percent(STRONG)} as strong as the strongest, or the "
            f"number asked for; they hold {fine_percent_text(e.weight)} of the row. A softmax is "
            "shared out anew. Geva et al. 2023, arXiv 2304.14767",
        )
    ]
    if e.random:
        low, high = change_of(min(e.random)), change_of(max(e.random))
        lines.append(
            Line(
                low if low == high else f"{low} to {high}",
                f"if as many others are cut, {counted(len(e.random), 'draw')}",
                help=f"{odds}. Least and most over the draws; it matters only if no draw changes "
                "the answer as much",
            )
        )
    lines += [
        Line(change_of(e.even), "if all keys get the same", help=odds),
        Line(change_of(e.none), "if the query gets nothing from the block", help=odds),
    ]
    if whole is not None:
        lines.append(
            Line(
                fine_percent_text(whole.probability),
                "is the most that any class changes by without the whole block",
                help="One pass with the block bypassed, for all queries at once: what one query "
                "does not matter for, all together may",
            )
        )
    return lines


def change_of(value: float) -> str:
    """Return a change of the log-odds, with its sign.

    >>> change_of(-2.04), change_of(-0.0003), change_of(0.0)
    ('-2.04', '<0.01', '0')
    """
    if value == 0:
        return "0"
    if abs(value) < 0.005:
        return "<0.01"
    return f"{'+' if value > 0 else ''}{fixed(value, 2)}"


def verdict_record(v: Verdict) -> dict[str, Any]:
    """Return the verdict as JSON has it: sentence, rules, what it is of, and every figure.

    Args:
        v: the verdict.
    """
    o, e, whole = v.origin, v.effect, v.health.effect
    origin = {
        "keys": o.keys,
        "effective": o.effective,
        "uniform": o.uniform,
        "sink": o.sink,
        "sinks": list(o.sinks),
        "shared": o.shared,
        "own": o.own,
        "position": o.position,
        "base": o.base,
        "beyond": o.beyond,
        "contents": o.contents,
    }
    return {
        "kind": "nlviz verdict",
        "version": 1,
        "verdict": verdict_text(v),
        "source": v.source,
        "matters": v.matters,
        "input": {"name": v.clip.name, "digest": v.clip.digest, "shape": list(v.clip.shape)},
        "network": {"name": v.about.name, "digest": v.about.digest},
        "block": v.block,
        "query": v.query,
        "query number": v.number,
        "head": v.head,
        "answer": v.answer,
        "origin": origin,
        "effect": None if e is None else _effect_record(e),
        "whole block": {
            "state": v.health.state,
            "without it": None if whole is None else whole.probability,
        },
        "rules": VERDICT_RULES,
        "notes": list(v.notes),
    }


def _effect_record(e: RowEffect) -> dict[str, Any]:
    return {
        "probability": e.probability,
        "links": e.links,
        "weight": e.weight,
        "strong": e.strong,
        "random": list(e.random),
        "even": e.even,
        "none": e.none,
    }
