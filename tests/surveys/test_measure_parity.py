"""Figures that compare a row with something else, against the functions that compare one row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.split import split
from nlviz.affinity.support import FrameGroups
from nlviz.affinity.variants import FEATURES, PIXELS
from nlviz.analysis.common_ground import common_ground
from nlviz.analysis.controls import variant_affinity
from nlviz.analysis.health import bypass_effect, divergence
from nlviz.analysis.knock_out import knock_out
from nlviz.analysis.mean_position import mean_position, position_only
from nlviz.captures.model import Capture, Model
from nlviz.clips.clip import Clip
from nlviz.surveys.measuring.many import concentration, many_queries, shared_mass
from nlviz.surveys.measuring.measurer import Measured, Measurer
from nlviz.surveys.measuring.parts import unary_shares
from nlviz.surveys.measuring.ranks import centred_ranks
from nlviz.surveys.measuring.rows import Asked
from nlviz.surveys.measuring.sinks import found_sinks, on_sinks
from nlviz.surveys.options import SurveyOptions
from tests.nets import CLIPS, clip_net, noise_clip

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(clip_net(pool=2), input_spec=CLIPS)


@pytest.fixture(scope="module")
def small() -> Clip:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (4, 6, 8, 3), np.uint8)
    return Clip.from_frames(coarse.repeat(8, 1).repeat(8, 2), name="patches")


@pytest.fixture(scope="module")
def capture(model: Model, small: Clip) -> Capture:
    return model.capture(small)


@pytest.fixture(scope="module")
def found(model: Model, small: Clip) -> Measured:
    options = SurveyOptions(queries=5, knock_out=True, bypass=True)
    return Measurer(model, options).measure(small)


@pytest.fixture(scope="module")
def rows(found: Measured) -> Rows:
    listed: Rows = found.rows.to_pylist()
    return listed


def test_agreement_is_that_of_common_ground(capture: Capture, rows: Rows) -> None:
    own = capture.affinities["nl"]
    for name, variant, off in (("features", FEATURES, 1e-3), ("nl_means", PIXELS, 0.06)):
        other = variant_affinity(variant, capture, "nl")
        for row in rows:
            place = {n: row[n] for n in ("frame", "y", "x")}
            said = common_ground(own, other, **place).correlation.value
            assert row[name] == pytest.approx(said, abs=off), name


def test_cuts_are_those_of_knock_out_and_block_health(
    model: Model, capture: Capture, rows: Rows
) -> None:
    for row in rows:
        said = knock_out(capture, "nl", row["query"], logits=False)
        control = said.control("random")
        assert said.cut.output is not None and control is not None
        assert row["knock_out"] == pytest.approx(said.cut.output, rel=1e-4)
        sizes = control.sizes("output")
        assert row["knock_out_random"] == pytest.approx(sum(sizes) / len(sizes), rel=1e-4)
    effect = bypass_effect(model, capture, "nl")
    assert effect is not None
    assert rows[0]["bypass"] == pytest.approx(effect.logits, rel=1e-5)


def test_position_is_that_of_position_only(model: Model, small: Clip, tmp_path: Path) -> None:
    options = SurveyOptions(queries=6)
    like = Clip.from_frames(np.zeros((4, 32, 43, 3), np.uint8), fps=4.0)
    again = model.capture(small)
    mean = mean_position(model, model.capture(like), "nl")
    first = Measurer(model, options, tmp_path).measure(small)
    for row in first.rows.to_pylist():
        query = (row["frame"], row["y"], row["x"])
        if again.affinities["nl"].queries.shape != mean.rows.queries.shape:
            pytest.fail("the clip must have the tokens of the usual shape")
        aligned = _moved(mean, again)
        said = position_only(again, "nl", query, mean=aligned)
        assert row["position"] == pytest.approx(said.explained, abs=1e-4)
    (kept,) = (tmp_path / "positions").iterdir()
    content = kept.read_bytes()
    assert Measurer(model, options, tmp_path).measure(small).rows.equals(first.rows)
    kept.write_bytes(content[:100])  # one that cannot be read is made anew
    assert Measurer(model, options, tmp_path).measure(small).rows.equals(first.rows)
    assert kept.read_bytes() == content
    assert Measurer(model, options).measure(small).rows.equals(first.rows)


def _moved(mean: Any, capture: Capture) -> Any:
    """Return mean rows whose tokens lie where those of a capture do: pixels of another size."""
    from dataclasses import replace

    own = capture.affinities["nl"]
    of = tuple(replace(a, queries=own.queries, keys=own.keys) for a in mean.rows.of)
    rows = replace(mean.rows, of=of, queries=own.queries, keys=own.keys)
    return replace(mean, rows=rows)


def test_a_clip_of_an_unusual_shape_has_no_position_and_says_so(model: Model) -> None:
    found = Measurer(model, SurveyOptions(queries=4)).measure(noise_clip(3, 48, 64))
    assert set(found.rows["position"].to_pylist()) == {None}
    assert any("this one has 3" in note for note in found.notes)
    wide = Measurer(model, SurveyOptions(queries=4)).measure(noise_clip(2, 32, 192))
    assert set(wide.rows["position"].to_pylist()) == {None}
    assert any("nearest usual shape" in note for note in wide.notes)


def _affinity(
    heads: int = 3, support: FrameGroups | None = None, **options: Any
) -> EmbeddedAffinity:
    torch.manual_seed(2)
    grid = TokenGrid((4, 3, 5), (1, 8, 8), (0, 3.5, 3.5))
    theta, phi = torch.randn(heads, 60, 7), torch.randn(heads, 60, 7)
    if support is not None:
        options["support"] = support
    made = EmbeddedAffinity("b", Pairwise("embedded_gaussian"), theta, phi, grid, grid, **options)
    return made


@pytest.mark.parametrize("support", [None, FrameGroups(2)])
def test_unary_and_shared_are_those_of_the_whole_block(support: FrameGroups | None) -> None:
    affinity = _affinity(support=support)
    asked = Asked.of(affinity, np.array([3, 17, 42]))
    many = many_queries(asked)
    unary = unary_shares(asked, many)
    assert unary is not None
    said = divergence(affinity.rows(asked.index), split(affinity).unary.rows(asked.index))
    assert unary.numpy() == pytest.approx((1 - said / math.log(2)).numpy(), abs=1e-5)
    whole = affinity.dense()
    group = affinity.query_groups
    for n, query in enumerate(asked.index.tolist()):
        mean = whole[:, group == group[query]].mean(1)
        common = torch.minimum(whole[:, query], mean).sum(-1)
        assert shared_mass(asked, many)[:, n].numpy() == pytest.approx(common.numpy(), abs=1e-5)


@pytest.mark.parametrize(("size", "kind"), [(0.01, "off"), (1.0, "broadcast")])
def test_a_planted_sink_is_found_with_its_value(size: float, kind: str) -> None:
    values = torch.randn(3, 60, 4, generator=torch.Generator().manual_seed(4))
    values[1, 11] *= size / values[1, 11].norm() * 2
    affinity = _affinity(values=values)
    affinity.theta[1, :, 0] = 1.0
    affinity.phi[1, 11, 0] = 12.0
    asked = Asked.of(affinity, np.array([3, 17, 42]))
    many = many_queries(asked)
    found = found_sinks(asked, many)
    assert [found.sinks_of(h) for h in range(3)] == [(), (11,), ()]
    assert found.kind(1) == kind
    on = on_sinks(found, asked)
    assert on[1].numpy() == pytest.approx(asked.rows[1, :, 11].numpy(), rel=1e-5)
    received, told = affinity.dense().sum(1).amax(-1), concentration(many)
    assert float(told[1]) == pytest.approx(float(received[1]), rel=0.2)
    assert bool((told < 1.1 * received).all())


def test_concentration_of_chance_is_not_large() -> None:
    line, told, found = TokenGrid((1, 40, 70), (1, 8, 8)), [], []
    for seed in range(4):
        torch.manual_seed(seed)
        theta, phi = 6 * F.normalize(torch.randn(2, 3, 2800, 9), dim=-1)
        sharp = EmbeddedAffinity("b", Pairwise("gaussian"), theta, phi, line, line)
        many = many_queries(Asked.of(sharp, np.array([5])))
        told.append(concentration(many))
        found.append(many.multiple.amax(-1))
    # What chance makes of so many keys, and what is left of it in the other half.
    assert float(torch.stack(found).mean()) > 15
    assert float(torch.stack(told).mean()) < 5


def test_ranks_share_ties_and_leave_out_what_is_not_reached() -> None:
    values = np.array([[3.0, 1.0, 1.0, 8.0, 5.0]])
    keep = np.array([[True, True, True, False, True]])
    ranks = centred_ranks(values, keep)[0]
    wanted = np.array([0.5, -1.0, -1.0, 0.0, 1.5])
    assert ranks == pytest.approx(wanted / np.linalg.norm(wanted))
