"""Change the input and Deletion below the map: nothing runs before a click."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_explore import app, texts


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def click(test: AppTest, label: str) -> None:
    (button,) = [b for b in test.button if b.label == label]
    button.click().run()
    assert not test.exception and not test.error


def test_a_change_is_tried_on_a_click_and_both_maps_are_drawn() -> None:
    test = app(clip="composed-twins.mp4", frames="2", size="96", ask="input", at="0,40,60")
    assert not test.exception
    assert "of this query's weight lies elsewhere" not in texts(test)
    (what,) = [box for box in test.selectbox if box.key == "ask-change-what"]
    what.set_value("reverse").run()
    click(test, "Compare before and after")
    told = texts(test)
    assert "Time is reversed." in told
    assert "of this query's weight lies elsewhere than before" in told
    assert "the block does not know the order of frames" in told
    assert "Compare before and after" not in labels(test)
    # Another change has no result yet; the first one is kept.
    (what,) = [box for box in test.selectbox if box.key == "ask-change-what"]
    what.set_value("region").run()
    assert "Paint the region on the pictures" in texts(test)
    assert "Compare before and after" not in labels(test)
    (what,) = [box for box in test.selectbox if box.key == "ask-change-what"]
    what.set_value("reverse").run()
    assert "Time is reversed." in texts(test)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["other", "bypass"])
def test_a_picture_has_changes_of_its_own(name: str) -> None:
    test = app(clip="cat.jpg", ask="input", at="0,80,120")
    (what,) = [box for box in test.selectbox if box.key == "ask-change-what"]
    assert "Freeze a frame" not in what.options
    what.set_value(name).run()
    click(test, "Compare before and after")
    assert "elsewhere than before" in texts(test)


def test_cells_are_taken_out_on_a_click() -> None:
    test = app(clip="cat.jpg", ask="deletion", at="0,80,120")
    assert not test.exception
    for key, value in (("steps", 2), ("k", 2), ("seeds", 2)):
        (field,) = [n for n in test.number_input if n.key == f"ask-deletion-{key}"]
        field.set_value(value).run()
    click(test, "Take cells out and put them back")
    told = texts(test)
    assert "Taking out what this map points at lowers the probability of" in told
    assert "passes through the network" in told
    assert "Random cells" in list(test.dataframe[-1].value["map"])
    click(test, "Test the order of the map")
    assert "random maps" in texts(test)


@pytest.mark.slow
def test_edges_between_frames_are_cut_in_one_block_or_in_all() -> None:
    test = app(clip="composed-twins.mp4", frames="2", size="96", ask="input", at="0,40,60")
    (what,) = [box for box in test.selectbox if box.key == "ask-change-what"]
    what.set_value("frames").run()
    (everywhere,) = [box for box in test.checkbox if box.key == "ask-change-all-blocks"]
    everywhere.set_value(True).run()
    click(test, "Compare before and after")
    told = texts(test)
    assert "All cross-frame edges of stage3 are cut; all cross-frame edges of stage4 are" in told
