"""Two views as figures, movies and files: one scale, what is written, and drawn again alike."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import nlviz
from nlviz import cli
from nlviz.analysis.compare import Side, compare_views
from nlviz.captures.capture import Capture
from nlviz.errors import InvalidView, NlvizError
from nlviz.render.compared import drawn_sides, save_views, stacked, views_bytes
from nlviz.render.figure import sheet_of
from nlviz.render.sheet import Sheet
from nlviz.resources import bundled_inputs
from nlviz.views.reading import read_view
from tests import words_and_boxes
from tests.fixtures import BLOCK

AT = (1, 20.0, 50.0)


def test_both_maps_have_one_scale_and_the_difference_its_own(capture: Capture) -> None:
    found = compare_views((capture, BLOCK), Side(capture, BLOCK, source="position"), query=AT)
    a, b, more = drawn_sides(found)
    multiples = [each.look.scale.hi / each.attention.uniform for each in (a, b)]
    assert multiples[0] == pytest.approx(multiples[1])
    assert a.look.scale.ends[1].lstrip(">") == b.look.scale.ends[1].lstrip(">")
    assert "locked" not in a.look.scale.title
    assert more.look.scale.diverging
    assert more.look.scale.title == "B minus A, × uniform attention"
    assert any("rank correlation" in note for note in more.notes)


def test_a_figure_is_the_three_figures_below_each_other(capture: Capture) -> None:
    found = compare_views((capture, BLOCK), Side(capture, BLOCK, source="position"), query=AT)
    drawn = drawn_sides(found)
    page = np.asarray(stacked(drawn).image())
    top = 0
    for each in drawn:
        alone = np.asarray(sheet_of(each).image())
        part = page[top : top + alone.shape[0], : alone.shape[1]]
        # Letters may be smoothed by another share of a pixel further down.
        assert (part != alone).any(-1).mean() < 1e-3
        top += alone.shape[0]
    assert page.shape[0] == top


def test_a_page_grows_by_what_is_laid_below_it() -> None:
    page = Sheet(60, 40)
    part = Sheet(80, 30, below=page)
    part.picture(np.full((5, 7, 3), 9, np.uint8), (10, 10, 24, 20))
    part.box((30, 10, 40, 20), fill=(0, 0, 200))
    pixels = np.asarray(page.image())
    assert pixels.shape == (70, 80, 3)
    assert pixels[55, [9, 10, 23, 24], 0].tolist() == [255, 9, 9, 255]
    assert pixels[[49, 50, 59, 60], 35].tolist() == [[255] * 3, [0, 0, 200], [0, 0, 200], [255] * 3]


def test_every_kind_of_file_is_what_it_says(capture: Capture) -> None:
    found = compare_views((capture, BLOCK), Side(capture, BLOCK, source="position"), query=AT)
    png = Image.open(BytesIO(views_bytes("png", found)))
    assert json.loads(png.text["nlviz.view"])["page"] == "compare"
    assert views_bytes("pdf", found)[:5] == b"%PDF-"
    assert b"B minus A" in views_bytes("svg", found) or b"<svg" in views_bytes("svg", found)
    gif = Image.open(BytesIO(views_bytes("gif", found, display={"strength": 0.6})))
    assert gif.n_frames == 3
    with av.open(BytesIO(views_bytes("mp4", found))) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 3
    assert frames[0].shape[1] == gif.width == 3 * 480 + 2 * 8
    with pytest.raises(InvalidView, match="png"):
        views_bytes("npz", found)


def test_queries_of_another_clip_are_marked_in_none_but_their_own(capture: Capture) -> None:
    side = Side(capture, BLOCK, keys_of=capture)
    found = compare_views((capture, BLOCK), side, query=AT)
    a, b, more = drawn_sides(found, nlviz.views.display.Display(show="both"))
    assert a.look.marked
    assert not b.look.marked
    assert more.look.marked
    assert b.look.links == 0
    assert any(note.startswith("Asked: ") for note in b.notes)


@pytest.mark.parametrize(
    ("make", "block", "query"),
    [
        (words_and_boxes.of_words, "causal", 4),
        (words_and_boxes.of_film_and_words, "layer", (1, 20, 30)),
        (words_and_boxes.of_boxes, "boxes", (0, 12, 15)),
        (words_and_boxes.of_nodes, "edges", 2),
    ],
)
def test_words_boxes_and_nodes_are_drawn(make, block, query) -> None:  # type: ignore[no-untyped-def]
    made = make()
    found = compare_views(Side(made, block, head=0), Side(made, block, head=1), query=query)
    height = Image.open(BytesIO(views_bytes("png", found))).height
    assert height > 600
    if found.one.keys.kind in ("line", "nodes"):
        with pytest.raises(NlvizError, match=r"\.png"):
            views_bytes("gif", found)


def test_a_saved_comparison_is_drawn_again_to_the_byte(tmp_path: Path) -> None:
    model = nlviz.load_model("lite-nl")
    clips = [nlviz.read_clip(bundled_inputs()[n], size=96) for n in ("coffee.jpg", "rocket.jpg")]
    one, other = (model.capture(clip) for clip in clips)
    crossed = Side(one, "stage4", keys_of=other)
    for name, b in (
        ("levels", Side(one, "stage3")),
        ("clips", Side(other, "stage4")),
        ("crossed", crossed),
    ):
        found = compare_views((one, "stage4"), b, query=(0, 40, 60))
        path = save_views(found, tmp_path / f"{name}.json")
        again = tmp_path / f"{name}.png"
        done = CliRunner().invoke(cli.app, ["render", str(path), "-o", str(again)])
        assert done.exit_code == 0, done.output
        assert again.read_bytes() == views_bytes("png", found)
        assert read_view(path).table[0]["measure"] == "correlation"


def test_what_was_changed_is_named_and_kept_out_of_files_that_would_forget_it() -> None:
    model = nlviz.load_model("lite-nl")
    clip = nlviz.read_clip(bundled_inputs()["composed-twins.mp4"], frames=2, size=64)
    changes = nlviz.interventions.ReverseTime(), nlviz.interventions.CutFrames("stage3", "other")
    for change in changes:
        done = nlviz.intervene(model, clip, [change])
        found = compare_views((done.before, "stage4"), (done.after, "stage4"), query=(0, 20, 30))
        assert change.said in found.b.label
        assert found.a.changes == ()
        with pytest.raises(InvalidView, match="drawn without it"):
            views_bytes("json", found)
        assert "nlviz.view" not in Image.open(BytesIO(views_bytes("png", found))).text
