from __future__ import annotations

import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.grid import TokenGrid
from nlviz.clips.clip import Clip
from nlviz.render import movie, moving_pictures
from nlviz.render.overlay import Overlay, overlay
from nlviz.render.shown import ACCENT
from tests.fixtures import make_clip


def shown(frames: int, height: int, width: int) -> Overlay:
    clip = make_clip(frames, height, width)
    keys = TokenGrid((frames, 3, 5), (1, height / 3, width / 5), (0, height / 6, width / 10))
    weights = np.random.default_rng(1).random(keys.shape).astype(np.float32)
    query = (frames // 2, height / 2, width / 2)
    return overlay(clip, AttentionMap(weights / weights.sum(), query, keys))


def test_a_gif_has_a_page_per_frame_and_loops() -> None:
    with Image.open(BytesIO(movie.gif(shown(5, 53, 87)))) as image:
        assert getattr(image, "n_frames") == 5  # noqa: B009 some formats have none
        assert image.info["loop"] == 0
        assert image.info["duration"] == 250
        assert image.width == 480


@pytest.mark.parametrize(("frames", "height", "width"), [(6, 53, 87), (3, 91, 40), (1, 61, 77)])
def test_an_mp4_is_playable_h264(frames: int, height: int, width: int, tmp_path: Path) -> None:
    what = shown(frames, height, width)
    path = what.save(tmp_path / "look.mp4")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.width % 2 == stream.height % 2 == 0
        assert stream.average_rate is not None
        assert 2 <= stream.average_rate <= 6
        decoded = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
    assert len(decoded) == (frames if frames > 1 else 12)
    reader = cv2.VideoCapture(str(path))
    ok, picture = reader.read()
    reader.release()
    assert ok
    first = next(iter(movie.pages(what))).astype(int)
    assert picture.shape == first.shape
    # BT.709 is tagged, so both readers must give the colours back.
    assert np.abs(decoded[0].astype(int) - first).mean() < 6


def boxes(data: bytes) -> list[str]:
    kinds, at = [], 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        kinds.append(kind.decode())
        at += size
    return kinds


def test_an_mp4_begins_with_its_index_and_names_its_colours() -> None:
    data = movie.mp4(shown(3, 53, 87))
    kinds = boxes(data)
    assert kinds.index("moov") < kinds.index("mdat")
    # Primaries, transfer and matrix of BT.709, limited range, named by the container as well.
    assert b"colrnclx" + bytes([0, 1, 0, 1, 0, 1, 0]) in data
    with av.open(BytesIO(data)) as container:
        codec = container.streams.video[0].codec_context
        named = (codec.colorspace, codec.color_range, codec.color_primaries, codec.color_trc)
        assert named == (1, 1, 1, 1)
        assert codec.profile in ("High", "Main", "Constrained Baseline")


@pytest.mark.parametrize(("frames", "pace"), [(7, 4.0), (1, 6.0)])
def test_an_mp4_runs_at_one_rate(frames: int, pace: float) -> None:
    with av.open(BytesIO(movie.mp4(shown(frames, 30, 50)))) as container:
        stream = container.streams.video[0]
        times = [frame.time for frame in container.decode(stream)]
        count = frames if frames > 1 else round(moving_pictures.STILL_SECONDS * pace)
        np.testing.assert_allclose(times, np.arange(count) / pace, atol=1e-3)
        assert stream.duration is not None
        assert stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(count / pace, abs=1e-3)


@pytest.mark.parametrize(
    ("height", "width"), [(400, 30), (30, 400), (67, 101), (1, 300), (300, 1), (7, 5)]
)
def test_pictures_keep_their_shape_on_even_pages(height: int, width: int) -> None:
    clip = Clip.from_frames(np.full((2, height, width, 3), (200, 40, 40), np.uint8))
    keys = TokenGrid((2, 1, 1), (1, height, width), ((height - 1) / 2, (width - 1) / 2, 0))
    attention = AttentionMap(np.full((2, 1, 1), 0.5, np.float32), (0, 0.0, 0.0), keys)
    page = list(movie.pages(overlay(clip, attention, strength=0.0)))[1]
    assert page.shape[0] % 2 == page.shape[1] % 2 == 0
    inked = np.abs(page[: -movie.FOOTER].astype(int) - movie.GROUND).max(-1) > 6
    rows, columns = inked.any(1).sum(), inked.any(0).sum()
    assert inked[inked.any(1)][:, inked.any(0)].mean() > 0.9
    assert max(rows, columns) >= 480
    factor = max(rows, columns) / max(height, width)
    assert abs(rows - max(height * factor, 1)) <= 1
    assert abs(columns - max(width * factor, 1)) <= 1


def test_a_movie_carries_the_notes_of_clip_and_map_to_see_and_to_read() -> None:
    plain = shown(3, 53, 87)
    clip = plain.clip.noted("Shown half as fast as it was taken.", "Its colours were assumed.")
    noted = replace(plain, clip=clip, notes=("Head 2.",))
    said = "Shown half as fast as it was taken. Its colours were assumed. Head 2."
    (first, *_), (bare, *_) = movie.pages(noted), movie.pages(plain)
    height = bare.shape[0]
    assert (first[:height] == bare).all() and first.shape[0] > height
    assert first.shape[0] % 2 == 0
    below = first[height:].astype(int)
    assert (np.abs(below - movie.GROUND).max(-1) > 60).sum() > 300  # letters
    with av.open(BytesIO(movie.mp4(noted))) as container:
        assert container.metadata["comment"] == said
    with Image.open(BytesIO(movie.gif(noted))) as image:
        assert image.info["comment"].decode() == said


def test_the_querys_frame_is_marked() -> None:
    pages = list(movie.pages(shown(5, 52, 88)))
    borders = [bool((page[2] == np.array(ACCENT)).all(-1).mean() > 0.9) for page in pages]
    assert borders == [False, False, True, False, False]


def test_the_pace_follows_the_clip_within_limits() -> None:
    assert moving_pictures.pace(shown(4, 30, 50).clip) == 4.0
    slow = shown(2, 30, 50)
    slow.clip.times.flags.writeable = True
    slow.clip.times[:] = [0.0, 3.0]
    assert moving_pictures.pace(slow.clip) == 2.0


def test_progress_is_told_and_may_stop_the_drawing() -> None:
    told: list[float] = []
    movie.gif(shown(3, 30, 50), progress=lambda sentence, share: told.append(share))
    assert told == pytest.approx([1 / 3, 2 / 3, 1])

    def stop(sentence: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        movie.mp4(shown(3, 30, 50), progress=stop)
