"""`nlviz report DIR` and `nlviz app DIR`: files, addresses, and code that is not run unasked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlviz.cli import app
from nlviz.surveys.store import SurveyFolder
from nlviz.surveys.survey import Survey
from nlviz.zoo import app_offers

run = CliRunner()


@pytest.fixture
def offers() -> Iterator[None]:
    yield
    app_offers.offer_surveys([], {})


def test_a_report_is_a_page_or_numbers(surveyed: Survey, tmp_path: Path) -> None:
    for name in ("look.html", "look.json"):
        done = run.invoke(app, ["report", str(surveyed.folder), "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert f"Wrote {tmp_path / name}" in done.output
    told = json.loads((tmp_path / "look.json").read_text("utf-8"))
    assert told["surveys"][0]["clips"] == {"done": 5, "failed": 1, "same": 0}
    page = (tmp_path / "look.html").read_text("utf-8")
    assert "<title>Survey: look</title>" in page and "onerror" not in page
    assert len(page) < 400_000


def test_two_surveys_are_laid_beside_each_other(surveyed: Survey, tmp_path: Path) -> None:
    folder = str(surveyed.folder)
    done = run.invoke(app, ["report", folder, folder, "-o", str(tmp_path / "two.json")])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "two.json").read_text("utf-8"))
    assert [each["name"] for each in told["surveys"]] == ["look (1)", "look (2)"]
    assert told["changed"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "'nowhere' holds no survey"),
        (["{}", "-o", "look.pdf"], "saved as .html or .json"),
        (["{}", "-o", "no/such/folder/look.html"], "cannot be written"),
        (["{}", "nowhere"], "'nowhere' holds no survey"),
        ([".."], "holds no survey"),
    ],
)
def test_what_cannot_be_done_is_told(surveyed: Survey, arguments: list[str], told: str) -> None:
    done = run.invoke(app, ["report", *(each.format(surveyed.folder) for each in arguments)])
    assert done.exit_code != 0
    assert told in str(done.exception or "") + done.output


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, offers: None) -> dict[str, object]:
    said: dict[str, object] = {}

    def serve(address: str, **how: object) -> None:
        said.update(how, address=address)

    monkeypatch.setattr("nlviz.cli.app_server.serve", serve)
    return said


def test_the_app_opens_at_the_survey(surveyed: Survey, served: dict[str, object]) -> None:
    folder = str(surveyed.folder)
    done = run.invoke(app, ["app", folder, "--server.baseUrlPath", "x", "--no-browser"])
    assert done.exit_code == 0, done.output
    assert (served["address"], served["options"]) == ("/survey", ["--server.baseUrlPath", "x"])
    assert [offer.name for offer in app_offers.surveys()] == ["look"]
    assert len(app_offers.surveys()[0].clips) == 5
    done = run.invoke(app, ["app", "--server.baseUrlPath", "x"])
    assert (served["address"], served["options"]) == ("/", ["--server.baseUrlPath", "x"])
    done = run.invoke(app, ["app", folder, folder])
    assert done.exit_code == 0 and len(app_offers.surveys()) == 2


def test_code_that_a_survey_names_is_not_run_unasked(
    surveyed: Survey, served: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = SurveyFolder.read
    theirs = "their_module:build"
    monkeypatch.setattr(SurveyFolder, "read", lambda of: replace(read(of), model=theirs))
    done = run.invoke(app, ["app", str(surveyed.folder)])
    assert done.exit_code == 0, done.output
    assert "with --model their_module:build" in done.output
    assert app_offers.functions() == ()
