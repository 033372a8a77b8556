"""Languages of the browser: the same tables and the same rule in Python and in its script."""

from __future__ import annotations

import re
import string
import subprocess
from pathlib import Path

import pytest

from nlviz.web.language import LANGUAGES, language_of, translations
from tests.web.given_texts import given
from tests.web.live_view.test_rows import node
from tests.web.said_texts import everything_said, modules, said

OTHERS = [code for code in LANGUAGES if code != "en"]


def test_units() -> None:
    script = Path(__file__).with_name("language.test.mjs")
    done = subprocess.run([node(), "--test", str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def places(text: str) -> set[str]:
    """Return the names of what is put into a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_translations_put_in_what_the_english_does(language: str) -> None:
    table = translations(language)
    assert {key: text for key, text in table.items() if places(key) != places(text)} == {}
    assert [key for key, text in table.items() if not text.strip()] == []


def test_every_language_translates_the_same() -> None:
    chinese, japanese = (translations(code) for code in OTHERS)
    assert chinese.keys() ^ japanese.keys() == set()


def test_a_script_that_nobody_reads_here_is_none_of_ours() -> None:
    assert [language_of(tag) for tag in ("ko-KR", "z", "english", "")] == [None] * 4
    assert language_of(" zh_TW ") == "zh"
    with pytest.raises(KeyError, match="one of en, zh, ja"):
        translations("fr")


@pytest.mark.parametrize("language", OTHERS)
def test_tables_are_written_in_their_script(language: str) -> None:
    own = {"zh": r"[\u4e00-\u9fff]", "ja": r"[\u3040-\u30ff\u4e00-\u9fff]"}[language]
    # What has no word beside its places, and symbols, may stay as it is.
    kept = re.compile(r"\W*|Rollout|logit|token\W*|B − A|Non-local Means|C\(x\) .*")
    foreign = [
        text
        for text in translations(language).values()
        if not re.search(own, text) and not kept.fullmatch(re.sub(r"\{\w+\}", "", text))
    ]
    assert foreign == []


@pytest.mark.parametrize("language", OTHERS)
def test_everything_that_is_said_is_translated(language: str) -> None:
    table = translations(language)
    assert {text: where for text, where in everything_said().items() if text not in table} == {}
    assert given() - table.keys() == set()


def test_no_translation_is_left_of_what_nobody_says() -> None:
    used = {*everything_said(), *given()}
    assert translations("zh").keys() - used == set()


def test_the_texts_of_a_module_are_found() -> None:
    source = (
        'say(n ? "one {a}" : "two, three", { a: say("in it") }); other("not"); '
        'texts([["key", "shown"], ["x", name]]); say(kind === "line" ? "a \\"b\\"" : PARTS[c]);'
    )
    assert said(source) == ["one {a}", "two, three", "in it", "shown", 'a "b"']


def test_no_other_name_is_imported_for_a_text() -> None:
    """Modules are joined without their imports: a name may not be changed on its way."""
    for path in modules():
        assert not re.search(r"^import [^;]*\bas\b", path.read_text("utf-8"), re.M), path.name
