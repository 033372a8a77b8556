"""The verdict below the map: nothing before a click, then the sentence with its figures."""

from __future__ import annotations

from tests.app.test_explore import app, texts


def test_a_map_is_judged_on_a_click() -> None:
    test = app(clip="cat.jpg", ask="verdict", at="0,80,120")
    assert not test.exception
    assert "had no part in choosing the rules" in texts(test)
    assert "in common with the even row" not in texts(test)
    (run,) = [b for b in test.button if b.label == "Judge this map"]
    run.click().run()
    assert not test.exception and not test.error
    said = texts(test)
    assert "##### Content, and it does not matter here" in said
    assert "in common with the even row" in said
    assert "if the query gets nothing from the block" in said
    assert [b.label for b in test.button if b.key and b.key.startswith("verdict")] == [
        "PNG", "PDF", "SVG", "JSON",
    ]  # fmt: skip
