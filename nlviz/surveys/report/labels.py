"""Labels: what a head does, by rules over figures of the survey. The rules and numbers are here.

A rule is a row of conditions that must all hold. The first rule that holds of the means over clips
gives a head its label; how sure that is, is asked of the draws of clips: it is certain where at
least 95 of 100 draws give it the same. Where a figure that decides a rule was not measured, and no
other condition of it fails, the label cannot be told.

Numbers that the verdict (``analysis.verdict``) and a block's health (``analysis.health``) have, are
theirs. The others were chosen on networks of even seeds whose heads are written by hand, and are
measured on odd ones, see docs/guides/head-labels.md. Matching, semantic and positional heads:
"HeFT", arXiv 2512.04619, whose names these are; its measures need tracks, these need none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlviz.analysis.health import DEAD_EFFECT, DEAD_SIZE
from nlviz.analysis.verdict import ITSELF, NEAR_UNIFORM, SAME, SINK
from nlviz.surveys.figures import FIGURES

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]

EMPTY = 0.5  # share of the queries whose rows hold no weight at all
EVEN_SPREAD = 0.98  # effective keys of all, where the mass in common with the even row is unknown
POSITION = 0.5  # share of how a row varies that the mean row of its place accounts for
LITTLE = 0.2  # of the same, below which position says little
ALIKE = 0.75  # likeness of keys from which a row goes by likeness: halfway from chance to all
SHARP = 0.1  # effective keys of all keys up to which a row is sharp
CROSS = 0.3  # of the row's weight that lies in other frames, of a correspondence
CERTAIN = 0.95  # of the draws of clips that must give the same label


@dataclass(frozen=True)
class Condition:
    """A figure that lies on one side of a number.

    Attributes:
        figure: its name.
        at: the number.
        above: whether the figure is at least that, or below it.
    """

    figure: str
    at: float
    above: bool = True

    def holds(self, values: Floats) -> Bools:
        """Return where it holds; nowhere where a value is not a number."""
        return values >= self.at if self.above else values < self.at

    def __str__(self) -> str:
        figure = FIGURES[self.figure]
        at = f"{self.at:g}"
        if figure.unit == "share":
            at = f"{100 * self.at:g} %"
        label = figure.label[0].lower() + figure.label[1:]
        return f"{label} {at} or more" if self.above else f"{label} below {at}"


@dataclass(frozen=True)
class LabelRule:
    """One label.

    Attributes:
        label: its name.
        conditions: that must all hold.
        instead: what decides where the figure of the first condition is not known; without it,
            what is not known decides nothing of a rule that is ``optional``, and hides the label
            of others.
        optional: see ``instead``.
        says: other figures that are told as a reason.
        words: the rule, where conditions do not say it.
    """

    label: str
    conditions: tuple[Condition, ...] = ()
    instead: Condition | None = None
    optional: bool = False
    says: tuple[str, ...] = ()
    words: str = ""

    @property
    def rule(self) -> str:
        """The rule in words and numbers."""
        if self.words:
            return self.words
        said = ", ".join(map(str, self.conditions))
        return f"{said}; where that is unknown, {self.instead}" if self.instead else said

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures that are told as a reason."""
        instead = (self.instead.figure,) if self.instead else ()
        return tuple(dict.fromkeys([c.figure for c in self.conditions] + [*instead, *self.says]))

    def decide(self, figures: Mapping[str, Floats]) -> tuple[Bools, Bools]:
        """Return where the rule holds, and where that cannot be told.

        Args:
            figures: arrays of one shape by name.
        """
        shape = next(iter(figures.values())).shape
        holds, fails = np.ones(shape, bool), np.zeros(shape, bool)
        for n, condition in enumerate(self.conditions):
            values = figures[condition.figure]
            mine, known = condition.holds(values), ~np.isnan(values)
            if n == 0 and self.instead is not None:
                other = figures[self.instead.figure]
                mine = np.where(known, mine, self.instead.holds(other))
                known = known | ~np.isnan(other)
            holds &= mine
            fails |= known & ~mine
        unknown = np.zeros(shape, bool) if self.optional else ~holds & ~fails
        return holds, unknown


RULES = (
    LabelRule(
        "dead",
        (Condition("branch", DEAD_SIZE, above=False),),
        instead=Condition("bypass", DEAD_EFFECT, above=False),
        optional=True,
    ),
    LabelRule("silent", (Condition("empty", EMPTY),), optional=True),
    LabelRule(
        "uniform",
        (Condition("uniform", NEAR_UNIFORM),),
        instead=Condition("spread", EVEN_SPREAD),
        optional=True,
    ),
    LabelRule("sink", (Condition("sink", SINK),), optional=True),
    LabelRule("same for all", (Condition("shared", SAME),), optional=True),
    LabelRule("itself", (Condition("own_cell", ITSELF),), optional=True),
    LabelRule("positional", (Condition("position", POSITION),)),
    LabelRule(
        "matching",
        (
            Condition("likeness", ALIKE),
            Condition("spread", SHARP, above=False),
            Condition("cross_frame", CROSS),
        ),
        says=("position",),
    ),
    LabelRule(
        "semantic",
        (Condition("likeness", ALIKE), Condition("spread", SHARP)),
        says=("position",),
    ),
    LabelRule(
        "content",
        (Condition("position", LITTLE, above=False),),
        says=("likeness", "spread", "cross_frame"),
    ),
    LabelRule(
        "mixed",
        says=("position", "likeness", "spread"),
        words="none of these",
    ),
    LabelRule(
        "not told",
        (Condition("spread", -1.0, above=False),),
        optional=True,
        says=("position", "likeness", "spread"),
        words="no earlier rule holds, and a figure that decides one was not measured",
    ),
)
LABELS = tuple(rule.label for rule in RULES)
NOT_TOLD = LABELS.index("not told")
READ = tuple(
    dict.fromkeys(
        condition.figure
        for rule in RULES
        for condition in (*rule.conditions, *([rule.instead] if rule.instead else []))
    )
)


def labels_of(figures: Mapping[str, Floats]) -> npt.NDArray[np.int8]:
    """Return the number of the first rule in ``RULES`` that holds, for each place of the arrays.

    Args:
        figures: arrays of one shape by name, not a number where not told; of ``READ``, those
            that are missing count as not told.

    >>> heads = {"spread": np.array([0.01, 0.5, 0.2]), "position": np.array([0.9, np.nan, 0.1])}
    >>> heads["likeness"] = np.array([0.5, 0.9, 0.4])
    >>> [LABELS[n] for n in labels_of(heads)]
    ['positional', 'not told', 'content']
    """
    shape = next(iter(figures.values())).shape
    unknown = np.full(shape, np.nan)
    whole = {name: figures.get(name, unknown) for name in READ}
    out = np.full(shape, -1, np.int8)
    for number, rule in enumerate(RULES):
        holds, untold = rule.decide(whole)
        out[(out < 0) & holds] = number
        out[(out < 0) & untold] = NOT_TOLD
    return out
