"""The folder of a survey: each clip is there once, whatever is killed when, and in any order."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nlviz.errors import NlvizError
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.parts import Parts
from nlviz.surveys.pieces import RESERVE, Origin, Pieces
from nlviz.surveys.schema import CLIPS, ROWS
from nlviz.surveys.store import Contents, SurveyFolder
from nlviz.surveys.survey import Survey, read_survey
from nlviz.surveys.tables import Snapshot

OPTIONS = SurveyOptions(queries=3)
START = Contents("tiny", {}, OPTIONS, "weights", ("nl",), ({"run": "one"}, {"run": "two"}))


def digest_of(n: int) -> str:
    return hashlib.sha256(f"bytes {n}".encode()).hexdigest()


def rows_of(n: int) -> pa.Table:
    """Return rows of a clip, as many as its number says."""
    place = {"block": "nl", "head": 0, "frame": 0.0, "y": 1.5, "x": 2.5, "keys": 60}
    rows = [{**place, "digest": digest_of(n), "query": q, "spread": n + q} for q in range(n % 4)]
    return pa.Table.from_pylist(rows, schema=ROWS)


def line_of(uri: str, n: int | None, run: str = "one", **values: Any) -> dict[str, Any]:
    """Return the line of a clip whose bytes have a number; None for one that failed."""
    empty: dict[str, Any] = dict.fromkeys(CLIPS.names)
    failed = {"status": "failed", "fault": "memory", "reason": "too large"}
    done = {"status": "done", "digest": None if n is None else digest_of(n)}
    known = {"uri": uri, "name": uri, "label": "", "run": run, "notes": []}
    return empty | known | (failed if n is None else done) | values


def made(folder: Path) -> tuple[SurveyFolder, Pieces]:
    survey = SurveyFolder(folder)
    for table in ("rows", "clips"):
        (folder / table).mkdir(parents=True)
    survey.write(START)
    return survey, survey.pieces(START).made()


def put(pieces: Pieces, uri: str, n: int | None, run: str = "one") -> None:
    if n is not None:
        pieces.put_rows(digest_of(n), rows_of(n), {})
    pieces.put_clip(line_of(uri, n, run))


def lines(survey: Survey) -> list[dict[str, Any]]:
    table = survey.clips.to_table(["uri", "status", "same_as", "digest", "run"])
    return sorted(table.to_pylist(), key=lambda line: str(line["uri"]))


def rows(survey: Survey) -> pa.Table:
    return survey.rows.to_table().sort_by([("digest", "ascending"), ("query", "ascending")])


def commit(folder: SurveyFolder, most: int) -> None:
    contents = folder.read()
    Parts(folder, contents).commit(folder.pieces(contents), most)


CLIPS_PUT = [("/b", 7), ("/d", 2), ("/a", 7), ("/c", None), ("/e", 5), ("/f", 2), ("/0", 2)]
SAME = {"/b": "/a", "/d": "/0", "/f": "/0"}


@pytest.mark.parametrize("seed", range(6))
def test_the_order_in_which_clips_are_done_is_not_seen(tmp_path: Path, seed: int) -> None:
    drawn = random.Random(seed)
    order = drawn.sample(CLIPS_PUT, len(CLIPS_PUT))
    folder, pieces = made(tmp_path)
    for uri, n in order:
        put(pieces, uri, n)
        if drawn.random() < 0.4:
            commit(folder, drawn.choice([1, 2, 9]))
    before = read_survey(tmp_path)  # some of it is in pieces
    commit(folder, 9)
    found = read_survey(tmp_path)
    assert found.counts == {"done": 3, "same": 3, "failed": 1}
    told = {line["uri"]: line for line in lines(found)}
    assert {uri: line["same_as"] for uri, line in told.items() if line["same_as"]} == SAME
    assert [told[uri]["digest"] for uri, n in CLIPS_PUT] == [
        None if n is None else digest_of(n) for _, n in CLIPS_PUT
    ]
    expected = pa.concat_tables([rows_of(n) for n in sorted((7, 2, 5), key=digest_of)])
    assert rows(found).equals(expected)
    assert rows(before).equals(expected)
    assert len(before.clips) == len(CLIPS_PUT)
    assert not any(pieces.clips.iterdir()) and not any(pieces.rows.iterdir())


def test_a_later_run_replaces_what_failed_or_changed(tmp_path: Path) -> None:
    folder, pieces = made(tmp_path)
    for uri, n in (("/a", None), ("/b", 7), ("/c", 7), ("/d", 3), ("/e", 6)):
        put(pieces, uri, n)
    commit(folder, 2)
    put(pieces, "/a", 1, "two")  # has memory now
    put(pieces, "/b", 5, "two")  # is another film now; its old rows are still those of /c
    put(pieces, "/d", 2, "two")  # its old rows are nobody's
    put(pieces, "/e", 6, "two")  # was touched, and is as it was
    put(pieces, "/c", 99)  # of the first run, from a worker that should be gone
    commit(folder, 9)
    found = read_survey(tmp_path)
    status = {line["uri"]: (line["status"], line["digest"], line["run"]) for line in lines(found)}
    new = {"/a": 1, "/b": 5, "/d": 2, "/e": 6}
    assert status == {
        "/c": ("done", digest_of(7), "one"),
        **{uri: ("done", digest_of(n), "two") for uri, n in new.items()},
    }
    kept = pa.concat_tables([rows_of(n) for n in sorted((1, 5, 2, 6, 7), key=digest_of)])
    assert rows(found).equals(kept)


def test_what_is_no_whole_piece_of_this_survey_is_not_read(tmp_path: Path) -> None:
    folder, pieces = made(tmp_path)
    put(pieces, "/a", 3)
    put(pieces, "/b", 2)
    whole = next(iter(pieces.listed())).path
    (pieces.clips / "cut-off.arrow").write_bytes(whole.read_bytes()[:-30])
    (pieces.clips / ".half.arrow.x.part").write_bytes(whole.read_bytes()[:100])
    (pieces.rows / "nobodys.arrow").write_bytes(whole.read_bytes())
    other = Pieces(tmp_path, Origin("weights", SurveyOptions(queries=4).digest))
    put(other, "/c", 5)
    pieces.put_clip(line_of("/d", 11))  # without its rows
    assert [line["uri"] for line in lines(read_survey(tmp_path))] == ["/a", "/b"]
    (tmp_path / "rows" / "part-000009.parquet").write_bytes(b"of a commit that was killed")
    (tmp_path / "clips" / "part-000009.parquet").write_bytes(b"the same")
    assert len(read_survey(tmp_path).rows) == 5
    pieces.sweep()
    folder.sweep(folder.read())
    assert len([p for p in (tmp_path / "pieces").rglob("*") if p.is_file()]) == 3 + 2 + 1  # reserve
    assert [p for name in ("rows", "clips") for p in (tmp_path / name).iterdir()] == []
    commit(folder, 9)
    assert [line["uri"] for line in lines(read_survey(tmp_path))] == ["/a", "/b"]


COMMITS = """
import sys
from pathlib import Path
from nlviz.surveys.parts import Parts
from nlviz.surveys.store import SurveyFolder
folder = SurveyFolder(Path(sys.argv[1]))
contents = folder.read()
folder.sweep(contents)
print("ready", flush=True)
Parts(folder, contents).commit(folder.pieces(contents), 2)
"""


@pytest.mark.slow
def test_a_commit_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    folder, pieces = made(tmp_path)
    count = 24
    for n in range(count):
        put(pieces, f"/{n:03d}", n % 20)  # four are the same as others
    expected = pa.concat_tables([rows_of(n) for n in sorted(range(20), key=digest_of)])
    drawn = random.Random(3)
    killed = 0
    for _ in range(20):
        command = [sys.executable, "-c", COMMITS, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            # Read on meanwhile: a reader sees all clips, whatever the writer is at.
            changes = folder.read().changes + drawn.randint(1, 4)
            while folder.read().changes < changes and child.poll() is None:
                assert len(Snapshot.of(folder).table("clips")) == count
            time.sleep(drawn.uniform(0.0, 0.03))
            child.kill()
        killed += child.returncode != 0
        found = read_survey(tmp_path)
        assert len(found.clips) == count
        assert rows(found).equals(expected)
        if child.returncode == 0:
            break
    assert killed >= 1
    assert not any(pieces.clips.iterdir())
    commit(folder, 9)
    counts = read_survey(tmp_path).counts
    assert counts == {"done": 20, "same": 4, "failed": 0}


def test_two_runs_do_not_write_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "survey"
    hold = f"""
import sys, time
from pathlib import Path
from nlviz.surveys.store import SurveyFolder
with SurveyFolder(Path({str(folder)!r})).locked():
    print("held", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(NlvizError, match="another run writes"), SurveyFolder(folder).locked():
            pass
        child.kill()
    with SurveyFolder(folder).locked():  # what a dead process held is free
        assert (folder / "rows").is_dir()


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(NlvizError, match=r"holds other files \(thesis.tex\)"):
        with SurveyFolder(tmp_path).locked():
            pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "file").touch()
    with pytest.raises(NlvizError, match="cannot be written to"):
        with SurveyFolder(tmp_path / "file" / "below").locked():
            pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "does not say that it is a survey"),
        ('{"format": "nlviz.survey", "version": 99}', "version 99"),
        ('{"format": "nlviz.survey", "version": 1}', "lacks 'model'"),
    ],
)
def test_a_file_that_is_no_survey_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "survey.json").write_text(text)
    with pytest.raises(NlvizError, match=said):
        read_survey(tmp_path)


def test_contents_come_back_as_they_were(tmp_path: Path) -> None:
    folder, _ = made(tmp_path)
    other = replace(START, options=SurveyOptions(blocks=("a", "b"), without=("unary",)), files=4)
    assert folder.read() == replace(START, changes=1)
    assert replace(folder.write(other), changes=0) == other == replace(folder.read(), changes=0)


def test_the_reserve_is_kept_and_freed_once(tmp_path: Path) -> None:
    _, pieces = made(tmp_path)
    assert (tmp_path / "pieces" / RESERVE).stat().st_size > 1e5
    assert pieces.free_reserve() and not pieces.free_reserve()
    assert pieces.made().free_reserve()


def test_a_survey_can_be_moved(tmp_path: Path) -> None:
    folder, pieces = made(tmp_path / "here")
    put(pieces, "/a", 3)
    commit(folder, 9)
    put(pieces, "/b", 2)
    shutil.move(tmp_path / "here", tmp_path / "there")
    found = read_survey(tmp_path / "there")
    assert len(found.rows) == 5 and found.name == "there"
    assert repr(found) == "Survey('there' of tiny: 2 clips; 5 rows)"
    assert found.clips.to_pandas(["uri"])["uri"].tolist() == ["/a", "/b"]
