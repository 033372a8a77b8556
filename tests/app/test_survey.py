"""Surveys in the app: what a link opens is what the table tells, and nothing else can be opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from app.explore import cached, choices, sidebar
from app.explore.state import Choice
from nlviz.surveys.offered import OfferedSurvey
from nlviz.surveys.survey import Survey
from nlviz.zoo import app_offers
from tests.surveyed import EVIL, IN_TAR, write_film


@pytest.fixture
def offered(surveyed: Survey) -> Iterator[OfferedSurvey]:
    offer = OfferedSurvey(surveyed)
    app_offers.offer_surveys([offer], surveyed.report().to_dict())
    yield offer
    app_offers.offer_surveys([], {})


def opened(address: dict[str, str]) -> Choice:
    """Return what Explore opens at an address, as its page does."""
    found = choices.opened(address, choices.Choices())
    assert found.notes == ()
    choice = sidebar.choice_of(found)
    assert isinstance(choice, Choice)
    return choice


def address_of(row: dict[str, Any], name: str, model: str = "lite-nl") -> dict[str, str]:
    at = ",".join(f"{row[axis]:.5g}" for axis in ("frame", "y", "x"))  # as the report has it
    clip = f"survey:{row['digest']}:{name}"
    return {"clip": clip, "model": model, "block": row["block"], "at": at, "head": "0"}


def test_every_row_has_the_figures_of_the_view_that_its_address_opens(
    surveyed: Survey, offered: OfferedSurvey
) -> None:
    rows = surveyed.rows.to_table().to_pylist()
    assert {row["digest"] for row in rows} == offered.clips.keys()
    # Each clip, each block, another of its queries: a row's place is one of its cells.
    taken = rows[:: max(1, len(rows) // 12)]
    assert {row["block"] for row in taken} == {"stage3", "stage4"}
    for row in taken:
        address = address_of(row, offered.clips[row["digest"]])
        capture = cached.capture_of(opened(address), nlviz.Progress())
        view = nlviz.View.from_query_params(address)
        frame, y, x = view.query
        found = capture.affinities[view.block].map(frame=frame, y=y, x=x)
        weights = np.asarray(found.weights, np.float64)
        share = weights[weights > 0]
        assert np.exp(-(share * np.log(share)).sum()) == pytest.approx(row["effective"], rel=2e-4)
        own = weights[round(frame * weights.shape[0] / capture.clip.shape[0] - 0.01)].sum()
        if weights.shape[0] == capture.clip.shape[0]:
            assert own == pytest.approx(row["own_frame"], abs=2e-4)
        assert share.size <= row["keys"] == found.weights.size


def test_the_address_of_an_open_clip_is_the_one_that_opened_it(
    surveyed: Survey, offered: OfferedSurvey
) -> None:
    row = surveyed.rows.to_table().to_pylist()[0]
    address = address_of(row, offered.clips[row["digest"]])
    now = choices.opened(address, choices.Choices())
    capture = cached.capture_of(opened(address), nlviz.Progress())
    frame, y, x = (float(text) for text in address["at"].split(","))
    view = nlviz.View.of(capture, row["block"], frame=frame, y=y, x=x, display=now.display)
    again = choices.parameters(now, view)
    assert (again["clip"], again["model"]) == (address["clip"], "lite-nl")
    assert again.keys() & {"frames", "start", "stride", "size", "fps"} == set()
    assert opened(again) == opened(address)


def test_a_clip_in_a_tar_is_opened_and_one_with_an_odd_name(offered: OfferedSurvey) -> None:
    by_name = {name.rpartition("/")[2]: digest for digest, name in offered.clips.items()}
    for name in (IN_TAR.rpartition("/")[2], EVIL):
        digest = by_name[name]
        choice = opened({"clip": f"survey:{digest}:{name}", "model": "lite-nl"})
        clip = cached.clip_of(choice, nlviz.Progress())
        assert (clip.digest, clip.shape[0]) == (digest, 3)
        source = cached.source(choice)
        assert source is not None
        read = source if isinstance(source, bytes) else source.read_bytes()
        assert nlviz.digest_of(read) == digest


def test_a_clip_that_is_gone_or_another_one_is_told(offered: OfferedSurvey) -> None:
    digest = next(d for d, name in offered.clips.items() if name.endswith("gone.mp4"))
    path = cached.source(opened({"clip": f"survey:{digest}:gone", "model": "lite-nl"}))
    assert isinstance(path, Path)
    content = path.read_bytes()
    try:
        path.unlink()
        with pytest.raises(nlviz.NlvizError, match=r"gone\.mp4"):
            offered.read(digest, None)
        write_film(path, 99)
        with pytest.raises(nlviz.NlvizError, match="another clip than the survey look looked at"):
            offered.read(digest, None)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(
    "clip", ["survey:", "survey:ab12:x.mp4", "survey:../../etc/passwd:x", "survey::/etc/passwd"]
)
def test_no_address_opens_another_file(clip: str, offered: OfferedSurvey) -> None:
    found = choices.opened({"clip": clip, "model": "lite-nl"}, choices.Choices())
    if found.survey:
        with pytest.raises(nlviz.NlvizError, match="nlviz app DIR"):
            sidebar.choice_of(found)
    else:
        assert isinstance(sidebar.choice_of(found), sidebar.Missing)


def test_the_network_is_loaded_as_the_survey_did(offered: OfferedSurvey) -> None:
    digest = next(iter(offered.clips))
    offered.load = {"family": "lite-nl", "pairwise": "gaussian", "autocast": "bfloat16"}
    address = {"clip": f"survey:{digest}:a", "model": "lite-nl"}
    choice = opened(address)
    assert dict(choice.flags) == {"family": "lite-nl", "pairwise": "gaussian"}
    assert choice.half
    other = opened({**address, "model": "recall.gaussian"})
    assert (other.flags, other.half) == ((), False)


def test_the_page_is_there_where_a_survey_is_offered(offered: OfferedSurvey) -> None:
    from app.survey import page

    page._payload.cache_clear()
    test = AppTest.from_function(_survey_page, default_timeout=60)
    test.query_params["lang"] = "ja"
    test.run()
    assert not test.exception
    assert any("アトラス" in each.value for each in test.caption)
    assert len(page._payload()) < 200_000


def _survey_page() -> None:
    from app.survey import page

    page.page()
