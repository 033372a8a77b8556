"""The report of a survey in a real Chromium: atlases of all sizes, keys, links, odd names."""

from __future__ import annotations

import collections
import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

import nlviz
from nlviz.web.bundle import FOLDER, SURVEY
from nlviz.web.payloads.container import unpack
from nlviz.web.payloads.survey import packed, survey_payload
from nlviz.web.survey_page import report_page
from tests.accessible import needs_axe, serious
from tests.web.live_view.test_bundle import names
from tests.web.live_view.test_rows import node
from tests.web.survey.reports import EVIL, report

MANY = ("effective", "features", "spread", "concentration")
CLOSING = '</script><img src=x onerror="window.hacked=1">'
WORDS = ("犬の散歩.mp4", "قطة.mp4", EVIL, "a & b;c=d?.mp4", "x" * 200 + ".mp4")


def opened(
    browser: Browser, folder: Path, whole: dict[str, Any], width: int = 1400, **context: Any
) -> Page:
    path = folder / "report.html"
    path.write_text(report_page(whole), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900}, **context)
    page.on("pageerror", lambda error: page.__dict__.setdefault("errors", []).append(error))
    page.on("request", lambda asked: page.__dict__.setdefault("asked", []).append(asked.url))
    page.goto(path.as_uri())
    page.wait_for_function("window.nlviz?.timings.length > 0")
    assert "errors" not in page.__dict__
    return page


def test_units() -> None:
    script = Path(__file__).with_name("survey.test.mjs")
    done = subprocess.run([node(), "--test", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("entry", dict(SURVEY.entries))
def test_the_script_is_one_valid_module(entry: str, tmp_path: Path) -> None:
    script = SURVEY.script(entry)
    counted = collections.Counter(names(script))
    assert [name for name, count in counted.items() if count > 1] == []
    assert not re.search(r"^import ", script, re.M)
    path = tmp_path / "bundle.mjs"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run([node(), "--check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_module_is_used_and_short() -> None:
    used = {path for entry in dict(SURVEY.entries) for path in SURVEY.files(entry)}
    files = set((FOLDER / "survey").rglob("*.js"))
    assert files <= used
    assert all(len(path.read_text("utf-8").splitlines()) < 300 for path in files)


def test_sections_are_the_same_twice_and_hold_each_picture_once() -> None:
    whole = report((3, 2), clips=12)
    blob, again = (survey_payload(each) for each in (whole, json.loads(json.dumps(whole))))
    assert bytes(unpack(blob)[1]["report"]) == bytes(unpack(again)[1]["report"])
    back = packed(blob)
    assert {clip["digest"] for clip in back["clips"]} <= {f"{n:064x}" for n in range(12)}
    assert len(back["clips"]) <= 12
    example = whole["typical"][0][1][1]["least"][4]
    number, frame, y, x, *_ = back["typical"][0][1][1]["least"][4]
    assert back["clips"][number]["digest"] == example["digest"]
    assert (frame, y, x) == tuple(example["query"].values())


def test_what_is_no_number_is_nothing() -> None:
    whole = report((1,), figures=("sink",))
    whole["values"][0]["sink"]["mean"] = [[float("nan")]]
    assert packed(survey_payload(whole))["values"][0]["sink"]["mean"] == [[None]]


@needs_axe
@pytest.mark.browser
@pytest.mark.parametrize(
    ("heads", "surveys", "width", "scheme", "locale"),
    [
        ((1, 1), 1, 1400, "light", "en"),
        ((1, 1), 2, 390, "dark", "ja"),
        ((12,) * 12, 1, 390, "light", "en"),
        ((12,) * 12, 2, 1600, "dark", "zh"),
        ((32,) * 48, 1, 1000, "light", "en"),
    ],
    ids=str,
)
def test_every_atlas_fits_and_can_be_read_by_all(
    browser: Browser,
    tmp_path: Path,
    heads: tuple[int, ...],
    surveys: int,
    width: int,
    scheme: str,
    locale: str,
) -> None:
    whole = report(heads, surveys=surveys, figures=MANY, block="model.layers.{n}.self_attention")
    page = opened(browser, tmp_path, whole, width, color_scheme=scheme, locale=locale)
    assert page.locator(".nsv-cell").count() == sum(heads) * (3 if surveys == 2 else 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # No column of a table is cut off but where the whole atlas is scrolled.
    box = "(n) => [n.scrollWidth, n.clientWidth]"
    inside, room = page.locator(".nsv-atlas .nsv-scroll").first.evaluate(box)
    assert inside <= room or 15 * max(heads) > room - 140
    assert page.evaluate("document.documentElement.lang") == {"zh": "zh-Hans"}.get(locale, locale)
    if sum(heads) < 500:  # axe takes long over a thousand buttons
        assert not (found := serious(page)), "\n".join(found)
    assert [
        url for url in page.__dict__["asked"] if urlsplit(url).scheme not in ("file", "data")
    ] == []
    page.close()


@pytest.mark.browser
def test_keys_walk_the_atlas_and_open_a_head(browser: Browser, tmp_path: Path) -> None:
    whole = report((3, 5, 2), figures=MANY)
    page = opened(browser, tmp_path, whole)
    page.locator(".nsv-cell[tabindex='0']").focus()
    at = "[document.activeElement.dataset.layer, document.activeElement.dataset.head].join()"
    for key, there in (
        ("ArrowRight", "0,1"), ("ArrowDown", "1,1"), ("End", "1,4"), ("ArrowDown", "2,1"),
        ("ArrowDown", "2,1"), ("PageUp", "0,1"), ("Home", "0,0"), ("ArrowLeft", "0,0"),
        ("ArrowDown", "1,0"), ("ArrowRight", "1,1"),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate(at) == there, key
    page.keyboard.press("Enter")
    assert "head 2 of 5" in page.locator(".nsv-one h2").inner_text()
    assert page.locator(".nsv-cell[aria-pressed='true']").get_attribute("data-head") == "1"
    page.keyboard.press("Tab")  # one stop for the whole table
    assert not page.evaluate("document.activeElement.classList.contains('nsv-cell')")
    page.close()


@pytest.mark.browser
def test_a_cell_says_value_interval_and_label(browser: Browser, tmp_path: Path) -> None:
    whole = report((2, 3), figures=MANY)
    page = opened(browser, tmp_path, whole)
    page.locator("select[name='figure']").select_option("features")
    cell = page.locator(".nsv-cell[data-layer='1'][data-head='2']")
    said = cell.get_attribute("aria-label") or ""
    mean = whole["values"][0]["features"]["mean"][1][2]
    shown = f"{abs(mean):.3f}"
    assert ", stage1.block, head 3: Agreement with features" in said and shown in said
    assert said.endswith(whole["labels"][0][1][2]["label"])
    cell.hover()
    expect(page.locator(".nlv-tip")).to_have_text(said.partition(", ")[2])
    cell.click()
    row = page.locator(".nsv-figures tr", has=page.locator("[data-figure='features']"))
    assert shown in row.inner_text()
    page.locator("[data-figure='spread']").click()
    assert page.locator("select[name='figure']").input_value() == "spread"
    assert page.evaluate("document.activeElement.dataset.figure") == "spread"
    page.close()


@pytest.mark.browser
def test_a_label_leaves_its_heads_alone(browser: Browser, tmp_path: Path) -> None:
    whole = report((4, 4), figures=MANY)
    page = opened(browser, tmp_path, whole)
    every = [one["label"] for layer in whole["labels"][0] for one in layer]
    for name in sorted(set(every)):
        chip = page.locator(".nsv-chip", has_text=name).first
        assert str(every.count(name)) in chip.inner_text()
        chip.click()
        kept = page.locator(".nsv-cell:not(.nsv-faded)").count()
        assert kept == every.count(name)
        chip.click()
    assert page.locator(".nsv-faded").count() == 0
    page.close()


@pytest.mark.browser
def test_names_from_files_are_text_and_links_lead_to_their_query(
    browser: Browser, tmp_path: Path
) -> None:
    whole = report((2,), figures=MANY, names=WORDS, groups=(CLOSING, "犬"), clips=10)
    whole["surveys"][0]["name"] = CLOSING
    whole["notes"] = [CLOSING]
    whole["layers"][0]["block"] = CLOSING
    page = opened(browser, tmp_path, whole)
    assert page.evaluate("window.hacked ?? 0") == 0
    assert CLOSING in page.locator(".nsv-one h2").inner_text()
    assert page.locator("img:not([src^='data:image/jpeg;base64,'])").count() == 0
    for kind in ("most", "least"):
        section = page.locator(".nsv-examples section").nth(("most", "least").index(kind))
        links = section.locator("a")
        assert links.count() == 10
        for n, example in enumerate(whole["typical"][0][0][0][kind]):
            url = urlsplit(links.nth(n).get_attribute("href") or "")
            assert (url.scheme, url.netloc, url.path) == ("http", "localhost:8501", "/")
            asked = dict(parse_qsl(url.query))
            assert asked["clip"] == f"survey:{example['digest']}:{example['clip']}"
            view = nlviz.View.from_query_params(asked)
            assert tuple(view.query) == tuple(example["query"].values())
            assert (view.block, view.display.head, view.model.name) == (CLOSING, 0, "lite-nl")
    field = page.locator("input[name='server']")
    field.fill("http://lab:9000/nlviz")
    assert (page.locator(".nsv-examples a").first.get_attribute("href") or "").startswith(
        "http://lab:9000/nlviz/?clip="
    )
    field.fill("javascript:alert(1)//")
    assert page.locator(".nsv-examples a").count() == 0
    page.close()


@pytest.mark.browser
def test_two_surveys_say_what_changed_and_whether_it_is_noise(
    browser: Browser, tmp_path: Path
) -> None:
    whole = report((4, 3), surveys=2, figures=MANY)
    page = opened(browser, tmp_path, whole)
    told = whole["changed"]["effective"]["told"]
    last = page.locator(".nsv-atlas").last
    for layer, row in enumerate(told):
        for head, more in enumerate(row):
            cell = last.locator(f"[data-layer='{layer}'][data-head='{head}']")
            said = cell.get_attribute("aria-label") or ""
            assert ("; no more than noise" in said) is not more
            assert ("◆" in cell.inner_text()) is more
    assert page.locator(".nsv-change").count() == len(MANY)
    page.locator(".nlv-segments button", has_text="B · survey-b").click()
    asked = parse_qsl(
        urlsplit(page.locator(".nsv-examples a").first.get_attribute("href") or "").query
    )
    assert dict(asked)["clip"].startswith(
        f"survey:{whole['typical'][1][0][0]['most'][0]['digest']}:"
    )
    page.close()


@pytest.mark.browser
def test_a_survey_without_a_clip_says_so(browser: Browser, tmp_path: Path) -> None:
    whole = report((), figures=())
    page = opened(browser, tmp_path, whole)
    assert "No clip was looked at" in page.locator("main").inner_text()
    assert "moov atom not found" in page.locator("main").inner_text()
    page.close()
