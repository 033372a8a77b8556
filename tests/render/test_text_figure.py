"""A text under its map: colours, outline, arcs, captions, files and movies."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import nlviz
from nlviz.render import text_figure
from nlviz.render.captions import notes_of
from nlviz.render.figure import sheet_of
from nlviz.render.figure_frame import QUERY_INK
from nlviz.render.text_figure import page_of
from nlviz.render.word_colours import DARK, LIGHT, film_paper, steps_of, word_colours
from tests.render.tokens import over_words, sentence

ROW = [0.05, 0.5, 0.1, 0.15, 0.2, 0.0]


def drawn(**more: object) -> nlviz.Overlay:
    return nlviz.overlay(sentence(), over_words(sentence(), ROW, query=2), **more)  # type: ignore[arg-type]


def colours_in(picture: Image.Image) -> dict[tuple[int, int, int], int]:
    pixels, counts = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    return {(int(r), int(g), int(b)): int(n) for (r, g, b), n in zip(pixels, counts, strict=True)}


def test_words_stand_on_the_colours_of_their_weights_and_the_query_is_outlined() -> None:
    shown = drawn()
    found = colours_in(sheet_of(shown).image())
    ground, _ = word_colours(LIGHT, signed=False, strength=0.85)
    scale = shown.look.scale
    steps = steps_of(scale.shares(np.array(ROW, np.float32), 0), signed=False)
    for index, weight in enumerate(ROW):
        colour = tuple(int(v) for v in ground[steps[index]])
        area = found.get(colour, 0)  # type: ignore[call-overload]
        if index == 2:
            continue  # its own weight is said, not drawn
        assert area > 100 or weight == 0, (index, colour)
    assert found[QUERY_INK] > 100


def test_the_strongest_word_is_the_darkest_on_paper_and_the_lightest_in_a_movie() -> None:
    light, _ = word_colours(LIGHT, signed=False, strength=0.85)
    dark, _ = word_colours(DARK, signed=False, strength=0.85)
    assert (np.diff(light.sum(1).astype(int)) <= 3).all()
    assert dark.astype(int).sum(1).argmax() > 240
    assert tuple(light[0]) == (255, 255, 255)
    assert tuple(dark[0]) == DARK.rgb


@pytest.mark.parametrize("paper", [LIGHT, DARK, film_paper()])
@pytest.mark.parametrize("signed", [False, True])
def test_words_can_be_read_on_every_step_of_the_scale(paper: object, signed: bool) -> None:
    ground, ink = word_colours(paper, signed=signed, strength=0.85)  # type: ignore[arg-type]

    def luminance(rgb: np.ndarray) -> np.ndarray:
        level = rgb / 255
        linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
        return linear @ np.array([0.2126, 0.7152, 0.0722])

    a, b = luminance(ground.astype(float)), luminance(ink.astype(float))
    contrast = (np.maximum(a, b) + 0.05) / (np.minimum(a, b) + 0.05)
    assert contrast.min() > 4.5


def test_captions_speak_of_words_and_of_no_pixels() -> None:
    shown = drawn()
    told = " ".join(notes_of(shown, shown=1))
    assert "Outlined: the query “chases”, token 2 of 6." in told
    assert "Itself, not coloured, has 0.6×." in told
    assert "px" not in told
    assert "frame" not in told
    assert "cell" not in told
    assert shown.title.endswith("from “chases”")


def test_arcs_go_to_the_strongest_others() -> None:
    page = page_of(drawn(links=3), 1700.0)
    assert [index for index, _ in page.links] == [1, 4, 3]
    assert page.links[1][1] == pytest.approx(0.4)
    assert page_of(drawn(links=0), 1700.0).links == []


def test_words_out_of_reach_are_grey_and_said() -> None:
    text = sentence()
    reach = np.array([True] * 3 + [False] * 3).reshape(1, 1, 6)
    attention = over_words(text, [0.5, 0.5, 0, 0, 0, 0], query=2, reachable=reach)
    shown = nlviz.overlay(text, attention)
    assert page_of(shown, 1700.0).hidden == {3, 4, 5}
    assert "Grey: out of the query's reach." in notes_of(shown, shown=1)
    assert (176, 182, 190) in colours_in(sheet_of(shown).image())


def test_a_query_of_another_text_is_not_outlined() -> None:
    text = sentence()
    attention = over_words(text, ROW, query=2, apart=True)
    shown = nlviz.overlay(text, attention)
    assert page_of(shown, 1700.0).query is None
    assert "Asked: the query “chases”, token 2 of 6." in notes_of(shown, shown=1)


def test_of_a_text_beyond_measure_the_part_around_the_query_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(text_figure, "MOST", 50)
    text = nlviz.read_text(" ".join(["word"] * 200))
    weights = np.zeros(200)
    weights[[10, 150]] = 0.25, 0.75
    page = page_of(nlviz.overlay(text, over_words(text, weights.tolist(), query=160)), 1700.0)
    assert (page.first, len(page.laid.words)) == (135, 50)
    assert page.note.startswith("50 of 200 tokens are shown, those around the query; 75")
    assert [index for index, _ in page.links] == [150]
    sheet_of(nlviz.overlay(text, over_words(text, weights.tolist(), query=160))).image()


@pytest.mark.parametrize(
    ("kind", "begins"),
    [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("gif", b"GIF89a")],
)
def test_a_text_is_saved_as_every_kind(tmp_path: Path, kind: str, begins: bytes) -> None:
    path = drawn().save(tmp_path / f"look.{kind}")
    assert path.read_bytes().startswith(begins)


def test_a_movie_goes_through_the_queries_on_one_scale() -> None:
    text = sentence()
    maps = [over_words(text, np.roll(ROW, i).tolist(), query=i) for i in range(6)]
    shown = nlviz.overlay(text, maps[2], sweep=maps)
    movie = Image.open(BytesIO(shown.to_bytes("gif")))
    assert movie.n_frames == 6
    assert movie.info["duration"] == 500
    places = []
    for page in range(6):
        movie.seek(page)
        pixels = np.asarray(movie.convert("RGB")).astype(int)
        accent = np.abs(pixels - (64, 208, 242)).sum(-1) < 60
        places.append(np.flatnonzero(accent[: pixels.shape[0] // 2].any(0)).mean())
    assert places == sorted(places)
    with av.open(BytesIO(shown.to_bytes("mp4"))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6
    still = Image.open(BytesIO(nlviz.overlay(text, maps[2]).to_bytes("gif")))
    assert still.n_frames == 1


def test_a_notebook_shows_the_figure() -> None:
    html = drawn()._repr_html_()
    assert "data:image" in html
    assert "from “chases”" in html
