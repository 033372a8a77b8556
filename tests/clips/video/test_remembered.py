"""What is remembered of a file holds only while the file stays as it was."""

from __future__ import annotations

import os
import time
from io import BytesIO
from pathlib import Path

from nlviz.clips.video.remembered import name_of


def aged(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_files_that_just_changed_have_no_name(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"frames")
    assert name_of(path) is None
    aged(path, 60)
    first = name_of(path)
    assert first is not None
    assert name_of(path) == first
    path.write_bytes(b"others")
    aged(path, 50)
    assert name_of(path) not in (None, first)
    assert name_of(tmp_path / "missing.mp4") is None


def test_bytes_are_known_by_what_they_hold() -> None:
    assert name_of(BytesIO(b"one")) == name_of(BytesIO(b"one")) != name_of(BytesIO(b"two"))
