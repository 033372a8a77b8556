"""Fields of FiftyOne, written to a real dataset of a real MongoDB and read back.

FiftyOne pins versions of its own, so that it has an environment of its own: `make fiftyone` makes
it and runs these tests there.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nlviz
from nlviz.affinity.by_frame import key_planes
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.statistics import row_statistics
from nlviz.clips.inputs import frame_times
from nlviz.errors import NlvizError
from nlviz.render.frame_maps import laid_on
from nlviz.surveys.survey import survey

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own, while it is imported
    fo = pytest.importorskip("fiftyone", reason="fiftyone is not installed: make fiftyone")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

INPUTS = nlviz.bundled_inputs()
QUERY = (1, 60.0, 90.0)
SIZE = 96


@pytest.fixture
def dataset() -> Iterator[Any]:
    try:
        made = fo.Dataset(overwrite=True, name="nlviz-test")
    except Exception as error:
        pytest.skip(f"MongoDB does not start here: {error}")
    yield made
    made.delete()


@pytest.fixture(scope="module")
def net() -> nlviz.Model:
    return nlviz.load_model("lite-nl")


def test_maps_lie_on_the_frames_that_were_sampled(dataset: Any, net: nlviz.Model) -> None:
    path = INPUTS["composed-twins.mp4"]
    dataset.add_sample(fo.Sample(filepath=str(path)))
    report = nlviz.to_fiftyone(dataset, model=net, query=QUERY, frames=3, size=SIZE)
    assert (report.done, report.failed) == (1, {})
    framed = {"frames.nlviz", "frames.nlviz_query"}
    assert set(report.fields) == {"nlviz_heads", "nlviz_label"} | framed
    capture = net.capture(nlviz.read_clip(path, frames=3, size=SIZE))
    frame, y, x = QUERY
    row = capture.affinities["stage4"].map(frame=frame, y=y, x=x)
    times = list(frame_times(path))
    numbers = [times.index(time) + 1 for time in capture.clip.times]
    assert len(set(numbers)) == 3
    dataset.reload()
    sample = dataset.first()
    found = {n: f for n, f in sample.frames.items() if f.get_field("nlviz") is not None}
    assert sorted(found) == numbers
    planes = key_planes(row.keys, 3)
    for index, number in enumerate(numbers):
        heat = found[number].nlviz
        wanted = laid_on(row.weights[planes[index]], capture.clip.frames[index], row.keys)
        np.testing.assert_allclose(heat.map, wanted / row.uniform, rtol=1e-6)
        assert heat.uniform == pytest.approx(row.uniform)
        assert heat.sampled_frame == index
        assert heat.range == [0, pytest.approx(row.top_of_scale() / row.uniform)]
    (point,) = found[numbers[1]].nlviz_query.keypoints[0].points
    _, height, width = capture.clip.shape
    assert point == pytest.approx([(row.query[2] + 0.5) / width, (row.query[1] + 0.5) / height])
    assert found[numbers[0]].get_field("nlviz_query") is None
    info = dataset.get_field("frames.nlviz").info
    assert info["unit"] == "multiples of uniform attention"
    assert (info["model"], info["block"], info["head"]) == ("lite-nl", "stage4", "mean")
    told = row_statistics(row, capture.clip.times)
    own = sample.nlviz_heads.stage4.head_00
    assert own.own_frame == pytest.approx(told.own_frame)
    assert own.effective == pytest.approx(told.effective)
    assert sample.nlviz_heads.stage4.receipt < 1e-4
    # The figures are fields, by which samples are found.
    view = dataset.match(fo.ViewField("nlviz_heads.stage4.head_00.own_frame") > 0)
    assert len(view) == 1

    # Other frames next time: those of before hold nothing any more.
    again = nlviz.to_fiftyone(dataset, model=net, query=(0, 60, 90), frames=2, size=SIZE)
    assert again.done == 1
    dataset.reload()
    kept = [n for n, f in dataset.first().frames.items() if f.get_field("nlviz") is not None]
    fewer = nlviz.read_clip(path, frames=2, size=SIZE)
    assert kept == [times.index(time) + 1 for time in fewer.times]


def test_pictures_and_what_cannot_be_read(dataset: Any, net: nlviz.Model, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    for path in (INPUTS["cat.jpg"], broken, INPUTS["coffee.jpg"]):
        dataset.add_sample(fo.Sample(filepath=str(path)))
    report = nlviz.to_fiftyone(dataset.view(), model=net, name="look", size=SIZE, head=0)
    assert report.done == 2
    assert list(report.failed) == [str(broken)]
    assert "broken.jpg" in report.failed[str(broken)]
    dataset.reload()
    cat, nothing, coffee = dataset
    assert nothing.get_field("look") is None
    capture = net.capture(nlviz.read_clip(INPUTS["cat.jpg"], size=SIZE))
    affinity = capture.affinities["stage4"]
    at, _ = nlviz.opening_query(capture.clip, affinity)
    row = affinity.map(frame=at.frame, y=at.y, x=at.x, head=0)
    wanted = laid_on(row.weights[0], capture.clip.frames[0], row.keys)
    np.testing.assert_allclose(cat.look.map, wanted / row.uniform, rtol=1e-6)
    assert len(coffee.look_query.keypoints) == 1
    assert set(report.fields) == {"look", "look_query", "look_heads", "look_label"}
    label, share = capture.prediction(1)[0]
    assert (cat.look_label.label, cat.look_label.confidence) == (label, pytest.approx(share))
    outside = nlviz.to_fiftyone(dataset, model=net, query=(0, 5000, 3), size=SIZE)
    assert outside.done == 0
    assert len(outside.failed) == 3


def test_figures_of_a_survey_by_the_bytes_of_the_file(
    dataset: Any, net: nlviz.Model, tmp_path: Path
) -> None:
    clips = [INPUTS["cat.jpg"], INPUTS["coffee.jpg"]]
    found = survey(clips, model=net, out=tmp_path / "s", queries=3, engine="inline", size=SIZE)
    copy = tmp_path / "another name.jpg"
    copy.write_bytes(clips[0].read_bytes())
    for path in (copy, clips[1], INPUTS["rocket.jpg"]):
        dataset.add_sample(fo.Sample(filepath=str(path)))
    report = nlviz.to_fiftyone(dataset, survey=tmp_path / "s", name="survey")
    assert report.done == 2
    assert "not among its clips" in report.failed[str(INPUTS["rocket.jpg"])]
    rows = found.rows.to_table().to_pandas()
    mine = rows[(rows.digest == nlviz.digest_of(copy)) & (rows.block == "stage4")]
    dataset.reload()
    told = dataset.first().survey_heads.stage4.head_00
    assert len(mine) == 3
    assert told.effective == pytest.approx(float(mine.effective.mean()), rel=1e-5)


def test_maps_that_do_not_tile_their_frame_are_laid_on_its_pixels() -> None:
    frame = np.zeros((13, 22, 3), np.uint8)
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    tiles = TokenGrid((1, 2, 3), (1, 6.5, 22 / 3), (0, 2.75, 11 / 3 - 0.5))
    assert laid_on(weights, frame, tiles) is weights
    shifted = TokenGrid((1, 2, 3), (1, 6, 7), (0, 2.5, 3.0))
    laid = laid_on(weights, frame, shifted)
    assert laid.shape == (13, 22)
    for y in range(13):
        for x in range(22):
            own = shifted.nearest(frame=0, y=y, x=x)
            assert laid[y, x] == weights.ravel()[own]


def test_what_is_no_dataset_is_refused() -> None:
    with pytest.raises(NlvizError, match="a dataset of FiftyOne or a view of one, got list"):
        nlviz.to_fiftyone([])
    with pytest.raises(NlvizError, match="leave one of the two out"):
        nlviz.to_fiftyone([], model="lite-nl", survey="somewhere")
    with pytest.raises(NlvizError, match="got 'a b'"):
        nlviz.to_fiftyone([], name="a b")
