"""Rows of a survey of networks that are unlike ``lite-nl``: each figure right, or null."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nlviz.analysis.sinks import sinks
from nlviz.analysis.statistics import row_statistics
from nlviz.captures.model import Capture, Model
from nlviz.clips.clip import Clip
from nlviz.surveys.measuring.branch import Branches
from nlviz.surveys.measuring.likeness import PATCH, STEP, Patches
from nlviz.surveys.measuring.measurer import Measured, Measurer
from nlviz.surveys.measuring.nearest import feature_cosines
from nlviz.surveys.measuring.ranks import sorted_ranks
from nlviz.surveys.measuring.rows import Asked
from nlviz.surveys.options import SurveyOptions
from tests.nets import CLIPS, clip_net, noise_clip

Rows = list[dict[str, Any]]


def measured(model: Model, clip: Clip, queries: int = 6) -> Measured:
    return Measurer(model, SurveyOptions(without=("position",), queries=queries)).measure(clip)


def rows_of(found: Measured) -> Rows:
    listed: Rows = found.rows.to_pylist()
    return listed


@pytest.fixture(scope="module")
def of_heads() -> tuple[Capture, Measured]:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    net = VisionTransformer(
        img_size=(32, 48), patch_size=8, embed_dim=24, depth=2, num_heads=3, num_classes=7
    ).eval()
    with torch.no_grad():
        for block in net.blocks:
            block.attn.qkv.weight.mul_(8)
    model, clip = Model(net), noise_clip(2, 32, 48)
    return model.capture(clip), measured(model, clip)


def test_each_head_has_rows_of_its_own_beside_a_class_token(
    of_heads: tuple[Capture, Measured],
) -> None:
    capture, found = of_heads
    rows = rows_of(found)
    assert len(rows) == 2 * 3 * 6
    assert {(row["block"], row["head"]) for row in rows} == {
        (f"blocks.{b}", h) for b in range(2) for h in range(3)
    }
    for row in rows:
        affinity = capture.affinities[row["block"]]
        weights = affinity.rows([row["query"]])[row["head"], 0].double()
        point = affinity.queries.centre(row["query"])
        attention = affinity.head_maps(**point._asdict())[row["head"]]
        said = row_statistics(attention, capture.clip.times)
        assert said.effective is not None
        assert row["effective"] == pytest.approx(said.effective, rel=1e-4)
        apart = float(weights[: affinity.keys.prefix].sum())
        assert apart > 0  # the class token of its own frame
        assert row["off_grid"] == pytest.approx(apart, rel=1e-4)
        assert row["own_cell"] == pytest.approx(
            float(attention.weights.ravel()[attention.own]), rel=1e-4
        )
        assert row["pixels"] == pytest.approx(said.pixels, rel=1e-4)
        # Frames do not see each other, and time has no share.
        assert row["cross_frame"] == pytest.approx(0, abs=1e-6)
        assert row["seconds"] == pytest.approx(0, abs=1e-6)
        assert row["keys"] == 1 + 4 * 6
        for name in ("uniform", "shared", "unary", "likeness"):
            assert 0 <= row[name] <= 1, name
        for name in ("features", "nl_means"):
            assert -1 <= row[name] <= 1, name


def test_sinks_of_each_head_are_those_of_all_its_queries(
    of_heads: tuple[Capture, Measured],
) -> None:
    capture, found = of_heads
    said = sinks(capture)
    for row in rows_of(found):
        of_block = said[row["block"]]
        assert row["sink_kind"] == of_block.kind(row["head"])
        affinity = capture.affinities[row["block"]]
        on = affinity.rows([row["query"]])[row["head"], 0, list(of_block.sinks_of(row["head"]))]
        assert row["sink"] == pytest.approx(float(on.sum()), abs=1e-5)


@pytest.mark.parametrize("pairwise", ["dot_product", "concatenation"])
def test_rows_that_are_no_distribution_have_no_entropy(pairwise: str) -> None:
    model, clip = Model(clip_net(pairwise=pairwise), input_spec=CLIPS), noise_clip()
    capture = model.capture(clip)
    affinity = capture.affinities["nl"]
    for row in rows_of(measured(model, clip)):
        for name in ("effective", "spread", "unary"):
            assert row[name] is None, name
        weights = affinity.rows([row["query"]])[0, 0].double()
        size = weights.abs()
        even = (size / size.sum()).clamp(max=1 / len(size)).sum()
        assert row["uniform"] == pytest.approx(float(even), rel=1e-4)
        by_frame = weights.reshape(affinity.keys.shape[0], -1).sum(1).abs()
        own = affinity.queries.unravel(row["query"])[0]
        assert row["own_frame"] == pytest.approx(float(by_frame[own] / by_frame.sum()), rel=1e-3)
        for name in ("shared", "likeness"):
            assert 0 <= row[name] <= 1, name
        assert -1 <= row["features"] <= 1


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_features_that_hold_no_number_are_told(number: float) -> None:
    model = Model(clip_net(), input_spec=CLIPS)
    capture = model.capture(noise_clip())
    hurt = capture.features["nl"].clone()
    hurt[3, 1, 2, 5] = number
    measurer = Measurer(model, SurveyOptions(without=("position",), queries=6))
    whole = measurer.measure(capture.clip)
    table, notes = measurer._rows(replace(capture, features={"nl": hurt}), Branches(model))
    for row, other in zip(table.to_pylist(), rows_of(whole), strict=True):
        assert row["features"] is None and row["likeness"] is None
        assert other["features"] is not None and other["likeness"] is not None
        for name in ("effective", "nl_means", "shared", "uniform"):
            assert row[name] == other[name], name
    assert [note for note in notes if "features that enter nl" in note] == notes
    assert not whole.notes


@pytest.mark.parametrize("pool", [1, 2])
def test_features_of_any_size_have_the_same_cosines(pool: int) -> None:
    capture = Model(clip_net(pool=pool), input_spec=CLIPS).capture(noise_clip())
    asked = Asked.of(capture.affinities["nl"], np.array([2, 7, 11]))
    cosine, _ = feature_cosines(capture, asked, "nl")
    large = replace(capture, features={"nl": capture.features["nl"] * 1e30})
    again, why = feature_cosines(large, asked, "nl")
    assert cosine is not None and again is not None and not why
    assert again.numpy() == pytest.approx(cosine.numpy(), abs=1e-5)
    assert 0.1 < float(cosine.std()) < 1


def test_patches_are_cut_out_where_they_lie() -> None:
    clip = noise_clip(3, 30, 44)  # no larger than the copy, so that pixels are the clip's own
    patches = Patches.of(clip)
    t, h, w = patches.grid.shape
    around = ((0, 0), (3, 3), (3, 3), (0, 0))
    frames = np.pad(clip.frames.astype(np.float32), around, mode="reflect")
    cells = np.array([0, w - 1, h * w + 2 * w + 3, t * h * w - 1])
    offset = round(patches.grid.centre(0).y)
    for number, cell in enumerate(cells):
        frame, down, along = np.unravel_index(cell, patches.grid.shape)
        y, x = offset + down * STEP, offset + along * STEP
        expected = frames[frame, y : y + PATCH, x : x + PATCH] - 128
        assert np.array_equal(patches._of(cells)[number].numpy(), expected.ravel())


def test_equal_numbers_share_their_ranks_row_by_row() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, (5, 23)).astype(np.float32)
    at, found = sorted_ranks(values)
    assert (np.diff(values.ravel()[at], axis=1) >= 0).all()
    less = (values[:, :, None] > values[:, None]).sum(-1)
    equal = (values[:, :, None] == values[:, None]).sum(-1)
    expected = (less + (equal - 1) / 2).ravel()[at]
    assert np.array_equal(found, expected)
    assert math.isclose(found.sum(), 5 * 23 * 11)
