"""Two surveys: chance alone is not told, a planted change is, nor what cannot be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from nlviz import SurveyReport
from nlviz.errors import NlvizError
from nlviz.surveys.options import Sampling, SurveyOptions
from nlviz.surveys.report.changed import chances, changed, holm
from nlviz.surveys.report.clip_means import ClipMeans
from tests.surveys.tables import Tables, tables

HEADS = {"stage3": 1, "enc.attn": 3}


def report(of: Tables) -> SurveyReport:
    return SurveyReport.of(of.rows, of.clips, of.runs)


def drawn(rng: np.random.Generator, clips: int, first: int = 0) -> ClipMeans:
    """Means of clips that follow from nothing but chance, skewed and hanging together."""
    common = rng.beta(0.6, 3, (clips, 1, 1))
    own = rng.beta(0.6, 3, (clips, 6, 3))
    return ClipMeans(
        tuple(f"{n + first:06d}" for n in range(clips)),
        tuple(("nl", head) for head in range(6)),
        ("sink", "shared", "position"),
        (0.4 * common + 0.6 * own).astype(np.float32),
    )


@pytest.mark.parametrize("paired", [True, False])
def test_chance_alone_is_told_of_in_few_pairs_of_surveys(paired: bool) -> None:
    """Of 400 pairs that differ by chance alone, in about 5 of 100 is anything told, or fewer."""
    rng = np.random.default_rng(1)
    told = 0
    for _ in range(400):
        one = drawn(rng, 30).values.reshape(30, -1).astype(np.float64)
        two = drawn(rng, 44).values.reshape(44, -1).astype(np.float64)
        if paired:  # the same clips, asked again: nearly the same means
            two = one + rng.normal(0, 0.01, one.shape)
        told += bool(holm(chances(one, two, paired=paired)).any())
    assert 1 <= told <= 0.05 * 400 + 9  # and 2 standard errors


def test_other_seeds_of_one_network_differ_by_chance() -> None:
    one, two = tables(53, HEADS, 11, seed=1), tables(53, HEADS, 11, seed=2)
    both = report(one).beside(report(two))
    found = both.changed
    assert found is not None and found.paired
    assert found.told.mean() <= 0.05
    assert any("differ in seed" in note for note in both.notes)
    assert [s.name for s in both.surveys] == ["planted (1)", "planted (2)"]


def test_a_planted_change_is_found_and_only_that() -> None:
    more = {("enc.attn", 1): {"sink": 0.35, "pixels": 55.0}}
    roles = {("enc.attn", 1): "positional"}
    one = tables(61, HEADS, 11, seed=1, roles=roles)
    two = tables(61, HEADS, 11, seed=2, roles=roles, changed=more, model="later")
    both = report(one).beside(report(two))
    found = both.changed
    assert found is not None
    told = {(both.heads[h], found.figures[f]) for h, f in np.argwhere(found.told).tolist()}
    assert {(("enc.attn", 1), "sink"), (("enc.attn", 1), "pixels")} <= told
    assert {head for head, _ in told} == {("enc.attn", 1)}
    at = both.heads.index(("enc.attn", 1)), found.figures.index("sink")
    assert found.low[at] <= 0.32 <= found.high[at]
    whole = both.to_dict()["changed"]
    assert whole["sink"]["told"] == [[False], [False, True, False]]
    assert whole["sink"]["p"][1][1] < 1e-6
    assert any("two checkpoints of one training" in note for note in both.notes)


def test_other_clips_are_compared_unpaired() -> None:
    one, two = tables(41, HEADS, 11), tables(29, HEADS, 11, first=500)
    both = report(one).beside(report(two))
    assert both.changed is not None and not both.changed.paired
    assert any("0 clips are in both" in note for note in both.notes)


def test_clips_of_one_survey_alone_are_left_out_of_pairs() -> None:
    one, two = tables(41, HEADS, 11), tables(60, HEADS, 11, seed=3)
    both = report(one).beside(report(two))
    assert both.changed is not None and both.changed.clips.max() == 41
    assert any("0 and 19 clips that are in one alone" in note for note in both.notes)


def test_blocks_correspond_by_name_and_heads_only_where_layers_are_the_same() -> None:
    one = tables(20, {"stage3": 1, "enc.attn": 3}, 7)
    two = tables(20, {"stage3": 1, "enc.attn": 4, "dec.attn": 2}, 7)
    both = report(one).beside(report(two))
    assert both.heads == (
        ("stage3", 0), ("enc.attn", 0), ("enc.attn", 1), ("enc.attn", 2), ("enc.attn", 3),
        ("dec.attn", 0), ("dec.attn", 1),
    )  # fmt: skip
    assert both.corresponding == (True, *(False,) * 6)
    found = both.changed
    assert found is not None
    assert np.isfinite(found.p[0]).any() and np.isnan(found.p[1:]).all()
    whole = both.to_dict()
    assert whole["values"][0]["sink"]["mean"][2] == [None, None]
    assert whole["layers"][1] == {"block": "enc.attn", "heads": 4}
    assert any("6 heads have no counterpart" in note for note in both.notes)
    missing = both.table()[4]
    assert (missing["survey"], missing["head"], missing["sink"]) == ("planted (1)", 3, None)


def test_other_options_are_told() -> None:
    other = SurveyOptions(queries=7, sampling=Sampling(stride=3))
    one, two = tables(20, HEADS, 7), tables(20, HEADS, 7, options=other)
    notes = report(one).beside(report(two)).notes
    assert any("differ in sampling:" in note for note in notes)


def test_nothing_in_common_and_three_surveys_are_refused() -> None:
    one, two = report(tables(15, HEADS, 5)), report(tables(15, {"other": 2}, 5))
    with pytest.raises(NlvizError, match=r"have a block in common; these have stage3 and enc.attn"):
        one.beside(two)
    with pytest.raises(NlvizError, match="two surveys"):
        one.beside(one).beside(one)


def test_a_difference_that_is_rounding_is_not_told() -> None:
    """A constant difference of the last bit has no spread, and is none."""
    one = drawn(np.random.default_rng(0), 30)
    two = replace(one, values=np.nextafter(one.values, np.float32(2)))
    assert not changed(one, two, np.ones(6, bool), 0).told.any()
    three = replace(one, values=one.values + np.float32(0.125))
    assert changed(one, three, np.ones(6, bool), 0).told.all()


def test_rows_without_their_clips_are_told() -> None:
    of = tables(20, HEADS, 7, failed=0, same=0)
    lines = of.clips.to_pylist()[:-3]
    notes = SurveyReport.of(of.rows, pa.Table.from_pylist(lines, schema=of.clips.schema)).notes
    assert any(f"{3 * 4 * 7} rows of clips that are not among" in note for note in notes)
