"""What holds for every lesson: its texts, its size, its answers, and that it needs no PyTorch."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from nlviz.web.language import LANGUAGES
from nlviz.web.lesson_pages import data, lesson, lessons, texts
from tests.browser.lessons.driver import Answer
from tests.lessons.claims import tested

NAMES = [each.name for each in lessons()]
LONGEST = {"en": 80, "zh": 160, "ja": 220}  # words in English, signs elsewhere
_PLACE = re.compile(r"(?<![\w^\\])\{([a-z][a-z0-9_]*)(?::([^{}]+))?\}", re.IGNORECASE | re.ASCII)
_FORM = re.compile(r"\+?,?(\.\d+)?[df%]?")


def told(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Walk over all texts of a lesson: their path, and the text by language."""
    if isinstance(node, dict):
        if set(node) >= {"en"}:
            yield path, node
            return
        for key, value in node.items():
            yield from told(value, f"{path}/{key}")
    elif isinstance(node, list):
        for n, value in enumerate(node):
            yield from told(value, f"{path}/{value.get('id', n) if isinstance(value, dict) else n}")


def length(text: str, language: str) -> int:
    plain = re.sub(r"[*`$]", "", text)
    return len(plain.split()) if language == "en" else len(re.sub(r"\s", "", plain))


@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_there_in_every_language_with_the_same_numbers(name: str) -> None:
    for path, by_language in told(texts(name)):
        assert set(by_language) == set(LANGUAGES), path
        assert all(text.strip() == text and text for text in by_language.values()), path
        places = {
            language: sorted({f"{n}:{f}" for n, f in _PLACE.findall(text)})
            for language, text in by_language.items()
        }
        names = {
            language: sorted({p.split(":")[0] for p in found}) for language, found in places.items()
        }
        assert names["zh"] == names["en"] == names["ja"], (path, places)
        for _, form in _PLACE.findall(" ".join(by_language.values())):
            assert not form or _FORM.fullmatch(form), (path, form)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_short(name: str) -> None:
    for screen in texts(name)["screens"]:
        spoken = [("text", screen["text"]), *screen["question"]["says"].items()]
        for part, text in spoken:
            for language, most in LONGEST.items():
                assert length(text[language], language) < most, (screen["id"], part, language)
        if "move" in screen:
            assert length(screen["move"]["en"], "en") < 25, screen["id"]


@pytest.mark.parametrize("name", NAMES)
def test_numbers_outside_of_answers_come_from_the_recipe(name: str) -> None:
    numbers = data(name)[0]["numbers"]
    for screen in texts(name)["screens"]:
        shown = [screen["title"], screen["text"], screen.get("move"), screen["question"]["text"]]
        shown += [option["text"] for option in screen["question"].get("options", ())]
        for text in filter(None, shown):
            for place, _ in _PLACE.findall(text["en"]):
                assert place in numbers, (screen["id"], place)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_is_small_and_asks_one_question_a_screen(name: str) -> None:
    found = lesson(name)
    assert 4 <= len(found.screens) <= 10
    assert len(set(found.screens)) == len(found.screens)
    assert 4 <= found.minutes <= 12
    assert len(found.page()) < 6_000_000
    for screen in texts(name)["screens"]:
        question = screen["question"]
        assert question["kind"] in ("choice", "number", "act")
        assert "right" in question["says"] and len(question["says"]) >= 2
        assert ("options" in question) == (question["kind"] == "choice")


@pytest.mark.parametrize("name", NAMES)
def test_every_screen_has_its_claims_recomputed_and_its_answers_tried(name: str) -> None:
    import_module(f"tests.lessons.test_{name}")
    answers: dict[str, Answer] = import_module(f"tests.browser.lessons.{name}").ANSWERS
    assert set(answers) == set(lesson(name).screens)
    assert set(tested[name]) == set(lesson(name).screens)
    for screen in texts(name)["screens"]:
        says = screen["question"]["says"]
        assert answers[screen["id"]].wrong_says in set(says) - {"right"}, screen["id"]


def test_lessons_are_shown_without_pytorch() -> None:
    code = (
        "import sys, nlviz\n"
        "for each in nlviz.web.lessons(): each.page()\n"
        "heavy = {'torch', 'timm', 'torchvision', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
