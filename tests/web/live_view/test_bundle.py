"""The joined script: one name once, nothing imported, valid for Streamlit and for a page."""

from __future__ import annotations

import collections
import re
import subprocess
from pathlib import Path

import pytest

from nlviz.web.bundle import FOLDER, LIVE_VIEW
from tests.web.live_view.containers import square_container
from tests.web.live_view.test_rows import node

TOP_LEVEL = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (?:(\w+)|[\[{]([^\]}]*)[\]}])", re.M
)


def names(source: str) -> list[str]:
    """Return the names that a script declares at its top level."""
    found = []
    for single, several in TOP_LEVEL.findall(source):
        found += [single] if single else re.findall(r"\w+", several)
    return found


@pytest.mark.parametrize("entry", dict(LIVE_VIEW.entries))
def test_top_level_names_are_unique(entry: str) -> None:
    counted = collections.Counter(names(LIVE_VIEW.script(entry)))
    assert [name for name, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("entry", dict(LIVE_VIEW.entries))
def test_bundle_is_one_valid_module(entry: str, tmp_path: Path) -> None:
    script = LIVE_VIEW.script(entry)
    assert not re.search(r"^import ", script, re.M)
    assert len(re.findall(r"^export ", script, re.M)) == (0 if entry == "standalone" else 1)
    # Streamlit takes a text without a line break for the path of a file.
    assert "\n" in script.strip()
    path = tmp_path / "bundle.mjs"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run([node(), "--check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_modules_come_after_those_they_import() -> None:
    order = LIVE_VIEW.modules("component")
    assert order[-1] == "component"
    assert (
        order.index("rows") < order.index("engine") < order.index("session") < order.index("view")
    )


def test_every_module_is_used_and_short() -> None:
    used = {name for entry in dict(LIVE_VIEW.entries) for name in LIVE_VIEW.modules(entry)}
    files = {path.stem: path for path in (FOLDER / "live_view").rglob("*.js")}
    assert set(files) <= used
    for path in files.values():
        assert len(path.read_text(encoding="utf-8").splitlines()) < 300, path.name


def test_page_holds_everything_it_needs() -> None:
    page = LIVE_VIEW.page(square_container(), title="a </title> & more")
    assert "<title>a &lt;/title&gt; &amp; more</title>" in page
    assert not re.search(r"(?:src|href)\s*=|@import|url\(", page)
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("</script>") == 2
    assert "prefers-color-scheme: dark" in LIVE_VIEW.stylesheet()
