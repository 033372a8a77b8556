"""Labels in the visitor's language: the browser's, an address's, or the one that was chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import PropertyMock, patch

import pytest
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from app.shared import language
from nlviz.web.language import LANGUAGES
from tests.app.labels import EXAMPLES, labels, options

OTHERS = [code for code in LANGUAGES if code != "en"]


@pytest.mark.parametrize("code", OTHERS)
def test_every_label_is_translated(code: str) -> None:
    table = language.table(code)
    assert (labels() | options()) - EXAMPLES - table.keys() == set()
    assert table.keys() - labels() - options() == set()
    assert [text for text in table.values() if not text.strip()] == []


def test_markdown_stays_what_it_is() -> None:
    for code in OTHERS:
        for text, said in language.table(code).items():
            assert said.count("**") == text.count("**"), text
            assert said.startswith("#" * 4) == text.startswith("#" * 4), text
            assert said.count("`") == text.count("`"), text
            # Markdown does not end bold type between a full stop and a letter.
            parts = said.split("**")
            for bold, after in zip(parts[1::2], parts[2::2], strict=True):
                assert bold[-1] not in "。！？：" or not after[:1].strip(), text


@contextmanager
def liked(locale: str) -> Iterator[None]:
    """A browser whose reader likes a language."""
    with patch.object(ContextProxy, "locale", PropertyMock(return_value=locale)):
        yield


def page() -> None:
    import streamlit as st

    from app.shared import language
    from app.shared.fields import Fields

    language.begin()
    language.switch()
    fields = Fields("t_", lambda name, value: None)
    fields.pick(st.segmented_control, "Input", "kind", ["Bundled", "Upload"], "Bundled")
    fields.pick(st.selectbox, "File", "file", ["Text", "cat.jpg"], "Text")
    fields.enter(st.number_input, "Seed", "seed", 0, value=3, help="The same seed, the same noise")
    st.caption(language.spoken("On this clip:") + " " + str(language.parameters()))


def said(test: AppTest) -> list[str]:
    return [test.selectbox[0].label, test.number_input[0].label, test.caption[0].value]


def test_the_language_is_the_browser_s_or_the_address_s_or_the_chosen() -> None:
    assert said(AppTest.from_function(page).run()) == ["File", "Seed", "On this clip: {}"]
    with liked("ja-JP"):
        test = AppTest.from_function(page).run()
        assert said(test) == ["ファイル", "シード", "このクリップ： {}"]
        # Names of files are no labels.
        assert test.selectbox[0].options == ["Text", "cat.jpg"]
        addressed = AppTest.from_function(page)
        addressed.query_params["lang"] = "zh-TW"
        assert said(addressed.run())[2] == "在这个片段上： {'lang': 'zh'}"
        addressed.button_group[0].set_value("en").run()
        assert said(addressed) == ["File", "Seed", "On this clip: {'lang': 'en'}"]
    with liked("fr"):
        assert said(AppTest.from_function(page).run())[0] == "File"


def test_choices_are_said_and_stay_what_they_are() -> None:
    with liked("zh-CN"):
        test = AppTest.from_function(page).run()
        assert list(test.button_group[1].options) == ["自带", "上传"]
        assert test.button_group[1].value in ("Bundled", ["Bundled"])
        assert test.number_input[0].help == "种子相同，噪声相同"


def test_tables_are_in_the_wheel() -> None:
    folder = Path(language.__file__).parents[1] / "languages"
    assert {path.stem for path in folder.glob("*.json")} == set(OTHERS)
