"""Heads of a block: chips, keys, all side by side; rows that come one by one know them, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.variants import LEARNED
from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.sources import packed_sources, packed_tokens
from tests.web.live_view.containers import frame_sections, header, square_clip
from tests.web.live_view.test_page import opened
from tests.web.live_view.test_rows import run_node

HEADS = 12


def affinity(heads: int = HEADS) -> EmbeddedAffinity:
    """Return attention over a class token and 5 x 7 cells of 16 pixels, different in each head."""
    draw = torch.Generator().manual_seed(11)
    grid = TokenGrid((1, 5, 7), (1.0, 16.0, 16.0), (0.0, 7.5, 7.5), prefix=1)
    theta, phi = (torch.randn(heads, 36, 6, generator=draw) for _ in range(2))
    return EmbeddedAffinity(
        "block.3",
        Pairwise("embedded_gaussian", 0.7),
        theta,
        phi,
        grid,
        grid,
        token_names=("cls",),
        prefix_name="the class token",
    )


def container(*, limit: int | None = None, heads: int = HEADS, cases: bool = False) -> bytes:
    """Return a container of that attention; with a limit of 0 its rows come one by one."""
    own, clip = affinity(heads), square_clip(1, 80, 112)
    arrays: dict[str, Any] = frame_sections(clip)
    at = (0.0, 39.5, 55.5)
    sources = packed_sources([(LEARNED, own)], arrays, query=at, limit=limit)
    sources[0] |= packed_tokens("learned", own, arrays)
    query = {"frame": 0, "y": 39.5, "x": 55.5}
    listed: list[dict[str, Any]] = []
    for head in ("mean", "max", 0, 5, heads - 1) if cases else ():
        for token in (None, "cls"):
            place = {"token": token} if token else dict(frame=at[0], y=at[1], x=at[2])
            found = own.map(head=head, **place)  # type: ignore[arg-type]
            name = f"expected {token} {head}"
            arrays[name] = found.weights.ravel().astype(np.float32)
            view = {"head": head, "token": token or ""}
            flat = 0 if token else own.queries.nearest(frame=at[0], y=at[1], x=at[2])
            listed.append(
                dict(
                    name=name,
                    query=query,
                    token=flat,
                    view=view,
                    expected=name,
                    tolerance=2e-3,
                    apart=found.off_grid,
                )
            )
    return pack(header(clip, sources, query=query, cases=listed * 2), arrays)


@pytest.mark.parametrize("limit", [None, 0])
def test_each_head_mean_and_maximum_are_those_of_python(tmp_path: Path, limit: int | None) -> None:
    path = tmp_path / "heads.bin"
    path.write_bytes(container(limit=limit, cases=True))
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(path))


@pytest.fixture(params=[1400, 390])
def page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Any:
    file = tmp_path / "heads.html"
    file.write_text(LIVE_VIEW.page(container(heads=16), title="heads"), encoding="utf-8")
    page = opened(browser, file, width=request.param)
    yield page
    page.close()


def chosen(page: Page) -> str | None:
    return page.locator(".nlv-heads [aria-checked=true]").get_attribute("aria-label")


@pytest.mark.browser
def test_chips_name_heads_and_fit(page: Page) -> None:
    chips = page.locator(".nlv-heads button")
    assert chips.count() == 18
    assert chosen(page) == "mean over 16 heads"
    width = page.viewport_size["width"] if page.viewport_size else 0
    for n in (0, 17):
        box = chips.nth(n).bounding_box()
        assert box is not None
        assert 0 <= box["x"]
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 24
    page.get_by_role("radio", name="maximum over 16 heads").click()
    assert chosen(page) == "maximum over 16 heads"
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="head 1 of 16", exact=True)).to_be_focused()
    page.locator(".nlv-stage").focus()
    page.keyboard.press("h")
    assert chosen(page) == "head 2 of 16"
    for _ in range(4):
        page.keyboard.press("Shift+H")
    assert chosen(page) == "head 16 of 16"


@pytest.mark.browser
def test_the_class_token_of_every_head_is_one_click_away(page: Page) -> None:
    panel = page.locator(".nlv-head-maps")
    expect(panel).to_be_hidden()
    page.get_by_role("button", name="cls, every head").click()
    expect(panel.locator(".nlv-head-map")).to_have_count(16)
    expect(panel).to_contain_text("The class token (cls), every head")
    expect(panel).to_contain_text("one colour scale, up to")
    drawn = "e => [...e.querySelectorAll('.nlv-map')].map((c) => c.toDataURL())"
    maps = panel.evaluate(drawn)
    assert len(set(maps)) == 16
    panel.get_by_role("button", name="head 7 of 16").click()
    assert chosen(page) == "head 7 of 16"
    expect(panel.locator("[aria-pressed=true]")).to_have_count(1)
    assert panel.evaluate(drawn) == maps
    page.get_by_role("button", name="All heads side by side").click()
    expect(panel).to_be_hidden()
