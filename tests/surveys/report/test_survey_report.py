"""The report as a whole: planted truths are found, whatever the order and the batches of rows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from nlviz import SurveyReport
from nlviz.errors import NlvizError
from nlviz.surveys.schema import CLIPS
from tests.surveys.tables import HEADS, Tables, tables


@pytest.fixture(scope="module")
def planted() -> Tables:
    return tables()


@pytest.fixture(scope="module")
def report(planted: Tables) -> SurveyReport:
    return SurveyReport.of(planted.rows, planted.clips, planted.runs, name="planted")


@pytest.fixture(scope="module")
def whole(report: SurveyReport) -> dict[str, Any]:
    return report.to_dict()


def test_heads_stand_in_the_order_of_the_network(report: SurveyReport) -> None:
    assert report.heads == tuple((b, h) for b, n in HEADS.items() for h in range(n))


def test_means_over_clips_are_those_of_the_rows(planted: Tables, report: SurveyReport) -> None:
    frame = planted.rows.to_pandas()
    by_clip = frame.groupby(["digest", "block", "head"])[["effective", "receipt", "sink"]].mean()
    expected = by_clip.groupby(["block", "head"]).mean()
    for line in report.table():
        for name in ("effective", "receipt", "sink"):
            assert line[name] == pytest.approx(
                expected[name][line["block"], line["head"]], rel=1e-4
            )
            assert line[f"{name}_low"] <= line[name] <= line[f"{name}_high"]


def test_planted_labels_are_found(planted: Tables, report: SurveyReport) -> None:
    found = {key: label.label for key, label in zip(report.heads, report.labels[0], strict=True)}
    assert found == planted.roles


def test_planted_means_lie_in_most_intervals(planted: Tables, report: SurveyReport) -> None:
    inside = [
        line[f"{name}_low"] <= mean <= line[f"{name}_high"]
        for line in report.table()
        for name, mean in planted.means[line["block"], line["head"]].items()
        if name in line and name != "cross_frame"
    ]
    assert len(inside) > 100
    assert np.mean(inside) > 0.85


def test_the_order_of_rows_and_their_batches_change_nothing(
    planted: Tables, whole: dict[str, Any], tmp_path: Any
) -> None:
    order = np.random.default_rng(3).permutation(planted.rows.num_rows)
    shuffled = planted.rows.take(pa.array(order))
    for n, part in enumerate(shuffled.to_batches(max_chunksize=701)):
        pq.write_table(pa.Table.from_batches([part]), tmp_path / f"part-{n}.parquet")
    backwards = planted.clips.take(pa.array(range(planted.clips.num_rows - 1, -1, -1)))
    other = SurveyReport.of(ds.dataset(tmp_path), backwards, planted.runs, name="planted").to_dict()
    # Blocks stand in the order of the rows, which is the network's where a clip's rows are.
    other_layers = [layer["block"] for layer in other["layers"]]
    mine = [layer["block"] for layer in whole["layers"]]
    at = [other_layers.index(block) for block in mine]
    for figure, values in whole["values"][0].items():
        for part in ("mean", "low", "high"):
            theirs = [other["values"][0][figure][part][n] for n in at]
            assert np.allclose(np.concatenate(values[part]), np.concatenate(theirs), rtol=1e-5)
    assert [other["typical"][0][n] for n in at] == whole["typical"][0]


def test_it_is_json(whole: dict[str, Any]) -> None:
    again = json.loads(json.dumps(whole, allow_nan=False))
    assert again == whole
    assert again["surveys"][0]["clips"] == {"done": 37, "failed": 2, "same": 1}
    assert [layer["heads"] for layer in again["layers"]] == [1, 3, 7]
    for values in again["values"][0].values():
        assert [len(layer) for layer in values["low"]] == [1, 3, 7]


def test_histograms_count_every_clip_once(whole: dict[str, Any]) -> None:
    for found in whole["histograms"][0].values():
        edges = np.array(found["edges"])
        assert (np.diff(edges) > 0).all()
        for layer in found["counts"]:
            for counts in layer:
                assert len(counts) == len(edges) - 1 and sum(counts) == 37


def test_groups_are_means_of_their_clips(planted: Tables, whole: dict[str, Any]) -> None:
    groups = whole["groups"][0]
    assert groups["labels"] == ["cat", "boat", "dog"] and groups["sizes"] == [13, 12, 12]
    cats = [d for d, label in zip(planted.digests, planted.labels, strict=True) if label == "cat"]
    frame = planted.rows.to_pandas()
    mine = frame[frame["digest"].isin(cats) & (frame["block"] == "enc.10.attn")]
    expected = mine[mine["head"] == 3]["pixels"].mean()
    assert groups["pixels"]["mean"][0][2][3] == pytest.approx(expected, rel=1e-4)
    assert groups["pixels"]["clips"][0][2][3] == 13


def test_typical_clips_are_nearer_than_the_least(whole: dict[str, Any]) -> None:
    for layer in whole["typical"][0]:
        for head in layer:
            near = [e["distance"] for e in head["most"]]
            far = [e["distance"] for e in head["least"]]
            assert len(near) == len(far) == 10
            assert near == sorted(near) and far == sorted(far, reverse=True)
            assert max(near) <= min(far)
            assert all(e["digest"] in whole["thumbnails"] for e in head["most"] + head["least"])
            assert all(" against " in e["why"] for e in head["least"])


def test_the_query_of_a_typical_clip_is_nearest_to_its_own_mean(planted: Tables) -> None:
    """Of a table with one figure the nearest query is plain to see."""
    columns = ["digest", "block", "head", "query", "frame", "y", "x", "keys", "pixels"]
    rows = planted.rows.select(columns)
    found = SurveyReport.of(rows, planted.clips).to_dict()
    frame = rows.to_pandas()
    for layer in found["typical"][0]:
        for head in layer:
            for kind, pick in (("most", np.argmin), ("least", np.argmax)):
                e = head[kind][3]
                mine = frame[
                    (frame["digest"] == e["digest"])
                    & (frame["block"] == e["block"])
                    & (frame["head"] == e["head"])
                ].sort_values("query")
                away = (mine["pixels"] - mine["pixels"].mean()).abs().to_numpy()
                line = mine.iloc[int(pick(away))]
                assert e["query"] == {
                    "number": line["query"], "frame": line["frame"], "y": line["y"], "x": line["x"]
                }  # fmt: skip


def test_it_is_saved_whole_or_not_at_all(
    report: SurveyReport, whole: dict[str, Any], tmp_path: Path
) -> None:
    path = report.save(tmp_path / "report.json")
    assert json.loads(path.read_text("utf-8")) == whole
    with pytest.raises(NlvizError, match=r"as \.json, got 'report\.html'; nlviz report FOLDER"):
        report.save(tmp_path / "report.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.json"]


def test_few_clips_have_means_without_intervals() -> None:
    few = tables(clips=11, failed=1, same=0)
    found = SurveyReport.of(few.rows, few.clips, few.runs)
    line = found.table()[0]
    assert math.isfinite(line["sink"]) and line["sink_low"] is None
    assert not any(label.certain for label in found.labels[0])
    assert any("fewer than 12" in note for note in found.notes)


def test_a_survey_where_all_failed_is_refused() -> None:
    line = {"uri": "/a", "name": "a", "label": "", "status": "failed", "run": "1"}
    clips = pa.Table.from_pylist([line], schema=CLIPS)
    with pytest.raises(NlvizError, match=r"at least one clip that is done.*1 clip failed"):
        SurveyReport.of(tables(clips=1, same=0).rows, clips)
