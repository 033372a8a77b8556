"""`nlviz test`: a real clip in, a verdict, its table and files out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import QUICK, run

pytestmark = pytest.mark.slow
FEW = ["--contents", "2", "--seeds", "3"]


def test_the_verdict_is_printed_and_written(tmp_path: Path) -> None:
    files = [tmp_path / f"v.{kind}" for kind in ("json", "pdf", "png")]
    options = [part for path in files for part in ("-o", str(path))]
    result = run(
        "test", "composed-twins.mp4", "--query", "1,40,130", "--block", "stage4", *QUICK, *FEW,
        *options,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Content, and it does not matter here: ")
    assert any(line.endswith("in common with the even row") for line in lines)
    assert any("as many others are cut, 3 draws" in line for line in lines)
    assert lines[-3:] == [str(path) for path in files]
    assert "note: Rules" in result.stderr
    record = json.loads(files[0].read_text("utf-8"))
    assert record["verdict"] == lines[0]
    assert record["block"] == "stage4" and record["origin"]["contents"] == 2


def test_a_word_of_a_text_is_judged() -> None:
    result = run(
        "test", "--text", "a b c d e f g h", "--model", "non-local-1d.shift",
        "--block", "embedded_gaussian.0", "--query", "12", *FEW,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Position, and whether it matters cannot be told: ")
    assert "no class scores" in result.stderr


def test_what_is_wrong_is_said_before_the_work() -> None:
    result = run("test", "composed-twins.mp4", "-o", "v.gif")
    assert result.exit_code == 1
    assert "a verdict is saved as" in result.output
    result = run("test", "composed-twins.mp4", "--query", "9,40,130", *QUICK)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
