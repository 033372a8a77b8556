"""Lessons' scripts: every lesson has one, and no two of its modules share a top-level name."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from nlviz.web.lesson_pages import lessons

_TOP = re.compile(
    r"^(?:export\s+)?(?:async\s+)?(?:function\*?|const|let|class)\s+(?:([A-Za-z_$][\w$]*)|[{\[]([^}\]]*)[}\]])",
    re.MULTILINE,
)


@pytest.mark.parametrize("name", [each.name for each in lessons()])
def test_no_two_modules_of_a_lesson_share_a_name(name: str) -> None:
    script = next(each for each in lessons() if each.name == name).script
    found: Counter[str] = Counter()
    for path in script.files("standalone"):
        for alone, several in _TOP.findall(path.read_text("utf-8")):
            names = (
                [alone] if alone else [part.split(":")[-1].strip() for part in several.split(",")]
            )
            found.update(filter(None, names))
    assert [each for each, count in found.items() if count > 1] == []
