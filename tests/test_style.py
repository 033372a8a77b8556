"""What ``make lint`` relies on: undefined names in shapes are seen, and files stay readable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("annotation", "seen"),
    [
        ("Gone", True),
        ('"Gone"', True),
        ('Float[Gone, "heads keys"]', True),
        ('Float[Tensor, "keys"]', True),  # an axis alone is taken for a name: " keys" is none
        ('Float[Tensor, " keys"]', False),
        ('Float[Tensor, "heads *keys 3"]', False),
    ],
)
def test_an_undefined_name_in_an_annotation_is_found(annotation: str, seen: bool) -> None:
    code = (
        "from jaxtyping import Float\nfrom torch import Tensor\n\n\n"
        f"def length(x: {annotation}) -> Float[Tensor, ' n']:\n    return x\n"
    )
    done = subprocess.run(
        [Path(sys.executable).parent / "ruff", "check", "--stdin-filename", "nlviz/x.py", "-"],
        cwd=ROOT, input=code, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ("F821" in done.stdout) == seen, done.stdout + done.stderr


def test_files_can_be_read_in_one_sitting() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("nlviz", "app")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := path.read_text("utf-8").count("\n")) > 450
    }
    assert not long
