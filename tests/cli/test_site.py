"""`nlviz site`: a folder of live views, written and looked at in a real Chromium."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from playwright.sync_api import Browser

import nlviz
from nlviz.errors import NlvizError
from nlviz.render.site import write_site
from nlviz.render.site_cards import Card, clip_licence
from nlviz.views.compare_view import CompareView
from nlviz.views.view import View
from nlviz.web.payloads.container import unpack
from tests.captures.test_text_networks import Attention, Words, captured
from tests.cli.test_cli import run
from tests.fixtures import make_capture, make_clip

pytestmark = pytest.mark.slow

AT = {"clip": "coffee.jpg", "model": "lite-nl", "block": "stage4", "at": "0,30,40", "size": "64"}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A view, one of A | B, captures of a clip and of a text, and a page of the live view."""
    folder = tmp_path_factory.mktemp("given")
    view = View.from_query_params(AT | {"frames": "all"})
    both = CompareView(view, replace(view, block="stage3"))
    capture = make_capture(make_clip(name="hund & „Leine“/../x.mp4"), pool=2)
    text = captured(Words(Attention(causal=True)), nlviz.read_text("the dog saw the ball"))
    files = {name: folder / name for name in ("one.json", "both.json")}
    files["one.json"].write_text(view.to_json(), "utf-8")
    files["both.json"].write_text(both.to_json(), "utf-8")
    files["clip.nlviz"] = capture.save(folder / "clip.nlviz")
    files["text.nlviz"] = text.save(folder / "text.nlviz")
    files["page.html"] = nlviz.view(capture, query=(1, 20, 30)).save(folder / "page.html")
    return files


@pytest.fixture(scope="module")
def site(given: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "made" / "here"
    options = ("--title", 'Cups: "two" & more', "--licence", "CC-BY 4.0")
    done = run("site", *given.values(), given["one.json"], *options, "-o", folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(folder / "index.html")
    assert "5 pages" in done.stderr
    return folder


def cards_of(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "index.html").read_text("utf-8")
    body = re.search(r'id="nlv-container">([^<]*)<', text)
    assert body is not None
    return list(unpack(base64.b64decode(body[1]))[0]["cards"])


def test_every_page_is_there_under_a_safe_name_and_fetches_nothing(site: Path) -> None:
    cards = cards_of(site)
    assert [card["kind"] for card in cards] == ["view", "compare", "view", "view", "view"]
    for card in cards:
        assert re.fullmatch(r"views/[a-z0-9-]{1,60}\.html", card["page"])
        assert 'name="generator" content="nlviz"' in (site / card["page"]).read_text("utf-8")
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 6
    for page in pages:
        text = page.read_text("utf-8")
        assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", text)
        assert "default-src 'none'" in text
    names = {p.name for p in site.iterdir()}
    assert names == {"README.md", "index.html", "site.json", "views"}


def test_cards_say_what_the_row_does_and_whose_clip_it_is(site: Path) -> None:
    one, both, clip, text, page = cards_of(site)
    assert (one["title"], one["under"]) == ("coffee.jpg", "lite-nl · stage4")
    assert one["row"]["own"] is None  # a picture
    assert one["row"]["cells"] == "294"
    assert 0 <= one["parity"] < 1e-4
    assert one["licences"] == [["coffee.jpg", "CC0"], ["lite-nl", "Apache-2.0"]]
    assert both["title"].startswith("A · ")
    assert clip["row"]["own"].endswith("%")
    assert clip["licences"] == []
    assert text["row"] is None
    assert "tokens" in text["sentence"] or "words" in text["sentence"]
    assert page["title"] == clip["title"] == "hund & „Leine“/../x.mp4"
    assert all(
        card["thumbnail"].startswith("data:image/jpeg;base64,") for card in (one, both, page)
    )


def test_the_readme_is_that_of_a_static_space(site: Path) -> None:
    _, header, text = (site / "README.md").read_text("utf-8").split("---\n")
    told = yaml.safe_load(header)
    assert told["sdk"] == "static"
    assert told["app_file"] == "index.html"
    assert told["title"] == 'Cups: "two" & more'
    assert "CC-BY 4.0" in text


def test_clips_that_are_bundled_have_a_licence() -> None:
    for name in nlviz.bundled_inputs():
        assert clip_licence(name), name
    assert clip_licence("") == clip_licence("README.md") == ""


@pytest.mark.browser
@pytest.mark.parametrize(("wide", "scheme"), [(390, "dark"), (1400, "light")])
def test_the_gallery_in_a_browser(site: Path, browser: Browser, wide: int, scheme: Any) -> None:
    context = browser.new_context(
        viewport={"width": wide, "height": 800}, color_scheme=scheme, locale="ja-JP"
    )
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((site / "index.html").as_uri())
    page.locator(".nlv-cards li").nth(4).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= wide
    across = {round(box["x"]) for box in (c.bounding_box() for c in cards(page)) if box}
    assert len(across) == (1 if wide == 390 else 3)
    assert page.locator(".nlv-kind").first.inner_text() == "ライブビュー"
    page.locator("select[name=language]").select_option("zh")
    assert page.locator(".nlv-kind").first.inner_text() == "实时视图"
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert page.locator("h1").inner_text() == 'Cups: "two" & more'
    assert all(page.evaluate("[...document.images].map((i) => i.naturalWidth > 0)"))
    page.locator(".nlv-card").first.click()
    page.locator("[data-query='0,30,40']").wait_for()
    assert page.locator("[lang=zh-Hans]").count() > 0  # it goes on in the language that was chosen
    assert faults == []
    context.close()


def cards(page: Any) -> list[Any]:
    return list(page.locator(".nlv-cards li").all())


def test_one_bad_view_is_named_and_nothing_is_written(
    given: dict[str, Path], tmp_path: Path
) -> None:
    own = tmp_path / "own.json"
    view = View.from_query_params(AT | {"model": "mine:build"})
    own.write_text(view.to_json(), "utf-8")
    other = tmp_path / "other.html"
    other.write_text("<script>alert(1)</script>", "utf-8")
    denoise = tmp_path / "denoise.json"
    denoise.write_text(nlviz.DenoiseView().to_json(), "utf-8")
    bad = (own, other, denoise, tmp_path / "nowhere.json")
    done = run("site", given["clip.nlviz"], *bad, "-o", tmp_path / "site")
    assert done.exit_code == 1
    assert "4 views of 5 cannot be shown, so that nothing was written" in done.output.replace(
        "\n", " "
    )
    for name in ("own.json", "other.html", "denoise.json", "nowhere.json"):
        assert name in done.output
    assert "view of denoisers" in done.output.replace("\n", " ")
    assert not (tmp_path / "site").exists()


def card(name: str, page: bytes = b"<!doctype html>") -> Card:
    return Card("page", name, page, name, picture=np.zeros((3, 5, 3), np.uint8))


def test_a_site_is_brought_up_to_date(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    write_site([card("a"), card("b"), card("a")], folder)
    assert [c["title"] for c in cards_of(folder)] == ["a", "b"]  # given twice, shown once
    (folder / "mine.txt").write_text("kept")
    (folder / "views" / "mine.html").write_text("kept")
    write_site([card("b", b"new"), card("c")], folder, title="Other")
    assert {p.name for p in (folder / "views").iterdir()} == {"b.html", "c.html", "mine.html"}
    assert (folder / "views" / "b.html").read_bytes() == b"new"
    assert (folder / "mine.txt").read_text() == "kept"
    assert "Other" in (folder / "README.md").read_text("utf-8")
    (folder / "README.md").write_text("my own")
    write_site([card("c")], folder)
    assert (folder / "README.md").read_text() == "my own"


def test_what_nlviz_did_not_write_stays(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("a page of somebody")
    with pytest.raises(NlvizError, match=r"index\.html that nlviz did not write"):
        write_site([card("a")], tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]
    with pytest.raises(NlvizError, match="is a file; name another"):
        write_site([card("a")], tmp_path / "index.html")
    with pytest.raises(NlvizError, match="none was given"):
        write_site([], tmp_path / "b")
    # A list that leads out of the folder is not followed.
    folder = write_site([card("a")], tmp_path / "c").parent
    told = json.loads((folder / "site.json").read_text())
    (folder / "site.json").write_text(json.dumps({**told, "pages": ["views/../../index.html"]}))
    with pytest.raises(NlvizError, match="did not write"):
        write_site([card("b")], folder)
    assert (tmp_path / "index.html").exists()


def test_a_disk_that_fails_leaves_the_site_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_site([card("a"), card("b")], tmp_path / "site").parent
    before = (folder / "index.html").read_bytes()

    def full(path: Path, content: bytes) -> Path:
        raise NlvizError(f"{path.name} cannot be written (No space left on device)")

    monkeypatch.setattr("nlviz.render.site.write_whole", full)
    with pytest.raises(NlvizError, match="No space left"):
        write_site([card("c")], folder)
    assert (folder / "index.html").read_bytes() == before
    assert all((folder / c["page"]).exists() for c in cards_of(folder))
