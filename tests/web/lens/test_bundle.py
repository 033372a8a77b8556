"""The joined script: one name once, nothing imported, every module used."""

from __future__ import annotations

import collections
import re
import subprocess
from pathlib import Path

import pytest

from nlviz.web.bundle import FOLDER, LENS
from tests.web.live_view.test_bundle import names
from tests.web.live_view.test_rows import node


@pytest.mark.parametrize("entry", dict(LENS.entries))
def test_bundle_is_one_valid_module(entry: str, tmp_path: Path) -> None:
    script = LENS.script(entry)
    counted = collections.Counter(names(script))
    assert [name for name, count in counted.items() if count > 1] == []
    assert not re.search(r"^import ", script, re.M)
    assert len(re.findall(r"^export ", script, re.M)) == (0 if entry == "standalone" else 1)
    path = tmp_path / "bundle.mjs"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run([node(), "--check", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_module_is_used_and_short() -> None:
    used = {name for entry in dict(LENS.entries) for name in LENS.modules(entry)}
    files = {path.stem: path for path in (FOLDER / "lens").glob("*.js")}
    assert set(files) <= used
    for path in files.values():
        assert len(path.read_text(encoding="utf-8").splitlines()) < 300, path.name


def test_page_fetches_nothing() -> None:
    page = LENS.page(b"", title="a </title> & more")
    assert "<title>a &lt;/title&gt; &amp; more</title>" in page
    assert not re.search(r"(?:src|href)\s*=|@import|url\(|https?://", page)
    assert page.count("</script>") == 2
    assert "prefers-reduced-motion" in LENS.stylesheet()
