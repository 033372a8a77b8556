from __future__ import annotations

from PIL import Image, ImageDraw

from nlviz.render.lettering import shortened, width, wrapped, write


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


def test_texts_are_cut_and_wrapped_to_their_room() -> None:
    long = "a clip with a very long name that nobody would want to read.mp4"
    assert width(shortened(long, 20, 200), 20) <= 200
    assert all(width(line, 20) <= 150 for line in wrapped(long, 20, 150))
    assert shortened("", 20, 100) == ""
