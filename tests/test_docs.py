"""The documentation builds without a network and without a warning, and its tables are fresh."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nlviz
import nlviz.denoise
from tests.benchmarks.page import PAGE, page

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of mkdocs is an error."""
    folder = tmp_path_factory.mktemp("site")
    settings = ROOT / "docs" / "site" / "mkdocs.yml"
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "-f", settings, "-d", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_public_name_has_an_entry(site: Path) -> None:
    pages = {nlviz: "python", nlviz.interventions: "python", nlviz.denoise: "denoise"}
    pages |= dict.fromkeys((nlviz.zoo, nlviz.words, nlviz.web, nlviz.render), "app")
    for module, page_name in pages.items():
        text = (site / "reference" / f"{page_name}.html").read_text("utf-8")
        entries = set(re.findall(r'<h3 id="[\w.]+\.(\w+)"', text))
        public = {n: getattr(module, n) for n in module.__all__}
        ours = [v for v in public.values() if getattr(v, "__module__", "").startswith("nlviz")]
        written = {v.__name__ for v in ours if hasattr(v, "__name__")}
        assert written, module
        assert written <= entries, written - entries


def test_examples_are_shown_as_code(site: Path) -> None:
    text = (site / "reference" / "python.html").read_text("utf-8")
    assert text.count("&gt;&gt;&gt; ") > 20
    assert "<blockquote>" not in text


def test_every_command_has_an_entry(site: Path) -> None:
    text = (site / "reference" / "command-line.html").read_text("utf-8")
    commands = "app attend test render predict denoise models inspect verify"
    for name in commands.split():
        assert f'id="nlviz-{name}"' in text


def test_pages_fetch_nothing_from_other_hosts(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        fetched = re.findall(
            r'<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)="(https?:[^"]+)', text
        )
        assert [url for url in fetched if "canonical" not in url] == [], path.name


def test_the_page_of_figures_is_that_of_the_last_run() -> None:
    assert PAGE.read_text("utf-8") == page()
