"""The verdict as a file: every kind, with the same sentence and figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nlviz
from nlviz.analysis.verdict import Verdict
from nlviz.errors import NlvizError
from nlviz.recipes.verdict_cases import cases


@pytest.fixture(scope="module")
def found() -> Verdict:
    (case,) = [c for c in cases([0]) if c.name == "content, only, block"]
    return case.run()


def test_every_kind_of_file_holds_the_verdict(found: Verdict, tmp_path: Path) -> None:
    said = nlviz.words.verdict_text(found)
    paths = {k: nlviz.render.save_verdict(found, tmp_path / f"v.{k}") for k in ("json", "png")}
    record = json.loads(paths["json"].read_text("utf-8"))
    assert record["verdict"] == said
    assert record["origin"]["keys"] == 126
    assert len(record["effect"]["random"]) == 8
    with Image.open(paths["png"]) as image:
        assert json.loads(image.info["nlviz.verdict"]) == record
        assert image.width < 4000 and np.asarray(image).std() > 10
    assert nlviz.render.verdict_bytes(found, "pdf").startswith(b"%PDF")
    assert b"<svg" in nlviz.render.verdict_bytes(found, "svg")[:800]


def test_another_ending_is_refused(found: Verdict, tmp_path: Path) -> None:
    with pytest.raises(NlvizError, match=r"\.png, \.pdf, \.svg or \.json"):
        nlviz.render.save_verdict(found, tmp_path / "v.gif")
    with pytest.raises(NlvizError, match="a verdict is saved as png, pdf, svg or json"):
        nlviz.render.verdict_bytes(found, "gif")


def test_every_figure_says_how_it_is_computed(found: Verdict) -> None:
    lines = nlviz.words.verdict_lines(found)
    assert len(lines) == 12
    assert all(line.help and line.value and line.label for line in lines)
    assert "arXiv" in " ".join(line.help for line in lines)
