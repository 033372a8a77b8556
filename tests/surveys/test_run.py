"""Runs of a survey: the same bits whatever runs it, and clips that fail leave the others alone."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.surveys import pieces
from nlviz.surveys import run as running
from nlviz.surveys.survey import Survey, read_survey, survey
from tests.nets import CLIPS, clip_net
from tests.surveys.films import noise_film, noise_films, plain_film
from tests.surveys.surveyed import ASKED, TINY, bits, surveyed, told

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of nine films: one is there twice, one is broken, one is empty."""
    folder = tmp_path_factory.mktemp("films")
    made = noise_films(folder, 6)
    shutil.copy(made[2], folder / "a-second-name.mp4")
    (folder / "broken.mp4").write_bytes(made[3].read_bytes()[:700])
    (folder / "empty.mp4").touch()
    return folder


@pytest.fixture(scope="module")
def undisturbed(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """The survey of these films, in this process."""
    return surveyed(films, tmp_path_factory.mktemp("undisturbed"), engine="inline")


def test_each_clip_is_told(undisturbed: Survey) -> None:
    found = told(undisturbed)
    assert found == {
        "a-second-name.mp4": ("done", None),
        "broken.mp4": ("failed", "unreadable"),
        "empty.mp4": ("failed", "unreadable"),
        **{f"clip-{n:04d}.mp4": ("done", None) for n in range(6)},
        "clip-0002.mp4": ("same", None),
    }
    clips = {line["name"]: line for line in undisturbed.clips.to_table().to_pylist()}
    same, first = clips["clip-0002.mp4"], clips["a-second-name.mp4"]
    assert same["same_as"] == first["uri"] and same["digest"] == first["digest"]
    assert "is empty" in clips["empty.mp4"]["reason"]
    assert (first["frames"], first["height"], first["width"]) == (4, 48, 64)
    assert first["duration"] == pytest.approx(0.4) or first["duration"] > 0
    assert first["thumbnail"][:2] == b"\xff\xd8" and not clips["empty.mp4"]["thumbnail"]
    [run] = undisturbed.runs.to_pylist()
    assert run["engine"] == "inline" and run["device"] == "cpu" and run["ended"] >= run["started"]
    assert run["weights"] == undisturbed.weights and len(undisturbed.weights) == 64


def test_rows_are_those_of_the_clips_that_are_done(undisturbed: Survey) -> None:
    digests = set(undisturbed.clips.to_table(["digest"])["digest"].to_pylist()) - {None}
    rows = undisturbed.rows.to_table()
    assert set(rows["digest"].to_pylist()) == digests and len(digests) == 6
    assert len(rows) == len({tuple(r.values()) for r in rows.select(
        ["digest", "block", "head", "query"]).to_pylist()})  # fmt: skip


@pytest.mark.parametrize("workers", [1, 4])
def test_processes_give_the_same_bits(
    films: Path, undisturbed: Survey, tmp_path: Path, workers: int
) -> None:
    found = surveyed(films, tmp_path / "out", workers=workers)
    assert bits(found) == bits(undisturbed)
    [run] = found.runs.to_pylist()
    assert run["engine"] == "local" and run["workers"] == workers


def test_order_and_parts_are_not_seen(
    films: Path, undisturbed: Survey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PART_CLIPS", 2)
    last_first = sorted(films.iterdir(), reverse=True)
    heard: list[tuple[str, float]] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = survey(
            last_first, out=tmp_path / "out", model=TINY, engine="inline", **ASKED,
            progress=lambda sentence, share: heard.append((sentence, share)),
        )  # fmt: skip
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert len(list((tmp_path / "out" / "clips").iterdir())) >= 5
    assert bits(found) == bits(undisturbed)
    assert heard[-1][0].startswith("9 of 9 clips, ") and heard[-1][0].endswith(", 2 failed")
    assert heard[-1][1] == 1.0


def test_clips_that_end_workers_fail_alone(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    good = noise_films(folder, 5)
    for name, colour in (  # they come last, so that few workers have to be replaced
        ("ends", (255, 255, 255)),
        ("crashes", (0, 0, 0)),
        ("large", (255, 0, 0)),
        ("refused", (0, 0, 255)),
    ):
        plain_film(folder / f"{name}.mp4", colour)
    listed = tmp_path / "clips.txt"
    names = [*sorted(folder.iterdir()), folder / "deleted.mp4"]
    listed.write_text("\n".join(str(path) for path in names))
    found = surveyed(listed, tmp_path / "out", model="tests.surveys.nets:fragile", workers=2)
    status = {Path(name).name: said for name, said in told(found).items()}
    faults = {name: fault for name, (_, fault) in status.items() if fault}
    assert faults == {
        "ends.mp4": "died",
        "crashes.mp4": "died",
        "large.mp4": "memory",
        "refused.mp4": "refused",
        "deleted.mp4": "missing",
    }
    clips = found.clips.to_table(["name", "reason"]).to_pylist()
    reason = {Path(line["name"]).name: line["reason"] for line in clips}
    assert reason["ends.mp4"] == "its worker ended itself with code 7"
    assert "crashed with SIGSEGV" in reason["crashes.mp4"]
    assert reason["refused.mp4"] == "ValueError: this network takes no blue"
    assert "too little memory" in reason["large.mp4"]
    # The others have the rows that they have where nobody dies.
    alone = surveyed(good, tmp_path / "alone", engine="inline")
    assert bits(alone)[0] == bits(found)[0]


def test_what_failed_for_want_of_memory_or_changed_is_done_again(tmp_path: Path) -> None:
    films = tmp_path / "films"
    noise_films(films, 3)
    plain_film(films / "large.mp4", (255, 0, 0))
    (films / "broken.mp4").write_bytes(b"not yet a film")
    out = tmp_path / "out"
    asked = {"model": "tests.surveys.nets:fragile", "engine": "inline"}
    first = surveyed(films, out, **asked)
    assert told(first)["large.mp4"] == ("failed", "memory")
    with pytest.raises(NlvizError, match=r"holds a survey; go on with it with --resume"):
        surveyed(films, out, **asked)
    with pytest.raises(NlvizError, match="queries 5, not 6; ask for the same"):
        surveyed(films, out, **asked, resume=True, queries=6)
    with pytest.raises(NlvizError, match=r"model tests.surveys.nets:fragile, not lite-nl"):
        surveyed(films, out, model="lite-nl", resume=True, engine="inline")
    assert bits(read_survey(out)) == bits(first)
    noise_film(films / "broken.mp4", 7)
    noise_film(films / "clip-0001.mp4", 8)
    noise_film(films / "new.mp4", 9)
    heard: list[str] = []
    again = surveyed(films, out, **asked, resume=True, progress=lambda s, _: heard.append(s))
    runs = again.clips.to_table(["name", "run"]).to_pylist()
    second = again.runs["run"].to_pylist()[1]
    done = {line["name"] for line in runs if line["run"] == second}
    assert done == {"broken.mp4", "clip-0001.mp4", "large.mp4", "new.mp4"}
    assert told(again)["broken.mp4"] == ("done", None)
    assert told(again)["large.mp4"] == ("failed", "memory")
    assert bits(again) == bits(surveyed(films, tmp_path / "anew", **asked))
    (films / "clip-0000.mp4").unlink()
    assert bits(surveyed(films, out, **asked, resume=True)) == bits(again)


def test_another_network_of_the_same_name_is_refused(tmp_path: Path) -> None:
    films = noise_films(tmp_path / "films", 2)
    asked = {"model": "tests.surveys.nets:unseeded", "engine": "inline"}
    surveyed(films[:1], tmp_path / "out", **asked)
    with pytest.raises(NlvizError, match="a survey is of one network, and the weights"):
        surveyed(films, tmp_path / "out", **asked, resume=True)
    with pytest.raises(NlvizError, match=r"one network|same network"):
        surveyed(films, tmp_path / "other", model=asked["model"], workers=2)
    assert read_survey(tmp_path / "out").counts["done"] == 1


def test_networks_and_clips_of_this_process(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), np.uint8)
    clip = Clip.from_frames(pixels, name="made here")
    film = noise_film(tmp_path / "film.mp4", 1)
    model = Model(clip_net(), input_spec=CLIPS)
    found = surveyed([clip, film], tmp_path / "out", model=model)
    assert told(found) == {"made here": ("done", None), "film.mp4": ("done", None)}
    by_name = surveyed([clip, film], tmp_path / "by-name", engine="inline")
    assert bits(found)[0] == bits(by_name)[0]
    again = surveyed([clip, film], tmp_path / "out", model=model, resume=True)
    assert len(again.runs) == 2 and bits(again) == bits(found)
    with pytest.raises(NlvizError, match="stays in it; name a file or MODULE:FUNCTION"):
        surveyed([film], tmp_path / "two", model=model, workers=2)
    with pytest.raises(NlvizError, match="name of a network or a network, got a int"):
        surveyed([film], tmp_path / "two", model=3)


def test_what_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    film = noise_film(tmp_path / "film.mp4", 1)
    for options, said in (
        ({"engine": "dask"}, "an engine is local, ray or inline, got 'dask'"),
        ({"address": "auto"}, "an address is that of a Ray cluster"),
        ({"limit": 0}, "limit is a number of clips"),
        ({"model": "lite-ln", "engine": "inline"}, "did you mean 'lite-nl'"),
    ):
        with pytest.raises(NlvizError, match=said):
            surveyed(film, tmp_path / "out", **options, resume=True)
    with pytest.raises(NlvizError, match=r"no 'nowhere.mp4'"):
        surveyed("nowhere.mp4", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to write beyond this size, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_clips_whose_rows_the_disk_does_not_take_are_told_and_done_again(
    films: Path, undisturbed: Survey, tmp_path: Path
) -> None:
    with files_of_at_most(6_500):
        found = surveyed(films, tmp_path / "out", engine="inline")
    failed = [name for name, (_, fault) in told(found).items() if fault == "disk"]
    assert len(failed) == 7
    [reason, *_] = found.clips.to_table(["reason"])["reason"].to_pylist()
    assert reason == "its rows could not be written: file too large"
    again = surveyed(films, tmp_path / "out", engine="inline", resume=True)
    assert bits(again) == bits(undisturbed)


def test_a_full_disk_stops_the_run_and_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "RESERVED", 100_000)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a disk of its own can be mounted by the superuser only")
    try:
        films = noise_films(tmp_path / "films", 40)
        with pytest.raises(NlvizError, match=r"takes nothing: .*no space left.*--resume"):
            surveyed(films, disk / "out", engine="inline")
        stopped = read_survey(disk / "out")
        assert 0 < stopped.counts["done"] < 40 and stopped.counts["failed"] > 0
        assert set(told(stopped).values()) == {("done", None), ("failed", "disk")}
        subprocess.run(["mount", "-o", "remount,size=9m", str(disk)], check=True)
        again = surveyed(films, disk / "out", engine="inline", resume=True)
        assert again.counts["done"] == 40
        assert bits(again) == bits(surveyed(films, tmp_path / "anew", engine="inline"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
