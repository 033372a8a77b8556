"""What a knock-out says follows from its figures, and says no more than these."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nlviz.analysis.control_edges import Kind
from nlviz.analysis.cut_rows import Greedy
from nlviz.analysis.knocked_out import Control, Cut, KnockOut
from nlviz.words.knock_out import (
    knock_out_charts,
    knock_out_lines,
    knock_out_sentence,
    knock_out_table,
    missing_controls,
)


def control(kind: Kind, *sizes: float) -> Control:
    """Return a control whose draws change every figure by these shares."""
    return Control(kind, tuple(Cut((4, 5, 6), 0.02, s, s, -s, top1=False) for s in sizes))


def made(size: float, *controls: Control, **more: object) -> KnockOut:
    """Return a knock-out of three links that changes every figure by this share."""
    row = torch.full((1, 8), 0.125)
    found = KnockOut(
        block="stage4",
        query="0,3,5",
        number=0,
        links="its 3 strongest links",
        cut=Cut((0, 1, 2), 0.62, size, size, -size, top1=False),
        controls=controls,
        row=row,
        row_after=row,
        shared=True,
        heads=None,
        label="cup",
        probability=0.62,
        single=(),
        greedy=None,
        notes=(),
    )
    return replace(found, **more)  # type: ignore[arg-type]


RANDOM = control("random", 0.01, 0.004, 0.007)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (made(0.0, RANDOM), "changes nothing in the answer."),
        (made(5e-8, RANDOM), "changes nothing in the answer."),  # rounding
        (made(0.009, RANDOM), "changes the answer little, no more than cutting 3 random ones."),
        (
            made(0.3, control("random", 0.4)),
            "changes the answer no more than cutting 3 random ones.",
        ),
        (made(0.2, RANDOM), "changes the answer more than each of 3 cuts of 3 random ones."),
        (
            made(0.2, RANDOM, control("distance", 0.3), control("mean", 0.1)),
            "changes the answer more than each of 3 cuts of 3 random ones; 3 links at the same "
            "distances change it as much.",
        ),
        (
            made(0.2, RANDOM, control("distance", 0.3), control("mean", 0.25)),
            "changes the answer more than each of 3 cuts of 3 random ones; 3 links at the same "
            "distances and strongest links of the mean row change it as much.",
        ),
        (
            made(0.006, control("random", 0.001)),
            "changes the answer little, though more than a random cut.",
        ),
        (
            made(9e-5, control("random", 2e-5)),
            "changes next to nothing in the answer, though more than a random cut.",
        ),
        (
            made(0.2, Control("random", (), missing="none are left")),
            "changes the answer; there are no others to compare it with.",
        ),
    ],
)
def test_the_sentence_follows_from_the_figures(found: KnockOut, said: str) -> None:
    assert knock_out_sentence(found) == f"Cutting its 3 strongest links {said}"


def test_without_the_network_the_output_is_spoken_of() -> None:
    found = made(0.2, RANDOM)
    found = replace(
        found,
        cut=Cut((0, 1, 2), 0.62, 0.2),
        controls=(replace(RANDOM, cuts=(Cut((4, 5, 6), 0.02, 0.3),)),),
        probability=None,
        label="",
    )
    assert knock_out_sentence(found) == (
        "Cutting its 3 strongest links changes the output of stage4 here no more than cutting 3 "
        "random ones."
    )
    assert [chart.name for chart in knock_out_charts(found)] == ["Block's output here"]
    assert [line.value for line in knock_out_lines(found)][1:] == ["62 %", "20 %"]


def test_a_new_answer_is_never_little() -> None:
    found = made(0.006, control("random", 0.001))
    found = replace(found, cut=replace(found.cut, top1=True))
    assert "little" not in knock_out_sentence(found)
    assert "Another class becomes the most probable." in knock_out_lines(found)[-1].meaning


def test_lines_tell_intervals_redundancy_and_greedy_cuts() -> None:
    found = made(
        0.41,
        control("random", 0.0001, 0.0213),
        single=(0.01, 0.02, 0.05),
        greedy=Greedy((2, 7, 1), (0.2, 0.3, 0.5)),
    )
    lines = knock_out_lines(found)
    assert [line.value for line in lines] == [
        knock_out_sentence(found), "62 %", "41 %", "50 %", "41 %", "62 % → 21 %",
    ]  # fmt: skip
    assert lines[2].meaning == (
        "Others: random ones 0.01 to 2.1 %. Cut one at a time they change it by 8.0 % in sum, by "
        "less than together: they stand in for each other."
    )
    assert lines[3].meaning == "2 of them are among those above."
    alone = knock_out_lines(replace(found, single=(0.3, 0.2, 0.1)))
    assert alone[2].meaning.endswith("One of them alone makes 30 %.")


def test_tables_and_charts_tell_the_same() -> None:
    missing = Control("distance", (), missing="no others lie at the same distances")
    found = made(0.2, control("random", 0.0, 0.01), missing, control("mean", 0.002))
    table = knock_out_table(found)
    assert [row["Cut"] for row in table] == [
        "its 3 strongest links",
        "3 random links (2 draws)",
        "3 strongest links of the mean row",
    ]
    assert table[1]["Logits"] == "0 to 1.0 %"
    assert table[0]["Probability of the answer"] == "−20.0 points"
    assert table[1]["Probability of the answer"] == "−1.0 to 0 points"
    for chart in knock_out_charts(found):
        assert [row.text for row in chart.rows] == [row[chart.name] for row in table]
        assert [row.values for row in chart.rows] == [(0.2,), (0.0, 0.01), (0.002,)]
        assert chart.end == 0.2
    assert missing_controls(found) == [
        "No links at the same distances: no others lie at the same distances."
    ]


def test_next_to_nothing_looks_like_next_to_nothing() -> None:
    for chart in knock_out_charts(made(1e-6, control("random", 2e-6))):
        assert max(max(row.values) for row in chart.rows) < 0.01 * chart.end
