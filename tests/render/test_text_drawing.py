from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw

from nlviz.render import fonts, text_drawing
from nlviz.render.fonts import EASTERN, JAPANESE, REGULAR
from nlviz.render.text_drawing import (
    missing,
    missing_note,
    plain,
    runs,
    shortened,
    width,
    wrapped,
    write,
)


def inked_width(text: str, *, bold: bool = False) -> int:
    image = Image.new("RGB", (600, 80), (255, 255, 255))
    write(ImageDraw.Draw(image), (10, 50), text, 30, (0, 0, 0), bold=bold)
    box = Image.eval(image.convert("L"), lambda v: 255 - v).getbbox()
    assert box is not None
    return box[2] - box[0]


def test_a_multiplication_sign_is_drawn() -> None:
    assert inked_width("×") > 5
    assert inked_width("55×") > inked_width("55") + 5


def test_the_width_told_is_the_width_inked() -> None:
    for bold in (False, True):
        told = width("bunny.mp4 · 864×", 30, bold=bold)
        assert abs(told - inked_width("bunny.mp4 · 864×", bold=bold)) < 8


@pytest.mark.parametrize("text", ["été", "Ωμέγα", "тишина", "שלום", "سلام"])
def test_many_scripts_are_drawn_by_the_bundled_font(text: str) -> None:
    assert missing([text]) == []
    assert [path.endswith(REGULAR) for _, path in runs(text)] == [True]
    assert inked_width(text) > 20 * len(text) / 3


def test_what_is_taken_for_known_is_in_both_fonts() -> None:
    """Texts that are drawn without a look into the font file have a glyph for every sign."""
    for bold in (False, True):
        has = FT2Font(runs("a", bold=bold)[0][1]).get_charmap()
        known = [chr(n) for n in range(0x10000) if plain(chr(n))]
        assert len(known) > 500
        assert [sign for sign in known if ord(sign) not in has] == []


@pytest.fixture
def no_other_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has the bundled fonts alone."""
    monkeypatch.setattr(fonts, "font_with", lambda sign: "")


@pytest.mark.usefixtures("no_other_fonts")
def test_what_no_font_has_is_spelled_and_said() -> None:
    own = runs("a")[0][1]
    assert runs("a\ue123b") == [("a‹U+E123›b", own)]
    assert runs("नमन.mp4") == [("‹U+0928 U+092E U+0928›.mp4", own)]
    assert runs("ने") == [("‹U+0928 U+0947›", own)]  # a vowel sign belongs to its letter
    assert runs("🔥\ufe0f!") == [("‹U+1F525 U+FE0F›!", own)]
    assert inked_width("नम") == inked_width("‹U+0928 U+092E›")
    assert missing(["abc", "\ue123\ue123"]) == ["\ue123"]
    assert "‹U+E123›" in missing_note(["clip \ue123.mp4"])
    note = missing_note(["नम", "京都"])
    assert note.startswith("Codes such as ‹U+0928› stand for characters that no font")
    assert missing_note(["clip.mp4", "×–…", "北京"]) == ""


@pytest.mark.usefixtures("no_other_fonts")
def test_a_mark_that_its_letter_s_font_lacks_is_not_dropped() -> None:
    assert runs("x\u1dfex") == [("x‹U+1DFE›x", runs("a")[0][1])]
    assert missing(["x\u1dfe"]) == ["\u1dfe"]
    assert runs("漢\U000e0101字")[0][0] == "漢字"  # asks for a variant of the sign alone


@pytest.mark.usefixtures("no_other_fonts")
def test_two_names_that_no_font_has_do_not_look_alike() -> None:
    names = ("🔥.mp4", "🔨.mp4", "नमस्ते.mp4", "??.mp4")
    assert len({runs(name)[0][0] for name in names}) == len(names)


def test_what_the_bundled_fonts_lack_a_font_of_the_machine_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = runs("a", bold=True)[0][1]  # stands for a font with the sign
    monkeypatch.setattr(fonts, "font_with", lambda sign: other)
    assert runs("aसb") == [("a", runs("a")[0][1]), ("स", other), ("b", runs("a")[0][1])]
    assert missing(["स"]) == []


@pytest.mark.parametrize("text", ["שלום", "سلام", "नमस्ते", "สวัสดี"])
def test_what_cannot_be_shaped_here_is_not_drawn_wrong(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "shapes_here", lambda: False)
    monkeypatch.setattr(text_drawing, "shapes_here", lambda: False)
    assert runs(f"{text}.mp4")[0][0].startswith(f"‹U+{ord(text[0]):04X}")
    assert "letters join or stack" in missing_note([text])
    assert missing_note(["北京 é"]) == ""


def coded(codec: str, first: str = "\u3000") -> list[str]:
    """Return the characters of an encoding from a code point on."""

    def known(sign: str) -> bool:
        try:
            sign.encode(codec)
        except UnicodeEncodeError:
            return False
        return True

    return [sign for code in range(ord(first), 0xFFE0) if known(sign := chr(code))]


@pytest.mark.usefixtures("no_other_fonts")
@pytest.mark.parametrize(
    ("codec", "many"), [("gb2312", 6800), ("big5", 13300), ("shift_jis", 6700), ("euc_kr", 7500)]
)
def test_national_standards_are_drawn_whole(codec: str, many: int) -> None:
    """Chinese of the mainland and of Taiwan, Japanese, and Korean with its Hanja."""
    signs = coded(codec)
    assert len(signs) > many
    public = [sign for sign in signs if not "\ue000" <= sign <= "\uf8ff"]
    assert missing(public) == []


def test_all_syllables_of_korean_are_drawn_composed_or_not() -> None:
    assert missing(chr(code) for code in range(0xAC00, 0xD7A4)) == []
    taken_apart = unicodedata.normalize("NFD", "서울 が")  # as some systems write file names
    assert taken_apart != "서울 が"
    assert runs(taken_apart) == runs("서울 が")


def drawn(text: str) -> np.ndarray:
    """Return the ink of a text."""
    image = Image.new("L", (60 + 40 * len(text), 80), 0)
    write(ImageDraw.Draw(image), (10, 50), text, 30, 255)  # type: ignore[arg-type]
    return np.asarray(image)


@pytest.mark.parametrize("text", ["北京视频", "臺灣繁體", "東京の動画", "서울야경"])
def test_every_character_has_its_own_shape_and_is_no_box(text: str) -> None:
    box = drawn("\u25a1")  # a hollow square, as fonts draw what they lack
    shapes = [drawn(sign) for sign in text]
    assert len({shape.tobytes() for shape in shapes}) == len(set(text))
    for shape in shapes:
        assert shape.max() == 255
        assert not np.array_equal(shape, box)
        assert not np.array_equal(shape, drawn("\u2327"))
    paths = {path for _, path in runs(text)}
    assert all(path.endswith((EASTERN, JAPANESE)) for path in paths)


def test_japanese_lines_take_japanese_shapes() -> None:
    def shapes(text: str) -> set[str]:
        return {path.rsplit("/")[-1] for _, path in runs(text)}

    japanese, eastern = JAPANESE.rsplit("/")[-1], EASTERN.rsplit("/")[-1]
    assert shapes("骨の画像") == {japanese}
    assert shapes("駅前の骨") == {japanese}
    assert (
        shapes("骨骼图像")
        == shapes("骨骼圖像")
        == shapes("골 骨") - {"DejaVuSans.ttf"}
        == {eastern}
    )
    assert not np.array_equal(drawn("骨の")[:, 10:40], drawn("骨骼")[:, 10:40])


def test_accents_join_their_letters_and_breaks_become_spaces() -> None:
    decomposed = unicodedata.normalize("NFD", "é")
    assert [piece for piece, _ in runs(f"{decomposed}\n\tx")] == ["é  x"]
    assert len(runs("x\u0331y")) == 1  # no letter of its own, drawn with the x


def test_bold_is_bolder() -> None:
    ink = []
    for bold in (False, True):
        image = Image.new("L", (300, 60), 0)
        write(ImageDraw.Draw(image), (10, 40), "weight", 30, 255, bold=bold)  # type: ignore[arg-type]
        ink.append(int(np.asarray(image, np.int64).sum()))
    assert ink[1] > 1.3 * ink[0]


def test_texts_are_cut_and_wrapped_to_their_room() -> None:
    long = "a clip with a very long name that nobody would want to read.mp4"
    assert width(shortened(long, 20, 200), 20) <= 200
    assert all(width(line, 20) <= 150 for line in wrapped(long, 20, 150))
    assert shortened("", 20, 100) == ""


def inked(text: str) -> list[tuple[int, int]]:
    """Return the first and last inked column of each word-sized blob."""
    image = Image.new("L", (700, 80), 0)
    write(ImageDraw.Draw(image), (10, 50), text, 30, 255)  # type: ignore[arg-type]
    columns = np.asarray(image).max(0) > 100
    edges = np.flatnonzero(np.diff(np.r_[0, np.convolve(columns, np.ones(9), "same") > 0, 0]))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize("name", ["שלום", "مرحبا"])
def test_a_line_runs_to_the_right_whatever_it_begins_with(name: str) -> None:
    """The name comes first and ``IIII`` last, as where the name is European."""
    blobs = inked(f"{name} - IIII")
    end = inked("abcd - IIII")
    assert blobs[-1][1] - blobs[-1][0] == end[-1][1] - end[-1][0]
    alone = inked(name)
    assert abs(blobs[0][1] - alone[0][1]) <= 2


def test_letters_that_run_leftwards_are_ordered_and_joined() -> None:
    image = Image.new("L", (200, 80), 0)
    write(ImageDraw.Draw(image), (10, 50), "של", 30, 255)  # type: ignore[arg-type]
    ink = np.asarray(image) > 100
    # Lamed rises above the other letters, and as the second letter it stands on the left.
    top = int(ink.any(1).argmax())
    assert np.flatnonzero(ink[top]).mean() < np.flatnonzero(ink.any(0)).mean()
    assert width("سلام", 30) < 0.9 * sum(width(sign, 30) for sign in "سلام")  # joined forms
