"""Sentences about sinks and position: each kind is told, and each number has its definition."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nlviz import BlockSinks, PositionShare, TokenGrid, words

KEYS = TokenGrid((1, 2, 5), (1, 8, 8), (0, 3.5, 3.5), prefix=1)


def sinks(value: float, rank: float, *, multiple: float = 9.0) -> BlockSinks:
    n = KEYS.size + 1
    received = torch.full((2, n), (n - multiple) / (n - 1))
    received[1, 0] = multiple
    norms = torch.ones(2, n)
    norms[1, 0] = value
    given = torch.zeros(2, n)
    given[1, 0] = 1
    return BlockSinks(
        block="blocks.3",
        keys=KEYS,
        names=("cls",),
        multiple=received,
        share=received / n,
        given=given,
        concentration=received.amax(-1) / received.quantile(0.5, -1),
        value_norms=norms,
        output_size=torch.tensor([0.5, 0.25]),
        rank_output=torch.tensor([5.0, rank]),
        rank_values=torch.tensor([6.0, 6.0]),
        queries=n,
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (sinks(0.01, 4.0), "Head 1 switches itself off: most queries give much to cls, 82 % of"),
        (sinks(1.2, 1.25), "Head 1 broadcasts: most queries give much to cls"),
        (sinks(1.2, 5.0), "Head 1 has a sink: most queries give much to cls"),
        (sinks(1.0, 5.0, multiple=2.0), "No key is a sink: the one that receives most gets 2×"),
        (
            replace(
                sinks(1.2, 5.0), value_norms=None, rank_output=None, note="Values are unknown."
            ),
            "Head 1 has a sink: most queries give much to cls, 82 % of all weight. Values",
        ),
        (replace(sinks(1.2, 5.0), queries=2, note="Two are too few."), "Two are too few."),
    ],
)
def test_what_a_head_does_is_one_sentence(found: BlockSinks, said: str) -> None:
    assert words.sink_sentence(found, 1).startswith(said)
    assert words.sink_sentence(found, 1).endswith(".")


def test_numbers_of_sinks_have_definitions_and_stand_in_a_table() -> None:
    found = sinks(0.01, 4.0)
    lines = words.sink_lines(found, 1)
    assert [line.value for line in lines] == ["9×", "45×", "1.0 %", "4.0, 6.0", "0.250"]
    assert all(line.help for line in lines)
    rows = words.sink_rows(found)
    assert [row["what"] for row in rows] == ["no sink", "switches itself off"]
    assert rows[1]["key"] == "cls"
    assert len(words.sink_lines(replace(found, value_norms=None), 1)) == 2


SHARE = PositionShare(
    own=0.2,
    common=0.9,
    explained=0.8,
    common_anywhere=0.3,
    explained_anywhere=0.1,
    common_uniform=0.4,
    unary=0.6,
    queries=1,
    clips=16,
)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (SHARE, "Most of where this point looks follows from where it is"),
        (replace(SHARE, explained=0.3), "Some of where this point looks follows"),
        (replace(SHARE, explained=0.05), "Where this point looks does not follow"),
        (replace(SHARE, explained_anywhere=0.75), "Much of where this point looks is the same"),
        (replace(SHARE, own=0.95), "Nearly all of the weight lies on the cell itself"),
        (replace(SHARE, common_uniform=0.97, explained=0.05), "The weight is spread nearly evenly"),
        (replace(SHARE, queries=64), "Most of where points look follows from where they are"),
    ],
)
def test_what_position_does_is_one_sentence(share: PositionShare, said: str) -> None:
    assert words.position_sentence(share).startswith(said)


def test_numbers_of_position_have_definitions_and_leave_out_what_is_not_there() -> None:
    lines = words.position_lines(SHARE)
    assert [line.value for line in lines] == ["20 %", "80 %", "10 %", "90 %", "30 %", "60 %"]
    assert all(line.help for line in lines)
    bare = replace(SHARE, own=None, common_anywhere=None, explained_anywhere=None, unary=None)
    assert [line.value for line in words.position_lines(bare)] == ["80 %", "90 %", "40 %"]
