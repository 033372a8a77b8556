"""Boxes on the command line: a network of boxes is asked about the one that is given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nlviz
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.resources import asset
from tests.cli.test_cli import run

pytestmark = pytest.mark.slow

MODEL = "action-transformer.composed"
CLIP = str(asset("clips/composed-twins.mp4"))
BOX = "1,30,93,169,243"


def test_a_box_is_the_query_and_is_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("attend", CLIP, "--model", MODEL, "--box", BOX, "--frames", "3")
    for name in ("look.json", "look.npz"):
        done = run(*asked, "-o", name)
        assert done.exit_code == 0, done.output
    view = json.loads(Path("look.json").read_text("utf-8"))
    assert view["clip"]["boxes"] == [[1, 30, 93, 169, 243]]
    done = run("render", "look.json", "-o", "again.npz")
    assert done.exit_code == 0, done.output
    with np.load("look.npz") as one, np.load("again.npz") as two:
        assert np.array_equal(one["rows"], two["rows"])
        found = one["rows"].mean(0)
    clip = nlviz.read_clip(CLIP, frames=3)
    capture = nlviz.load_model(MODEL).capture(clip, boxes=[tuple(map(float, BOX.split(",")))])
    affinity = capture.affinities["layer2"]
    assert isinstance(affinity.queries, TokenBoxes)
    assert np.allclose(found, affinity.map(box=0).weights, atol=1e-6)


def test_without_a_box_the_default_is_told(tmp_path: Path) -> None:
    done = run("attend", CLIP, "--model", MODEL, "--frames", "2", "-o", str(tmp_path / "look.npz"))
    assert done.exit_code == 0, done.output
    assert "No box was given" in done.output


def test_a_network_without_boxes_refuses_one(tmp_path: Path) -> None:
    done = run("attend", CLIP, "--box", BOX, "--frames", "2", "-o", str(tmp_path / "a.npz"))
    assert done.exit_code != 0
    assert "no boxes" in done.output
