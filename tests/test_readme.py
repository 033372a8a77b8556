"""The code of the README and of the guides runs as written, and what they promise is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
README = PAGES[0].read_text("utf-8")
BLOCKS = {
    f"{path.stem}-{number}": code
    for path in PAGES
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCKS)
def test_python_blocks_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[name], name, "exec"), {"__name__": "readme"})


def test_the_readme_is_read_in_one_sitting() -> None:
    assert README.count("\n") <= 150
    assert len(BLOCKS["README-0"].strip().splitlines()) <= 11  # one of them is empty


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_linked_files_exist(path: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in PAGES:
        for name in re.findall(r"^make (\w+)|`make (\w+)`", path.read_text("utf-8"), re.MULTILINE):
            assert (name[0] or name[1]) in targets, path.name
