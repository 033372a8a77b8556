"""Views of texts: as files, as addresses, and old ones as they were."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlviz.clips.point import Point
from nlviz.clips.text import read_text
from nlviz.errors import InvalidView
from nlviz.views.display import Display
from nlviz.views.view import ClipRef, ModelRef, View
from tests.words_and_boxes import (
    BOXES,
    QUESTION,
    WRITTEN,
    of_boxes,
    of_film_and_words,
    of_nodes,
    of_words,
)

WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1
)


@settings(max_examples=60, deadline=None)
@given(WORDS, st.integers(0, 4095))
def test_a_view_of_a_text_survives_its_file_and_its_address(words: str, token: int) -> None:
    clip = ClipRef("text", text=words)
    view = View(ModelRef("muse.reverse"), clip, "layer", Point(0, 0, token))
    assert View.from_json(view.to_json()) == view
    params = view.to_query_params()
    assert params["text"] == words and "clip" not in params and "frames" not in params
    assert View.from_query_params(params) == view


def test_a_text_beside_a_clip_is_told_apart_from_one_alone() -> None:
    view = View.of(of_film_and_words(), "layer", frame=1, y=8, x=9, display={"token": "3:dog"})
    assert (view.text, view.clip.text) == (QUESTION, None)
    params = view.to_query_params()
    assert (params["clip"], params["text"], params["token"]) == ("noise.mp4", QUESTION, "3:dog")
    again = View.from_query_params(params)
    assert (again.text, again.clip.name, again.clip.text) == (QUESTION, "noise.mp4", None)
    assert View.from_json(view.to_json()) == view


def test_a_view_holds_what_was_written_not_how_the_network_cut_it() -> None:
    capture = of_words()
    view = View.of(capture, "causal", frame=0, y=0, x=12)
    assert view.clip.text == WRITTEN and view.text is None
    assert view.clip.read().digest == read_text(WRITTEN).digest
    edited = json.loads(view.to_json())
    edited["clip"]["text"] = "Another text."
    with pytest.raises(InvalidView, match="is not the one that it was saved with"):
        View.from_dict(edited).clip.read()
    edited["clip"]["digest"] = ""
    assert View.from_dict(edited).clip.read().text == "Another text."


def test_a_view_of_a_clip_is_written_as_before_there_were_texts() -> None:
    whole = json.loads(View.of(of_nodes(), "edges", frame=0, y=8, x=9).to_json())
    assert "text" not in whole and not {"text", "boxes"} & set(whole["clip"])


def test_a_view_holds_the_boxes_that_the_network_was_asked_about() -> None:
    view = View.of(of_boxes(), "boxes", frame=0, y=8, x=9)
    assert view.clip.boxes == tuple(tuple(map(float, box)) for box in BOXES)
    assert View.from_json(view.to_json()) == view
    params = view.to_query_params()
    assert params["boxes"] == "0,4,6,30,40;0,10,12,20,22;2,5,20,35,50"
    assert View.from_query_params(params).clip.boxes == view.clip.boxes
    whole = json.loads(view.to_json())
    whole["clip"]["boxes"] = [[0, 1, 2]]
    with pytest.raises(InvalidView, match="a list of 5"):
        View.from_dict(whole)


@pytest.mark.parametrize("text", ["", 3, None, ["a"], "a" * (1 << 18) + "b"])
def test_what_is_no_text_is_refused(text: object) -> None:
    view = View(ModelRef("m"), ClipRef("text", text="a dog"), "b", Point(0, 0, 0), Display())
    whole = json.loads(view.to_json())
    whole["clip"]["text"] = text
    if text is None:
        assert View.from_dict(whole).clip.text is None
        return
    with pytest.raises(InvalidView, match="text"):
        View.from_dict(whole)
