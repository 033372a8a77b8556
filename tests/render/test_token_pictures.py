"""Boxes, nodes and words beside a clip: tinted, outlined, said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nlviz
from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import masses, nothing_there
from nlviz.affinity.grid import Line
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.picture import ground_of, overlay_frame
from nlviz.render.captions import notes_of
from nlviz.render.figure import sheet_of
from nlviz.render.figure_frame import QUERY_INK
from nlviz.render.frame_maps import map_frame
from nlviz.render.word_colours import LIGHT, steps_of, word_colours
from nlviz.render.word_panel import panel_of
from tests.render.tokens import over_boxes

CLIP = nlviz.Clip.from_frames(np.full((3, 90, 160, 3), 120, np.uint8))
BOXES = TokenBoxes.of(
    [(0, 10, 10, 50, 60), (0, 20, 20, 40, 40), (2, 30, 90, 80, 150)], ("person", "hand", "dog")
)
ROW = [0.2, 0.3, 0.5]


def test_boxes_are_tinted_on_their_own_frames_smaller_ones_above() -> None:
    shown = nlviz.overlay(CLIP, over_boxes(BOXES, ROW, query=2))
    frame = map_frame(CLIP.frames[0], CLIP, shown.attention, 0, shown.look)
    shares = shown.look.scale.shares(np.array(ROW, np.float32), 0)
    for place, index in (((14, 50), 0), (((30, 30)), 1)):
        patch = CLIP.frames[0][:1, :1]
        expected = overlay_frame(patch, np.full((1, 1), shares[index], np.float32), strength=0.85)
        assert frame[place].tolist() == expected[0, 0].tolist()
    assert frame[85, 150].tolist() == ground_of(CLIP.frames[0])[85, 150].tolist()
    own = map_frame(CLIP.frames[2], CLIP, shown.attention, 2, shown.look)
    assert own[60, 120].tolist() == ground_of(CLIP.frames[2])[0, 0].tolist()  # the query's own


def test_boxes_out_of_reach_are_hatched() -> None:
    reach = np.array([False, True, True]).reshape(1, 1, 3)
    attention = replace(over_boxes(BOXES, [0, 0.4, 0.6], query=2), reachable=reach)
    shown = nlviz.overlay(CLIP, attention)
    frame = map_frame(CLIP.frames[0], CLIP, attention, 0, shown.look)
    assert len(np.unique(frame[12:19, 45:57].reshape(-1, 3), axis=0)) > 1
    assert "Hatched: out of the query's reach." in notes_of(shown, shown=3)


def test_frames_have_the_mass_of_their_boxes() -> None:
    attention = over_boxes(BOXES, ROW, query=2)
    assert masses(attention, 3) == pytest.approx([0.5, 0.0, 0.5])
    assert [nothing_there(attention, i, 3) for i in range(3)] == [None, "no boxes", None]


def test_captions_of_boxes_say_what_may_be_compared() -> None:
    told = " ".join(notes_of(nlviz.overlay(CLIP, over_boxes(BOXES, ROW, query=2)), shown=3))
    assert "Outlined: the query “dog” at 0.08" in told
    assert "Arrows: what it takes from other boxes, the wider the more" in told
    assert "arrows into different boxes are not comparable" in told
    assert "px" not in told


def test_a_box_over_cells_is_outlined_whole_and_clears_none_of_them() -> None:
    keys = nlviz.TokenGrid((3, 9, 16), (1, 10, 10), (0, 4.5, 4.5))
    weights = np.full((3, 9, 16), 1 / 432, np.float32)
    attention = AttentionMap(
        weights, BOXES.centre(0), keys, word="person", apart=True, cell=(40.0, 50.0)
    )
    shown = nlviz.overlay(CLIP, attention)
    plain = map_frame(CLIP.frames[0], CLIP, attention, 0, shown.look)
    assert len(np.unique(plain.reshape(-1, 3), axis=0)) == 1
    y, x = np.nonzero((shown.frames[0] == (64, 208, 242)).all(-1))
    assert (y.min(), x.min()) == (8, 8)
    assert (y.max(), x.max()) == (51, 61)
    assert "not coloured" not in " ".join(notes_of(shown, shown=3))


@pytest.mark.parametrize("kind", ["png", "pdf", "svg", "gif", "mp4"])
def test_boxes_are_saved_as_every_kind(tmp_path: Path, kind: str) -> None:
    path = nlviz.overlay(CLIP, over_boxes(BOXES, ROW, query=1)).save(tmp_path / f"look.{kind}")
    assert path.stat().st_size > 1000


GRAPH = nlviz.Graph.of(
    [[0, 2], [1, 2], [3, 1]], names=["a", "b", "c", "d"], places=[[0, 0], [0, 3], [2, 1.5], [2, 4]]
)


def over_nodes() -> AttentionMap:
    keys = TokenNodes.of(GRAPH.places.tolist(), GRAPH.names)
    weights = np.array([0.25, 0.75, 0.0, 0.0], np.float32).reshape(1, 1, 4)
    reach = np.array([True, True, False, False]).reshape(1, 1, 4)
    return AttentionMap(
        weights, keys.centre(2), keys, reachable=reach, word="c", name="gat", cell=(24.0, 24.0)
    )


def test_nodes_have_the_colours_of_their_weights_and_the_query_a_ring() -> None:
    shown = nlviz.overlay(GRAPH, over_nodes())
    page = np.asarray(sheet_of(shown).image())
    ground, _ = word_colours(LIGHT, signed=False, strength=0.85)
    shares = shown.look.scale.shares(shown.attention.weights.ravel(), 0)
    steps = steps_of(shares, signed=False)
    zoom = 1728 / GRAPH.shape[2]
    head = page.shape[0]
    for index, (y, x) in enumerate(GRAPH.places.tolist()):
        at_x = round(36 + (x + 0.5) * zoom)
        column = page[:head, at_x]
        wanted = ground[steps[index]] if index < 2 else (255, 255, 255)
        middle = round(98 + (y + 0.5) * zoom)
        assert column[middle].tolist() == [int(v) for v in wanted], index
    assert (page == QUERY_INK).all(-1).sum() > 100


def test_captions_of_nodes_say_what_may_be_compared() -> None:
    shown = nlviz.overlay(GRAPH, over_nodes())
    told = " ".join(notes_of(shown, shown=1))
    assert "Outlined: the query “c”." in told
    assert "Pale: out of the query's reach." in told
    assert "px" not in told


@pytest.mark.parametrize("kind", ["png", "pdf", "svg", "gif", "mp4"])
def test_a_graph_is_saved_as_every_kind(tmp_path: Path, kind: str) -> None:
    path = nlviz.overlay(GRAPH, over_nodes()).save(tmp_path / f"look.{kind}")
    assert path.stat().st_size > 1000


def beside() -> AttentionMap:
    """Return the row of a word over the cells of a clip and the words beside it."""
    line = Line(("<s>", "what", "dog"), (), frozenset({0}))
    keys = nlviz.TokenGrid((3, 9, 16), (1, 10, 10), (0, 4.5, 4.5), prefix=3, line=line)
    weights = np.full((3, 9, 16), 0.5 / 432, np.float32)
    off = np.array([0.1, 0.1, 0.3], np.float32)
    middle = keys.centre(0)
    return AttentionMap(
        weights, middle, keys, off_grid=0.5, off_weights=off, token="2:dog", title="from dog"
    )


def test_words_beside_a_clip_stand_below_its_frames_on_its_scale() -> None:
    shown = nlviz.overlay(CLIP, beside())
    panel = panel_of(shown, 1700)
    assert panel is not None
    assert [word.label.text for word in panel.laid.words] == ["<s>", "what", "dog"]
    assert panel.query == 2
    assert panel.steps[0] == panel.steps[1] <= panel.steps[2]
    without = nlviz.overlay(CLIP, replace(beside(), keys=replace(beside().keys, line=None)))
    assert sheet_of(shown).size[1] > sheet_of(without).size[1] + 40
    told = " ".join(notes_of(shown, shown=3))
    assert "Of the row: 50\u00a0% on the picture, 10\u00a0% on special tokens" in told
    assert "Outlined" not in told  # a word is on no frame


def test_a_word_beside_a_clip_marks_no_place_of_it() -> None:
    shown = nlviz.overlay(CLIP, beside())
    assert not (shown.frames == (64, 208, 242)).all(-1).any()
    assert not shown.look.marked
