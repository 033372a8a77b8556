"""The browser's modules have types that hold, and nothing that a linter minds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# `make` installs what package.json names there; elsewhere NLVIZ_NODE_TOOLS says where it is.
TOOLS = Path(os.environ.get("NLVIZ_NODE_TOOLS", ROOT / ".venv/node")) / "node_modules" / ".bin"


@pytest.mark.skipif(
    not (TOOLS / "tsc").exists(), reason="needs npm and a network once: make .venv/node/installed"
)
@pytest.mark.parametrize(
    "command",
    [
        ("tsc", "--project", "tests/web"),
        (
            "biome",
            "lint",
            "--error-on-warnings",
            "--config-path=tests/web/biome-rules.json",
            "nlviz/web",
            "tests/web",
        ),
    ],
    ids=lambda command: command[0],
)
def test_types_and_lint_of_the_browser_modules(command: tuple[str, ...]) -> None:
    tool, *options = command
    done = subprocess.run(
        [str(TOOLS / tool), *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
