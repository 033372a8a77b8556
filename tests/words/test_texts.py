"""What is said of words, of words beside a clip, of boxes and of nodes."""

from __future__ import annotations

import numpy as np
import pytest

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.token_line import TokenLine
from nlviz.analysis.opening_query import opening_query
from nlviz.analysis.statistics import block_statistics, row_statistics
from nlviz.clips.text import read_text
from nlviz.words.blocks import block_text, kind_text, layers
from nlviz.words.health import row_lines, trust
from nlviz.words.keys import (
    keys_heading,
    own_line,
    row_heading,
    share_lines,
    top_keys,
    top_words,
)
from nlviz.words.nouns import nouns_of
from nlviz.words.rows import place_text, row_sentence
from tests.words_and_boxes import (
    HEADS,
    QUESTION,
    affinity,
    of_boxes,
    of_film_and_words,
    of_nodes,
    of_words,
)


def test_a_row_over_words_is_spoken_of_in_words_and_tokens() -> None:
    capture = of_words()
    block = capture.affinities["both ways"]
    row = block.map(token="sees")
    assert row_heading(row) == "Where “sees” looks"
    assert row_heading(block.map(token="sees", direction="to")) == "Who looks at “sees”"
    assert keys_heading(block.map(token="sees", direction="to")).startswith("The other words")
    statistics = row_statistics(row, capture.clip.times)
    flat, places = row.weights[0, 0].astype(float), np.arange(13)
    away = float((flat * np.abs(places - row.query[2])).sum() / flat.sum())
    spread, distance = row_lines(statistics, nouns=nouns_of(row.keys))
    assert spread.label == "tokens share its weight"
    assert distance.value == f"{away:.1f} tokens"
    own = own_line(row)
    assert own is not None and own.label == "uniform on itself"
    assert place_text(capture.clip, row) == "the query “sees”, token 3 of 13"
    said = row_sentence(capture.clip, row)
    assert " of 13 tokens" in said and "px" not in said and "cell" not in said
    lines = trust(block_statistics(capture, "both ways"), nouns=nouns_of(block.queries))
    assert all("point" not in line.meaning for line in lines)


def test_strongest_words_are_those_of_the_row_with_their_distance() -> None:
    capture = of_words()
    row = capture.affinities["both ways"].map(token="sees")
    rows = top_keys(capture.clip, row, k=13, own=False)
    order = [i for i in np.argsort(-row.weights[0, 0], kind="stable") if i != 3]
    assert [r["place"] for r in rows] == order
    text = capture.clip
    assert [r["name"] for r in rows] == [text.tokens[i] for i in order]  # type: ignore[attr-defined]
    assert all(r["away"] == r["place"] - 3 for r in rows)


def test_special_tokens_have_a_share_of_their_own() -> None:
    row = of_words().affinities["both ways"].map(token="sees")
    special, words = share_lines(row)
    assert special.label == "on special tokens (<s>)"
    assert special.value.startswith(f"{100 * row.weights[0, 0, 0]:.0f}")
    assert words.label == "on the words"
    plain = AttentionMap(row.weights, row.query, TokenLine.of(row.keys.names))
    assert share_lines(plain) == []


def test_a_word_beside_a_film_shares_its_row_between_both() -> None:
    capture = of_film_and_words()
    row = capture.affinities["layer"].map(token="dog")
    assert row.off_weights is not None
    picture, words = share_lines(row)
    assert (picture.label, words.label) == ("on the picture", "on the words")
    assert float(row.weights.sum() + row.off_weights.sum()) == pytest.approx(1, abs=1e-5)
    best = top_words(row)[0]
    assert best["name"] == read_text(QUESTION).tokens[int(row.off_weights.argmax())]
    assert row_heading(row) == "Where “dog” looks"
    assert "6 words + 4×5×7" in block_text(capture.affinities["layer"])
    assert "and the words" in block_text(capture.affinities["layer"])


def test_blocks_say_what_they_are_over() -> None:
    words = of_words().affinities
    assert (
        block_text(words["both ways"]) == f"13 words → 13 words · reaches all words · {HEADS} heads"
    )
    assert "itself and what comes before it" in block_text(words["causal"])
    assert (kind_text(words["causal"]), kind_text(words["both ways"])) == ("causal", "")
    boxes = of_boxes().affinities["boxes"]
    assert block_text(boxes).startswith("3 boxes → 4×5×7 · reaches all keys in all frames")
    assert kind_text(boxes) == "cross-attention"
    assert block_text(of_nodes().affinities["edges"]).startswith("6 nodes → 6 nodes · reaches all")
    assert [layer.title for layer in layers(["encoder.0.global", "decoder.0.global"])]


def test_a_box_looks_over_the_cells_of_a_film() -> None:
    capture = of_boxes()
    row = capture.affinities["boxes"].map(box=0)
    assert row_heading(row) == "Where “dog” looks"
    assert own_line(row) is None
    lines = row_lines(row_statistics(row, capture.clip.times), nouns=nouns_of(row.keys))
    assert lines[0].label == "cells share its weight" and "its own frame" in lines[1].label


def test_a_node_looks_at_nodes() -> None:
    capture = of_nodes()
    row = capture.affinities["edges"].map(token="c")
    assert row_heading(row) == "Where “c” looks"
    best = top_keys(capture.clip, row, k=2)[0]
    assert best["name"] == "abcdef"[int(row.weights[0, 0].argmax())] and "away" not in best
    assert "px" not in row_sentence(capture.clip, row)


def test_a_page_opens_at_a_word_that_somebody_wrote() -> None:
    capture = of_words()
    block = capture.affinities["causal"]
    point, rule = opening_query(capture.clip, block)
    assert (point, rule) == ((0, 0, 7), "opens at the middle word")
    only = TokenLine.of(("<s>", "a", "</s>", "<pad>"), special=[0, 2, 3])
    marked = type(block)("m", block.pairwise, block.theta[:, :4], block.phi[:, :4], only, only)
    assert opening_query(capture.clip, marked)[0] == (0, 0, 1)
    boxes = of_boxes()
    point, rule = opening_query(boxes.clip, boxes.affinities["boxes"])
    assert boxes.affinities["boxes"].queries.nearest(**point._asdict()) == 0
    assert rule.startswith("opens at the first box")


def test_notebooks_show_words_with_colours_behind_them() -> None:
    capture = of_words()
    html = capture.clip._repr_html_()
    assert html.count("<bdi") == 13 and "&lt;s&gt;" in html and "background" not in html
    causal = capture.affinities["causal"].map(token="sees")
    html = causal._repr_html_()
    assert html.count("<bdi") == 13 and html.count("line-through") == 13 - 4
    assert html.count("outline:") == 1 and "<img" not in html
    assert capture.affinities["causal"]._repr_html_().count("<bdi") == 13
    beside = of_film_and_words().affinities["layer"].map(token="dog")._repr_html_()
    assert beside.count("<img") == 4 and beside.count("<bdi") == 6
    assert of_nodes().affinities["edges"].map(token="c")._repr_html_().count("<bdi") == 6


def test_a_row_over_another_line_has_no_key_of_its_own() -> None:
    text = read_text("d e a | a e d")
    source = TokenLine.part_of(text, count=3)
    target = TokenLine.part_of(text, first=3)
    row = affinity("cross", target, source, clip_shape=text.shape).map(token=1)
    assert (row.query[2], row.own, row.own_keys) == (4, 2, ())
    assert own_line(row) is None and keys_heading(row) == "Its strongest keys"
    rows = top_keys(text, row, own=False)
    assert sorted(r["place"] for r in rows) == [0, 1, 2]
    assert all(r["away"] == r["place"] - 4 for r in rows)
    assert row.without("cell") is row and "other" not in row_sentence(text, row)
    assert "at “" in row_sentence(text, row)
    back = affinity("cross", target, source, clip_shape=text.shape)
    to = back.map(token="e", direction="to")
    assert sorted(r["place"] for r in top_keys(text, to, own=False)) == [3, 4, 5, 6]
    assert keys_heading(to) == "The words that look at it most"
