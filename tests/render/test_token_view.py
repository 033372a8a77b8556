"""A token without a place as the query of a view: in figures, rows, addresses and the command."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.split import split
from nlviz.clips.point import Point
from nlviz.errors import NlvizError
from nlviz.render.save import attention_of, overlay_of, render_bytes, save_view
from nlviz.views.view import ClipRef, ModelRef, View
from tests.cli.test_cli import run
from tests.families.timm.test_vit import clip, vit

BLOCK = "blocks.1"


@pytest.fixture(scope="module")
def capture() -> nlviz.Capture:
    return nlviz.capture(vit(), clip())


def view_of(capture: nlviz.Capture, token: str, **display: object) -> View:
    return View.of(capture, BLOCK, frame=0, y=9, x=20, display={"token": token, **display})


def test_the_address_and_the_file_keep_it(capture: nlviz.Capture) -> None:
    view = view_of(capture, "registers.1")
    params = view.to_query_params()
    assert params["token"] == "registers.1"
    assert View.from_query_params(params).display == view.display
    assert View.from_json(view.to_json()).display == view.display
    assert "token" not in view_of(capture, "").to_query_params()


def test_a_figure_draws_its_row_and_no_point(capture: nlviz.Capture) -> None:
    affinity = capture.affinities[BLOCK]
    view = view_of(capture, "cls", direction="to", values="logits", leave_out="cell", head=1)
    shown, wanted = attention_of(affinity, view), affinity.map(token="cls", head=1)
    np.testing.assert_array_equal(shown.weights, wanted.weights)
    drawn = overlay_of(capture, affinity, view)
    assert not drawn.look.marked
    assert drawn.look.links == 0
    assert any("class token (cls)" in note for note in drawn.notes)
    assert render_bytes("png", capture, affinity, view)
    rows = np.load(BytesIO(render_bytes("npz", capture, affinity, view)))["rows"]
    np.testing.assert_allclose(rows[1], wanted.weights, rtol=1e-6)


def test_what_has_no_such_token_shows_the_point(capture: nlviz.Capture) -> None:
    part = split(capture.affinities[BLOCK]).pairwise
    assert part.token_names == ()
    shown = attention_of(part, view_of(capture, "cls"))
    np.testing.assert_array_equal(shown.weights, part.map(frame=0, y=9, x=20).weights)


def test_an_unknown_token_is_refused_by_name(capture: nlviz.Capture, tmp_path: Path) -> None:
    with pytest.raises(NlvizError, match=r"cls, registers\.0.*'dog'"):
        save_view(capture, view_of(capture, "dog"), tmp_path / "a.png")


def test_the_command_takes_a_token_for_a_query(capture: nlviz.Capture, tmp_path: Path) -> None:
    path, out = capture.save(tmp_path / "c.nlviz"), tmp_path / "a.json"
    assert run("attend", str(path), "--query", "registers.1", "-o", str(out)).exit_code == 0
    assert View.from_json(out.read_text()).display.token == "registers.1"
    refused = run("attend", str(path), "--query", "dog", "-o", str(out))
    assert refused.exit_code != 0
    assert "cls" in refused.output
    wrong = run("attend", str(path), "--query", "3;9;20", "-o", str(out))
    assert "FRAME,Y,X" in wrong.output


def test_where_tokens_alone_ask_the_first_is_shown() -> None:
    grid = TokenGrid((1, 1, 1), (1, 24, 36), (0, 11.5, 17.5), prefix=2)
    keys = TokenGrid((1, 2, 3), prefix=2)
    theta, phi = torch.randn(3, 3, 4), torch.randn(3, 8, 4)
    f = Pairwise("embedded_gaussian")
    names = ("cls", "dist")
    own = EmbeddedAffinity("class", f, theta, phi, grid, keys, token_names=names)
    view = View(ModelRef("a"), ClipRef("b"), "class", Point(0, 3, 5))
    shown = attention_of(own, view)
    assert shown.token == "cls"
    np.testing.assert_array_equal(shown.weights, own.map(token="cls").weights)
