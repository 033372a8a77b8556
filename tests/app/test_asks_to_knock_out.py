"""Links are cut below the map: what the output loses at once, the answer after a click."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from nlviz.views.painted import painted_text

from .test_explore import app, texts

AT = {"clip": "composed-twins.mp4", "frames": "2", "size": "96", "at": "1,40,60"}
CUT = "Cutting its 20 strongest links changes"


def choose(test: AppTest, what: str) -> None:
    """Choose what is cut."""
    test.segmented_control(key="knock-out-what").set_value(what).run()


def test_the_output_is_told_at_once_and_the_answer_after_a_click() -> None:
    test = app(block="stage4", ask="knock-out", **AT)
    assert not test.exception
    told = texts(test)
    assert f"**{CUT} the output of stage4 here" in told
    assert "is what the block's output changes by at this query" in told
    assert "is what the logits change by" not in told
    test.button(key="asks-run-Run the network without these links").click().run()
    assert not test.exception
    told = texts(test)
    assert f"**{CUT}" in told and "the answer" in told
    assert "is what the logits change by" in told
    assert "at the same distances" in told and "the mean row's strongest" in told


def test_what_is_cut_can_be_chosen() -> None:
    painted = painted_text([7, 8, 30], (2, 14, 25))
    test = app(block="stage4", ask="knock-out", painted=painted, **AT)
    choose(test, "Painted cells")
    assert "**Cutting 3 links that you chose changes" in texts(test)
    choose(test, "Other frames")
    assert "**Cutting all its links to other frames changes" in texts(test)
    choose(test, "One frame")
    assert "**Cutting all its links to frame 0 changes" in texts(test)
    test.checkbox(key="knock-out-own").set_value(False).run()
    assert not test.exception


def test_nothing_painted_says_how_to_paint() -> None:
    test = app(block="stage4", ask="knock-out", **AT)
    choose(test, "Painted cells")
    assert "Nothing is painted" in texts(test) and not test.exception


def test_frames_of_every_query_are_cut_after_a_click() -> None:
    test = app(block="stage4", ask="knock-out", **AT)
    choose(test, "Frames, every query")
    assert "Cutting" not in texts(test)
    test.button(key="asks-run-Run the network without them").click().run()
    assert "**Cutting all cross-frame links of stage4 changes" in texts(test)
    assert not test.exception


def test_of_a_text_words_are_cut() -> None:
    test = app(text="a 3 b 7 c 1 d 9 e 5 | c a e", model="muse.recall", at="0,0,2", ask="knock-out")
    assert not test.exception
    told = texts(test)
    assert "strongest links changes the output of" in told or "links changes the output" in told
    assert test.segmented_control(key="knock-out-what").options == ["Strongest links"]
