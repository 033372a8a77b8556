"""The page that works from disk, driven in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page

from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.payloads.container import pack, unpack
from tests.pace import rest
from tests.web.live_view.containers import square_container

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the moving square, on disk."""
    file = tmp_path_factory.mktemp("page") / "square.html"
    file.write_text(LIVE_VIEW.page(square_container(), title="moving square"), encoding="utf-8")
    return file


def opened(browser: Browser, path: Path, *, width: int = 1200, **options: Any) -> Page:
    """Open the page and wait until it has drawn."""
    page = browser.new_page(viewport={"width": width, "height": 860}, **options)
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request", lambda request: errors.append(request.url) if "http" in request.url else None
    )
    page.goto(path.as_uri())
    page.wait_for_selector("[data-query]")
    rest(page, 150)
    assert errors == []
    return page


@pytest.fixture
def page(browser: Browser, path: Path) -> Iterator[Page]:
    """The page at desktop width."""
    shown = opened(browser, path)
    yield shown
    shown.close()


def root(page: Page) -> dict[str, str]:
    """Return what the live view says about itself."""
    data: dict[str, str] = page.evaluate("({...document.getElementById('nlv-root').dataset})")
    return data


def at(picture: Locator, y: float, x: float) -> tuple[float, float]:
    """Return where on the page the middle of a pixel of the clip is shown."""
    box = picture.bounding_box()
    assert box is not None
    return (
        box["x"] + (x + 0.5) / 128 * box["width"],
        box["y"] + (y + 0.5) / 96 * box["height"],
    )


def hover(page: Page, picture: Locator, y: int, x: int) -> None:
    """Move the pointer over a pixel of the clip."""
    page.mouse.move(*at(picture, y, x))
    rest(page)


def large(page: Page) -> Locator:
    """Return the large picture."""
    return page.locator(".nlv-large .nlv-picture")


def small(page: Page, frame: int) -> Locator:
    """Return a picture of the strip."""
    return page.locator(".nlv-tile:not(.nlv-large) .nlv-picture").nth(frame)


def map_of(page: Page, frame: int) -> list[int]:
    """Return the opacities of the map's cells in one frame of the strip."""
    cells: list[int] = page.evaluate(
        """(n) => {
          const canvas = document.querySelectorAll(".nlv-tile:not(.nlv-large) .nlv-map")[n];
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return Array.from({ length: data.length / 4 }, (_, i) => data[4 * i + 3]);
        }""",
        frame,
    )
    return cells


def test_opens_pinned_at_its_opening_query(page: Page) -> None:
    now = root(page)
    assert (now["query"], now["pinned"], now["source"]) == ("1,40,40", "true", "learned")
    assert page.locator(".nlv-title h2").inner_text().startswith("moving square")
    assert "not trained" in page.locator(".nlv-facts").inner_text()
    assert page.locator(".nlv-state").get_attribute("data-tip") == (
        "Opening query: the most mobile textured point"
    )


def test_map_finds_the_square_in_every_frame(page: Page) -> None:
    # The query lies one cell right of and one below the square's corner (32, 32) in frame 1.
    for frame in (0, 2, 3):
        cells = map_of(page, frame)
        strongest = max(range(len(cells)), key=cells.__getitem__)
        row, column = divmod(strongest, 16)
        assert (row, column) == (40 // 8, (16 + 16 * frame + 8) // 8)


def test_hover_previews_and_leaving_returns_to_the_pin(page: Page) -> None:
    before = map_of(page, 2)
    hover(page, large(page), 86, 115)
    assert root(page)["hovering"] == "true"
    assert root(page)["pinned"] == "true"
    assert map_of(page, 2) != before
    assert "the pinned point gives this cell" in page.locator(".nlv-readout").inner_text()
    page.mouse.move(4, 4)
    rest(page)
    assert root(page)["query"] == "1,40,40"
    assert map_of(page, 2) == before


def test_hover_on_the_strip_draws_that_frame_large(page: Page) -> None:
    hover(page, small(page, 3), 48, 64)
    assert root(page)["query"].startswith("3,")
    assert "frame 4 of 4" in page.locator(".nlv-large .nlv-caption").inner_text()


def test_click_pins_and_escape_unpins(page: Page) -> None:
    page.mouse.click(*at(large(page), 72, 32))
    rest(page)
    assert root(page)["query"] == "1,72,32"
    assert page.locator(".nlv-state").inner_text() == "Pinned"
    page.keyboard.press("Escape")
    rest(page)
    assert root(page)["pinned"] == "false"
    assert root(page)["query"] == "1,72,32"
    assert page.locator(".nlv-state").inner_text() == "Not pinned"


def test_keys_move_by_cells_and_frames(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    rest(page)
    assert root(page)["query"] == "1,52,52"
    page.keyboard.press(".")
    page.keyboard.press("]")
    page.keyboard.press(",")
    rest(page)
    assert root(page)["query"] == "2,52,52"


def test_number_keys_switch_sources(page: Page) -> None:
    before = map_of(page, 2)
    page.keyboard.press("3")
    rest(page)
    assert root(page)["source"] == "position"
    assert map_of(page, 2) != before
    page.keyboard.press("1")
    rest(page)
    assert map_of(page, 2) == before
    page.keyboard.press("9")
    rest(page)
    assert root(page)["source"] == "learned"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a noise clip in a small network, with all sources and parts."""
    from nlviz.captures.model import Model
    from nlviz.web.payloads.live_view import live_view
    from tests.nets import FRAMES, frame_net, noise_clip

    capture = Model(frame_net(), input_spec=FRAMES).capture(noise_clip(3, 96, 128))
    file = tmp_path_factory.mktemp("parts") / "parts.html"
    blob = live_view(capture, "layer1", query=(1, 40, 40))
    file.write_text(LIVE_VIEW.page(blob, title="parts"), encoding="utf-8")
    return file


@pytest.mark.parametrize("width", [1400, 900, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_parts_have_a_group_of_their_own(
    browser: Browser, parts: Path, width: int, scheme: str
) -> None:
    page = opened(browser, parts, width=width, color_scheme=scheme)
    group = page.locator(".nlv-parts")
    assert group.get_by_role("radio").count() == 3
    assert page.locator("[data-field=source]").get_by_role("radio").count() == 9
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = page.locator("[data-field=source] button").evaluate_all(
        "all => all.map(button => button.scrollWidth > button.clientWidth + 1)"
    )
    assert not any(cut)
    # Where the sources do not fit, their row scrolls by itself and the chosen one is in sight.
    page.keyboard.press("6")
    rest(page)
    chosen = page.locator("[data-field=source] [aria-checked=true]").bounding_box()
    assert chosen is not None
    assert 0 <= chosen["x"] and chosen["x"] + chosen["width"] <= width
    group.get_by_role("radio", name="Minus mean").click()
    rest(page)
    assert root(page)["source"] == "minus_mean"
    assert page.locator("[data-field=source] [aria-checked=true]").count() == 1
    assert "elsewhere than the average query" in page.locator(".nlv-sentence").inner_text()
    assert page.locator(".nlv-middle").inner_text() == "0×"
    shares = page.locator(".nlv-tile:not(.nlv-large) .nlv-share").all_inner_texts()
    assert {text[0] for text in shares} <= {"+", "−", "0"}
    page.close()


def test_number_keys_and_arrows_reach_the_parts(browser: Browser, parts: Path) -> None:
    page = opened(browser, parts)
    before = map_of(page, 2)
    maps = {}
    for number, source in (("6", "pairwise"), ("7", "unary"), ("8", "minus_mean")):
        page.keyboard.press(number)
        rest(page)
        assert root(page)["source"] == source
        maps[source] = map_of(page, 2)
        assert maps[source] != before
    page.keyboard.press("7")
    rest(page)
    hover(page, large(page), 86, 115)
    assert map_of(page, 2) == maps["unary"], "the unary part is the same for every query"
    page.mouse.move(4, 4)
    page.locator(".nlv-parts [value=pairwise]").focus()
    page.keyboard.press("ArrowLeft")
    rest(page)
    assert root(page)["source"] == "cosine"
    page.close()


def test_a_concatenation_says_that_it_ranks_keys_alike(browser: Browser, tmp_path: Path) -> None:
    from nlviz.captures.model import Model
    from nlviz.web.payloads.live_view import live_view
    from tests.nets import FRAMES, frame_net, noise_clip

    capture = Model(frame_net("concatenation"), input_spec=FRAMES).capture(noise_clip(2, 96, 128))
    file = tmp_path / "concatenation.html"
    file.write_text(LIVE_VIEW.page(live_view(capture, "layer1"), title="parts"), encoding="utf-8")
    page = opened(browser, file)
    term = page.locator(".nlv-facts .nlv-term", has_text="concatenation")
    assert "ranks the keys alike for every query" in (term.get_attribute("data-tip") or "")
    assert page.locator(".nlv-parts").get_by_role("radio").all_inner_texts() == ["6Minus mean"]
    page.close()


def test_keys_in_a_field_stay_in_the_field(page: Page) -> None:
    page.locator("input[name=y]").fill("3")
    page.keyboard.press("ArrowUp")
    rest(page)
    assert root(page)["source"] == "learned"


def test_fields_move_the_query(page: Page) -> None:
    page.locator("input[name=y]").fill("70")
    page.locator("input[name=y]").press("Enter")
    page.locator("input[name=x]").fill("100")
    page.locator("input[name=x]").press("Enter")
    page.locator("input[name=frame]").fill("2")
    rest(page)
    assert root(page)["query"] == "2,70,100"
    assert root(page)["pinned"] == "true"


def test_numbers_typed_before_the_last_ones_are_drawn_are_kept(page: Page) -> None:
    page.evaluate(
        """() => {
          const live = document.getElementById("nlv-root");
          const set = (name, value, ...events) => {
            const field = live.querySelector(`input[name=${name}]`);
            field.value = value;
            for (const event of events) field.dispatchEvent(new Event(event, { bubbles: true }));
          };
          set("y", 70, "input", "change");
          set("x", 100, "input", "change");
          set("frame", 2, "input");
          set("x", 61, "input");
        }"""
    )
    rest(page)
    assert root(page)["query"] == "2,70,100"
    assert page.locator("input[name=x]").input_value() == "61"


def test_show_head_and_scale_controls(page: Page) -> None:
    page.get_by_role("radio", name="Links").click()
    rest(page)
    assert (
        page.locator(".nlv-map").first.evaluate("e => getComputedStyle(e).visibility") == "hidden"
    )
    page.get_by_role("radio", name="Map").click()
    assert not page.locator(".nlv-heads").is_visible()
    page.keyboard.press("4")
    rest(page)
    mean = map_of(page, 2)
    page.get_by_role("radio", name="head 2 of 2").click()
    rest(page)
    assert map_of(page, 2) != mean
    page.locator("select[name=scale]").select_option("locked")
    rest(page)
    assert "locked" in page.locator(".nlv-bar-title").inner_text()


def test_locked_scale_stays_across_queries(page: Page) -> None:
    page.locator("select[name=scale]").select_option("locked")
    rest(page)
    high = page.locator(".nlv-high").inner_text().lstrip(">")
    hover(page, large(page), 10, 115)
    assert page.locator(".nlv-high").inner_text().lstrip(">") == high


def test_leaving_out_is_said_and_hatched(page: Page) -> None:
    page.locator("select[name=leave_out]").select_option("frame")
    rest(page)
    sentence = page.locator(".nlv-sentence").inner_text()
    assert "own frame" in sentence
    assert "the rest is scaled to 100" in sentence
    hatched = page.locator(".nlv-tile:not(.nlv-large) .nlv-hatch:visible")
    assert hatched.count() == 1
    assert hatched.inner_text() == "hidden"


def test_signed_rows_diverge_around_zero(page: Page) -> None:
    page.keyboard.press("5")
    rest(page)
    low = page.locator(".nlv-low").inner_text()
    assert "−" in low
    assert page.locator(".nlv-middle").inner_text() == "0×"


def test_column_shows_who_looks_here(page: Page) -> None:
    page.get_by_role("radio", name="To key").click()
    rest(page)
    assert "Of the attention" in page.locator(".nlv-sentence").inner_text()


def test_caption_swaps_the_large_frame_without_moving_the_query(page: Page) -> None:
    page.locator(".nlv-tile:not(.nlv-large) .nlv-swap").nth(3).click()
    rest(page)
    assert "frame 4 of 4" in page.locator(".nlv-large .nlv-caption").inner_text()
    assert root(page)["query"] == "1,40,40"


def test_play_scrubs_with_the_query_fixed(page: Page) -> None:
    page.get_by_role("button", name="Play").click()
    rest(page, 900)
    note = page.locator(".nlv-large .nlv-caption").inner_text()
    assert "frame 2 of 4" not in note or root(page)["query"] == "1,40,40"
    page.get_by_role("button", name="Pause").click()
    assert root(page)["query"] == "1,40,40"


def test_thumbnail_lights_its_cell_and_compares(page: Page) -> None:
    page.locator(".nlv-tile:not(.nlv-large) .nlv-best").nth(2).hover()
    rest(page)
    assert page.locator(".nlv-stage").get_attribute("data-lit") == "key"
    page.locator(".nlv-tile:not(.nlv-large) .nlv-best").nth(2).click()
    card = page.locator(".nlv-inspector")
    assert "away" in card.inner_text()
    card.get_by_role("button", name="Make this the query").click()
    rest(page)
    assert root(page)["query"].startswith("2,")
    assert not card.is_visible()


def test_symbols_of_the_equation_light_their_part(page: Page) -> None:
    page.get_by_role("button", name="one over C of x, the normalisation").hover()
    rest(page)
    assert page.locator(".nlv-stage").get_attribute("data-lit") == "normaliser"
    assert "C(x)" in page.locator(".nlv-legend").inner_text()
    page.get_by_role("button", name="x i, the query").focus()
    rest(page)
    assert page.locator(".nlv-stage").get_attribute("data-lit") == "query"


def test_shift_reads_values_instead_of_previewing(page: Page) -> None:
    page.keyboard.down("Shift")
    hover(page, large(page), 58, 77)
    assert root(page)["query"] == "1,40,40"
    assert "×" in page.locator(".nlv-readout").inner_text()
    page.keyboard.up("Shift")


def test_narrow_window_folds_controls_and_never_overflows(browser: Browser, path: Path) -> None:
    page = opened(browser, path, width=390, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.locator("select[name=scale]").is_visible()
    page.locator(".nlv-fold > summary").click()
    assert page.locator("select[name=scale]").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    large(page).scroll_into_view_if_needed()
    page.touchscreen.tap(*at(large(page), 24, 96))
    rest(page)
    assert root(page)["pinned"] == "true"
    assert root(page)["query"] == "1,24,96"
    page.close()


def test_dark_theme_follows_the_system(browser: Browser, path: Path) -> None:
    page = opened(browser, path, color_scheme="dark")
    back = page.evaluate("getComputedStyle(document.querySelector('.nlv')).backgroundColor")
    assert max(int(part) for part in back[4:-1].split(",")) < 60
    page.close()


def test_apply_moves_the_view_from_outside(page: Page) -> None:
    page.evaluate("nlviz.apply({query: {frame: 2, y: 20, x: 30}, view: {source: 'features'}})")
    rest(page)
    assert (root(page)["query"], root(page)["source"]) == ("2,20,30", "features")
    page.evaluate("nlviz.apply({query: null})")
    rest(page)
    assert root(page)["pinned"] == "false"
    page.evaluate("nlviz.destroy()")
    assert page.locator(".nlv-stage").count() == 0


def test_notes_on_the_clip_stand_under_the_picture(browser: Browser, tmp_path: Path) -> None:
    header, arrays = unpack(square_container())
    told = ["Its numbers end at 4095 <b>.", "Its pages are frames."]
    file = tmp_path / "noted.html"
    file.write_text(LIVE_VIEW.page(pack({**header, "notes": told}, arrays), title="square"))
    page = opened(browser, file)
    notes = page.get_by_role("list", name="Notes on the clip").get_by_role("listitem")
    assert notes.all_inner_texts() == told
    picture, first = page.locator(".nlv-stage").bounding_box(), notes.first.bounding_box()
    assert picture is not None
    assert first is not None
    assert first["y"] >= picture["y"] + picture["height"] or first["x"] >= picture["width"]
    page.close()


def test_a_clip_without_notes_has_no_list(page: Page) -> None:
    assert page.get_by_role("list", name="Notes on the clip").count() == 0


def test_a_scale_that_ends_below_the_strongest_key_offers_a_longer_one(page: Page) -> None:
    offer = page.locator(".nlv-beyond")
    strongest = float(offer.inner_text().rpartition(" ")[2].rstrip("×"))
    end = float(page.locator(".nlv-high").inner_text().strip(">×"))
    assert strongest > 4 * end
    offer.click()
    rest(page)
    high = page.locator(".nlv-high").inner_text()
    assert not high.startswith(">")
    assert float(high.rstrip("×")) >= strongest
    assert not offer.is_visible()
    assert "scale locked" in page.locator(".nlv-bar-title").inner_text()
    assert page.locator("select[name=scale]").input_value() == "locked"
    assert page.evaluate("document.activeElement.className") == "nlv-stage"
