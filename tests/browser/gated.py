"""A server whose PyTorch waits for a file, so that a test can look at the first view before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.processes import served

_PROGRAM = """#!{python}
import sys, time
from pathlib import Path
from nlviz.cli import main
from nlviz.cli.app_entry import app_module
warm_up = app_module("warm_up")
work = warm_up._work
def later():
    Path("drawn.txt").write_text(str("torch" in sys.modules))
    while not Path("go").exists():
        time.sleep(0.05)
    work()
warm_up._work = later
sys.argv[0] = "nlviz"
main()
"""


class Gated(NamedTuple):
    """An app's server, its gate, and what it writes when the browser has drawn the first view."""

    url: str
    gate: Path
    drawn: Path

    def open(self) -> None:
        """Let it go on."""
        self.gate.touch()


@contextmanager
def gated(folder: Path) -> Iterator[Gated]:
    """Serve the app in a folder; what follows the first view waits until the gate is open."""
    program = folder / "nlviz"
    program.write_text(_PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    with served(folder, program=program) as server:
        yield Gated(server.url, folder / "go", folder / "drawn.txt")
