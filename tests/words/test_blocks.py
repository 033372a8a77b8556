"""Blocks of real networks in words: layers, kinds of attention, what is not shown."""

from __future__ import annotations

import pytest
import torch

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.lines import AxisName, Lines
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.reach import reached
from nlviz.words.blocks import block_text, kind_text, layers
from tests.families.small_transformers import small


def captured(name: str) -> nlviz.Capture:
    frames = torch.randint(0, 255, (3, 40, 48, 3), dtype=torch.uint8).numpy()
    return nlviz.capture(small(name), nlviz.Clip.from_frames(frames))


def test_divided_attention_is_two_kinds_in_each_layer() -> None:
    capture = captured("timesformer")
    found = layers(capture.affinities)
    assert [layer.title for layer in found] == ["layer 0", "layer 1"]
    assert [name for layer in found for name in layer.names] == list(capture.affinities)
    for layer in found:
        kinds = [kind_text(capture.affinities[name]) for name in layer.names]
        assert kinds == ["temporal attention", "spatial attention"]
    time, space = (capture.affinities[name] for name in found[0].names)
    assert reached(time) == "the keys of its own place in all 3 frames"
    assert reached(space) == "the keys of its own frame alone"


def test_windows_and_shifted_windows_are_told_apart() -> None:
    capture = captured("swin")
    kinds = [kind_text(affinity) for affinity in capture.affinities.values()]
    assert kinds[0] == "windows"
    assert "window of 5 x 5 keys" in reached(next(iter(capture.affinities.values())))


def test_what_a_decoder_looks_for_are_boxes_which_also_look_at_each_other() -> None:
    capture = captured("detr")
    titles = [layer.title for layer in layers(capture.affinities)]
    assert titles == [f"{side} layer {n}" for side in ("encoder", "decoder") for n in (0, 1)]
    among, over = (capture.affinities[name] for name in [*capture.affinities][-2:])
    assert kind_text(over) == "cross-attention"
    assert block_text(over).startswith("15 boxes → 3×7×8")
    assert kind_text(among) == "among boxes"
    assert block_text(among).startswith("15 boxes → 15 boxes")
    assert not capture.refused


@pytest.mark.parametrize(
    ("axes", "kind"),
    [
        (("y", "x"), "criss-cross"),
        (("t", "y", "x"), "criss-cross"),
        (("x",), "rows"),
        (("y",), "columns"),
        (("t",), "temporal attention"),
    ],
)
def test_lines_are_called_by_their_axes(axes: tuple[AxisName, ...], kind: str) -> None:
    grid, theta = TokenGrid((2, 3, 4)), torch.ones(1, 24, 3)
    lines = EmbeddedAffinity("a", Pairwise("gaussian"), theta, theta, grid, grid, Lines(axes))
    assert kind_text(lines) == kind


@pytest.mark.parametrize(("first", "kind"), [(4, "windows"), (2, "shifted windows")])
def test_a_first_window_that_is_cut_was_shifted(first: int, kind: str) -> None:
    grid, theta = TokenGrid((1, 1, 8)), torch.ones(2, 8, 3)
    which = (torch.arange(8) >= first).long()
    sets = torch.stack([which == 0, which == 1])
    support = KeySets.of(which, sets, "A query reaches a window of 1 x 4 keys.")
    f = Pairwise("gaussian")
    assert kind_text(EmbeddedAffinity("w", f, theta, theta, grid, grid, support)) == kind
