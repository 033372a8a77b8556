"""Lint, format and types, with the versions that are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [["ruff", "check"], ["ruff", "format", "--check", "nlviz", "app", "tests"], ["mypy"]],
    ids=" ".join,
)
def test_style(command: list[str]) -> None:
    program, *options = command
    done = subprocess.run(
        [Path(sys.executable).parent / program, *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_can_be_read_in_one_sitting() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("nlviz", "app")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := path.read_text("utf-8").count("\n")) > 450
    }
    assert not long
