"""Which bytes FFmpeg is given, whatever a file is called or names."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from nlviz.clips.clip import read_clip
from nlviz.errors import UnreadableClip
from tests.clips.video.films import film, h264, mpeg, plain

NAMES = ("2026-11-28T10:15.mp4", "http:film.mp4", "pipe:0.mp4", "a|b.mp4", "shot%03d.mp4", "-y.mp4")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_have_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(film("mp4", "libx264", h264(12, 2), count=9))
    assert read_clip(name).shape == (9, 32, 48)


def test_a_list_of_parts_is_read_from_this_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "part.ts").write_bytes(film("mpegts", "mpeg2video", mpeg(12, 2), count=20))
    lines = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:0.8,\n{}part.ts\n#EXT-X-ENDLIST\n"
    here = tmp_path / "here.m3u8"
    here.write_text(lines.format(""))
    assert len(read_clip(here).times) == 20
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        there = tmp_path / "there.m3u8"
        there.write_text(lines.format(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        with pytest.raises(UnreadableClip):
            read_clip(there)
        with pytest.raises(BlockingIOError):  # no one has called
            server.accept()


@pytest.mark.parametrize(
    ("container", "codec", "pixels"),
    [("mjpeg", "mjpeg", "yuvj420p"), ("image2pipe", "png", "rgb24"), ("image2pipe", "mjpeg", "")],
)
def test_pictures_behind_each_other_are_a_film(container: str, codec: str, pixels: str) -> None:
    data = film(container, codec, {}, pixels=pixels or "yuvj420p", count=7)
    clip = read_clip(data)
    frames = plain(data)
    assert len(clip.frames) == len(frames) == 7
    assert np.abs(clip.frames.astype(int) - np.stack(frames)).max() < 4
    np.testing.assert_allclose(clip.times, np.arange(7) / 25)
    assert "no times" in clip.notes[-1]
    one = film(container, codec, {}, pixels=pixels or "yuvj420p", count=1)
    assert read_clip(one).reader.startswith("Pillow")
