"""Labels of heads: the rules, what is not known, how sure they are, and networks of known truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from nlviz import SurveyReport
from nlviz.analysis.health import DEAD_SIZE
from nlviz.analysis.verdict import ITSELF, NEAR_UNIFORM, SAME, SINK
from nlviz.recipes.head_label_cases import label_cases, report_of
from nlviz.surveys.report.bootstrap import FEW, MANY
from nlviz.surveys.report.labels import LABELS, RULES, labels_of
from tests.surveys.tables import tables

USUAL = {
    "branch": 0.2, "uniform": 0.3, "sink": 0.1, "shared": 0.3, "own_cell": 0.1, "position": 0.1,
    "likeness": 0.9, "spread": 0.05, "cross_frame": 0.7,
}  # fmt: skip
GONE = float("nan")


def label(changed: Mapping[str, float]) -> str:
    whole = {name: np.array([value]) for name, value in {**USUAL, **changed}.items()}
    return LABELS[int(labels_of(whole)[0])]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "matching"),
        ({"spread": 0.3}, "semantic"),
        ({"cross_frame": 0.1}, "content"),  # alike, sharp, but within its own frame
        ({"likeness": 0.6}, "content"),
        ({"likeness": 0.6, "position": 0.3}, "mixed"),
        ({"position": 0.6}, "positional"),
        ({"position": 0.6, "own_cell": ITSELF}, "itself"),
        ({"own_cell": ITSELF, "shared": SAME}, "same for all"),
        ({"shared": SAME, "sink": SINK}, "sink"),
        ({"sink": SINK, "uniform": NEAR_UNIFORM}, "uniform"),
        ({"uniform": NEAR_UNIFORM, "branch": DEAD_SIZE / 2}, "dead"),
        ({"uniform": GONE, "spread": 0.99}, "uniform"),
        ({"branch": GONE, "bypass": 1e-7}, "dead"),
        ({"branch": GONE}, "matching"),
        ({"sink": GONE, "shared": GONE, "own_cell": GONE}, "matching"),
        ({"position": GONE}, "not told"),
        ({"position": GONE, "sink": 0.9}, "sink"),
        ({"likeness": GONE}, "not told"),
        ({"likeness": GONE, "position": 0.9}, "positional"),
        ({"likeness": 0.4, "spread": GONE}, "content"),  # sharp or not, it goes by no likeness
        ({"spread": GONE}, "not told"),
        ({"cross_frame": GONE}, "not told"),
        ({"cross_frame": GONE, "spread": 0.3}, "semantic"),
        (dict.fromkeys(USUAL, GONE), "not told"),
    ],
)
def test_the_first_rule_that_holds_is_the_label(
    changed: Mapping[str, float], expected: str
) -> None:
    assert label(changed) == expected


def test_rules_are_said_in_numbers() -> None:
    said = {rule.label: rule.rule for rule in RULES}
    assert said["sink"] == "sink mass 60 % or more"
    assert said["dead"] == (
        "size of the branch below 0.0001; where that is unknown, bypass effect below 1e-06"
    )
    assert said["matching"] == (
        "likeness of its keys 75 % or more, spread below 10 %, cross-frame mass 30 % or more"
    )


def test_the_guide_has_the_rules() -> None:
    page = (Path(__file__).parents[3] / "docs" / "guides" / "head-labels.md").read_text("utf-8")
    for rule in RULES:
        assert f"\n| {rule.label} | {rule.rule} |" in page
    assert f"fewer than {FEW} clips" in page and f"more than {MANY:,} clips" in page


def test_a_label_near_a_threshold_is_not_certain() -> None:
    """Sink masses whose mean over 25 clips is about the threshold: half of the draws miss it."""
    near = tables(clips=25, heads={"nl": 1}, roles={("nl", 0): "sink"}, seed=4,
                  changed={("nl", 0): {"sink": SINK, "shared": 0.3, "likeness": 0.4}})  # fmt: skip
    found = SurveyReport.of(near.rows, near.clips).labels[0][0]
    assert not found.certain and found.sure is not None and 0.02 < found.sure < 0.95
    assert {found.label, found.other} == {"sink", "content"}
    assert 0.2 < found.share < 0.8
    clear = tables(clips=25, heads={"nl": 1}, roles={("nl", 0): "sink"}, seed=4)
    assert SurveyReport.of(clear.rows, clear.clips).labels[0][0].certain


@pytest.mark.slow
def test_heads_that_were_written_by_hand_have_their_names() -> None:
    """One case of the many of ``nlviz.recipes.head_label_results``."""
    case = next(c for c in label_cases([1]) if c.group == "planted")
    model, clips, truths = case.make()
    report = report_of(model, clips)
    needs_position = {"positional", "matching", "semantic", "content"}
    for (block, _), head in zip(report.heads, report.labels[0], strict=True):
        truth = truths[block]
        if "position" not in report.surveys[0].means.figures and needs_position & set(truth):
            assert head.label == "not told"  # nothing is said where the figure is missing
            continue
        assert head.label in truth, (truth, head)
        assert head.certain
