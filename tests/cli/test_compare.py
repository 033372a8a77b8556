"""`nlviz compare`: what it prints and writes, and what it refuses before it works."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from nlviz import cli
from nlviz.views.compare_view import CompareView
from nlviz.views.reading import read_view


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["compare", *(str(a) for a in arguments)])


def test_two_blocks_are_compared_and_the_view_written(tmp_path: Path) -> None:
    path = tmp_path / "both.json"
    done = run(
        "coffee.jpg", "--size", "96", "--query", "0,40,60",
        "--block", "stage4", "--other-block", "stage3", "-o", path,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    first, second = done.output.splitlines()[:2]
    assert first == "A  coffee.jpg · lite-nl · stage4"
    assert second == "B  coffee.jpg · lite-nl · stage3"
    assert "rank correlation of B with A" in done.output
    assert "effective number of keys" in done.output
    view = read_view(path)
    assert isinstance(view, CompareView)
    assert (view.a.block, view.b.block, view.a.query) == ("stage4", "stage3", (0, 40, 60))


def test_queries_of_one_picture_over_another() -> None:
    done = run("coffee.jpg", "cat.jpg", "--crossed", "--size", "96", "--query", "0,40,60")
    assert done.exit_code == 0, done.output
    assert "keys of cat.jpg" in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["cat.jpg", "--crossed"], "give a second input"),
        (["cat.jpg", "-o", "both.npz"], "both.npz"),
        (["cat.jpg", "--head", "first"], "head"),
        (["cat.jpg", "--size", "64", "--block", "stage9"], "stage9"),
    ],
)
def test_what_is_wrong_is_a_sentence(options: list[str], said: str) -> None:
    done = run(*options)
    assert done.exit_code == 1
    assert said in done.output
    assert "Traceback" not in done.output
