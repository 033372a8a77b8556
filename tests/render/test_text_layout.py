"""Words in lines: what is drawn of a token, where it stands, in which direction."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import nlviz
from nlviz.affinity.token_line import TokenLine
from nlviz.clips.text import Text
from nlviz.render.text_layout import Laid, Word, labels_of, laid_out, runs_leftwards

HEBREW = "הכלב רודף (בשעה 10:30) עם PyTorch 2.1 בפה"
ARABIC = "يطارد الكلب كرة في الساعة 10:30 مع الكرة"


def laid(text: Text, room: float = 500.0, sizes: range = range(20, 9, -1)) -> Laid:
    return laid_out(labels_of(TokenLine.part_of(text), text), room, sizes=sizes, tall=4000)


def in_lines(found: Laid) -> list[list[Word]]:
    lines: list[list[Word]] = [[] for _ in range(found.lines)]
    for word in found.words:
        lines[word.line].append(word)
    return [sorted(line, key=lambda word: word.left) for line in lines]


@pytest.mark.parametrize(
    "text", ["a dog. It's late, (or not)!", HEBREW, ARABIC, "一只狗在湿草地上追一个球。", "a\n\nb"]
)
@pytest.mark.parametrize("room", [120.0, 700.0])
def test_every_token_stands_once_in_its_line_and_covers_no_other(text: str, room: float) -> None:
    read = nlviz.read_text(text)
    found = laid(read, room)
    assert [word.index for word in found.words] == list(range(len(read.tokens)))
    assert [word.line for word in found.words] == sorted(word.line for word in found.words)
    for line in in_lines(found):
        assert line[0].left >= -1e-6 or len(line) == 1
        for one, other in pairwise(line):
            assert one.left + one.wide <= other.left + 1e-6
        if len(line) > 1:
            assert line[-1].left + line[-1].wide <= room + 1e-6


def test_parts_of_one_word_touch_and_stay_in_one_line() -> None:
    text = Text.of("chases unbelievably", ["chas", "es", "un", "believ", "ably"],
                   [(0, 4), (4, 6), (7, 9), (9, 15), (15, 19)])  # fmt: skip
    found = laid(text, 200.0)
    words = found.words
    assert [word.line for word in words] == [0, 0, 1, 1, 1]
    assert words[0].left + words[0].wide == pytest.approx(words[1].left)
    apart = laid(text, 900.0).words
    assert apart[2].left - apart[1].left - apart[1].wide > 1


def test_tokens_that_stand_for_no_character_are_chips_and_line_breaks_break() -> None:
    text = Text.of("one\ntwo", ["<s>", "one", "\n", "two"], [(0, 0), (0, 3), (3, 4), (4, 7)],
                   special=[0])  # fmt: skip
    labels = labels_of(TokenLine.part_of(text), text)
    assert [(label.text, label.chip) for label in labels] == [
        ("<s>", True), ("one", False), ("↵", True), ("two", False)
    ]  # fmt: skip
    assert [word.line for word in laid(text).words] == [0, 0, 0, 1]
    plain = nlviz.read_text("one\ntwo")
    assert [word.line for word in laid(plain).words] == [0, 1]
    assert [label.text for label in labels_of(TokenLine.of((" the", "  ", "x")))] == [
        "the", "·", "x"
    ]  # fmt: skip


def test_a_hebrew_line_runs_from_the_right_with_numbers_and_latin_as_they_are() -> None:
    text = nlviz.read_text(HEBREW)
    found = laid(text, 3000.0)
    (line,) = in_lines(found)
    assert runs_leftwards(HEBREW)
    assert line[-1].left + line[-1].wide == pytest.approx(3000.0)
    shown = [word.label.text for word in line]
    assert shown == ["בפה", "PyTorch", "2", ".", "1", "עם", "(", "10", ":", "30", "בשעה", ")",
                     "רודף", "הכלב"]  # fmt: skip
    spaces = {
        (one.label.text, other.label.text): other.left - one.left - one.wide > 0.5
        for one, other in pairwise(line)
    }
    assert spaces["30", "בשעה"]
    assert spaces["PyTorch", "2"]
    assert not spaces["10", ":"]
    assert not spaces["בשעה", ")"]


def test_a_passage_in_hebrew_within_english_runs_its_own_way() -> None:
    text = nlviz.read_text("He said שלום לך and left")
    (line,) = in_lines(laid(text, 3000.0))
    assert [word.label.text for word in line] == ["He", "said", "לך", "שלום", "and", "left"]
    assert line[0].left == 0


def test_letters_shrink_until_a_long_text_fits() -> None:
    words = "the of a to and".split()
    text = nlviz.read_text(" ".join(np.random.default_rng(0).choice(words, 4096)))
    labels = labels_of(TokenLine.part_of(text), text)
    found = laid_out(labels, 1700.0, sizes=range(40, 12, -1), tall=1400.0)
    assert found.size < 20
    assert found.lines * found.pitch <= 1400
    assert len(found.words) == 4096
    least = laid_out(labels, 1700.0, sizes=range(40, 12, -1), tall=10.0)
    assert least.size == 13


@pytest.mark.parametrize("length", [40, 4000])
def test_a_token_longer_than_a_line_shrinks_and_then_loses_its_middle(length: int) -> None:
    text = nlviz.read_text("a " + "m" * length + " b")
    found = laid(text, 700.0)
    assert all(word.left + word.wide <= 700 + 1e-6 for word in found.words)
    assert ("…" in found.words[1].label.text) == (length > 100)
    assert found.size >= 12
