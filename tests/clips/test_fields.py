from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from nlviz.clips.clip import read_clip
from nlviz.clips.fields import looks_woven
from nlviz.clips.fields import woven as woven_parts
from nlviz.clips.shown_frames import Screen
from nlviz.clips.streams import StreamFacts
from nlviz.resources import asset
from tests.colour_patches import film

HEIGHT, WIDTH = 96, 192
TOLD = "The film is interlaced"


def scene(at: int) -> npt.NDArray[np.uint8]:
    """Return a bright square before fine stripes that stand still; the square moves."""
    grey = np.full((HEIGHT, WIDTH), 40, np.uint8)
    grey[:16, ::3] = 80
    grey[24:72, 16 + at : 64 + at] = 220
    return grey[..., None].repeat(3, 2)


def woven(k: int, first: str) -> npt.NDArray[np.uint8]:
    """Return frame k of a square that moves 8 pixels a field; its first field is at 16 k."""
    frame = scene(16 * k)
    late = 1 if first == "top" else 0
    frame[late::2] = scene(16 * k + 8)[late::2]
    return frame


def marked(frame: Any, first: str | None) -> Any:
    """Return a frame that carries the flags of its fields."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    flag = graph.add("setfield", {"top": "tff", "bottom": "bff", None: "prog"}[first])
    sink = graph.add("buffersink")
    source.link_to(flag)
    flag.link_to(sink)
    graph.configure()
    graph.push(frame)
    return graph.pull()


def interlaced(
    codec: str, container: str, first: str, options: dict[str, str], layout: str = "yuv420p"
) -> bytes:
    frames = []
    for k in range(6):
        frame = av.VideoFrame.from_ndarray(woven(k, first), format="rgb24")
        frames.append(marked(frame.reformat(format=layout), first))
    flags = 1 << 18 | 1 << 29  # interlaced transform and motion, for FFmpeg's own encoders

    def ready(stream: Any) -> None:
        if codec in ("mpeg2video", "prores_ks"):
            stream.codec_context.flags |= flags

    return film(container, codec, frames, layout=layout, options=options, ready=ready)


@pytest.mark.parametrize("first", ["top", "bottom"])
@pytest.mark.parametrize(
    ("codec", "container", "options", "layout"),
    [
        ("libx264", "mp4", {"crf": "5", "x264-params": "interlaced=1"}, "yuv420p"),
        ("libx264", "matroska", {"crf": "5", "x264-params": "interlaced=1"}, "yuv422p10le"),
        ("mpeg2video", "mpegts", {"b": "20M", "qmin": "1"}, "yuv420p"),
        ("ffv1", "matroska", {}, "yuv422p"),
        ("prores_ks", "mov", {}, "yuv422p10le"),
    ],
)
def test_the_first_field_is_shown(
    codec: str, container: str, options: dict[str, str], layout: str, first: str
) -> None:
    """Right from the definition: frame k shows the scene of its first field, without combs."""
    clip = read_clip(interlaced(codec, container, first, options, layout))
    assert clip.shape == (6, HEIGHT, WIDTH)
    assert any(TOLD in note for note in clip.notes)
    for k, frame in enumerate(clip.frames):
        grey = frame[..., 1].astype(int)
        want = scene(16 * k)[..., 1].astype(int)
        assert not woven_parts(frame[..., 1]).any()
        # Away from the edges of the square, where computed lines lie between its two levels.
        inner = np.abs(grey - want)[28:68]
        assert np.median(inner) <= 3
        left = int((grey[44:52].mean(0) > 150).argmax())
        assert abs(left - (16 + 16 * k)) <= 2
        still = np.abs(grey - want)[:16]
        assert still.max() <= 24  # stripes that stand still keep their lines


def test_a_frame_looks_the_same_whichever_are_read_beside_it() -> None:
    data = interlaced("libx264", "mp4", "top", {"crf": "5", "x264-params": "interlaced=1"})
    whole = read_clip(data).frames
    np.testing.assert_array_equal(read_clip(data, stride=3).frames, whole[::3])
    np.testing.assert_array_equal(read_clip(data, start=0.16, frames=2).frames, whole[[4, 5]])


@pytest.mark.parametrize("name", ["photos/coffee.jpg", "photos/cat.jpg", "clips/bunny.mp4"])
def test_progressive_film_that_is_flagged_interlaced_keeps_its_detail(name: str) -> None:
    rgb = read_clip(asset(name), frames=1).frames[0]
    rgb = np.ascontiguousarray(rgb[: len(rgb) // 2 * 2, : rgb.shape[1] // 2 * 2])
    frame: Any = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
    frame = marked(frame, "top")
    stored = frame.to_ndarray(format="rgb24")
    kept = (Screen(StreamFacts("h264")).shown(frame) == stored).all(-1).mean()
    assert kept > 0.98
    assert not looks_woven(np.asarray(frame.to_ndarray(format="gray")))


def test_film_without_motion_keeps_every_bit() -> None:
    smooth: Any = av.VideoFrame.from_ndarray(scene(0), format="rgb24").reformat(format="yuv420p")
    smooth = marked(smooth, "top")
    screen = Screen(StreamFacts("h264"))
    shown = screen.shown(smooth)
    np.testing.assert_array_equal(shown, smooth.to_ndarray(format="rgb24"))
    assert screen.notes == []


def test_combs_that_the_file_does_not_speak_of_are_said() -> None:
    clip = read_clip(asset("clips/bunny.mp4"), frames=2)
    one, two = clip.frames
    one = one.copy()
    one[1::2] = two[1::2]
    assert looks_woven(one[..., 1])
    frame: Any = av.VideoFrame.from_ndarray(one, format="rgb24")
    screen = Screen(StreamFacts("h264"))
    np.testing.assert_array_equal(screen.shown(frame), one)
    assert "does not say so; it is shown as stored" in screen.notes[0]


def test_frames_that_are_flagged_progressive_are_left_alone() -> None:
    frame: Any = av.VideoFrame.from_ndarray(woven(1, "top"), format="rgb24")
    frame = frame.reformat(format="yuv420p")
    for codec, order in (("h264", 2), ("", 0), ("rawvideo", 1)):
        screen = Screen(StreamFacts(codec, field_order=order))
        np.testing.assert_array_equal(screen.shown(frame), frame.to_ndarray(format="rgb24"))
    told = Screen(StreamFacts("rawvideo", field_order=2))  # where only the container knows
    assert (told.shown(frame) != frame.to_ndarray(format="rgb24")).any()
    assert TOLD in told.notes[0]


def test_fields_that_are_stored_one_by_one_have_the_height_of_frames() -> None:
    fields = []
    for k in range(6):
        field = np.ascontiguousarray(scene(8 * k)[k % 2 :: 2])
        fields.append(av.VideoFrame.from_ndarray(field, format="rgb24").reformat(format="yuv420p"))
    options = {"x265-params": "log-level=none:interlace=tff"}
    clip = read_clip(film("matroska", "libx265", fields, layout="yuv420p", options=options))
    assert clip.shape == (6, HEIGHT, WIDTH)
    assert "one by one (interlaced HEVC)" in clip.notes[0]
    for k, frame in enumerate(clip.frames):
        bright = frame[..., 1] > 150
        assert abs(int(bright.any(1).sum()) - 48) <= 3
        assert abs(int(bright.any(0).argmax()) - (16 + 8 * k)) <= 2
