from __future__ import annotations

import pytest

from nlviz.render.text_direction import in_reading_order

ONE, TWO = "one.ttf", "two.ttf"


def order(*pieces: tuple[str, str]) -> list[str]:
    return [piece for piece, _ in in_reading_order(list(pieces))]


def test_lines_that_run_to_the_right_are_left_alone() -> None:
    pieces = [("clip ", ONE), ("猫", TWO), (" 12", ONE)]
    assert in_reading_order(pieces) == pieces
    assert in_reading_order([]) == []


def test_a_line_that_begins_leftwards_is_cut_where_it_turns() -> None:
    """Each piece then has one direction, which the library that draws it finds by itself."""
    assert order(("שלום 12.mp4 · map", ONE)) == ["שלום 12", ".mp4 · map"]
    assert order(("12 שלום", ONE)) == ["12 ", "שלום"]
    assert order(("a (שלום עולם) b", ONE)) == ["a (", "שלום עולם", ") b"]


@pytest.mark.parametrize(
    ("pieces", "want"),
    [
        # A sign between two words of one passage: the passage runs leftwards as a whole.
        ((("אב ", ONE), ("*", TWO), (" גד", ONE)), [" גד", "*", "אב "]),
        # A word that runs to the right stands between two passages.
        ((("אב ", ONE), ("猫", TWO), (" גד", ONE)), ["אב", " ", "猫", " ", "גד"]),
        # Numbers stay with the passage before them; a dot before letters does not.
        ((("אב12", ONE), ("*", TWO), (".mp4", ONE)), ["אב12", "*", ".mp4"]),
        ((("a ", ONE), ("אב", TWO), (" b", ONE)), ["a ", "אב", " b"]),
    ],
)
def test_pieces_follow_each_other_as_they_are_read(
    pieces: tuple[tuple[str, str], ...], want: list[str]
) -> None:
    found = order(*pieces)
    assert "".join(found) == "".join(want)
    assert [piece.strip() for piece in found if piece.strip()] == [
        piece.strip() for piece in want if piece.strip()
    ]
