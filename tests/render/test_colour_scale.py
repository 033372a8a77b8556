from __future__ import annotations

import numpy as np
import pytest

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.grid import TokenGrid
from nlviz.errors import NlvizError
from nlviz.render.colour_scale import scale_of
from nlviz.render.overlay import overlay
from tests.fixtures import make_clip

GRID = TokenGrid((3, 5, 7), (1, 8, 8))


def attention_of(weights: np.ndarray, *, signed: bool = False) -> AttentionMap:
    return AttentionMap(weights.astype(np.float32), (0, 0, 0), GRID, signed=signed)


def test_the_own_cell_does_not_set_the_scale() -> None:
    weights = np.full(GRID.shape, 0.002)
    weights[0, 0, 0] = 0.8
    scale = scale_of(attention_of(weights))
    assert scale.hi < 0.01
    assert not scale.clipped


def test_a_few_strong_keys_are_clipped_and_marked() -> None:
    weights = np.full(GRID.shape, 0.002)
    weights[1, 2, 3] = 0.5
    scale = scale_of(attention_of(weights))
    assert scale.clipped
    assert scale.ends[1].startswith(">")
    assert scale.hi >= 0.5 / 16


def test_a_given_top_is_kept_and_said() -> None:
    scale = scale_of(attention_of(np.full(GRID.shape, 0.002)), top=7)
    assert scale.hi == pytest.approx(7 / GRID.size)
    assert scale.ends == ("0", "7×")
    assert "locked" in scale.title
    with pytest.raises(NlvizError, match="above 0"):
        scale_of(attention_of(np.ones(GRID.shape)), top=0)


def test_a_logarithmic_scale_shows_factors_and_says_its_ends() -> None:
    weights = np.full(GRID.shape, 0.0)
    weights[0, 1, :4] = np.array([7.99, 0.8, 0.08, 0.0009]) / GRID.size
    attention = attention_of(weights)
    scale = scale_of(attention, logarithmic=True)
    assert scale.ends == ("≤0.008×", "8×") and scale.middle == "0.25×"
    assert "logarithmic" in scale.title and not scale.clipped
    shares = scale.shares(attention.weights[0], 0)
    np.testing.assert_allclose(shares[1, :4], [1, 2 / 3, 1 / 3, 0], atol=1e-3)
    assert (shares[2:] == 0).all()  # zero is no colour, and not minus infinity
    signed = scale_of(attention_of(weights - 0.001, signed=True), logarithmic=True)
    assert signed.diverging and signed.shares(attention.weights[0], 0)[1, 0] > 0
    assert signed.shares(-attention.weights[0], 0)[1, 0] < 0
    clip = make_clip(3, 40, 56)
    pictures = overlay(clip, attention, scale="log").frames
    assert (pictures != overlay(clip, attention).frames).any()
    with pytest.raises(NlvizError, match="strongest key; leave top out"):
        overlay(clip, attention, scale="log", top=3)


def test_signed_rows_get_a_scale_around_zero() -> None:
    weights = np.random.default_rng(0).normal(size=GRID.shape)
    scale = scale_of(attention_of(weights, signed=True))
    assert scale.diverging
    assert scale.lo == -scale.hi
    assert scale.ends[0].removeprefix("<").startswith("-")
    assert scale_of(attention_of(np.abs(weights), signed=True)).lo == 0


def test_every_frame_can_have_its_own_end() -> None:
    weights = np.full(GRID.shape, 0.002)
    weights[2] = 0.02
    scale = scale_of(attention_of(weights), per_frame=True)
    shares = [scale.shares(weights[a].astype(np.float32), a).max() for a in range(3)]
    assert shares == pytest.approx([1, 1, 1])
    assert "per frame" in scale.title


def test_logits_span_their_range() -> None:
    logits = np.linspace(3, 9, GRID.size).reshape(GRID.shape)
    scale = scale_of(attention_of(logits, signed=True), unit="logit")
    assert scale.shares(logits[2].astype(np.float32), 2).max() == pytest.approx(1)
    assert not scale.diverging
    assert scale_of(attention_of(logits - 5, signed=True), unit="logit").diverging


def test_a_map_of_one_cell_has_a_scale() -> None:
    lone = AttentionMap(np.ones((1, 1, 1), np.float32), (0, 0, 0), TokenGrid((1, 1, 1)))
    assert scale_of(lone).hi > 0
