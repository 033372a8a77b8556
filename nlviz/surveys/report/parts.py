"""What a report consists of, as those that write it out see it."""

from __future__ import annotations

from typing import Protocol

from nlviz.surveys.figures import SurveyFigure
from nlviz.surveys.report.bootstrap import Intervals
from nlviz.surveys.report.changed import Changed
from nlviz.surveys.report.groups import Groups
from nlviz.surveys.report.head_labels import HeadLabel
from nlviz.surveys.report.surveyed import Surveyed
from nlviz.surveys.report.typical import Typical


class Parts(Protocol):
    """The parts of ``SurveyReport``, described there."""

    @property
    def surveys(self) -> tuple[Surveyed, ...]:
        """One, or two."""

    @property
    def heads(self) -> tuple[tuple[str, int], ...]:
        """(block, head) of every head."""

    @property
    def figures(self) -> tuple[SurveyFigure, ...]:
        """Those that have any value."""

    @property
    def values(self) -> tuple[Intervals, ...]:
        """Arrays (heads, figures) of each survey."""

    @property
    def labels(self) -> tuple[tuple[HeadLabel, ...], ...]:
        """Of each head, of each survey."""

    @property
    def groups(self) -> tuple[Groups | None, ...]:
        """By label of the clips, of each survey."""

    @property
    def typical(self) -> tuple[tuple[Typical, ...], ...]:
        """Of each head, of each survey."""

    @property
    def corresponding(self) -> tuple[bool, ...]:
        """Heads that may be compared."""

    @property
    def changed(self) -> Changed | None:
        """Between two surveys."""

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for everything that a reader must know."""
