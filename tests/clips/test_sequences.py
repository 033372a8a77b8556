"""Folders, patterns, globs and lists of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nlviz.clips.clip import read_clip
from nlviz.clips.inputs import digest_of_input, find_input, frame_times
from nlviz.clips.sequences import natural
from nlviz.errors import UnreadableClip


def flat(level: int, size: tuple[int, int] = (33, 47)) -> Image.Image:
    return Image.fromarray(np.full((*size, 3), level, np.uint8))


def levels(clip: object) -> list[int]:
    return [int(frame[5, 7, 0]) for frame in clip.frames]  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirteen pictures whose level is ten times their number."""
    where = tmp_path / "walk"
    where.mkdir()
    for number in range(13):
        flat(10 * number).save(where / f"img_{number}.png")
    return where


EVERY = [10 * number for number in range(13)]


@pytest.mark.parametrize("pattern", ["", "img_%d.png", "img_#.png", "img_*.png", "IMG_*.PNG"])
def test_a_folder_and_its_patterns_are_one_clip(folder: Path, pattern: str) -> None:
    clip = read_clip(folder / pattern)
    assert levels(clip) == EVERY
    assert clip.name == (pattern or "walk")
    assert clip.digest == digest_of_input(folder) == read_clip(sorted_files(folder)).digest
    np.testing.assert_allclose(clip.times, np.arange(13) / 25)
    assert any("25 a second are assumed" in note for note in clip.notes)
    np.testing.assert_allclose(frame_times(folder / pattern), clip.times)


def sorted_files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: int(path.stem[4:]))


def test_padded_numbers_need_their_digits(tmp_path: Path) -> None:
    for number in (2, 31, 4444, 55555):
        flat(number % 250).save(tmp_path / f"f{number:04d}.png")
    flat(7).save(tmp_path / "f9.png")
    assert len(read_clip(tmp_path / "f%04d.png").frames) == 4
    assert len(read_clip(tmp_path / "f####.png").frames) == 4
    assert len(read_clip(tmp_path / "f%d.png").frames) == 5
    assert len(read_clip(tmp_path / "f[39]*.png").frames) == 1


def test_a_sampling_is_that_of_films(folder: Path) -> None:
    assert levels(read_clip(folder, frames=3)) == [0, 60, 120]
    assert levels(read_clip(folder, stride=5)) == [0, 50, 100]
    assert levels(read_clip(folder, start=0.5, stride=2, frames=2, fps=10)) == [50, 70]
    late = read_clip(folder, start=1.0, frames=1, fps=5)
    assert (levels(late), late.times.tolist(), late.sampling.fps) == ([50], [1.0], 5)
    assert not any("second" in note for note in late.notes)
    with pytest.raises(UnreadableClip, match=r"before the last frame at 0\.48 s"):
        read_clip(folder, start=2)


def test_only_the_pictures_that_are_kept_are_read(folder: Path) -> None:
    (folder / "img_5.png").write_bytes(b"broken")
    assert levels(read_clip(folder, stride=4)) == [0, 40, 80, 120]
    with pytest.raises(UnreadableClip, match=r"walk: img_5\.png: .*complete"):
        read_clip(folder)


def test_what_is_left_out_missing_or_resized_is_told(folder: Path) -> None:
    (folder / "img_7.png").unlink()
    (folder / "img_8.png").unlink()
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "readme.txt").write_text("frames")
    flat(33, (66, 94)).save(folder / "img_3.png")
    clip = read_clip(folder)
    assert (clip.shape, levels(clip)[3]) == ((11, 33, 47), 33)
    told = " ".join(clip.notes)
    assert "One other file is left out (readme.txt)." in told
    assert "2 numbers are missing between 0 and 12, first 7" in told
    assert "2 sizes; all are shown at that of the first, 47 x 33 px" in told
    flat(1).save(folder / "mask_1.png")
    assert "2 kinds of names (img_#.png and mask_#.png)" in " ".join(read_clip(folder).notes)


def test_every_second_number_is_no_gap(tmp_path: Path) -> None:
    for number in range(0, 14, 2):
        flat(number).save(tmp_path / f"{number:03d}.png")
    assert not any("missing" in note for note in read_clip(tmp_path).notes)


def test_a_list_keeps_its_order_and_takes_arrays_and_bytes(folder: Path) -> None:
    array = np.full((33, 47, 3), 77, np.uint8)
    files = [folder / "img_9.png", str(folder / "img_2.png"), (folder / "img_4.png").read_bytes()]
    clip = read_clip([*files, array, array[..., 0]], fps=4)
    assert levels(clip) == [90, 20, 40, 77, 77]
    assert clip.times.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert clip.name == "img_9.png to picture 5"
    deep = np.linspace(0, 1, 33 * 47).reshape(33, 47)
    assert read_clip([deep, deep / 2]).frames.max(axis=(1, 2, 3)).tolist() == [255, 128]


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ([], "at least one"),
        ([3], "paths, bytes or arrays, this one a int"),
        ([np.zeros((2, 3, 4, 5))], r"\(H, W\), or \(H, W, C\)"),
        ([np.zeros((5, 4), complex)], "real numbers"),
        (["no.png"], "there is no file 'no.png'"),
    ],
)
def test_a_list_of_something_else_is_refused(wrong: list[object], rule: str) -> None:
    with pytest.raises(UnreadableClip, match=rule):
        read_clip(wrong)  # type: ignore[arg-type]


def test_a_folder_without_pictures_says_what_it_holds(tmp_path: Path) -> None:
    inner = tmp_path / "shots"
    inner.mkdir()
    with pytest.raises(UnreadableClip, match=r"folders \(shots\): give one that holds the frames"):
        read_clip(tmp_path)
    (tmp_path / "walk.mp4").write_bytes(b"film")
    with pytest.raises(UnreadableClip, match=r"but walk\.mp4: give the path of one video"):
        read_clip(tmp_path)
    with pytest.raises(UnreadableClip, match="holds no picture; give one"):
        read_clip(inner)
    with pytest.raises(UnreadableClip, match=r"no file in 'shots' fits 'a_%d\.png'"):
        read_clip(inner / "a_%d.png")
    with pytest.raises(UnreadableClip, match="there is no folder"):
        read_clip(tmp_path / "none" / "a_%d.png")
    with pytest.raises(UnreadableClip, match="there is no file"):
        find_input(str(inner / "a_%d.png"))


def test_names_sort_as_people_count() -> None:
    names = ["b1", "a10", "a9", "A1", "a1b2", "a1b10", "10", "9"]
    assert sorted(names, key=natural) == ["9", "10", "A1", "a1b2", "a1b10", "a9", "a10", "b1"]


def test_pictures_of_deep_kinds_share_one_scale(tmp_path: Path) -> None:
    for number, top in enumerate((900, 4000, 2000)):
        ramp = np.linspace(0, top, 29).round().astype(np.uint16)
        Image.fromarray(np.tile(ramp, (17, 1))).save(tmp_path / f"{number}.png")
    clip = read_clip(tmp_path)
    assert [int(f.max()) for f in clip.frames] == [56, 249, 125]
    assert "shown as 12 bits: 4095 is white" in " ".join(clip.notes)
