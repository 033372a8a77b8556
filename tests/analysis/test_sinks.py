"""Sinks against rows that are written out, and sinks that were planted with what they give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import Tensor

import nlviz
from nlviz.affinity.base import Affinity
from nlviz.affinity.causal import Causal
from nlviz.affinity.columns import columns
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.affinity.support import Support, Window
from nlviz.affinity.token_line import TokenLine
from nlviz.analysis.block_sinks import key_place
from nlviz.analysis.sinks import effective_rank
from nlviz.captures.capture import Affinities, Capture
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from tests.families.small_transformers import small
from tests.nets import noise_clip

HEADS, D, DV = 3, 7, 5
GRID = TokenGrid((2, 4, 6), (1, 8, 8), (0, 3.5, 3.5))
CLASSED = replace(GRID, prefix=2)


def affinity(
    grid: TokenGrid = GRID, name: PairwiseName = "embedded_gaussian", **given: Any
) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(7)
    n = grid.size + grid.prefix
    width = 1 if name == "concatenation" else D
    theta, phi = (torch.randn(HEADS, n, width, generator=generator) for _ in range(2))
    values = torch.randn(HEADS, n, DV, generator=generator)
    kept = {"values": values, **given}
    return EmbeddedAffinity("block", Pairwise(name), theta, phi, grid, grid, **kept)


def captured(capture: Capture, one: Affinity) -> Capture:
    return replace(capture, affinities=Affinities({"block": one}), receipts=MappingProxyType({}))


def whole(a: EmbeddedAffinity) -> tuple[Tensor, Tensor]:
    """Return rows of all queries, those without a place first, and which keys they reach."""
    rows = a.dense()
    index = torch.arange(a.queries.size)
    reach = a.support.mask_all(a.queries, a.keys, index)
    every = torch.ones(rows.shape[1:], dtype=torch.bool) if reach is None else reach
    if a.token_names:
        apart = a.support.mask_apart(a.queries, a.keys)
        first = torch.ones(len(a.token_names), rows.shape[2], dtype=torch.bool)
        rows = torch.cat([a.token_rows(), rows], 1)
        every = torch.cat([first if apart is None else apart, every])
    return rows.double(), every


@pytest.mark.parametrize(
    "a",
    [
        affinity(),
        affinity(name="dot_product"),
        affinity(name="concatenation"),
        affinity(CLASSED, token_names=("cls", "registers.0")),
        affinity(CLASSED),
        affinity(support=Window(rows=1, columns=2)),
        affinity(support=Support(1)),
        affinity(CLASSED, token_names=("cls",) * 2, support=Support(1, own_prefix=True)),
        affinity(TokenLine.of(tuple("abcdefghijk")), support=Causal()),
    ],
    ids=[
        "softmax",
        "dot",
        "concatenation",
        "named",
        "unnamed",
        "window",
        "frames",
        "own",
        "causal",
    ],
)
def test_columns_are_sums_of_rows_over_what_reach_alone_gives(a: EmbeddedAffinity) -> None:
    rows, reach = whole(a)
    found = columns(a)
    assert found.counted == rows.shape[1]
    assert found.share.sum(-1).tolist() == pytest.approx([1] * HEADS, abs=1e-5)
    for head, own in enumerate(rows.abs()):
        some = own.sum(-1) > 0  # a ReLU may leave a row of zeros, which gives nothing to anybody
        p, there = own[some] / own[some].sum(-1, keepdim=True), reach[some]
        counts = there.sum(-1, keepdim=True)
        expected = (there / counts.double()).mean(0)
        torch.testing.assert_close(found.share[head], p.mean(0), rtol=1e-5, atol=1e-8)
        multiple = p.mean(0) / expected
        torch.testing.assert_close(found.multiple[head], multiple, rtol=1e-5, atol=1e-6)
        much = (p * counts >= 3) & there
        torch.testing.assert_close(found.given[head], much.sum(0) / there.sum(0).double())


def test_a_key_that_no_query_reaches_is_no_number(capture: Capture) -> None:
    nobody = Causal(queries_at=tuple(range(11)), keys_at=(*range(10), 99))
    line = TokenLine.of(tuple("abcdefghijk"))
    a = affinity(line, support=nobody)
    found = columns(a).multiple
    assert bool(found[:, 10].isnan().all())
    assert not bool(found[:, :10].isnan().any())
    of_block = nlviz.sinks(captured(capture, a))["block"]
    assert 10 not in of_block.strongest
    assert all(r["multiple"] is not None for r in of_block.table())


def test_uniform_rows_give_each_key_what_uniform_rows_give_it(capture: Capture) -> None:
    for support in (Support(), Window(rows=1, columns=2), Support(1)):
        a = affinity(support=support)
        found = nlviz.sinks(captured(capture, replace(a, phi=torch.zeros_like(a.phi))))["block"]
        torch.testing.assert_close(found.multiple, torch.ones_like(found.multiple))
        assert [r["kind"] for r in found.table()] == ["none"] * HEADS
        assert found.concentration.tolist() == pytest.approx([1.0] * HEADS)


def planted(value: float, *, key: int = 17, strength: float = 8.0) -> EmbeddedAffinity:
    """Return an affinity whose second head gives most to one key, of a value of this size."""
    a = affinity()
    theta, phi = a.theta.clone() * 0.3, a.phi.clone() * 0.3
    assert a.values is not None
    values = a.values.clone()
    theta[1, :, 0], phi[1, :, 0] = 1.0, 0.0
    phi[1, key] = 0.0
    phi[1, key, 0] = strength
    values[1, key] *= value / values[1, key].norm()
    return replace(a, theta=theta, phi=phi, values=values)


@pytest.mark.parametrize(("value", "kind"), [(0.0, "off"), (0.05, "off"), (2.2, "broadcast")])
def test_what_a_sink_does_is_told_from_what_lies_there(
    capture: Capture, value: float, kind: str
) -> None:
    found = nlviz.sinks(captured(capture, planted(value)))["block"]
    assert [found.kind(h) for h in range(HEADS)] == ["none", kind, "none"]
    assert found.sinks_of(1) == (17,)
    record = found.table()[1]
    assert (record["key"], record["where"]) == (17, "frame 0, y 20, x 44")
    assert record["multiple"] > 40
    assert record["value_ratio"] == pytest.approx(value / 2.2, abs=0.2)
    if kind == "off":
        assert record["output_size"] < 0.2
    else:
        assert record["rank_output"] < 1.5 < record["rank_values"]


def test_the_share_of_a_row_on_sinks_is_its_weight_there(capture: Capture) -> None:
    a = planted(0.0)
    found = nlviz.sinks(captured(capture, a))["block"]
    rows = a.rows([4, 40])
    on = found.on_sinks(rows)
    torch.testing.assert_close(on[1], rows[1, :, 17].double())
    assert not bool(on[[0, 2]].any())


def test_a_key_that_few_queries_give_all_they_have_is_no_sink(capture: Capture) -> None:
    a = planted(1.0)
    theta = a.theta.clone()
    theta[1, 12:, 0] = 0.0  # a quarter of the queries still looks there
    found = nlviz.sinks(captured(capture, replace(a, theta=theta)))["block"]
    assert float(found.multiple[1, 17]) > 10
    assert found.kind(1) == "none"


def test_where_values_are_not_known_nothing_is_said_of_them(capture: Capture) -> None:
    found = nlviz.sinks(captured(capture, replace(planted(0.0), values=None)))["block"]
    assert found.kind(1) == "unknown"
    assert found.value_ratio is None
    assert "not known" in found.note
    assert found.table()[1]["rank_output"] is None


def test_queries_that_are_few_have_nothing_in_common(capture: Capture) -> None:
    a = planted(0.0)
    three = replace(a, theta=a.theta[:, :3], queries=TokenGrid((1, 1, 3)))
    found = nlviz.sinks(captured(capture, three))["block"]
    assert found.kind(1) == "unknown"
    assert "3 queries" in found.note


def test_y_of_the_block_and_rows_times_values_give_the_same(capture: Capture) -> None:
    a = affinity(CLASSED, token_names=("cls", "registers.0"))
    assert a.values is not None
    rows, _ = whole(a)
    y = (rows @ a.values.double()).float()
    own = nlviz.sinks(captured(capture, a))["block"]
    kept = nlviz.sinks(captured(capture, replace(a, output=y)))["block"]
    assert own.rank_output is not None
    assert own.output_size is not None
    torch.testing.assert_close(own.rank_output, kept.rank_output, rtol=1e-4, atol=0)
    torch.testing.assert_close(own.output_size, kept.output_size, rtol=1e-5, atol=0)
    norms = y.norm(dim=-1).mean(1) / a.values.norm(dim=-1).quantile(0.5, -1)
    torch.testing.assert_close(own.output_size.float(), norms, rtol=1e-5, atol=0)
    s = torch.linalg.svdvals(y.double())
    p = s / s.sum(-1, keepdim=True)
    torch.testing.assert_close(own.rank_output, torch.special.entr(p).sum(-1).exp())


def test_the_effective_rank_does_not_depend_on_which_side_is_longer() -> None:
    x = torch.randn(2, 11, 4, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(effective_rank(x.mT @ x), effective_rank(x @ x.mT))


def test_likeness_of_features_has_no_sinks_and_a_name_that_is_not_there_none(
    capture: Capture,
) -> None:
    with pytest.raises(NlvizError, match="nothing is shared out"):
        nlviz.sinks(captured(capture, affinity(name="cosine")))
    found = nlviz.sinks(captured(capture, affinity()))
    with pytest.raises(NlvizError, match="did you mean 'block'"):
        found["blok"]
    assert [*found], len(found.table()) == (["block"], HEADS)


def test_the_map_of_what_keys_receive_is_the_mean_row(capture: Capture) -> None:
    a = affinity(CLASSED, token_names=("cls", "registers.0"))
    rows, _ = whole(a)
    found = nlviz.sinks(captured(capture, a))["block"]
    mean = rows.mean((0, 1))
    shown = found.map()
    assert shown.weights.ravel() == pytest.approx(mean[2:].numpy(), abs=1e-6)
    assert shown.off_grid == pytest.approx(float(mean[:2].sum()), abs=1e-6)
    assert found.map(2).weights.ravel() == pytest.approx(rows[2].mean(0)[2:].numpy(), abs=1e-6)
    with pytest.raises(NlvizError, match="between 0 and 2"):
        found.map(3)


def test_keys_are_called_by_their_names(capture: Capture) -> None:
    found = nlviz.sinks(captured(capture, affinity(CLASSED, token_names=("cls", "registers.0"))))
    assert found["block"].names == ("cls", "registers.0")
    assert key_place(TokenLine.of(("<s>", "dog")), (), 1) == "1:dog"


def test_values_that_were_not_kept_are_seen_in_one_more_pass(tmp_path: Path) -> None:
    capture = Model(small("vit")).capture(noise_clip(1, 40, 56))
    (name, *_) = capture.affinities
    without = nlviz.sinks(capture, blocks=[name], values=False)[name]
    assert without.value_norms is None
    found = nlviz.sinks(capture, blocks=[name])[name]
    values = nlviz.interventions.values_of(capture, name)[name]
    assert found.value_norms is not None
    torch.testing.assert_close(found.value_norms, values.double().norm(dim=-1))
    read = nlviz.read_capture(capture.save(tmp_path / "vit.nlviz"))
    assert "read from a file" in nlviz.sinks(read)[name].note


def test_frames_that_see_themselves_broadcast_each_a_vector_of_its_own(capture: Capture) -> None:
    a = planted(2.2)
    values = a.values
    assert values is not None
    phi, values = a.phi.clone(), values.clone()
    phi[1, 17 + 24] = phi[1, 17]  # the same key of the other frame, of another value
    found = nlviz.sinks(captured(capture, replace(a, phi=phi, support=Support(1))))["block"]
    assert found.sinks_of(1) == tuple(sorted((17, 41), key=lambda k: -float(found.multiple[1, k])))
    assert found.kind(1) == "broadcast"
    assert found.table()[1]["rank_output"] < 1.6
