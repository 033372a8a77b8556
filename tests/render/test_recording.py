"""Recordings for Rerun, read back with its own reader and compared with the affinity."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nlviz
from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import key_planes, masses
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.captures.model import Capture
from nlviz.errors import NlvizError
from nlviz.files.local import KINDS
from nlviz.render.recording import LINKS
from nlviz.render.save import attention_of, overlay_of
from nlviz.views.view import View
from tests.cli.test_cli import run
from tests.families.timm.test_vit import clip as vit_clip
from tests.families.timm.test_vit import vit
from tests.fixtures import BLOCK, make_clip
from tests.render.tokens import over_boxes, over_words, sentence

chunks = pytest.importorskip("rerun.chunk", reason="rerun-sdk is not installed")

AT = {"frame": 1, "y": 20.0, "x": 50.0}
Rows = dict[str, list[tuple[int | None, dict[str, Any]]]]


def read(path: Path) -> Rows:
    """Return what a recording holds: by entity, its rows in the order of frames, without batches.

    A row without a frame holds at all times.
    """
    found: Rows = {}
    for chunk in chunks.RrdReader(path).stream():
        batch = chunk.to_record_batch()
        for n in range(batch.num_rows):
            row = {
                name.rpartition(":")[2]: batch.column(i)[n].as_py()
                for i, name in enumerate(batch.schema.names)
            }
            found.setdefault(chunk.entity_path, []).append((row.get("frame"), row))
    for rows in found.values():
        rows.sort(key=lambda pair: -1 if pair[0] is None else pair[0])
    return found


def timed(rows: Rows, path: str) -> dict[int, dict[str, Any]]:
    return {n: row for n, row in rows[path] if n is not None}


def statics(rows: Rows, path: str) -> dict[str, Any]:
    return {k: v for n, row in rows[path] if n is None for k, v in row.items()}


def values_of(row: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    form = row["format"][0]
    whole = np.frombuffer(np.array(row["buffer"][0], np.uint8).tobytes(), np.float32)
    return whole.reshape(form["height"], form["width"])


def picture_of(row: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(bytes(row["blob"][0]))) as image:
        return np.asarray(image)


def view_of(capture: Capture, block: str = BLOCK, **display: Any) -> View:
    return View.of(capture, block, **AT, display=display)


@pytest.fixture(scope="module")
def saved(capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    path = tmp_path_factory.mktemp("recording") / "look.rrd"
    nlviz.save_view(capture, view_of(capture, links=7), path)
    assert [p.name for p in path.parent.iterdir()] == ["look.rrd"]
    return read(path)


def test_maps_are_the_rows_in_multiples_of_uniform(saved: Rows, capture: Capture) -> None:
    affinity = capture.affinities[BLOCK]
    row = affinity.rows([affinity.queries.nearest(**AT)])[0, 0].numpy()
    t, h, w = affinity.keys.shape
    maps = timed(saved, "/clip/map")
    assert sorted(maps) == [0, 1, 2]
    for frame, plane in enumerate(key_planes(affinity.keys, 3)):
        wanted = row.reshape(t, h, w)[plane] * row.size
        np.testing.assert_allclose(values_of(maps[frame]), wanted, rtol=1e-6)
    facts = statics(saved, "/clip/map")
    assert facts["uniform"] == [1 / row.size]
    assert facts["unit"] == ["multiples of uniform attention"]
    lo, hi = maps[0]["depth_range"][0]
    assert (lo, hi) == (0.0, pytest.approx(overlay_scale(capture) * row.size))


def overlay_scale(capture: Capture) -> float:
    return overlay_of(capture, capture.affinities[BLOCK], view_of(capture)).look.scale.hi


def test_the_map_lies_where_its_keys_are(saved: Rows, capture: Capture) -> None:
    keys = capture.affinities[BLOCK].keys
    laid = statics(saved, "/clip/map")
    scale, move = laid["scale"][0], laid["translation"][0]
    for index in (0, 5, keys.size - 1):
        _, b, c = keys.unravel(index)
        _, y, x = keys.centre(index)
        # The middle of a cell of the map is the middle of a pixel, which lies half a pixel in.
        assert move[0] + scale[0] * (c + 0.5) == pytest.approx(x + 0.5)
        assert move[1] + scale[1] * (b + 0.5) == pytest.approx(y + 0.5)


def test_frames_come_back_to_the_last_bit(saved: Rows, capture: Capture) -> None:
    drawn = overlay_of(capture, capture.affinities[BLOCK], view_of(capture))
    for path, wanted in (("/clip/frames", capture.clip.frames), ("/clip/overlay", drawn.frames)):
        found = timed(saved, path)
        assert sorted(found) == [0, 1, 2]
        for frame, row in found.items():
            np.testing.assert_array_equal(picture_of(row), wanted[frame])
            seconds = row["time"].total_seconds()
            assert seconds == pytest.approx(capture.clip.times[frame], abs=1e-6)


def test_links_and_shares_are_those_of_the_row(saved: Rows, capture: Capture) -> None:
    attention = attention_of(capture.affinities[BLOCK], view_of(capture))
    wanted = attention.top(7, without=attention.own_keys)
    arrows = timed(saved, "/clip/links")
    found = {key: (frame, n) for frame, row in arrows.items() for n, key in enumerate(row["key"])}
    assert set(found) == {link.index for link in wanted}
    _, y, x = attention.query
    for link in wanted:
        frame, n = found[link.index]
        row = arrows[frame]
        assert frame == link.frame
        assert row["multiple"][n] == pytest.approx(link.multiple)
        assert row["origins"][n] == pytest.approx([x + 0.5, y + 0.5])
        assert row["vectors"][n] == pytest.approx([link.x - x, link.y - y], abs=1e-4)
    shares = [row["scalars"][0] for _, row in sorted(timed(saved, "/row/share").items())]
    np.testing.assert_allclose(shares, masses(attention, 3))
    assert sum(shares) == pytest.approx(1)
    even = [row["scalars"][0] for row in timed(saved, "/row/uniform").values()]
    assert sum(even) == pytest.approx(1)
    most = max(row["scalars"][0] for row in timed(saved, "/row/strongest").values())
    assert most == pytest.approx(wanted[0].multiple)


def test_the_query_is_marked_on_its_frame_and_named_on_the_others(saved: Rows) -> None:
    cells = {
        frame: len(row["half_sizes"]) for frame, row in timed(saved, "/clip/query/cell").items()
    }
    assert cells == {0: 0, 1: 1, 2: 0}
    labels = {frame: row["labels"][0] for frame, row in timed(saved, "/clip/query").items()}
    assert labels[1] == "query"
    assert labels[0] == labels[2] == "query, at 0.25 s"


def test_it_says_what_is_shown_and_carries_the_view(saved: Rows, capture: Capture) -> None:
    (text,) = statics(saved, "/about")["text"]
    view = text.partition("```json\n")[2].partition("\n```")[0]
    assert View.from_json(view) == view_of(capture, links=7)
    assert "noise.mp4 · tiny · 1" in text
    assert "Verified: the block put out what these weights give" in text
    assert "not trained" in text


def test_it_opens_with_a_layout_and_no_clock(capture: Capture, tmp_path: Path) -> None:
    path = nlviz.save_view(capture, view_of(capture), tmp_path / "look.rrd")
    reader = chunks.RrdReader(path)
    assert len(reader.recordings()) == len(reader.blueprints()) == 1
    lines = {name for chunk in reader.stream() for name in chunk.timeline_names}
    assert lines == {"frame", "time"}
    again = nlviz.save_view(capture, view_of(capture), tmp_path / "again.rrd")
    ids = [chunks.RrdReader(p).recordings()[0].recording_id for p in (path, again)]
    assert ids[0] == ids[1]
    other = nlviz.save_view(capture, view_of(capture, leave_out="cell"), tmp_path / "other.rrd")
    assert chunks.RrdReader(other).recordings()[0].recording_id != ids[0]


def test_every_head_is_in_it(tmp_path: Path) -> None:
    capture = nlviz.capture(vit(), vit_clip())
    name = "blocks.1"
    view = View.of(capture, name, frame=0, y=9, x=20, display={"head": 1})
    rows = read(nlviz.save_view(capture, view, tmp_path / "look.rrd"))
    affinity = capture.affinities[name]
    assert affinity.heads > 1
    assert {p for p in rows if p.startswith("/heads/")} == {
        f"/heads/{n:02d}/map" for n in range(affinity.heads)
    }
    for head in range(affinity.heads):
        wanted = affinity.map(frame=0, y=9, x=20, head=head)
        found = values_of(timed(rows, f"/heads/{head:02d}/map")[0])
        np.testing.assert_allclose(found, wanted.weights[0] / wanted.uniform, rtol=1e-6)
    np.testing.assert_array_equal(
        values_of(timed(rows, "/clip/map")[0]), values_of(timed(rows, "/heads/01/map")[0])
    )
    (text,) = statics(rows, "/about")["text"]
    assert f"Head 2 of {affinity.heads}." in text
    token = replace(view, display=replace(view.display, token="cls"))
    rows = read(nlviz.save_view(capture, token, tmp_path / "cls.rrd"))
    assert "/clip/query" not in rows  # a token without a place is nowhere
    vectors = [v for row in timed(rows, "/clip/links").values() for v in row["vectors"]]
    assert len(vectors) == LINKS
    assert not np.any(vectors)


def test_signed_maps_unreachable_keys_and_frames_without_keys(tmp_path: Path) -> None:
    clip = make_clip(frames=5, height=24, width=40)
    keys = TokenGrid((2, 3, 4), (2, 8, 10), (0.5, 3.5, 4.5))
    weights = np.linspace(-0.3, 0.5, 24, dtype=np.float32).reshape(2, 3, 4)
    reach = np.ones((2, 3, 4), bool)
    reach[1, 2, 3] = False
    row = AttentionMap(
        weights, (0.5, 3.5, 4.5), keys, reachable=reach, signed=True, normalised=False
    )
    path = nlviz.overlay(clip, row).save(tmp_path / "look.rrd")
    rows = read(path)
    maps = timed(rows, "/clip/map")
    assert key_planes(keys, 5) == [0, 0, 1, 1, -1]
    assert maps[4]["is_recursive"] == [False]  # cleared, so that frame 3 is not left standing
    np.testing.assert_allclose(values_of(maps[1]), weights[0] * 23, rtol=1e-6)
    assert np.isnan(values_of(maps[3])[2, 3])
    lo, hi = maps[0]["depth_range"][0]
    assert lo == -hi < 0
    shares = {n: row["scalars"][0] for n, row in timed(rows, "/row/share").items()}
    assert shares[4] == 0
    assert 4 not in timed(rows, "/row/strongest")


def test_boxes_are_boxes_on_their_own_frames(tmp_path: Path) -> None:
    keys = TokenBoxes.of(
        [(0, 2, 3, 10, 15), (0, 4, 5, 8, 9), (2, 1, 2, 20, 31)], ("person", "hand", "ball")
    )
    drawn = nlviz.overlay(make_clip(), over_boxes(keys, [0.25, 0.15, 0.6], query=0))
    boxes = timed(read(drawn.save(tmp_path / "look.rrd")), "/clip/map")
    assert {n: row["box"] for n, row in boxes.items()} == {0: [0, 1], 1: [], 2: [2]}
    assert boxes[2]["weight"] == pytest.approx([0.6])
    assert boxes[2]["labels"] == ["ball 1.8×"]
    assert boxes[2]["half_sizes"][0] == [14.5, 9.5]
    assert boxes[2]["centers"][0] == [16.5, 10.5]


def test_a_picture_has_one_frame(lite_nl: nlviz.Model, tmp_path: Path) -> None:
    clip = nlviz.read_clip(nlviz.bundled_inputs()["coffee.jpg"], size=64)
    capture = lite_nl.capture(clip)
    view = View.of(capture, "stage4", frame=0, y=30, x=40, display={"source": "position"})
    rows = read(nlviz.save_view(capture, view, tmp_path / "look.rrd"))
    assert sorted(timed(rows, "/clip/frames")) == [0]
    (text,) = statics(rows, "/about")["text"]
    assert "Verified" not in text  # the receipt is of the block's own rows


def test_a_text_has_no_frames(tmp_path: Path) -> None:
    text = sentence()
    drawn = nlviz.overlay(text, over_words(text, [0.1, 0.4, 0.2, 0.1, 0.1, 0.1], query=2))
    with pytest.raises(NlvizError, match=r"of the frames of a clip.*save \.html"):
        drawn.save(tmp_path / "look.rrd")
    assert not list(tmp_path.iterdir())


def test_the_command_draws_one_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "rrd" in KINDS
    out = tmp_path / "look.rrd"
    common = ("attend", "coffee.jpg", "--size", "64", "--query", "0,30,40")
    done = run(*common, "-o", str(out))
    assert done.exit_code == 0, done.output
    assert "/clip/map" in read(out)
    out.unlink()
    monkeypatch.setitem(sys.modules, "rerun", None)
    for command in (common, ("render", str(saved_view(tmp_path)))):
        refused = run(*command, "-o", str(out))
        assert refused.exit_code == 1
        assert 'needs the package rerun-sdk; pip install "nlviz[rerun]"' in refused.output
        assert not out.exists()


def saved_view(folder: Path) -> Path:
    """Return a view that no clip is there for: what is missing is told before it is looked for."""
    view = View.from_query_params(
        {"clip": "nowhere.mp4", "model": "lite-nl", "block": "stage4", "at": "0,3,4"}
    )
    path = folder / "view.json"
    path.write_text(view.to_json(), "utf-8")
    return path
