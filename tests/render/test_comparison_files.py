"""Figures and files of comparisons of denoisers."""

from __future__ import annotations

import base64
import csv
import json
import re
import struct
import zlib
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from nlviz.denoise import Comparison, Noise, compare
from nlviz.errors import InvalidView, NlvizError
from nlviz.render import comparison_figure as comparison_panels
from nlviz.render.comparison_figure import BEST, ZOOM, comparison_figure, seconds_text
from nlviz.render.comparison_files import (
    comparison_bytes,
    made_again,
    read_comparison,
    save_comparison,
)
from nlviz.resources import asset

pytestmark = pytest.mark.slow

FEW = ["gaussian", "non-local-means", "opencv-nlm"]


def photo(size: tuple[int, int] = (61, 47)) -> np.ndarray:
    return np.asarray(Image.open(asset("photos/cat.jpg")).resize(size))


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(photo(), sigma=25, denoisers=FEW, seed=3, name="cat.jpg")


def pixels_of(figure: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    apart = np.abs(np.asarray(figure).astype(int) - colour).sum(-1)
    return np.argwhere(apart == 0)


def test_the_figure_holds_every_pixel_of_picture_and_method_noise(compared: Comparison) -> None:
    figure = np.asarray(comparison_figure(compared))
    assert figure.shape[1] == 1800
    keys = [("clean", False), ("noisy", False), ("noisy", True)]
    keys += [(name, noise) for name in FEW for noise in (False, True)]
    for key, noise in keys:
        wanted = compared.shown_noise(key) if noise else compared.shown(key)
        assert found_in(figure, wanted, 331 // 61), (key, noise)


def found_in(figure: np.ndarray, picture: np.ndarray, zoom: int) -> bool:
    """Whether the picture lies somewhere in the figure, each pixel in this size."""
    big = np.kron(picture, np.ones((zoom, zoom, 1), np.uint8))
    row, size = big[0], big.shape[1]
    starts = (figure[:, : -size or None] == row[0]).all(-1)
    for y, x in np.argwhere(starts):
        part = figure[y : y + big.shape[0], x : x + size]
        if part.shape == big.shape and (part == big).all():
            return True
    return False


def test_the_best_is_framed(compared: Comparison) -> None:
    figure = comparison_figure(compared)
    framed = pixels_of(figure, BEST)
    assert len(framed) > 2000
    already = compare(compared.noisy, noisy=True, denoisers=FEW)
    assert len(pixels_of(comparison_figure(already), BEST)) < 1500  # the fastest's time only


def test_a_large_picture_shows_the_same_detail_everywhere_and_where_it_lies() -> None:
    picture = np.full((300, 520), 90, np.uint8)
    picture[200:260, 330:430] = np.random.default_rng(0).integers(0, 255, (60, 100))
    seen = compare(picture, sigma=5, denoisers=["gaussian"], name="dots")
    figure = np.asarray(comparison_figure(seen))
    assert found_in(figure, seen.shown("clean")[205:255, 340:420], ZOOM)
    given = comparison_figure(seen, detail=(0, 10, 40, 60))
    assert found_in(np.asarray(given), seen.shown("noisy")[0:40, 10:70], 572 // 60)


def test_the_detail_of_a_huge_picture_is_looked_for_in_some_of_its_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = np.full((600, 840), 90, np.uint8)
    picture[400:520, 530:730] = np.random.default_rng(0).integers(0, 255, (120, 200))
    seen = compare(picture, sigma=5, denoisers=["mean"])
    monkeypatch.setattr(comparison_panels, "_OVERVIEW", 40_000)  # every fourth
    figure = np.asarray(comparison_figure(seen))
    assert found_in(figure, seen.shown("clean")[410:500, 560:700], ZOOM)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (900, 4), (12, 13, 3)])
def test_every_shape_of_picture_has_a_figure(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    figure = comparison_figure(compare(picture, sigma=9, denoisers=["mean", "gaussian"]))
    assert figure.height < 4000


def test_a_fair_figure_has_the_grids_and_a_clip_its_middle_frame() -> None:
    plain, fair = (
        comparison_figure(compare(photo((40, 31)), denoisers=["gaussian", "mean"], fair=f))
        for f in (False, True)
    )
    assert fair.height > plain.height + 300
    clip = np.stack([photo((40, 31)), photo((40, 31))[::-1], photo((40, 31))])
    figure = np.asarray(comparison_figure(compare(clip, denoisers=["gaussian"])))
    assert found_in(figure, clip[1], 572 // 40)


def test_the_same_comparison_is_the_same_figure(compared: Comparison) -> None:
    assert comparison_figure(compared).tobytes() == comparison_figure(compared).tobytes()


def pictures_in(pdf: bytes) -> list[np.ndarray]:
    """Return the colour pictures of a PDF file: their packed rows are those of PNG files."""
    found = []
    for part in pdf.split(b"endobj")[:-1]:
        if b"/Subtype /Image" not in part or b"/Colors 3" not in part:
            continue
        head, packed = part.split(b"stream\n", 1)
        wide, high = (int(re.findall(rb"/%s (\d+)" % k, head)[0]) for k in (b"Width", b"Height"))
        chunks = (
            (b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)),
            (b"IDAT", packed.rsplit(b"\nendstream", 1)[0]),
            (b"IEND", b""),
        )
        data = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c))
            for n, c in chunks
        )
        with Image.open(BytesIO(data)) as image:
            found.append(np.asarray(image)[::-1])  # drawn from below
    return found


def test_the_pdf_holds_every_picture_without_loss_and_text_as_text(compared: Comparison) -> None:
    content = comparison_bytes(compared, "pdf")
    assert content.startswith(b"%PDF-")
    pictures = pictures_in(content)
    for key in ("clean", "noisy", *FEW):
        wanted = compared.shown(key)
        assert any(p.shape == wanted.shape and (p == wanted).all() for p in pictures), key
    assert b"+DejaVuSans-Bold" in content
    assert b"/Subtype /Type3" not in content  # publishers refuse those
    assert content == comparison_bytes(compared, "pdf")


def test_the_svg_has_text_as_outlines_and_pictures_without_loss(compared: Comparison) -> None:
    content = comparison_bytes(compared, "svg").decode()
    root = ElementTree.fromstring(content)
    images = [
        np.asarray(Image.open(BytesIO(base64.b64decode(value.split(",", 1)[1]))).convert("RGB"))
        for element in root.iter("{http://www.w3.org/2000/svg}image")
        for name, value in element.attrib.items()
        if name.endswith("href")
    ]
    for key in ("clean", "noisy", *FEW):
        wanted = compared.shown(key)
        assert any(p.shape == wanted.shape and (p == wanted).all() for p in images), key
    assert content.count("#DejaVuSans-") > 100
    assert content == comparison_bytes(compared, "svg").decode()


def test_the_png_carries_what_makes_it_again(compared: Comparison) -> None:
    with Image.open(BytesIO(comparison_bytes(compared, "png"))) as image:
        image.load()
        assert image.tobytes() == comparison_figure(compared).tobytes()
        assert json.loads(image.info["nlviz.comparison"])["setup"]["seed"] == 3


def test_the_csv_is_the_table_to_the_last_digit(compared: Comparison) -> None:
    rows = list(csv.DictReader(StringIO(comparison_bytes(compared, "csv").decode())))
    for row, own in zip(rows, compared.table, strict=True):
        assert row["denoiser"] == own["denoiser"]
        assert float(row["psnr"]) == own["psnr"]
        assert float(row["ssim"]) == own["ssim"]
        assert set(row["best"].split()) == own["best"]
        assert row["licence"] == own["licence"]
    already = compare(compared.noisy, noisy=True, denoisers=FEW)
    rows = list(csv.DictReader(StringIO(comparison_bytes(already, "csv").decode())))
    assert {row["psnr"] for row in rows} == {""}


@pytest.mark.parametrize(
    "options",
    [
        {"sigma": 20, "seed": 5},
        {"noise": Noise("poisson-gaussian", 3, 2, clipped=True)},
        {"fair": True, "parameters": {"patch": 5, "window": 9}},
        {"noisy": True, "parameters": {"opencv-nlm": {"h": 11}, "h": float("inf")}},
        {"sigma": 0},
    ],
)
def test_the_json_makes_the_same_digits_again(options: dict[str, Any], tmp_path: Path) -> None:
    picture = photo((40, 31))
    first = compare(picture, denoisers=FEW, **options)
    path = save_comparison(first, tmp_path / "a.json")
    saved = read_comparison(path)
    again = made_again(saved, picture)
    for name, result in first.results.items():
        assert np.array_equal(again.results[name].picture, result.picture)
        assert again.results[name].psnr == result.psnr
    content = json.loads(path.read_text("utf-8"))
    assert content["versions"]["numpy"] == np.__version__
    if "fair" in options:
        assert all(len(row["grid"]) >= 5 for row in content["table"])


def test_another_picture_is_refused(compared: Comparison, tmp_path: Path) -> None:
    saved = read_comparison(save_comparison(compared, tmp_path / "a.json"))
    with pytest.raises(InvalidView, match="pixels of the sha256"):
        made_again(saved, photo() + np.uint8(1))


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda c: "nonsense", "cannot be read as a comparison"),
        (lambda c: "[1, 2]", "no comparison that nlviz saved"),
        (lambda c: json.dumps({**c, "version": 99}), "version 99, this nlviz reads version 1"),
        (lambda c: json.dumps({**c, "setup": {}}), "edited into no comparison"),
        (lambda c: json.dumps({**c, "picture": 5}), "edited into no comparison"),
        (
            lambda c: json.dumps({**c, "setup": {**c["setup"], "noise": {"kind": "loud"}}}),
            "noise.kind must be gaussian, poisson, poisson-gaussian or salt-and-pepper, got 'loud'",
        ),
    ],
)
def test_edited_files_are_told(
    edit: Any, sentence: str, compared: Comparison, tmp_path: Path
) -> None:
    content = json.loads(comparison_bytes(compared, "json"))
    path = tmp_path / "a.json"
    path.write_text(edit(content), "utf-8")
    with pytest.raises(InvalidView, match=sentence):
        read_comparison(path)


def test_other_endings_are_told_and_nothing_is_written(
    compared: Comparison, tmp_path: Path
) -> None:
    with pytest.raises(NlvizError, match=r"saved as \.png, \.pdf, \.svg, \.csv or \.json"):
        save_comparison(compared, tmp_path / "a.gif")
    with pytest.raises(NlvizError, match="cannot be written"):
        save_comparison(compared, tmp_path / "none" / "a.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 ms"), (0.000123, "0.12 ms"), (0.0099, "9.9 ms"), (1.234, "1.2 s"), (83, "83 s")],
)
def test_times_have_two_digits(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
