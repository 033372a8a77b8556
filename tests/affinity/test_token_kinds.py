"""Words, boxes and nodes as queries and keys, and how they are asked for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Line, TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_line import TokenLine
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.clips.text import Text, read_text
from nlviz.errors import NlvizError, OutsideClip, UnreadableText

HEADS, D = 3, 5
TEXT = read_text("the dog and the ball, the end")  # 8 tokens
FILM = TokenGrid((2, 3, 4), (1, 8, 8), (0, 3.5, 3.5), prefix=6, line=Line(tuple("abcabd")))


def affinity(queries: TokenGrid, keys: TokenGrid, **more: object) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(0)
    theta, phi = (
        torch.randn(HEADS, grid.size + grid.prefix, D, generator=generator)
        for grid in (queries, keys)
    )
    f = Pairwise("embedded_gaussian", 0.7)
    return EmbeddedAffinity("block", f, theta, phi, queries, keys, **more)  # type: ignore[arg-type]


def test_a_word_is_asked_for_by_number_by_itself_or_by_both() -> None:
    line = TokenLine.part_of(TEXT)
    a = affinity(line, line, clip_shape=TEXT.shape)
    wanted = a.rows([1]).mean(0)[0]
    for token in (1, "dog", "1:dog", "Dog"):
        found = a.map(token=token)
        assert np.allclose(found.weights[0, 0], wanted)
        assert (found.query.x, found.word) == (1, "dog")  # type: ignore[union-attr]
    assert np.allclose(a.map(frame=0, y=0, x=1).weights[0, 0], wanted)
    assert a.map(token=1).top(1)[0].name == TEXT.tokens[int(wanted.argmax())]
    column = a.map(token="dog", direction="to")
    assert np.allclose(column.weights[0, 0], a.rows(range(8))[:, :, 1].mean(0))
    logits = a.map(token="dog", values="logits")
    assert np.allclose(logits.weights[0, 0], a.logits([1]).mean(0)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("the", "stands 3 times in this line; say which: 0:the, 3:the, 6:the"),
        ("cat", "'cat' is no word of this line"),
        (8, "number from 0 to 7, got 8"),
        ("9:the", "no word"),
    ],
)
def test_a_word_that_is_not_there_or_stands_twice_is_told(token: str | int, said: str) -> None:
    line = TokenLine.part_of(TEXT)
    with pytest.raises(OutsideClip, match=said):
        affinity(line, line).map(token=token)


def test_a_query_of_words_without_one_says_how_to_ask() -> None:
    line = TokenLine.part_of(TEXT)
    with pytest.raises(NlvizError, match="a query is a word here"):
        affinity(line, line).map()
    with pytest.raises(NlvizError, match="no boxes"):
        affinity(line, line).map(box=1)


def test_words_beside_a_picture_have_rows_over_both() -> None:
    order = (0, 1, 26, 27, 28, 29, *range(2, 26))  # 24 cells between the words
    a = affinity(FILM, FILM, support=Causal(order, order))
    logits = a.pairwise.logits(a.theta, a.phi)
    at = torch.tensor(order)
    rows = logits.masked_fill(at[None] > at[:, None], -torch.inf).softmax(-1).mean(0)
    found = a.map(token="5:d")
    assert found.off_weights is not None
    assert np.allclose(found.weights.ravel(), rows[5, 6:], atol=1e-6)
    assert np.allclose(found.off_weights, rows[5, :6], atol=1e-6)
    assert math.isclose(found.weights.sum() + found.off_grid, 1, abs_tol=1e-5)
    early = a.map(token=1)
    assert early.reachable is not None
    assert not early.reachable.any()
    assert math.isclose(early.off_grid, 1, abs_tol=1e-6)
    patch = a.map(frame=1, y=3.5, x=11.5)
    assert patch.off_weights is not None
    assert np.allclose(patch.off_weights, rows[6 + 13, :6], atol=1e-6)
    to = a.map(token="1:b", direction="to")
    assert to.off_weights is not None
    assert np.allclose(to.weights.ravel(), rows[6:, 1], atol=1e-6)
    assert np.allclose(to.off_weights, rows[:6, 1], atol=1e-6)
    late = a.map(token="5:d", direction="to")
    assert late.reachable is not None
    assert not late.reachable.any()
    with pytest.raises(OutsideClip, match="0:a, 3:a"):
        a.map(token="a")


def test_a_box_is_asked_for_by_number_by_its_edges_or_by_a_place_in_it() -> None:
    boxes = TokenBoxes.of(
        [(1, 4, 6, 20, 30), (0, 2, 3, 9, 11), (1, 8, 10, 14, 18)], ("a", "b", "c")
    )
    a = affinity(boxes, replace(FILM, prefix=0, line=None))
    wanted = a.rows([2]).mean(0)[0]
    for found in (
        a.map(box=2),
        a.map(box=(1, 8, 11, 14, 18)),
        a.map(token="c"),
        a.map(frame=1, y=10, x=12),
    ):
        assert np.allclose(found.weights.ravel(), wanted)
        assert found.word == "c"
    assert boxes.nearest(frame=1, y=18, x=28) == 0
    assert boxes.nearest(frame=0, y=30, x=30) == 1
    assert boxes.centre(1) == (0, 5.0, 6.5)
    with pytest.raises(OutsideClip, match="overlaps the one asked for by half"):
        a.map(box=(0, 8, 11, 14, 18))
    with pytest.raises(NlvizError, match="five numbers"):
        a.map(box=(0, 8, 11, 14))
    with pytest.raises(NlvizError, match="bottom below top"):
        TokenBoxes.of([(0, 9, 3, 4, 11)])


def test_distances_are_those_between_middles() -> None:
    nodes = TokenNodes.of([(0, 0), (30, 40), (0, 10)])
    a = affinity(nodes, nodes)
    found = a.map(token="0")
    px, frames = found.mean_distance()
    weights = found.weights.ravel()
    assert math.isclose(px, float(50 * weights[1] + 10 * weights[2]), rel_tol=1e-5)
    assert frames == 0
    boxes = TokenBoxes.of([(0, 0, 0, 2, 2), (3, 30, 40, 32, 42)])
    px, frames = affinity(boxes, boxes).map(box=0).mean_distance()
    assert math.isclose(px / frames, 50 / 3, rel_tol=1e-6)


def test_a_part_of_a_text_is_a_line_at_its_places() -> None:
    target = TokenLine.part_of(TEXT, first=3, count=4)
    assert target.words == ("the", "ball", ",", "the")
    assert (target.centre(0).x, target.nearest(frame=0, y=0, x=5)) == (3, 2)
    merged = TokenLine.part_of(TEXT, count=4, stride=2)
    assert merged.words == ("the dog", "and the", "ball ,", "the end")
    assert merged.centre(1).x == 2.5
    assert TEXT.text[slice(*merged.spans[0])] == "the dog"
    filled_up = TokenLine.part_of(TEXT, count=3, stride=3)
    assert filled_up.words == ("the dog and", "the ball ,", "the end")
    assert TokenLine.part_of(TEXT, first=3, stride=3).words == ("the ball ,", "the end")


def test_a_text_is_a_clip_with_a_cell_for_each_token() -> None:
    assert TEXT.shape == (1, 1, 8)
    TEXT.check(frame=0, y=0, x=7)
    with pytest.raises(OutsideClip):
        TEXT.check(frame=0, y=0, x=8)
    cut = TEXT.cut(["<s>", "the dog"], [(0, 0), (0, 7)], special=[0])
    assert (cut.shape, cut.digest, cut.special) == ((1, 1, 2), TEXT.digest, {0})
    assert Text.of_tokens(range(3)).spans == ((0, 1), (2, 3), (4, 5))


@pytest.mark.parametrize("text", ["", " \n\t ", "a\0b", "a" * (1 << 18) + "a"])
def test_no_text_is_told(text: str) -> None:
    with pytest.raises(UnreadableText, match=r"text"):
        read_text(text)


def test_a_box_around_a_smaller_one_is_itself() -> None:
    boxes = TokenBoxes.of([(1, 20, 10, 80, 50), (1, 30, 20, 60, 40), (0, 8, 4, 40, 60)])
    theta = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(4))
    affinity = EmbeddedAffinity("block", Pairwise("embedded_gaussian"), theta, theta, boxes, boxes)
    # The smaller box lies around the middle of the larger one.
    assert [affinity.map(box=i).own for i in range(3)] == [0, 1, 2]
    assert 0 not in [link.index for link in affinity.map(box=0).without("cell").top(2)]
