"""Rows of a survey: figure by figure what the project says of the same row elsewhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import nlviz
from nlviz.analysis.health import block_health
from nlviz.analysis.row_origin import row_origin
from nlviz.analysis.sinks import sinks
from nlviz.analysis.statistics import row_statistics
from nlviz.captures.model import Capture, Model
from nlviz.clips.clip import Clip
from nlviz.errors import UnknownBlock
from nlviz.resources import asset
from nlviz.surveys.figures import FIGURES
from nlviz.surveys.measuring.measurer import Measured, Measurer
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.schema import ROWS
from tests.nets import CLIPS, clip_net, noise_clip

PLAIN = ("position",)


def measured(model: Model, clip: Clip, **options: Any) -> Measured:
    return Measurer(model, SurveyOptions(**{"without": PLAIN, "queries": 7, **options})).measure(
        clip
    )


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(clip_net(pool=2), input_spec=CLIPS)


@pytest.fixture(scope="module")
def small() -> Clip:
    return noise_clip(frames=4, height=48, width=80)


@pytest.fixture(scope="module")
def capture(model: Model, small: Clip) -> Capture:
    return model.capture(small)


@pytest.fixture(scope="module")
def found(model: Model, small: Clip) -> Measured:
    return measured(model, small)


def test_rows_have_the_schema_and_no_number_that_is_none(found: Measured) -> None:
    assert found.rows.schema == ROWS
    assert found.rows.num_rows == 7
    for name in ROWS.names:
        values = found.rows[name].to_pylist()
        assert not any(isinstance(v, float) and not math.isfinite(v) for v in values), name


def test_a_row_is_what_row_statistics_says(capture: Capture, found: Measured) -> None:
    affinity = capture.affinities["nl"]
    for row in found.rows.to_pylist():
        point = affinity.queries.centre(row["query"])
        assert (row["frame"], row["y"], row["x"]) == pytest.approx(tuple(point))
        attention = affinity.head_maps(**point._asdict())[row["head"]]
        said = row_statistics(attention, capture.clip.times)
        assert said.effective is not None
        assert row["effective"] == pytest.approx(said.effective, rel=1e-4)
        assert row["spread"] == pytest.approx(said.effective / said.cells, rel=1e-4)
        assert row["keys"] == said.cells
        origin = row_origin(capture, "nl", row["query"], head=row["head"], contents=0)
        assert row["uniform"] == pytest.approx(origin.uniform, abs=1e-5)
        assert row["own_frame"] == pytest.approx(said.own_frame, rel=1e-4)
        assert row["own_frame"] + row["cross_frame"] == pytest.approx(1, rel=1e-5)
        assert row["pixels"] == pytest.approx(said.pixels, rel=1e-4)
        assert row["seconds"] == pytest.approx(said.seconds, rel=1e-4)
        own = float(attention.weights.ravel()[attention.own])
        assert row["own_cell"] == pytest.approx(own, rel=1e-4)


def test_heads_and_blocks_are_what_sinks_and_health_say(
    model: Model, capture: Capture, found: Measured
) -> None:
    row = found.rows.to_pylist()[0]
    health = block_health(None, capture, "nl")  # so few queries that all are taken
    assert sinks(capture)["nl"].kind(0) == row["sink_kind"] == "none"
    assert row["sink_key"] is None and row["sink_value"] is None and row["sink"] == 0
    assert 0 < row["concentration"] < 2
    assert row["shared"] == pytest.approx(health.shared, abs=0.2)
    assert row["query_distance"] == pytest.approx(health.distance_rows, abs=1e-5)
    assert row["branch"] == pytest.approx(health.size, rel=1e-4)
    assert row["receipt"] == pytest.approx(capture.receipts["nl"].error, rel=1e-5, abs=1e-9)


def test_likeness_is_how_often_a_key_of_the_row_is_more_alike(
    capture: Capture, found: Measured
) -> None:
    affinity = capture.affinities["nl"]
    x = torch.nn.functional.normalize(capture.features["nl"].double(), dim=0)
    keys = torch.nn.functional.adaptive_max_pool3d(x[None], affinity.keys.shape)[0].flatten(1)
    for row in found.rows.to_pylist():
        weights = affinity.rows([row["query"]])[0, 0].double().numpy()
        cosine = (x.flatten(1)[:, row["query"]] @ keys).numpy()
        own = row["own_cell"]
        others = np.flatnonzero(np.abs(weights - own) > 1e-9)  # all but the key at its own cell
        alike = cosine[others]
        more = (alike[:, None] > alike).sum(1) / (len(others) - 1)
        expected = (weights[others] * more).sum() / weights[others].sum()
        assert row["likeness"] == pytest.approx(expected, abs=1e-3)


def test_rows_are_the_same_bits_again_and_after_other_clips(model: Model, small: Clip) -> None:
    measurer = Measurer(model, SurveyOptions(without=PLAIN, queries=7))
    first = measurer.measure(small)
    measurer.measure(noise_clip(frames=5, height=64, width=48, seed=3))
    assert measurer.measure(small).rows.equals(first.rows)
    assert measured(model, small).rows.equals(first.rows)


def test_places_follow_from_the_seed_and_the_clip_alone(model: Model, small: Clip) -> None:
    again = measured(model, small, seed=1).rows["query"].to_pylist()
    assert again != measured(model, small).rows["query"].to_pylist()


def test_fewer_cells_than_queries_are_asked_once_each(model: Model, capture: Capture) -> None:
    size = capture.affinities["nl"].queries.size
    rows = measured(model, capture.clip, queries=size + 11).rows
    assert rows["query"].to_pylist() == list(range(size))


def test_a_network_of_texts_is_refused() -> None:
    with pytest.raises(nlviz.NlvizError, match="takes texts"):
        Measurer(nlviz.load_model("muse.recall"), SurveyOptions())


def test_a_figure_that_is_not_there_is_refused(model: Model) -> None:
    with pytest.raises(nlviz.NlvizError, match="'shine'"):
        Measurer(model, SurveyOptions(without=("shine",)))
    with pytest.raises(UnknownBlock):
        Measurer(model, SurveyOptions(blocks=("nl2",)))


def test_threads_are_as_they_were(model: Model, small: Clip) -> None:
    before = torch.get_num_threads()
    measured(model, small, threads=2)
    assert torch.get_num_threads() == before
    assert np.isfinite(measured(model, small).seconds)


def test_a_query_that_reads_nothing_is_told_and_has_no_other_figures() -> None:
    model = nlviz.load_model("recall.concatenation")  # its ReLU is closed for nearly all pairs
    clip = nlviz.read_clip(asset("clips/recall.gif"))
    rows = Measurer(model, SurveyOptions(queries=24, knock_out=True)).measure(clip).rows
    empty = np.array(rows["empty"].to_pylist())
    assert 0 < empty.sum() and set(empty) <= {0.0, 1.0}
    affinity = model.capture(clip).affinities["nl"]
    read = affinity.rows(torch.tensor(rows["query"].to_pylist()))[0].abs().sum(-1) > 0
    assert (empty == ~read.numpy()).all()
    of_queries = [n for n, f in FIGURES.items() if f.of == "query" and n != "empty"]
    for name in of_queries:
        values = rows[name].to_pylist()
        assert all(value is None for value, none in zip(values, empty, strict=True) if none), name
