"""A survey of a thousand clips, from the command line, killed three times: the long lane."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

import nlviz
from nlviz.surveys.schema import ROW_KEY
from nlviz.surveys.survey import read_survey
from tests.surveys.many_clips import write_films

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
COUNT, FEW, QUERIES, BLOCKS = 1000, 50, 3, 2
CORRUPT, SAME = range(100, 1000, 150), range(140, 1000, 170)  # numbers of clips
KILLED_AT = (130, 420, 770)  # clips that are done
MIB = 2**20


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand films: some cut off, some the same as the one before."""
    folder = write_films(tmp_path_factory.mktemp("thousand") / "clips", COUNT)
    for number in CORRUPT:
        path = folder / f"clip-{number:04d}.mp4"
        path.write_bytes(path.read_bytes()[:999])
    for number in SAME:
        shutil.copy(folder / f"clip-{number - 1:04d}.mp4", folder / f"clip-{number:04d}.mp4")
    return folder


class Peak:
    """The most memory that a process and those that it started had, each for itself, in MiB."""

    def __init__(self) -> None:
        self.of_main = self.of_worker = 0.0

    def look(self, process: psutil.Process) -> None:
        try:
            self.of_main = max(self.of_main, process.memory_info().rss / MIB)
            for child in process.children(recursive=True):
                self.of_worker = max(self.of_worker, child.memory_info().rss / MIB)
        except psutil.NoSuchProcess:
            return

    def __repr__(self) -> str:
        return f"Peak({self.of_main:.0f}, {self.of_worker:.0f} MiB)"


def survey(clips: Path, out: Path, peak: Peak, *more: str, until: int | None = None) -> int:
    """Run the command, kill it where so many clips are done; return its exit status."""
    command = [sys.executable, "-m", "nlviz", "survey", clips, "-o", out, "--workers=2"]
    command += [f"--queries={QUERIES}", "--frames=8", "--stride=1", "--size=64", *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        watched = psutil.Process(process.pid)
        for turn in itertools.count():
            if process.poll() is not None:
                break
            peak.look(watched)
            if until is not None and turn % 10 == 0 and done(out) >= until:
                process.kill()
            time.sleep(0.1)
    return process.returncode


def done(out: Path) -> int:
    """Return how many clips a reader of the folder finds, whatever is going on in it."""
    try:
        return len(read_survey(out).clips)
    except nlviz.NlvizError:
        return 0  # not yet there


@pytest.fixture(scope="module")
def surveyed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Peak]:
    """The survey of all clips, killed three times."""
    out, peak = tmp_path_factory.mktemp("survey") / "all", Peak()
    for number in KILLED_AT:
        more = ["--resume"] if out.exists() else []
        assert survey(clips, out, peak, *more, until=number) == -9
        assert done(out) < COUNT
    assert survey(clips, out, peak, "--resume") == 0
    return out, peak


def rows(out: Path) -> pa.Table:
    return read_survey(out).rows.to_table().sort_by([(k, "ascending") for k in ROW_KEY])


def test_each_clip_is_told_once_and_each_row_is_there_once(surveyed: tuple[Path, Peak]) -> None:
    found = read_survey(surveyed[0])
    lines = found.clips.to_table().to_pylist()
    assert len({line["name"] for line in lines}) == len(lines) == COUNT
    assert Counter(line["status"] for line in lines) == {
        "failed": len(CORRUPT), "same": len(SAME), "done": COUNT - len(CORRUPT) - len(SAME),
    }  # fmt: skip
    for number in CORRUPT:
        line = next(one for one in lines if one["name"] == f"clip-{number:04d}.mp4")
        assert (line["fault"], bool(line["reason"])) == ("unreadable", True)
    table = found.rows.to_table()
    digests = {line["digest"] for line in lines if line["status"] == "done"}
    assert set(table["digest"].to_pylist()) == digests
    assert len(table) == len(digests) * BLOCKS * QUERIES  # one head in each block
    assert len(table.group_by(list(ROW_KEY)).aggregate([])) == len(table)
    ends = [run["ended"] for run in found.runs.to_pylist()]
    assert [end is None for end in ends] == [True, True, True, False]


def test_fewer_clips_have_the_same_rows_and_need_as_much_memory(
    clips: Path, surveyed: tuple[Path, Peak], tmp_path: Path
) -> None:
    few, peak = tmp_path / "few", Peak()
    assert survey(clips, few, peak, f"--limit={FEW}") == 0
    ours = rows(surveyed[0])
    wanted = rows(few)
    wanted_digests = set(wanted["digest"].to_pylist())
    mask = pa.array([digest in wanted_digests for digest in ours["digest"].to_pylist()])
    assert len(wanted) == FEW * BLOCKS * QUERIES
    assert ours.filter(mask).equals(wanted)
    print(f"{FEW}: {peak}, {COUNT}: {surveyed[1]}")
    assert surveyed[1].of_worker <= 1.1 * peak.of_worker
    assert surveyed[1].of_main <= 1.1 * peak.of_main


def test_its_report_is_made(surveyed: tuple[Path, Peak], tmp_path: Path) -> None:
    whole = read_survey(surveyed[0]).report().to_dict()
    assert whole["surveys"][0]["clips"]["failed"] == len(CORRUPT)
    assert len(whole["failures"]) == len(CORRUPT)
    page = tmp_path / "report.html"
    command = [sys.executable, "-m", "nlviz", "report", surveyed[0], "-o", page]
    made = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert page.stat().st_size > 10_000
