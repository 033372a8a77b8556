"""Sinks and Position below the map: what is said at once, and what waits for a click."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.app.test_explore import app, texts


def buttons(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def test_sinks_of_the_block_are_told_at_once_and_those_of_all_on_a_click() -> None:
    test = app(clip="cat.jpg", ask="sinks", at="0,80,120")
    assert not test.exception
    assert "No key is a sink: the one that receives most gets" in texts(test)
    before = len(test.dataframe)
    (run,) = [b for b in test.button if b.label == "Sinks of all blocks"]
    run.click().run()
    assert not test.exception and not test.error
    assert len(test.dataframe) == before + 1
    assert list(test.dataframe[-1].value["block"]) == ["stage3", "stage4"]
    assert "Sinks of all blocks" not in buttons(test)


def test_mean_rows_that_are_not_shipped_wait_for_a_click() -> None:
    test = app(clip="cat.jpg", ask="position", at="0,80,120")
    assert not test.exception
    (run,) = [b for b in test.button if b.label == "Take mean rows over 16 clips"]
    run.click().run()
    assert not test.exception and not test.error
    assert "Mean rows are over 16 parts of the bundled films and photos." in texts(test)
    assert "likeness to the part that all queries of this clip share" in texts(test)
    assert "The same for the whole block" in buttons(test)


def test_where_position_means_nothing_that_is_said_and_no_button_is_there() -> None:
    test = app(clip="lookup.json", model="gat.lookup", ask="position")
    assert not test.exception
    assert "boxes or nodes, which lie elsewhere in each" in test.info[0].value
    assert not any(label.startswith("Take mean rows") for label in buttons(test))
