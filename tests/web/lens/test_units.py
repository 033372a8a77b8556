"""The lens without a page: its store and its geometry, in node."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.web.live_view.test_rows import node


def test_store_geometry_and_numbers() -> None:
    script = Path(__file__).with_name("lens.test.mjs")
    done = subprocess.run([node(), "--test", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
