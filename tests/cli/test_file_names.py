"""Files named in Chinese, Japanese and Korean, through the commands: names are drawn and kept."""

from __future__ import annotations

import base64
import json
import re
import shutil
import unicodedata
import zlib
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import Image
from typer.testing import CliRunner, Result

from nlviz import cli
from nlviz.resources import bundled_inputs
from nlviz.web.payloads.container import unpack

pytestmark = pytest.mark.slow

QUICK = ["--frames", "2", "--size", "96"]
CHINESE, JAPANESE, KOREAN = "北京胡同的猫", "猫の写真（骨）", "서울 고양이"
DROID, NOTO = "DroidSansFallback", "NotoSansCJKjp-Regular"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures with names in three scripts, where the commands run."""
    monkeypatch.chdir(tmp_path)
    for name in (CHINESE, JAPANESE, unicodedata.normalize("NFD", KOREAN)):
        shutil.copy(bundled_inputs()["cat.jpg"], f"{name}.jpg")
    return tmp_path


def attend(name: str, output: str) -> Path:
    result = run("attend", f"{name}.jpg", "--query", "0,40,50", *QUICK, "-o", output)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{output}\n"
    assert "U+" not in result.stderr
    return Path(output)


def embedded(pdf: bytes) -> dict[str, list[TTFont]]:
    """Return the TrueType fonts in a PDF by the names that they have there."""
    fonts: dict[str, list[TTFont]] = {}
    names = re.findall(rb"/FontName /[A-Z]{6}\+([\w-]+)[^>]*?/FontFile2 (\d+) 0 R", pdf, re.S)
    for name, number in names:
        body = re.search(rb"\n%s 0 obj\n.*?stream\n(.*?)\nendstream" % number, pdf, re.S)
        assert body is not None
        font = TTFont(BytesIO(zlib.decompress(body[1])))
        fonts.setdefault(name.decode(), []).append(font)
    return fonts


def drawn_glyphs(fonts: list[TTFont]) -> int:
    """Return how many glyphs of embedded fonts have an outline, parts of others among them."""
    return sum(
        font["glyf"][name].numberOfContours != 0
        for font in fonts
        for name in font.getGlyphOrder()
        if name != ".notdef"
    )


@pytest.mark.parametrize(
    ("name", "font"), [(CHINESE, DROID), (JAPANESE, NOTO), (KOREAN, DROID)], ids=["zh", "ja", "ko"]
)
def test_a_pdf_embeds_the_shapes_of_a_name(name: str, font: str) -> None:
    name = unicodedata.normalize("NFD", name) if name == KOREAN else name
    pdf = attend(name, "看.pdf").read_bytes()
    fonts = embedded(pdf)
    signs = set(unicodedata.normalize("NFC", name)) - {" "}
    assert drawn_glyphs(fonts[font]) >= len(signs)
    assert ({DROID, NOTO} - {font}).isdisjoint(fonts)


def test_an_svg_outlines_a_name_and_keeps_it_as_its_title() -> None:
    root = ElementTree.parse(attend(CHINESE, "look.svg")).getroot()
    assert not list(root.iter("{http://www.w3.org/2000/svg}text"))
    titles = [each.text or "" for each in root.iter("{http://purl.org/dc/elements/1.1/}title")]
    assert any(CHINESE in title for title in titles)
    outlines = {each.get("id", "") for each in root.iter("{http://www.w3.org/2000/svg}path")}
    assert sum(DROID in name for name in outlines) >= len(set(CHINESE))


def test_pictures_and_pages_carry_a_name() -> None:
    heads = []
    for name in (CHINESE, JAPANESE):
        with Image.open(attend(name, f"{name}.png")) as image:
            view = json.loads(image.info["nlviz.view"])
            heads.append(np.asarray(image.convert("L").crop((0, 0, image.width, 70))))
        assert view["clip"]["name"] == f"{name}.jpg"
    assert not np.array_equal(*heads)
    page = attend(JAPANESE, "見る.html").read_text("utf-8")
    assert f"<title>{JAPANESE}.jpg" in page
    body = re.search(r'id="nlv-container">([^<]*)<', page)
    assert body is not None
    header, _ = unpack(base64.b64decode(body[1]))
    assert header["clip"]["name"] == f"{JAPANESE}.jpg"
    told = json.loads(attend(KOREAN_FILE, "봐.json").read_text("utf-8"))
    assert unicodedata.normalize("NFC", told["clip"]["name"]) == f"{KOREAN}.jpg"


KOREAN_FILE = unicodedata.normalize("NFD", KOREAN)


def test_a_moving_picture_is_written_under_a_name() -> None:
    with Image.open(attend(CHINESE, "动图.gif")) as image:
        assert image.width > 90


def test_other_commands_draw_names() -> None:
    both = run(
        "compare", f"{CHINESE}.jpg", f"{JAPANESE}.jpg", "--query", "0,40,50", *QUICK, "-o", "两.pdf"
    )
    assert both.exit_code == 0, both.output
    assert f"A  {CHINESE}.jpg" in both.stdout
    fonts = embedded(Path("两.pdf").read_bytes())
    assert drawn_glyphs(fonts[DROID]) >= len(set(CHINESE))
    assert drawn_glyphs(fonts[NOTO]) >= len(set(JAPANESE))
    denoised = run(
        "denoise",
        f"{CHINESE}.jpg",
        "--sigma",
        "25",
        "--size",
        "48",
        "--denoiser",
        "mean",
        "-o",
        "噪.pdf",
    )
    assert denoised.exit_code == 0, denoised.output
    assert drawn_glyphs(embedded(Path("噪.pdf").read_bytes())[DROID]) >= len(set(CHINESE))
