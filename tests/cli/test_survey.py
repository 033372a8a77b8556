"""`nlviz survey`: killed, interrupted and gone on with, as a user does it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from nlviz.errors import NlvizError
from nlviz.surveys.survey import read_survey
from tests.cli.test_cli import run
from tests.surveys.films import noise_films
from tests.surveys.nets import ALLOWED, FORWARDS
from tests.surveys.surveyed import TINY, bits, surveyed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ASKED = ["--queries", "5", "--frames", "4", "--without", "position,nl_means"]
SLOW = "tests.surveys.nets:slow"
PATIENCE = 300.0  # seconds; a busy machine takes a minute to start a worker


def test_a_survey_is_made_and_summed_up(tmp_path: Path) -> None:
    films = tmp_path / "films"
    noise_films(films, 3)
    (films / "empty.mp4").touch()
    (films / "notes.md").touch()
    out = tmp_path / "out"
    command = ["survey", str(films), "--model", TINY, *ASKED, "--engine", "inline", "-o", str(out)]
    result = run(*command)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "4 clips: 3 done, 1 failed"
    assert lines[1:3] == [
        "unreadable (1):",
        "  'empty.mp4' is empty; choose a file that holds a video or a picture",
    ]
    assert lines[3].startswith("15 rows in ")
    assert lines[4:] == [
        f"look at it: nlviz app {out}",
        f"as a page:  nlviz report {out} -o report.html",
    ]
    assert "note: Left out: 1 .md file." in result.stderr
    assert read_survey(out).counts["done"] == 3
    again = run(*command)
    assert again.exit_code == 1 and "go on with it with --resume" in again.output
    assert "Traceback" not in again.output
    resumed = run(*command, "--resume")
    assert resumed.exit_code == 0
    assert resumed.stdout.splitlines()[0] == "4 clips: 3 done, 1 failed (4 of them before)"


def test_a_survey_of_which_no_clip_is_done_fails(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    out = str(tmp_path / "out")
    result = run(
        "survey", str(tmp_path / "empty.mp4"), "--model", TINY, "--engine", "inline", "-o", out
    )
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "1 clip: 0 done, 1 failed"
    assert "nlviz app" not in result.output


def start(films: Path, out: Path, forwards: Path) -> subprocess.Popen[str]:
    """Start a survey by two workers, or go on with it."""
    command = [sys.executable, "-c", "from nlviz.cli import main; main()", "survey", str(films)]
    command += ["--model", SLOW, *ASKED, "--workers", "2", "--resume", "-o", str(out)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, FORWARDS: str(forwards), ALLOWED: str(out.parent / "allowed")},
    )


def allow(out: Path, forwards: Path, more: int) -> None:
    """Let networks run for so many passes more, however slow or fast the machine is."""
    noted = len(forwards.read_text().split()) if forwards.exists() else 0
    (out.parent / "allowed").write_text(str(noted + more))


def done_in(out: Path) -> int:
    """Return how many clips a survey has, while it runs; each is there once."""
    try:
        table = read_survey(out).clips.to_table(["uri"])
    except NlvizError:
        return 0
    assert len(set(table["uri"].to_pylist())) == len(table)
    return len(table)


def wait_for(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a survey has so many clips, or its process has ended."""
    end = time.monotonic() + PATIENCE
    while done_in(out) < count and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)


def test_whatever_is_killed_nothing_is_lost_or_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 24
    films = tmp_path / "films"
    noise_films(films, count)
    out, forwards = tmp_path / "out", tmp_path / "forwards"
    forwards.touch()
    drawn = random.Random(11)
    kills = 0
    for target in (5, 12):
        allow(out, forwards, 8)
        process = start(films, out, forwards)
        wait_for(out, target, process)
        time.sleep(drawn.uniform(0.0, 0.1))
        workers = psutil.Process(process.pid).children()
        process.kill()
        process.communicate()
        kills += 1
        gone, alive = psutil.wait_procs(workers, timeout=PATIENCE)
        assert len(gone) == 2 and not alive  # they do not outlive the one that started them
        assert target <= done_in(out) < count
    before = done_in(out)
    allow(out, forwards, 2)
    process = start(films, out, forwards)
    wait_for(out, before + 1, process)
    psutil.Process(process.pid).children()[0].kill()  # a worker: its clips are done once more
    (out.parent / "allowed").unlink()
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert f"{count} clips: {count} done, 0 failed" in said
    undisturbed, calm = tmp_path / "undisturbed", tmp_path / "calm"
    monkeypatch.setenv(FORWARDS, str(calm))
    surveyed(films, undisturbed, model=SLOW, engine="inline")
    usual, passes = Counter(calm.read_text().split()), Counter(forwards.read_text().split())
    assert set(passes) == set(usual) and len(usual) == count
    again = [clip for clip in usual if passes[clip] > usual[clip]]
    assert len(again) <= 2 * kills + 2  # a clip of each worker that was ended, two of one that died
    assert bits(out) == bits(undisturbed)
    assert len(read_survey(out).runs) == 3
    assert read_survey(out).runs["ended"].null_count == 2


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    films = tmp_path / "films"
    noise_films(films, 30)
    out, forwards = tmp_path / "out", tmp_path / "forwards"
    allow(out, forwards, 6)
    process = start(films, out, forwards)
    wait_for(out, 3, process)
    workers = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGINT)
    (out.parent / "allowed").unlink()
    said, _ = process.communicate()
    assert process.returncode == 130
    assert "What was done is kept; the same command with --resume goes on." in said
    assert "Traceback" not in said
    assert not psutil.wait_procs(workers, timeout=PATIENCE)[1]
    found = read_survey(out)
    assert 3 <= found.counts["done"] < 30 and not any((out / "pieces" / "clips").iterdir())
