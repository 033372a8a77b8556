"""A file of every family, from the disk to a live map, by a visitor and from the shell."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from nlviz.families import FAMILIES
from tests.browser.conftest import opened
from tests.cli.test_cli import run
from tests.families.writers import WRITERS

pytestmark = pytest.mark.browser
# What takes no file of weights of its own here: the bundled network's are shown everywhere else.
ELSEWHERE = {"lite-nl", "torchvision-detection"}
# What the families that take no clip are given, on the command line and in the address.
OWN_INPUT = {
    "sequence": (("--text", "d e a b", "--query", "a"), {"text": "d e a b"}),
    "non-local-1d": (("--text", "d e a b", "--query", "a"), {"text": "d e a b"}),
    "graph-attention": (("lookup.json",), {"clip": "lookup.json"}),
    "object-relation": (("tiles.png",), {"clip": "tiles.png"}),
    "recall": (("recall.gif",), {"clip": "recall.gif"}),
}
CLIP = ("bunny.mp4",), {"clip": "bunny.mp4"}
SIZE = ("--set", "size=64")  # of a picture, so that networks of clips run fast
OF_THEIR_OWN_SIZE = {"alexhex7", "action-transformer", "timm-coatnet", *OWN_INPUT}


def test_every_family_is_here() -> None:
    assert set(WRITERS) == {f.name for f in FAMILIES if f.checkpoint is not None}


@pytest.mark.parametrize("family", [name for name in WRITERS if name not in ELSEWHERE])
def test_from_a_file_to_a_live_map(
    page: Page, app_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = WRITERS[family](tmp_path)
    small = () if family in OF_THEIR_OWN_SIZE else SIZE
    given, parameters = OWN_INPUT.get(family, CLIP)
    try:
        result = run("attend", *given, "--weights", path, *small, "-o", "look.png")
        assert result.exit_code == 0, result.output
        assert (tmp_path / "look.png").stat().st_size > 10_000
        opened(page, f"{app_url}/?{urlencode(parameters)}")
        page.get_by_text("File", exact=True).click()
        if small:
            flags = page.get_by_label("Flags", exact=True)
            flags.fill(small[1])
            flags.press("Enter")
        field = page.get_by_label("or the path of a file on this machine")
        field.fill(str(path))
        field.press("Enter")
        found = page.get_by_text(f"What was found in {path.name}")
        expect(found).to_be_visible(timeout=60_000)
        expect(page.locator(".nlv-title")).to_contain_text(family)
        expect(page.get_by_text("Is the block alive?")).to_be_visible()
        expect(page.get_by_text("the output differs by").first).to_be_visible()
        assert not page.get_by_test_id("stAlertContentError").count()
    finally:
        path.unlink()
