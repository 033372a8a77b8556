"""What is said and counted of rows over words, boxes and nodes."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from types import MappingProxyType

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Everything
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_line import TokenLine
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.analysis.controls import variant_affinity, variants, variants_of_features
from nlviz.analysis.health import block_health
from nlviz.analysis.rollout import rollout
from nlviz.analysis.statistics import block_statistics, row_statistics
from nlviz.captures.capture import About, Affinities, Capture
from nlviz.clips.clip import Clip
from nlviz.clips.text import Text, read_text
from nlviz.errors import NlvizError
from nlviz.words.health import Line, health_lines

TEXT = read_text("the dog saw the ball and then it").cut(
    ["<s>", "the", "dog", "saw", "the", "ball", "</s>"],
    [(0, 0), (0, 3), (4, 7), (8, 11), (12, 15), (16, 20), (20, 20)],
    special=[0, 6],
)
LINE = TokenLine.part_of(TEXT)
PICTURE = Clip.from_frames(np.zeros((3, 24, 32, 3), np.uint8))


def affinity(queries: TokenGrid, keys: TokenGrid | None = None, **more: object) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(1)
    keys = keys or queries
    theta, phi = (torch.randn(2, g.size, 5, generator=generator) for g in (queries, keys))
    f = Pairwise("embedded_gaussian", 0.5)
    return EmbeddedAffinity("block", f, theta, phi, queries, keys, **more)  # type: ignore[arg-type]


def capture(clip: Clip, *affinities: EmbeddedAffinity) -> Capture:
    named = {f"block{i}": replace(a, name=f"block{i}") for i, a in enumerate(affinities)}
    nothing: MappingProxyType[str, object] = MappingProxyType({})
    return Capture(clip, None, Affinities(named), nothing, nothing, About("net"))  # type: ignore[arg-type]


def test_words_have_controls_of_words() -> None:
    found = capture(TEXT, affinity(LINE, support=Causal()))
    keys = [variant.key for variant in variants(found, "block0")]
    assert "nl_means" not in keys
    assert "position" in keys
    position = next(v for v in variants(found, "block0") if v.key == "position")
    row = variant_affinity(position, found, "block0").rows([4])[0, 0]
    assert torch.equal(row[5:], torch.zeros(2))
    assert row[:5].tolist() == sorted(row[:5].tolist())


def test_queries_and_keys_of_two_inputs_have_no_common_features() -> None:
    source, target = TokenLine.part_of(TEXT, count=3), TokenLine.part_of(TEXT, first=3, count=3)
    boxes = TokenBoxes.of([(0, 0, 0, 9, 9), (1, 2, 2, 8, 8)])
    grid = TokenGrid((3, 3, 4), (1, 8, 8), (0, 3.5, 3.5))
    found = capture(TEXT, affinity(LINE), affinity(target, source))
    assert variants_of_features(found, "block0") == ("features", "cosine")
    assert variants_of_features(found, "block1") == ()
    seen = capture(PICTURE, affinity(boxes, grid), affinity(grid))
    assert variants_of_features(seen, "block0") == ()
    assert variants_of_features(seen, "block1") == ("features", "cosine")
    nodes = TokenNodes.of([(0, 0), (5, 5), (9, 1)])
    assert "position" not in [v.key for v in variants(capture(PICTURE, affinity(nodes)), "block0")]


def test_a_rollout_goes_through_one_text_alone() -> None:
    first, second = (TokenLine.part_of(TEXT, first=n, count=3) for n in (0, 3))
    found = capture(TEXT, affinity(first), affinity(first), affinity(second))
    assert rollout(found, upto="block1").rows([1]).shape == (1, 1, 3)
    with pytest.raises(NlvizError, match="one grid"):
        rollout(found, upto="block2")


def test_mass_of_boxes_is_counted_by_the_frames_they_lie_on() -> None:
    boxes = TokenBoxes.of([(2, 0, 0, 9, 9), (0, 2, 2, 8, 8), (2, 3, 3, 5, 5)])
    row = affinity(boxes).map(box=2)
    found = row_statistics(row, PICTURE.times)
    weights = row.weights.ravel()
    assert np.allclose(found.per_frame, [weights[1], weights[0] + weights[2]])
    assert math.isclose(found.own_frame, float(weights[0] + weights[2]), rel_tol=1e-6)
    assert np.allclose(found.frame_times, PICTURE.times[[0, 2]])


def test_statistics_of_words() -> None:
    found = capture(TEXT, affinity(LINE, support=Causal()))
    s = block_statistics(found, "block0")
    assert s.queries == 7
    row = found.affinities["block0"].map(token="ball")
    assert row_statistics(row, TEXT.times).own_frame == pytest.approx(1)


def test_an_attribution_to_a_text_is_refused() -> None:
    clip = Text.of_tokens("abc")
    with pytest.raises(NlvizError, match="a text has none"):
        nlviz.attribution(nlviz.load_model("lite-nl"), clip)


def test_what_differs_by_reach_alone_is_told() -> None:
    alike = replace(affinity(LINE, support=Causal()), theta=torch.zeros(2, 7, 5))
    found = capture(TEXT, alike, replace(alike, support=Everything()))
    causal, whole = (block_health(None, found, f"block{i}") for i in (0, 1))
    before = torch.ones(7, 7).tril()
    unit = before / before.norm(dim=-1, keepdim=True)
    wanted = float((1 - unit.mean(0).square().sum()) / 2)
    assert causal.distance_reach == pytest.approx(wanted, abs=1e-6)
    assert causal.distance_rows == pytest.approx(wanted, abs=1e-6)
    assert (whole.distance_reach, whole.distance_rows) == pytest.approx((0, 0), abs=1e-6)
    said = [" ".join(line) for line in map(_texts, health_lines(causal))]
    assert any(f"would differ by {wanted:.2f} already" in line for line in said)
    assert not any("already" in " ".join(_texts(line)) for line in health_lines(whole))


def _texts(line: Line) -> list[str]:
    return [str(getattr(line, f.name)) for f in fields(line)]
