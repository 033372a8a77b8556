"""The figures that a survey measures, each with its definition: columns of the table of rows.

A figure belongs to a ``query``, to a ``head`` on one clip, or to a ``block`` on one clip; figures
of heads and blocks stand in each of their rows. A module that measures another figure adds it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Of = Literal["query", "head", "block"]
Unit = Literal["share", "pixels", "seconds", "keys", "multiple", "change", "correlation", "ratio"]


@dataclass(frozen=True)
class SurveyFigure:
    """A number that a survey measures.

    Attributes:
        name: of the column.
        label: what people call it.
        definition: a sentence with its formula, and its source where it has one.
        unit: of the number.
        of: what it belongs to.
        on_request: name of the option that asks for it; empty where it is always measured.
    """

    name: str
    label: str
    definition: str
    unit: Unit
    of: Of
    on_request: str = ""


def _registry(*figures: SurveyFigure) -> Mapping[str, SurveyFigure]:
    return MappingProxyType({figure.name: figure for figure in figures})


FIGURES = _registry(
    SurveyFigure(
        "effective",
        "Effective keys",
        "exp(H) of the row, H its entropy: 1 where one key has all",
        "keys",
        "query",
    ),
    SurveyFigure(
        "spread",
        "Spread",
        "effective keys as a share of the keys that the query reaches: 1 for a uniform row",
        "share",
        "query",
    ),
    SurveyFigure(
        "uniform",
        "In common with the even row",
        "sum_j min(p_j, 1/n) over the n keys that the query reaches: 1 for an even row",
        "share",
        "query",
    ),
    SurveyFigure(
        "own_frame",
        "Own-frame mass",
        "share of the row's weight in the query's own frame",
        "share",
        "query",
    ),
    SurveyFigure(
        "cross_frame",
        "Cross-frame mass",
        "share of the row's weight in other frames than the query's",
        "share",
        "query",
    ),
    SurveyFigure(
        "own_cell", "Self mass", "weight that the query gives to its own cell", "share", "query"
    ),
    SurveyFigure(
        "off_grid",
        "Mass without a place",
        "share of the row on tokens without a place: class token, registers",
        "share",
        "query",
    ),
    SurveyFigure(
        "seconds",
        "Mean |Δt|",
        "mean time from the query to its keys, weighted by the row",
        "seconds",
        "query",
    ),
    SurveyFigure(
        "pixels",
        "Mean distance",
        "mean distance in the picture from the query to its keys, weighted by the row",
        "pixels",
        "query",
    ),
    SurveyFigure(
        "sink",
        "Sink mass",
        "share of the row on keys to which most queries give much, whatever is asked "
        "(Xiao et al. 2023, arXiv 2309.17453); 0 where the head has no sink",
        "share",
        "query",
    ),
    SurveyFigure(
        "shared",
        "Same for all",
        "mass in common with the mean row of 256 queries of the clip, spread evenly: 1 where every "
        "query has the same row (Cao et al. 2019, GCNet, arXiv 1904.11492)",
        "share",
        "query",
    ),
    SurveyFigure(
        "empty",
        "Empty rows",
        "1 where f is 0 for every key, so that the query reads nothing, else 0; unknown where rows "
        "are distributions, which never are empty",
        "share",
        "query",
    ),
    SurveyFigure(
        "unary",
        "Unary share",
        "1 - JSD / ln 2 of the row and of the unary part of its exact split "
        "(Yin et al. 2020, arXiv 2006.06668)",
        "share",
        "query",
    ),
    SurveyFigure(
        "position",
        "Position share",
        "r^2 of the row and the mean row of its cell over 16 parts of the bundled films and "
        "photos, without the own cell; of clips whose tokens lie as those of a usual shape",
        "share",
        "query",
    ),
    SurveyFigure(
        "features",
        "Agreement with features",
        "Spearman's rank correlation of the row with the cosine of the features that enter the "
        "block, over the keys that the query reaches, 1,024 of them at most",
        "correlation",
        "query",
    ),
    SurveyFigure(
        "likeness",
        "Likeness of its keys",
        "how often a key drawn by the row is more like the query than one drawn evenly, by the "
        "cosine of the features that enter the block, own key aside: 1/2 by chance",
        "share",
        "query",
    ),
    SurveyFigure(
        "nl_means",
        "Agreement with non-local means",
        "Spearman's rank correlation of the row with the weights that non-local means of the "
        "pixels gives the same query (Buades 2005), over 1,024 keys at most",
        "correlation",
        "query",
    ),
    SurveyFigure(
        "knock_out",
        "Knock-out effect",
        "|y' - y| / |y| of the block's output at the query, all heads together, without the head's "
        "20 strongest links",
        "change",
        "query",
        "knock_out",
    ),
    SurveyFigure(
        "knock_out_random",
        "Knock-out of random links",
        "the same of as many links at random, the mean of 8 draws",
        "change",
        "query",
        "knock_out",
    ),
    SurveyFigure(
        "concentration",
        "Concentration",
        "how many times what uniform rows would give it the strongest key receives: its column sum "
        "over 128 queries, spread evenly, for the key that as many others give most, both ways "
        "averaged, so that chance alone gives 1",
        "multiple",
        "head",
    ),
    SurveyFigure(
        "sink_value",
        "Value of the sink",
        "|v| of the head's strongest sink, of the median |v|: small where the head switches itself "
        "off (Fesser et al. 2026, arXiv 2606.08105); not told of a head without a sink",
        "ratio",
        "head",
    ),
    SurveyFigure(
        "query_distance",
        "Query dependence",
        "average cosine distance of the rows of all pairs of queries: 0 where all have the same",
        "share",
        "head",
    ),
    SurveyFigure(
        "receipt",
        "Receipt",
        "error of rows times values against the block's own output, relative to what is summed",
        "change",
        "block",
    ),
    SurveyFigure(
        "branch",
        "Size of the branch",
        "|what the block adds| / |its input|: 0 where the block is dead",
        "ratio",
        "block",
    ),
    SurveyFigure(
        "bypass",
        "Bypass effect",
        "|changed logits - logits| / |logits| without the block",
        "change",
        "block",
        "bypass",
    ),
)
