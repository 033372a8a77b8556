"""The trust panel's second half: whether the block is alive, and the parts of its affinity."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.explore import cached
from nlviz.analysis import health
from tests.app.widgets import the

from .test_explore import app, texts


def test_the_panel_says_whether_the_block_is_alive() -> None:
    test = app(clip="cat.jpg")
    assert not test.exception
    told = texts(test)
    assert "Is the block alive?" in told
    assert "**The block is alive" in told
    assert "any class changes by without the block" in told
    assert "going in, in where they look, coming out" in told
    assert "likeness of a map to the part that all queries share" in told
    assert "Test the block" not in [button.label for button in test.button]


def test_a_long_forward_pass_waits_for_a_click_and_is_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    original = health.bypass_effect

    def counted(model: object, capture: object, block: str) -> object:
        calls.append(block)
        return original(model, capture, block)  # type: ignore[arg-type]

    monkeypatch.setattr(health, "bypass_effect", counted)
    monkeypatch.setattr(cached, "CHEAP", 0.0)
    # An input of its own: what other tests had computed would be ready.
    test = app(clip="coffee.jpg", block="stage4", at="0,40,50", size="240")
    assert not test.exception
    assert calls == []
    assert "without the block" not in texts(test)
    test.button(key="test-block").click().run()
    assert not test.exception
    assert calls == ["stage4"]
    assert "any class changes by without the block" in texts(test)
    assert "Test the block" not in [button.label for button in test.button]
    the(test.number_input, "query_y").set_value(80).run()
    assert calls == ["stage4"]


@pytest.mark.parametrize("source", ["pairwise", "unary", "minus_mean"])
def test_the_panels_follow_a_part(source: str) -> None:
    test: AppTest = app(clip="cat.jpg", block="stage4", at="0,80,120", source=source)
    assert not test.exception
    assert not test.error
    told = texts(test)
    assert ("Keys with more weight than on average" in told) == (source == "minus_mean")
    assert ("lies elsewhere than the average query's" in told) == (source == "minus_mean")
