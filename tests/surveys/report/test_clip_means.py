"""Means of clips: by batches of any size, at most so many, and what is not counted is told."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from nlviz import SurveyReport
from nlviz.errors import NlvizError
from nlviz.surveys.report.bootstrap import MANY
from nlviz.surveys.report.clip_means import ClipMeans, clip_means
from nlviz.surveys.report.head_labels import head_labels
from tests.surveys.tables import Tables, tables


@pytest.fixture(scope="module")
def planted() -> Tables:
    return tables(23, {"a.2": 2, "a.10": 1, "b": 4}, 5)


def test_they_are_those_of_pandas(planted: Tables) -> None:
    found = clip_means(planted.rows, planted.digests)
    expected = planted.rows.to_pandas().groupby(["digest", "block", "head"])["features"].mean()
    for clip, digest in enumerate(found.digests):
        for head, (block, number) in enumerate(found.heads):
            mine = float(found.of("features")[clip, head])
            assert mine == pytest.approx(expected[digest, block, number], abs=1e-6)
    assert found.rows == planted.rows.num_rows
    assert np.isnan(found.of("bypass")).all()


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_batches_of_any_size_give_the_same(planted: Tables, size: int, tmp_path: object) -> None:
    whole = clip_means(planted.rows, planted.digests)
    folder = f"{tmp_path}/rows.parquet"
    pq.write_table(planted.rows, folder, row_group_size=size if size > 1 else 3)
    one = clip_means(ds.dataset(folder), planted.digests)
    chunks = pa.Table.from_batches(planted.rows.to_batches(max_chunksize=size))
    for other in (one, clip_means(chunks, planted.digests)):
        assert (other.heads, other.digests) == (whole.heads, whole.digests)
        assert np.allclose(other.values, whole.values, rtol=1e-6, equal_nan=True)


def test_a_block_that_the_first_clip_lacks_stands_where_the_network_has_it(planted: Tables) -> None:
    frame = planted.rows.to_pandas()
    first = frame["digest"].iloc[0]
    less = frame[~((frame["digest"] == first) & (frame["block"] == "a.10"))]
    found = clip_means(pa.Table.from_pandas(less, preserve_index=False), planted.digests)
    assert list(dict(found.heads)) == ["a.2", "a.10", "b"]
    at = found.digests.index(first), found.heads.index(("a.10", 0))
    assert np.isnan(found.of("sink")[at])


def test_too_many_clips_are_drawn_by_their_digests(planted: Tables) -> None:
    figures = len(clip_means(planted.rows, planted.digests).figures) + 3  # of which 3 have no value
    found = clip_means(planted.rows, planted.digests, most=9 * 7 * figures)
    assert found.left_out == 23 - len(found.digests) and 8 <= len(found.digests) <= 10
    assert found.digests == tuple(sorted(planted.digests)[: len(found.digests)])
    whole = clip_means(planted.rows, planted.digests)
    assert np.array_equal(found.values, whole.values[: len(found.digests)], equal_nan=True)


def test_infinite_values_are_not_told_and_counted(planted: Tables) -> None:
    at = planted.rows.schema.names.index("concentration")
    values = planted.rows["concentration"].to_numpy().copy()
    values[:4] = np.inf
    rows = planted.rows.set_column(at, "concentration", pa.array(values, pa.float32()))
    found = clip_means(rows, planted.digests)
    assert found.infinite == {"concentration": 4}
    assert np.isfinite(found.of("concentration")).all()
    notes = SurveyReport.of(rows, planted.clips).notes
    assert "Concentration is infinite in 4 rows: there it is not told." in notes


def test_a_clip_whose_rows_tell_nothing_counts_as_read(planted: Tables) -> None:
    frame = planted.rows.to_pandas()
    empty = frame["digest"] == planted.digests[0]
    names = [n for n in frame.columns if frame[n].dtype == np.float32 and n not in "frame y x"]
    frame.loc[empty, names] = np.nan
    rows = pa.Table.from_pandas(frame, schema=planted.rows.schema, preserve_index=False)
    found = SurveyReport.of(rows, planted.clips)
    assert len(found.surveys[0].means.digests) == 23
    assert int(found.values[0].clips.max()) == 22
    assert not any("without any row" in note for note in found.notes)


def test_a_column_that_tells_rows_apart_is_missing(planted: Tables) -> None:
    with pytest.raises(NlvizError, match="have a column 'head'"):
        clip_means(planted.rows.drop_columns(["head"]), planted.digests)


def test_one_content_under_two_labels_is_told(planted: Tables) -> None:
    lines = planted.clips.to_pylist()
    again = next(line for line in lines if line["status"] == "same")
    again["label"] = "somethingelse"
    clips = pa.Table.from_pylist(lines, schema=planted.clips.schema)
    notes = SurveyReport.of(planted.rows, clips).notes
    assert any("1 content stands under two labels" in note for note in notes)


def test_what_is_said_of_most_clips_is_told(planted: Tables) -> None:
    lines = planted.clips.to_pylist()
    for n, line in enumerate(lines):
        line["notes"] = ["The position share is not known."] * (n < 9) + [f"Note {n % 11}."]
    clips = pa.Table.from_pylist(lines, schema=planted.clips.schema)
    notes = SurveyReport.of(planted.rows, clips).notes
    assert "9 clips: The position share is not known." in notes
    assert "3 clips: Note 0." in notes
    assert "6 notes of fewer clips: the table of clips." in notes


def test_labels_of_many_clips_need_no_draws_and_are_as_sure() -> None:
    """Beyond ``MANY`` clips the draws are normal; near a threshold they say the same."""
    rng = np.random.default_rng(0)
    n = MANY + 50
    position = rng.beta(2, 2.02, (n, 3)).astype(np.float32)
    values = np.stack([position, np.full((n, 3), 0.4), np.full((n, 3), 0.3)], 2).astype(np.float32)
    names = ("position", "likeness", "spread")
    heads = tuple(("nl", head) for head in range(3))

    def sure(count: int) -> list[float]:
        digests = tuple(f"{i:06d}" for i in range(count))
        found = head_labels(ClipMeans(digests, heads, names, values[:count]), 1)
        return [h.sure or 0 if h.label == "positional" else 1 - (h.sure or 0) for h in found]

    assert np.allclose(sure(n), sure(MANY), atol=0.2)
