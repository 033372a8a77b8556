"""What is said beside a view, for rows of every kind and blocks in every state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.controls import controls
from nlviz.analysis.health import BlockHealth, Effect, block_health
from nlviz.analysis.statistics import block_statistics, moved, row_statistics
from nlviz.captures.model import Capture
from nlviz.clips.clip import Clip
from nlviz.render.charts import mass_over_time
from nlviz.words.health import health_lines, row_lines, trust
from nlviz.words.keys import keys_heading, own_line, row_heading, top_keys
from tests.fixtures import BLOCK, make_capture, make_clip

HEALTH = BlockHealth(
    size=0.034,
    gamma=0.52,
    initial_norm=False,
    effect=Effect(probability=0.0004, top1=False, logits=0.013),
    distance_input=0.401,
    distance_rows=0.52,
    distance_output=0.012,
    rows=6272,
    queries=512,
    shared=0.5,
    uniform=0.4,
    unary_share=0.73,
    pairwise="embedded_gaussian",
)


def told(health: BlockHealth) -> str:
    return "\n".join(f"{x.value} {x.label}. {x.meaning} {x.help}" for x in health_lines(health))


def test_differences_are_said_as_gains_and_losses(capture: Capture) -> None:
    affinity = controls(capture, BLOCK)["minus_mean"]
    attention = affinity.map(frame=1, y=20, x=50)
    s = row_statistics(attention, capture.clip.times)
    positive = attention.weights[attention.weights > 0].sum()
    assert s.moved == moved(attention) == pytest.approx(float(positive))
    assert s.per_frame.min() < 0 < s.per_frame.max()
    assert s.own_frame == s.per_frame[1]
    assert s.effective is None
    lines = row_lines(s)
    assert [line.value for line in lines] == [
        f"{100 * float(positive):.1f} %",
        f"{100 * s.own_frame:+.1f} %",
    ]
    chart = mass_over_time(s.per_frame, s.frame_times, own=1).data[0]
    for mass, colour in zip(s.per_frame, chart.marker.color, strict=True):
        assert colour == ("#d9481c" if mass >= 0 else "#3f7fd0")
    assert top_keys(capture.clip, attention, k=3)[0]["weight"] == float(attention.weights.max())
    plain = row_statistics(capture.affinities[BLOCK].map(frame=1, y=20, x=50), capture.clip.times)
    assert plain.moved is None
    assert "in its own frame" in row_lines(plain)[1].label


def test_every_number_of_a_block_is_said_with_what_it_means() -> None:
    text = told(HEALTH)
    for part in (
        "The block is alive, but the network says nearly the same without it",
        "3.4 % is what the block changes its input by",
        "0.52 mean |γ|",
        "<0.1 % is the most that any class changes by without the block",
        "hardly needs the block",
        "0.40 → 0.52 → 0.01 how different points are: going in, in where they look, coming out",
        "Where points look differs more than their features",
        "6,272 queries",
        "73 % likeness of a map to the part that all queries share",
    ):
        assert part in text


def test_what_is_not_known_is_not_said() -> None:
    text = told(
        replace(HEALTH, size=None, gamma=None, effect=None, distance_output=None, unary_share=None)
    )
    for part in ("changes its input", "|γ|", "any class", "coming out", "all queries share"):
        assert part not in text
    assert "how different points are: going in, in where they look." in text


def test_dead_and_untrained_blocks_are_called_so() -> None:
    dead = health_lines(replace(HEALTH, size=0.0, shared=0.99))[0]
    assert dead.value == "The block is dead: it adds nothing, so its map changes nothing."
    untrained = health_lines(replace(HEALTH, uniform=0.99, shared=0.99))[0]
    assert untrained.value == "The block looks untrained: its rows are 99 % uniform."
    assert "nearly the same for every query" in health_lines(replace(HEALTH, shared=0.99))[0].value
    changes = told(replace(HEALTH, effect=Effect(0.3, True, 0.5)))
    assert "The most probable label changes." in changes
    assert "hardly needs" not in changes


@pytest.mark.parametrize("pairwise", ["gaussian", "dot_product", "concatenation"])
def test_concatenation_is_said_to_rank_keys_alike(pairwise: str) -> None:
    capture = make_capture(make_clip(2, 44, 60), pairwise=pairwise, scale=False)
    health = block_health(None, capture, BLOCK)
    assert ("ranks the keys alike for every query" in told(health)) == (pairwise == "concatenation")
    lines = trust(block_statistics(capture, BLOCK))
    assert lines[0].value == "verified"
    assert lines[0].label.startswith("recomputed from these weights, the output differs by ")
    assert all(np.isfinite(health.distance_rows) and line.meaning for line in lines)


def test_the_row_of_a_token_without_a_place_has_no_place() -> None:
    weights = np.full((1, 2, 3), 0.15, np.float32)
    grid = TokenGrid((1, 2, 3), (1, 10, 10), (0, 4.5, 4.5))
    row = AttentionMap(weights, (0, 4.5, 4.5), grid, off_grid=0.1, token="cls")
    assert row_heading(row) == "Where the class token (cls) looks"
    assert keys_heading(row) == "Its strongest keys"
    assert own_line(row) is None
    said = [line.label for line in row_lines(row_statistics(row, np.zeros(1)), placed=False)]
    assert said == ["cells share its weight"]
    clip = Clip.from_frames(np.zeros((1, 20, 30, 3), np.uint8))
    assert len(top_keys(clip, row, own=False)) == 6
