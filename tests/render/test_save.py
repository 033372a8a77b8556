from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import numpy as np
import pytest
import torch
from PIL import Image

import nlviz
from nlviz.affinity.by_frame import lengths, masses
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.analysis.controls import controls
from nlviz.captures.model import Capture
from nlviz.clips.clip import Clip
from nlviz.clips.point import Point
from nlviz.errors import InvalidView, NlvizError
from nlviz.files.local import KINDS
from nlviz.render.captions import notes_of
from nlviz.render.save import attention_of, overlay_of, render_bytes, save
from nlviz.views.view import View
from nlviz.web.payloads.container import unpack
from nlviz.web.payloads.live_view import live_view
from nlviz.words.numbers import change_text
from nlviz.words.rows import row_sentence
from tests.fixtures import BLOCK, make_capture, make_clip

AT = {"frame": 1, "y": 20.0, "x": 50.0}


def view_of(capture: Capture, **display: Any) -> View:
    return View.of(capture, BLOCK, **AT, display=display)


def test_notes_of_clip_and_pass_stand_in_every_figure(clip: Clip) -> None:
    told = make_capture(clip.noted("Fields were woven."), pool=2)
    told = replace(told, notes=("Fields were woven.", "Only the last output is read."))
    assert told.all_notes == ("Fields were woven.", "Only the last output is read.")
    view = view_of(told)
    drawn = overlay_of(told, told.affinities[BLOCK], view)
    caption = " ".join([*drawn.notes, *notes_of(drawn, shown=3)])
    for note in told.all_notes:
        assert caption.count(note) == 1
        assert note in drawn._repr_html_()
        assert note in json.loads(view.to_json())["notes"]
    assert View.from_json(view.to_json()).notes == told.all_notes
    plain = {k: v for k, v in json.loads(view.to_json()).items() if k != "notes"}
    assert View.from_json(json.dumps(plain)) == view
    header, _ = unpack(live_view(told, BLOCK))
    assert header["notes"] == list(told.all_notes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_saved_and_read_again(capture: Capture, kind: str, tmp_path: Path) -> None:
    if kind == "rrd":  # read in full by test_recording.py
        pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    affinity = capture.affinities[BLOCK]
    path = save(tmp_path / f"look.{kind.upper()}", capture, affinity, view_of(capture))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if kind == "png":
        with Image.open(path) as image:
            image.load()
            assert View.from_json(image.info["nlviz.view"]) == view_of(capture)
    elif kind == "pdf":
        content = path.read_bytes()
        assert content.startswith(b"%PDF-")
        assert content.count(b"/Subtype /Image") >= 4  # three frames and the colour bar
        assert b"+DejaVuSans" in content
        assert b"nlviz.view" in content
    elif kind == "svg":
        root = ElementTree.parse(path).getroot()
        assert sum(1 for _ in root.iter("{http://www.w3.org/2000/svg}image")) == 4
        (about,) = root.iter("{http://purl.org/dc/elements/1.1/}description")
        assert View.from_json(about.text or "") == view_of(capture)
    elif kind == "gif":
        with Image.open(path) as image:
            assert getattr(image, "n_frames") == 3  # noqa: B009 some formats have none
    elif kind == "mp4":
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 3
    elif kind == "json":
        assert json.loads(path.read_text("utf-8"))["format"] == "nlviz.view"
        assert View.from_json(path.read_bytes()) == view_of(capture)
    elif kind == "npz":
        with np.load(path) as arrays:
            row = affinity.rows([affinity.queries.nearest(**AT)])[0, 0].numpy()
            np.testing.assert_array_equal(arrays["rows"].ravel(), row)
            assert arrays["rows"].shape == (1, *affinity.keys.shape)
            assert tuple(arrays["grid_shape"]) == affinity.keys.shape
            np.testing.assert_allclose(arrays["grid_stride"], affinity.keys.stride)
            np.testing.assert_allclose(arrays["times"], [0, 0.25, 0.5])
            assert View.from_json(str(arrays["view"])) == view_of(capture)
    elif kind == "rrd":
        assert path.read_bytes().startswith(b"RRF2")
    else:
        page = path.read_text("utf-8")
        assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", page)
        assert not re.search(r"""(import|from|url)\s*\(?\s*["']?https?:""", page)
        body = re.search(r'id="nlv-container">([^<]*)<', page)
        assert body is not None
        header, arrays = unpack(base64.b64decode(body[1]))
        assert header["clip"]["name"] == "noise.mp4"
        assert "learned.theta" in arrays
        assert header["query"] == AT


def test_an_unknown_kind_is_one_sentence(capture: Capture, tmp_path: Path) -> None:
    affinity, view = capture.affinities[BLOCK], view_of(capture)
    with pytest.raises(NlvizError, match=r"got 'look\.webm'; change its ending"):
        save(tmp_path / "look.webm", capture, affinity, view)
    with pytest.raises(NlvizError, match="did you mean 'png'"):
        render_bytes("pngg", capture, affinity, view)
    assert not list(tmp_path.iterdir())


def test_a_drawing_that_fails_leaves_the_old_file(capture: Capture, tmp_path: Path) -> None:
    path = tmp_path / "look.gif"
    path.write_bytes(b"old")

    def stop(sentence: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(path, capture, capture.affinities[BLOCK], view_of(capture), progress=stop)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_map_follows_the_direction_and_what_is_left_out(capture: Capture) -> None:
    affinity = capture.affinities[BLOCK]
    rows = affinity.dense()[0].numpy()
    query = affinity.queries.nearest(**AT)
    key = affinity.keys.nearest(**AT)
    row = attention_of(affinity, view_of(capture))
    np.testing.assert_allclose(row.weights.ravel(), rows[query], rtol=1e-6)
    column = attention_of(affinity, view_of(capture, direction="to"))
    assert column.weights.shape == affinity.queries.shape != affinity.keys.shape
    np.testing.assert_allclose(column.weights.ravel(), rows[:, key], rtol=1e-5)
    rest = attention_of(affinity, view_of(capture, leave_out="frame"))
    assert rest.per_frame()[1] == 0
    assert rest.weights.sum() == pytest.approx(1, rel=1e-5)
    assert rest.left_out == pytest.approx(row.per_frame()[1], rel=1e-5)


@pytest.mark.parametrize("direction", ["from", "to"])
def test_logits_are_those_before_the_normalisation(capture: Capture, direction: str) -> None:
    affinity = capture.affinities[BLOCK]
    assert isinstance(affinity, EmbeddedAffinity)
    every = affinity.logits(range(affinity.queries.size))[0].detach().numpy()
    shown = attention_of(affinity, view_of(capture, values="logits", direction=direction))
    expected = (
        every[affinity.queries.nearest(**AT)]
        if direction == "from"
        else every[:, affinity.keys.nearest(**AT)]
    )
    np.testing.assert_allclose(shown.weights.ravel(), expected, rtol=1e-5, atol=1e-7)
    strip = overlay_of(capture, affinity, view_of(capture, values="logits", direction=direction))
    assert strip.look.scale.unit == "logit"


def test_one_head_their_mean_and_their_maximum() -> None:
    torch.manual_seed(2)
    queries, keys = TokenGrid((2, 5, 7), (1, 8, 8)), TokenGrid((2, 2, 3), (1, 16, 16))
    affinity = EmbeddedAffinity(
        BLOCK,
        Pairwise("embedded_gaussian"),
        torch.randn(3, 70, 11),
        torch.randn(3, 12, 11),
        queries,
        keys,
    )
    capture = make_capture(make_clip(2, 40, 56))
    rows = affinity.rows([queries.nearest(frame=1, y=20, x=50)])[:, 0].numpy()
    for head, expected in ((2, rows[2]), ("mean", rows.mean(0)), ("max", rows.max(0))):
        view = View.of(capture, BLOCK, frame=1, y=20, x=50, display={"head": head})
        np.testing.assert_allclose(
            attention_of(affinity, view).weights.ravel(), expected, rtol=1e-5
        )
        assert save_size(capture, affinity, view) > 1000
    beyond = View.of(capture, BLOCK, frame=1, y=20, x=50, display={"head": 3})
    with pytest.raises(NlvizError, match=r"head must be between 0 and 2, .* got 3"):
        attention_of(affinity, beyond)


def save_size(capture: Capture, affinity: EmbeddedAffinity, view: View) -> int:
    return len(render_bytes("npz", capture, affinity, view))


@pytest.mark.parametrize("source", ["features", "position", "untrained", "nl_means"])
def test_every_source_can_be_drawn_and_says_so(capture: Capture, source: str) -> None:
    affinity = controls(capture, BLOCK)[source]
    for values in ("rows", "logits"):
        view = view_of(capture, source=source, values=values, cells="smooth", leave_out="cell")
        strip = overlay_of(capture, affinity, view)
        assert strip.about.startswith("For comparison")
        assert Image.open(BytesIO(strip.to_bytes("png"))).size[0] > 1000


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("pairwise", "about the query"),
        ("unary", "the same for every query"),
        ("minus_mean", "less"),
    ],
)
def test_every_part_can_be_saved_in_every_kind(capture: Capture, source: str, told: str) -> None:
    affinity = controls(capture, BLOCK)[source]
    view = view_of(capture, source=source)
    assert told in overlay_of(capture, affinity, view).about
    for kind in KINDS:
        assert len(render_bytes(kind, capture, affinity, view)) > 300
    with np.load(BytesIO(render_bytes("npz", capture, affinity, view))) as arrays:
        assert (arrays["rows"].min() < 0) == (source == "minus_mean")


def test_differences_are_told_as_gains_and_losses(capture: Capture) -> None:
    affinity = controls(capture, BLOCK)["minus_mean"]
    learned = capture.affinities[BLOCK].dense().mean(0)
    own = capture.affinities[BLOCK].queries.nearest(**AT)
    wanted = (learned[own] - learned.mean(0)).reshape(affinity.keys.shape).numpy()
    attention = attention_of(affinity, view_of(capture, source="minus_mean"))
    np.testing.assert_allclose(attention.weights, wanted, atol=1e-6)
    shares = masses(attention, 3)
    np.testing.assert_allclose(shares, wanted.sum((1, 2)), atol=1e-6)
    assert shares.min() < 0 < shares.max()
    np.testing.assert_allclose(lengths(shares).sum(), 1)
    sentence = row_sentence(capture.clip, attention)
    share = round(100 * float(wanted[wanted > 0].sum()))
    assert sentence.startswith(f"{share}\u00a0% of its weight lies elsewhere")
    assert f"{change_text(shares[1])} of its weight in its own frame; largest gain" in sentence
    strip = overlay_of(capture, affinity, view_of(capture, source="minus_mean"))
    assert strip.look.scale.diverging
    assert "Bars: what each frame gains or loses of a row's weight." in notes_of(strip, shown=3)
    # Differences have no logits: their rows are shown in place of them.
    same = attention_of(affinity, view_of(capture, source="minus_mean", values="logits"))
    np.testing.assert_array_equal(same.weights, attention.weights)


@pytest.mark.parametrize("pairwise", ["gaussian", "dot_product", "concatenation"])
def test_every_pairwise_function_can_be_drawn(pairwise: str) -> None:
    clip = make_clip(2, 44, 60)
    capture = make_capture(clip, pairwise=pairwise, scale=False)
    affinity = capture.affinities[BLOCK]
    for display in ({}, {"direction": "to"}, {"leave_out": "cell", "scale": "frame"}):
        view = View.of(capture, BLOCK, frame=1, y=20, x=30, display=display)
        assert overlay_of(capture, affinity, view).frames.shape == clip.frames.shape
        assert row_sentence(clip, attention_of(affinity, view))


def test_a_picture_of_one_frame_has_no_times(tmp_path: Path) -> None:
    capture = make_capture(make_clip(1, 44, 60))
    view = View.of(capture, BLOCK, frame=0, y=20, x=30)
    sentence = row_sentence(capture.clip, attention_of(capture.affinities[BLOCK], view))
    assert " s" not in sentence.replace(" strongest", "")
    for kind in ("png", "gif", "mp4"):
        assert save(tmp_path / f"a.{kind}", capture, capture.affinities[BLOCK], view).is_file()


def test_a_query_at_the_corner_is_drawn(capture: Capture) -> None:
    for y, x in ((0, 0), (51, 83)):
        view = replace(view_of(capture), query=Point(2, y, x))
        assert render_bytes("gif", capture, capture.affinities[BLOCK], view)


@pytest.mark.parametrize("source", ["learned", "features", "minus_mean"])
def test_a_view_is_saved_with_the_source_that_it_names(
    capture: Capture, source: str, tmp_path: Path
) -> None:
    view = view_of(capture, source=source)
    path = nlviz.save_view(capture, view, tmp_path / "row.npz")
    expected = nlviz.controls(capture, BLOCK)[source].map(**AT).weights
    with np.load(path) as arrays:
        np.testing.assert_allclose(arrays["rows"].mean(0), expected, atol=1e-6)


def test_a_source_that_a_block_has_not_is_named(clip: Clip, tmp_path: Path) -> None:
    dot = make_capture(clip, pool=2, pairwise="dot_product", scale=False)
    with pytest.raises(InvalidView, match="has no source 'unary'"):
        nlviz.save_view(dot, view_of(dot, source="unary"), tmp_path / "row.npz")
    assert not list(tmp_path.iterdir())
