"""Every head below the map: what is drawn at once, what waits for a click, what a click opens."""

from __future__ import annotations

from app.explore.choices import Choices, InHead
from tests.app.test_explore import app, texts
from tests.app.widgets import the


def test_maps_come_at_once_and_a_dear_figure_waits_for_a_click() -> None:
    test = app(clip="cat.jpg", ask="heads", at="0,80,120")
    assert not test.exception and not test.error
    assert test.dataframe[-1].value["block"].tolist() == ["stage3", "stage4"]
    assert "sink" not in test.dataframe[-1].value
    the(test.selectbox, "atlas_by").set_value("pixels").run()
    assert "Mean distance: mean distance in the picture" in texts(test)
    the(test.selectbox, "atlas_by").set_value("sink").run()
    (run,) = [b for b in test.button if b.label == "Compute sink mass"]
    run.click().run()
    assert not test.exception and not test.error
    assert test.dataframe[-1].value["sink"].between(0, 1).all()
    assert the(test.selectbox, "atlas_by").value == "sink"


def test_a_word_has_heads_too() -> None:
    test = app(text="d a c b", ask="heads", token="1")
    assert not test.exception and not test.error
    assert len(test.dataframe[-1].value) > 1


def test_a_head_that_is_opened_leaves_what_other_blocks_lack() -> None:
    before = Choices(display={"source": "features", "head": 7, "links": 5, "heads": "all"})
    after = before.after(InHead("blocks.3", head=1))
    assert after.block == "blocks.3"
    assert after.display == {"head": 1, "links": 5, "heads": "one"}
    assert after.after(InHead("stage4")).display == {"links": 5, "heads": "one"}
