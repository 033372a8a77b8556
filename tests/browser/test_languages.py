"""The app in another language: labels, the view and the address follow a switch in the sidebar."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import opened

pytestmark = pytest.mark.browser


def test_a_language_is_switched_while_the_view_stays(page: Page, app_url: str) -> None:
    opened(page, f"{app_url}/?clip=cat.jpg")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("Clip or photo")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"
    at = page.locator("[data-query]").get_attribute("data-query")
    english = page.locator(".nlv-sentence").inner_text()
    for name, tag, label, said in (
        ("日本語", "ja", "クリップか写真", "この点の重みは、半分が"),
        ("中文", "zh-Hans", "片段或照片", "这个点有一半的权重"),
    ):
        sidebar.get_by_role("radio", name=name).click()
        expect(sidebar.get_by_text(label)).to_be_visible()
        expect(page.locator(".nlv-sentence")).to_contain_text(said)
        expect(page).to_have_url(re.compile(f"lang={tag[:2]}"))
        assert page.evaluate("document.documentElement.lang") == tag
        assert page.locator("[data-query]").get_attribute("data-query") == at
    # The address brings it back, also in a browser that likes another.
    page.goto(page.url)
    expect(page.locator(".nlv-sentence")).to_contain_text("这个点有一半的权重")
    expect(sidebar.get_by_text("片段或照片")).to_be_visible()
    sidebar.get_by_role("radio", name="English").click()
    expect(page.locator(".nlv-sentence")).to_have_text(english)
    expect(page).not_to_have_url(re.compile("lang="))
