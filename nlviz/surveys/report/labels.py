"""Labels: what a head does, by rules over figures of the survey. The rules and numbers are here.

The first rule that holds of the mean over clips gives a head its label; how sure that is, is asked
of the draws of clips: it is certain where at least 95 of 100 draws give it the same. Numbers that
say the same of one row are those of the verdict (``analysis.verdict``) and of a block's health
(``analysis.health``). Matching, semantic and positional heads: "HeFT", arXiv 2512.04619, whose
names these are; its measures need tracks, these need none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from nlviz.analysis.health import DEAD_EFFECT, DEAD_SIZE
from nlviz.analysis.verdict import ITSELF, NEAR_UNIFORM, SAME, SINK

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
Figures = Mapping[str, Floats]

EVEN_SPREAD = 0.98  # effective keys of all, where the mass in common with the even row is unknown
POSITION = 0.5  # share of a row's variance that the mean row of its place accounts for
FOLLOWS = 0.2  # rank correlation with features from which a row follows content
SHARP = 0.1  # effective keys of all keys up to which a row is sharp
CROSS = 0.3  # of the row's weight in other frames that a correspondence takes
CERTAIN = 0.95  # of the draws of clips that must give the same label


@dataclass(frozen=True)
class LabelRule:
    """One label.

    Attributes:
        label: its name.
        rule: in words and numbers.
        needs: figures without which it cannot be told whether the rule holds; any of them missing
            makes a head that no earlier rule holds of one that cannot be told.
        holds: of figures by name, arrays of one shape; not a number compares as False.
        says: figures that are the reason, those that are known.
    """

    label: str
    rule: str
    needs: tuple[str, ...]
    holds: Callable[[Figures], Bools]
    says: tuple[str, ...] = ()


def _dead(f: Figures) -> Bools:
    return np.where(np.isnan(f["branch"]), f["bypass"] < DEAD_EFFECT, f["branch"] < DEAD_SIZE)


def _uniform(f: Figures) -> Bools:
    known = ~np.isnan(f["uniform"])
    return np.where(known, f["uniform"] >= NEAR_UNIFORM, f["spread"] >= EVEN_SPREAD)


def _content(f: Figures) -> Bools:
    return f["features"] >= FOLLOWS


RULES = (
    LabelRule(
        "dead",
        f"size of the block's branch below {DEAD_SIZE:g} of its input; where that is unknown, "
        f"bypass effect below {DEAD_EFFECT:g}",
        (),
        _dead,
        ("branch", "bypass"),
    ),
    LabelRule(
        "uniform",
        f"{NEAR_UNIFORM:.0%} or more in common with the even row; where that is unknown, "
        f"effective keys {EVEN_SPREAD:.0%} or more of all",
        (),
        _uniform,
        ("uniform", "spread"),
    ),
    LabelRule("sink", f"sink mass {SINK:.0%} or more", (), lambda f: f["sink"] >= SINK, ("sink",)),
    LabelRule(
        "same for all",
        f"{SAME:.0%} or more in common with the mean row of all queries of the clip",
        (),
        lambda f: f["shared"] >= SAME,
        ("shared",),
    ),
    LabelRule(
        "itself",
        f"self mass {ITSELF:.0%} or more: content and position both point there",
        (),
        lambda f: f["own_cell"] >= ITSELF,
        ("own_cell",),
    ),
    LabelRule(
        "positional",
        f"position share {POSITION:g} or more",
        ("position",),
        lambda f: f["position"] >= POSITION,
        ("position",),
    ),
    LabelRule(
        "matching",
        f"agreement with features {FOLLOWS:g} or more, effective keys {SHARP:.0%} of all or fewer, "
        f"cross-frame mass {CROSS:.0%} or more",
        ("features", "spread", "cross_frame"),
        lambda f: _content(f) & (f["spread"] <= SHARP) & (f["cross_frame"] >= CROSS),
        ("features", "spread", "cross_frame", "position"),
    ),
    LabelRule(
        "semantic",
        f"agreement with features {FOLLOWS:g} or more, effective keys more than {SHARP:.0%} of all",
        ("features", "spread"),
        lambda f: _content(f) & (f["spread"] > SHARP),
        ("features", "spread", "position"),
    ),
    LabelRule(
        "mixed",
        "none of these",
        (),
        lambda f: np.ones(f["spread"].shape, bool),
        ("position", "features", "spread", "cross_frame", "shared", "sink"),
    ),
    LabelRule(
        "not told",
        "no earlier rule holds, and a figure that a rule needs was not measured",
        (),
        lambda f: np.zeros(f["spread"].shape, bool),
        ("position", "features", "spread"),
    ),
)
LABELS = tuple(rule.label for rule in RULES)
NOT_TOLD = LABELS.index("not told")
READ = (
    "branch", "bypass", "uniform", "spread", "sink", "shared", "own_cell", "position", "features",
    "cross_frame",
)  # fmt: skip


def labels_of(figures: Mapping[str, Floats]) -> npt.NDArray[np.int8]:
    """Return the number of the first rule in ``RULES`` that holds, for each place of the arrays.

    Args:
        figures: arrays of one shape by name, not a number where not told; of ``READ``, those
            that are missing count as not told.

    >>> one = {"spread": np.array([0.01, 0.5]), "position": np.array([0.9, 0.1])}
    >>> [LABELS[n] for n in labels_of(one)]
    ['positional', 'not told']
    """
    shape = next(iter(figures.values())).shape
    unknown = np.full(shape, np.nan)
    whole: Figures = MappingProxyType({name: figures.get(name, unknown) for name in READ})
    out = np.full(shape, -1, np.int8)
    for number, rule in enumerate(RULES):
        free = out < 0
        out[free & rule.holds(whole)] = number
        if rule.needs:
            missing = np.zeros(shape, bool)
            for name in rule.needs:
                missing |= np.isnan(whole[name])
            out[(out < 0) & missing] = NOT_TOLD
    return out
