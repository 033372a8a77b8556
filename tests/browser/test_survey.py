"""A real survey in the app: its page, a link to the live view, and the file that leads there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

from nlviz.surveys.survey import Survey
from nlviz.web.survey_page import save_report
from tests.accessible import needs_axe, serious
from tests.processes import served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(surveyed: Survey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("server"), str(surveyed.folder)) as server:
        yield server.url


def at_the_query(page: Page, href: str, name: str) -> None:
    """Open a link and see that the live view rests at its query, in its clip."""
    asked = dict(parse_qsl(urlsplit(href).query))
    page.goto(href)
    page.locator(".nlv-sentence").first.wait_for()
    expect(page.locator(".nlv-title")).to_contain_text(name)
    expect(page.locator(".nlv-title")).to_contain_text(asked["block"])
    page.wait_for_url(re.compile("clip=survey"))
    shown = dict(parse_qsl(urlsplit(page.url).query))
    assert (shown["clip"], shown["model"], shown["block"]) == (
        asked["clip"], asked["model"], asked["block"],
    )  # fmt: skip
    wanted, there = ([float(v) for v in found["at"].split(",")] for found in (asked, shown))
    assert there == pytest.approx(wanted, abs=0.01)
    expect(page.get_by_text("Pinned", exact=True).first).to_be_visible()


@needs_axe
def test_a_link_of_the_page_opens_the_live_view_at_its_query(page: Page, url: str) -> None:
    page.goto(f"{url}/survey")
    page.locator(".nsv-cell[data-layer='1']").click()
    expect(page.locator(".nsv-one h2").first).to_have_text("stage4")
    assert not (found := serious(page)), "\n".join(found)
    link = page.locator(".nsv-examples a").first
    name = link.locator(".nsv-clip").inner_text()
    at_the_query(page, link.evaluate("(link) => link.href"), name.rpartition("/")[2])
    expect(page.get_by_text("Its frames are those that the survey looked at.")).to_be_visible()


def test_the_file_leads_to_the_app_that_its_reader_names(
    page: Page, url: str, surveyed: Survey, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    save_report(surveyed.report(), path)
    page.goto(path.as_uri())
    page.locator("input[name='server']").fill(url)
    page.locator("select[name='figure']").select_option("own_frame")
    link = page.locator(".nsv-examples section").nth(1).locator("a").nth(1)
    name = link.locator(".nsv-clip").inner_text()
    at_the_query(page, link.evaluate("(link) => link.href"), name.rpartition("/")[2])


def test_a_clip_that_no_survey_has_is_told(page: Page, url: str) -> None:
    page.goto(f"{url}/?clip=survey:ab12:x.mp4&model=lite-nl&block=stage4&at=0,1,1")
    expect(page.get_by_text("No survey is open here that looked at this clip")).to_be_visible()
