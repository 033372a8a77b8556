"""`nlviz lesson`: lessons by name, and one as a file."""

from __future__ import annotations

from pathlib import Path

import nlviz
from tests.cli.test_cli import run


def test_lessons_are_listed_one_a_line_the_name_first() -> None:
    lines = run("lesson", "--list").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [one.name for one in nlviz.web.lessons()]


def test_a_lesson_is_written_whole_as_one_file(tmp_path: Path) -> None:
    path = tmp_path / "課.html"
    result = run("lesson", "equation", "-o", str(path))
    assert result.exit_code == 0, result.output
    assert path.read_text("utf-8") == nlviz.web.lesson("equation").page()


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    for arguments, said in (
        ([], "nlviz lesson --list"),
        (["equaton"], "did you mean equation?"),
        (["equation", "-o", str(tmp_path / "a.pdf")], "saved as .html"),
        (["equation", "-o", str(tmp_path / "gone" / "a.html")], "cannot be written"),
    ):
        result = run("lesson", *arguments)
        assert result.exit_code == 1
        assert said in result.output
        assert not list(tmp_path.iterdir())
