"""Sinks of all heads on a page: every kind of file, with the numbers in it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

import nlviz
from nlviz.errors import NlvizError
from nlviz.render.sinks_figure import MOST, sinks_bytes


@pytest.fixture(scope="module")
def found() -> nlviz.Sinks:
    model = nlviz.load_model("transformer.recall")
    return nlviz.sinks(model.capture(nlviz.read_text("a 3 b 7 c 1 d 9 e 5 | c a e")))


def test_a_page_carries_its_numbers(found: nlviz.Sinks, tmp_path: Path) -> None:
    path = nlviz.render.save_sinks(found, tmp_path / "sinks.png", title="recall")
    with Image.open(path) as page:
        told = json.loads(page.info["nlviz-sinks"])
        wide, high = page.size
    assert (told["title"], len(told["heads"])) == ("recall", 8)
    assert told["heads"][-1]["kind"] == "broadcast"
    assert "not published thresholds" in told["rule"]
    assert json.loads(sinks_bytes(found, "json", title="recall")) == told
    fewer = nlviz.Sinks({"decoder.0.cross": found["decoder.0.cross"]})
    with Image.open(io.BytesIO(sinks_bytes(fewer, "png"))) as page:
        assert page.size[0] == wide
        assert page.size[1] < high


def test_vectors_and_a_page_of_many_heads(found: nlviz.Sinks) -> None:
    assert sinks_bytes(found, "pdf").startswith(b"%PDF")
    many = nlviz.Sinks({f"block{i}": found["decoder.0.cross"] for i in range(MOST)})
    svg = sinks_bytes(many, "svg").decode()
    assert len(svg) > 2 * len(sinks_bytes(found, "svg"))


def test_another_ending_is_told(found: nlviz.Sinks, tmp_path: Path) -> None:
    with pytest.raises(NlvizError, match=r"\.png, \.pdf, \.svg"):
        nlviz.render.save_sinks(found, tmp_path / "sinks.gif")
    with pytest.raises(NlvizError, match="got 'gif'"):
        sinks_bytes(found, "gif")
