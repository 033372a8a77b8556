"""Explore with texts, through Streamlit's own test runner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from app.explore import choices as explore
from app.shared.choices import Chose, Said
from nlviz.zoo import app_offers
from tests.app.widgets import the
from tests.own_words import MOST

ENTRY = str(Path(__file__).parents[2] / "nlviz" / "cli" / "app_entry.py")
OWN = "tests.own_words:build"
SENTENCE = "the dog sees the ball and then the cat runs ."


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(app_offers, "_functions", [OWN])
    yield


def app(**query: str) -> AppTest:
    test = AppTest.from_file(ENTRY, default_timeout=90)
    test.query_params.update(query)
    return test.run()


def said(test: AppTest) -> str:
    return "\n".join(str(e.value) for e in [*test.markdown, *test.caption, *test.error])


def parameter(test: AppTest, name: str) -> str:
    found = test.query_params[name]
    return found[0] if isinstance(found, list) else found  # by version of Streamlit


def test_an_address_opens_a_text_and_its_panels_speak_of_words() -> None:
    test = app(text=SENTENCE, model=OWN, at="0,0,8")
    assert not test.exception and not test.error
    assert "Where “cat” looks" in said(test)
    assert "of 11** &nbsp; tokens share its weight" in said(test)
    assert "tokens** &nbsp; from it in the text, on average" in said(test)
    panels = said(test).partition("##### Where")[2]
    for foreign in (" px", "frame", "cell", "pixel", "point"):
        assert foreign not in panels, foreign
    assert not any("Attribution" in e.label or "colours" in e.label for e in test.expander)
    keys = test.dataframe[0].value
    assert set(keys["name"]) <= set(SENTENCE.split()) and 8 not in set(keys["place"])
    assert all(keys["away"] == keys["place"] - 8)
    again = app(**{name: parameter(test, name) for name in test.query_params})
    assert again.session_state["explore"].query == (0, 0, 8)
    assert the(again.text_area, "text").value == SENTENCE


@pytest.mark.parametrize(("token", "place"), [("7", 7), ("dog", 1), ("3:the", 3)])
def test_an_address_names_a_word(token: str, place: int) -> None:
    test = app(text=SENTENCE, model=OWN, token=token)
    assert not test.error and not test.warning
    assert test.session_state["explore"].query == (0, 0, place)
    assert parameter(test, "at") == f"0,0,{place}" and "token" not in test.query_params


def test_an_address_with_a_word_that_is_not_there_says_so_and_opens() -> None:
    test = app(text=SENTENCE, model=OWN, token="the")
    assert "stands 3 times" in test.warning[0].value
    assert "Where “" in said(test)


def test_a_typed_text_is_another_input_and_a_chosen_word_the_query() -> None:
    test = app(text=SENTENCE, model=OWN, at="0,0,9")
    the(test.text_area, "text").set_value("a cat ran").run()
    assert not test.error
    assert test.session_state["explore"].query is None
    assert parameter(test, "text") == "a cat ran"
    the(test.selectbox, "query_name").set_value(2).run()
    assert test.session_state["explore"].query == (0, 0, 2)
    assert "Where “ran” looks" in said(test)


def test_networks_are_listed_by_what_they_take() -> None:
    of_clips = the(app(clip="cat.jpg").selectbox, "model").options
    texts = the(app(text=SENTENCE, model=OWN).selectbox, "text_model").options
    cards = nlviz.zoo.CARDS
    assert OWN in of_clips and OWN in texts
    assert all("clip" in cards[n].takes for n in of_clips if n in cards)
    assert all("text" in cards[n].takes for n in texts if n in cards)
    assert "lite-nl" not in texts


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("the fox runs", "is no symbol of this network; it knows"),
        ("a " * (MOST + 3), f"reads at most {MOST} words, the text has {MOST + 3}"),
        ("the " * 25_000, "at most 32,768 characters on this page, this one has 100,000"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence_with_a_way_on(text: str, told: str) -> None:
    test = app(text=SENTENCE, model=OWN)
    the(test.text_area, "text").set_value(text).run()
    assert not test.exception
    (error,) = test.error
    assert told in error.value
    assert [b for b in test.button if b.label.startswith("Go back")]
    the(test.text_area, "text").set_value("a cat ran").run()
    assert not test.error


def test_without_a_text_the_page_asks_for_one() -> None:
    test = app(text="", model=OWN)
    assert not test.error
    assert "Write a text" in said(test)


def test_a_network_of_clips_refuses_a_text_with_a_cure() -> None:
    test = app(text=SENTENCE, model="lite-nl")
    (error,) = test.error
    assert "takes a clip, no text; choose a clip as the input" in error.value


def test_a_long_text_goes_by_an_upload_in_the_address() -> None:
    long = "\n".join([SENTENCE] * 60)
    now = explore.Choices(kind=explore.TEXT, text=long, text_model=OWN)
    view = _view(long)
    address = explore.parameters(now, view)
    assert address["text"].startswith("upload:") and len(address["text"]) < 100
    assert explore.opened(address, explore.Choices()).text == long
    gone = explore.opened({**address, "text": "upload:ab12:text.txt"}, explore.Choices())
    assert (gone.kind, gone.text) == (explore.TEXT, "")
    assert "is not on this server" in gone.notes[0]


def _view(text: str) -> nlviz.View:
    from nlviz.views.view import ClipRef, ModelRef

    return nlviz.View(ModelRef(OWN), ClipRef("text", text=text), "b", nlviz.Point(0, 0, 0))


def test_a_word_that_was_said_of_another_text_is_not_the_query() -> None:
    now = explore.Choices(kind=explore.TEXT, text=SENTENCE, text_model=OWN)
    now = now.settled((1, 1, 11), nlviz.Point(0, 0, 5), {"learned": 3})
    other = now.after(Chose("text", "a cat ran"))
    late = other.after(Said(now.of, 3, nlviz.Point(0, 0, 9), True, {}))
    assert late.query is None
    asked = explore.Choices(display={"token": "3:dog"}).after(Chose("question", "What?"))
    assert "token" not in asked.display


def test_an_address_of_a_clip_and_a_text_keeps_both() -> None:
    now = explore.opened({"clip": "cat.jpg", "text": "What is it?"}, explore.Choices())
    assert (now.kind, now.input, now.question, now.text) == (
        "Bundled",
        "cat.jpg",
        "What is it?",
        "",
    )


def test_an_address_makes_no_picture_of_what_an_error_quotes() -> None:
    (error,) = app(clip="![x](https://example.org/x.png)").error
    assert "](https" not in error.value.replace("\\](", "")
    test = app(text=SENTENCE, model=OWN, token="![x](https://example.org/x.png)")
    assert "is no word of" in test.warning[0].value
    assert "](https" not in test.warning[0].value.replace("\\](", "")
