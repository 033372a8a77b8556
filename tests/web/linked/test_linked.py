"""Two live views moved as one: parity with Python, one module, and a page that is used."""

from __future__ import annotations

import collections
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from nlviz.affinity.split import minus_mean
from nlviz.affinity.support import FrameGroups, Window
from nlviz.analysis.compare import Comparison, Side, compare_views
from nlviz.render.compared import views_bytes
from nlviz.web.bundle import FOLDER, LINKED
from nlviz.web.payloads.container import pack, unpack
from nlviz.web.payloads.linked import linked_view
from tests import words_and_boxes
from tests.analysis.test_compare import AT, FINE, affinity, capture
from tests.web.live_view.test_bundle import names
from tests.web.live_view.test_page import opened, rest
from tests.web.live_view.test_rows import node, run_node

COARSE = replace(FINE, shape=(2, 3, 4), stride=(2.0, 16.0, 16.0), origin=(0.5, 7.5, 7.5))
MADE = capture(
    affinity("fine", FINE),
    affinity("coarse", COARSE),
    affinity("dots", FINE, "dot_product"),
    affinity("held", FINE, support=FrameGroups(1)),
    affinity("window", FINE, support=Window(rows=1, columns=2)),
    affinity("tokens", replace(FINE, prefix=1)),
)
OTHER = capture(affinity("coarse", COARSE), affinity("dots", FINE, "dot_product"), name="b.mp4")


def side(block: str, **more: Any) -> Side:
    return Side(MADE, block, **more)


CASES: dict[str, tuple[Side, Side, Any]] = {
    "grids": (side("fine"), side("coarse"), AT),
    "heads": (side("fine", head=0), side("fine", head="max"), AT),
    "kinds": (side("fine"), side("dots"), AT),
    "signed": (side("dots"), side("dots", head=1), AT),
    "columns": (side("fine", direction="to"), side("dots", direction="to"), AT),
    "reach": (side("held"), side("fine"), AT),
    "window": (side("window"), side("held"), AT),
    "parts": (side("fine"), side("fine", source="position"), AT),
    "token": (side("tokens"), side("tokens", head=2), "cls"),
    "across": (side("coarse"), side("coarse", keys_of=OTHER), AT),
    "across, columns": (
        side("coarse", direction="to"), side("coarse", keys_of=OTHER, direction="to"), AT,
    ),
}  # fmt: skip


def expected(found: Comparison) -> bytes:
    """Return the linked view with what Python found."""
    header, arrays = unpack(linked_view(found))
    more = found.difference
    assert more is not None
    reached = np.ones(more.weights.shape, bool) if more.reachable is None else more.reachable
    arrays["expected"] = np.where(reached, more.weights, np.nan).astype(np.float32).ravel()
    ground = found.ground
    assert ground is not None
    few = ground.cells < 24
    rank = ground.correlation
    header["expected"] = {
        "apart": more.off_grid,
        "balanced": more.balanced,
        "shares": any("sum of its magnitudes" in note for note in found.notes),
        "correlation": None if few else rank.value,
        "low": rank.low,
        "high": rank.high,
        "cells": ground.cells,
    }
    return pack(header, arrays)


@pytest.mark.parametrize("name", CASES)
def test_the_browser_finds_the_difference_that_python_finds(name: str, tmp_path: Path) -> None:
    a, b, query = CASES[name]
    path = tmp_path / "container"
    path.write_bytes(expected(compare_views(a, b, query=query)))
    run_node("../linked/linked.test.mjs", NLVIZ_CONTAINER=str(path))


def test_what_cannot_be_subtracted_is_said_in_the_header() -> None:
    fine = MADE.affinities["fine"]
    found = compare_views(side("fine"), side("fine", affinity=minus_mean(fine)), query=AT)
    header, _ = unpack(linked_view(found))
    assert header["difference"]["from"]["grid"]["shape"] == [4, 5, 7]
    assert header["sides"][1]["sources"][0]["difference"]
    boxes = words_and_boxes.of_boxes()
    found = compare_views(Side(boxes, "boxes"), Side(boxes, "boxes", head=1), query=(0, 12, 15))
    header, _ = unpack(linked_view(found))
    assert header["difference"]["to"]["lay"] == [None, None]


@pytest.mark.parametrize("entry", dict(LINKED.entries))
def test_bundle_is_one_valid_module(entry: str, tmp_path: Path) -> None:
    script = LINKED.script(entry)
    counted = collections.Counter(names(script))
    assert [name for name, count in counted.items() if count > 1] == []
    assert not re.search(r"^import ", script, re.M)
    path = tmp_path / "bundle.mjs"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run([node(), "--check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_module_is_used_and_short() -> None:
    used = {path for entry in dict(LINKED.entries) for path in LINKED.files(entry)}
    files = set((FOLDER / "linked").rglob("*.js"))
    assert files <= used
    assert all(len(path.read_text("utf-8").splitlines()) < 300 for path in files)


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("linked") / "across.html"
    found = compare_views(*CASES["across"][:2], query=AT)
    path.write_bytes(views_bytes("html", found))
    return path


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    path = tmp_path / "grids.html"
    path.write_bytes(views_bytes("html", compare_views(*CASES["grids"][:2], query=AT)))
    shown = opened(browser, path, width=1300)
    yield shown
    shown.close()


def told(page: Page, which: str, name: str) -> str:
    found: str = page.evaluate(f"document.querySelector('[data-side={which}]').dataset.{name}")
    return found


def top(page: Page, which: str) -> str:
    return page.locator(f"{which} .nlv-high").inner_text().lstrip(">")


def test_hover_and_keys_of_one_move_both_and_their_difference(page: Page) -> None:
    assert told(page, "a", "query") == told(page, "b", "query") == "2,20,30"
    assert top(page, "[data-side=a]") == top(page, "[data-side=b]")
    before = page.locator(".nlink-agreement").inner_text()
    assert before.startswith("Rank correlation")
    for which in ("b", "a"):
        stage = page.locator(f"[data-side={which}] .nlv-stage").bounding_box()
        assert stage is not None
        page.mouse.move(stage["x"] + 33, stage["y"] + 41)
        rest(page, 250)
        assert told(page, "a", "query") == told(page, "b", "query") != "2,20,30"
        assert told(page, "a", "hovering") == told(page, "b", "hovering") == "true"
        assert top(page, "[data-side=a]") == top(page, "[data-side=b]")
    assert page.locator(".nlink-agreement").inner_text() != before
    page.mouse.click(stage["x"] + 33, stage["y"] + 41)
    page.mouse.move(2, 2)
    page.keyboard.press("ArrowRight")
    rest(page, 250)
    assert told(page, "a", "query") == told(page, "b", "query")
    assert told(page, "b", "pinned") == "true"
    assert told(page, "b", "hovering") == "false"


def test_queries_of_a_ask_and_b_is_read(browser: Browser, crossed: Path) -> None:
    page = opened(browser, crossed, width=1300)
    stage = page.locator("[data-side=a] .nlv-stage").bounding_box()
    other = page.locator("[data-side=b] .nlv-stage").bounding_box()
    assert stage is not None
    assert other is not None
    page.mouse.move(stage["x"] + 33, stage["y"] + 41)
    rest(page, 250)
    assert told(page, "a", "query") == told(page, "b", "query") != "2,20,30"
    page.mouse.click(stage["x"] + 33, stage["y"] + 41)
    asked = told(page, "a", "query")
    page.mouse.move(other["x"] + 201, other["y"] + 99)
    page.mouse.click(other["x"] + 201, other["y"] + 99)
    rest(page, 250)
    assert told(page, "a", "query") == told(page, "b", "query") == asked
    assert page.locator("[data-side=b] .nlv-readout").is_visible()
    assert "the other clip" in page.locator("[data-side=b] .nlv-sentence").inner_text()
    page.close()


def test_on_a_phone_one_lies_below_the_other(browser: Browser, crossed: Path) -> None:
    page = opened(browser, crossed, width=390, color_scheme="dark")
    boxes = [page.locator(f"[data-side={which}]").bounding_box() for which in "ab"]
    third = page.locator(".nlink-third").bounding_box()
    assert boxes[0] is not None and boxes[1] is not None and third is not None
    assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"] < third["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
