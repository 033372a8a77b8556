from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nlviz
from nlviz.captures.model import Capture
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.files import local as files
from nlviz.render.shown import ACCENT
from tests.fixtures import BLOCK


@pytest.fixture(scope="module")
def attention(capture: Capture) -> nlviz.AttentionMap:
    return capture.affinities[BLOCK].map(frame=1, y=20, x=50)


def test_frames_are_the_clips_with_the_query_outlined(
    clip: Clip, attention: nlviz.AttentionMap
) -> None:
    shown = nlviz.overlay(clip, attention)
    assert shown.frames.shape == (3, 52, 84, 3)
    assert shown.frames.dtype == np.uint8
    marked = [bool((frame == ACCENT).all(-1).any()) for frame in shown.frames]
    assert marked == [False, True, False]
    assert not shown.frames.flags.writeable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 1.2}, "strength must be between 0 and 1"),
        ({"scale": "own"}, "'map', 'frame' or 'log'"),
        ({"links": -1}, "links must be 0 or more"),
        ({"top": -3.0}, "must be above 0"),
    ],
)
def test_options_out_of_range_are_refused(
    clip: Clip, attention: nlviz.AttentionMap, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(NlvizError, match=message):
        nlviz.overlay(clip, attention, **options)


def test_an_unknown_ending_is_one_sentence(
    clip: Clip, attention: nlviz.AttentionMap, tmp_path: Path
) -> None:
    with pytest.raises(NlvizError, match=r"\.gif, \.mp4 or \.rrd, got 'look\.webm'"):
        nlviz.overlay(clip, attention).save(tmp_path / "look.webm")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    clip: Clip, attention: nlviz.AttentionMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = nlviz.overlay(clip, attention)
    with pytest.raises(NlvizError, match="cannot be written"):
        shown.save(tmp_path / "nowhere" / "look.png")
    (tmp_path / "look.png").mkdir()
    with pytest.raises(NlvizError, match="cannot be written"):
        shown.save(tmp_path / "look.png")
    assert [p.name for p in tmp_path.iterdir()] == ["look.png"]
    kept = files.write_whole(tmp_path / "old.png", b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdopen", full)
    with pytest.raises(NlvizError, match="No space left"):
        files.write_whole(kept, b"new")
    assert kept.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["look.png", "old.png"]


def test_a_notebook_shows_every_frame(clip: Clip, attention: nlviz.AttentionMap) -> None:
    html = nlviz.overlay(clip, attention, scale="frame")._repr_html_()
    assert html.count("<img") == 3
    assert "(query)" in html


def test_the_readmes_line_saves_a_gif(
    clip: Clip, attention: nlviz.AttentionMap, tmp_path: Path
) -> None:
    path = nlviz.overlay(clip, attention, smooth=True).save(tmp_path / "look.gif")
    assert path.read_bytes().startswith(b"GIF89a")
