"""A survey on Ray has the rows of any other; dead actors and wrong addresses are told."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from nlviz.errors import NlvizError
from nlviz.surveys.engines import ray as engine
from nlviz.surveys.engines import ray_cluster
from nlviz.surveys.engines.engine import Done, Job, Ready
from nlviz.surveys.engines.ray_actor import Diary, Meeting, block, packed, unpacked
from nlviz.surveys.item import Item
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.schema import ROW_KEY
from nlviz.surveys.survey import read_survey, survey
from tests.processes import running
from tests.surveys.datasets import lay, picture
from tests.surveys.deadly import SEEN
from tests.surveys.on_ray import SMALL

ROOT = Path(__file__).parents[2]
MODEL = "tests.surveys.deadly:build"
has_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Cluster(NamedTuple):
    address: str
    environment: dict[str, str]
    white_was_seen: Path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, one of them twice and one cut off."""
    folder = tmp_path_factory.mktemp("on-ray") / "clips"
    lay(folder, *(f"{n}.png" for n in range(5)))
    for name in ("bunny.mp4", "recall.gif"):
        shutil.copy(ROOT / "assets" / "clips" / name, folder)
    shutil.copy(folder / "recall.gif", folder / "same.gif")
    (folder / "cut.mp4").write_bytes((folder / "bunny.mp4").read_bytes()[:30_000])
    return folder


@pytest.fixture(scope="module")
def inline(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The survey of the clips in this process."""
    out = tmp_path_factory.mktemp("inline") / "survey"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        survey(clips, out=out, model=MODEL, engine="inline", **SMALL)
    return out


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of this machine alone, which asks for a token."""
    port = free_port()
    seen = tmp_path_factory.mktemp("seen") / "white"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        SEEN: str(seen),
    }
    temporary = Path("/tmp") / f"nlviz-{secrets.token_hex(3)}"  # paths of sockets are short
    command = (
        f"{sys.executable} -m ray.scripts.scripts start --head --block --port={port} --num-cpus=2 "
        "--node-ip-address=127.0.0.1 --include-dashboard=false --disable-usage-stats "
        f"--object-store-memory=100000000 --temp-dir={temporary}"
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        with running(command.split(), env=environment, **quiet):
            wait_for(port)
            yield Cluster(f"127.0.0.1:{port}", environment, seen)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def on_ray(cluster: Cluster, clips: Path, out: Path, workers: int) -> None:
    """Survey clips there; neither nlviz nor Ray says a word."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.surveys.on_ray", cluster.address, clips, out, str(workers)],
        cwd=ROOT, env=cluster.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(port)


def rows(folder: Path) -> pa.Table:
    return read_survey(folder).rows.to_table().sort_by([(k, "ascending") for k in ROW_KEY])


def told(folder: Path) -> dict[str, tuple[Any, ...]]:
    lines = read_survey(folder).clips.to_table().to_pylist()
    return {line["name"]: (line["status"], line["fault"], line["digest"]) for line in lines}


@has_ray
@pytest.mark.slow
def test_two_actors_have_the_rows_of_one_process_though_clips_kill_them(
    cluster: Cluster, clips: Path, inline: Path, tmp_path: Path
) -> None:
    """Black kills its actor each time; white the first time, and is done by the next."""
    given = shutil.copytree(clips, tmp_path / "clips")
    lay(given, "black.png", content=picture(0))
    lay(given, "white.png", content=picture(255))
    out = tmp_path / "out"
    on_ray(cluster, given, out, workers=2)
    found = told(out)
    assert cluster.white_was_seen.exists()
    assert found.pop("black.png") == ("failed", "died", None)
    assert found.pop("white.png")[0] == "done"
    assert found["cut.mp4"] == ("failed", "unreadable", None)
    assert {found[name][0] for name in ("recall.gif", "same.gif")} == {"done", "same"}
    assert {n: digest for n, (_, _, digest) in found.items()} == {
        n: digest for n, (_, _, digest) in told(inline).items()
    }
    wanted = rows(inline)
    ours = rows(out)
    assert ours.filter(pc.is_in(ours["digest"], wanted["digest"])).equals(wanted)
    assert 0 < len(wanted) < len(ours)
    assert not (out / "diaries").exists()


@has_ray
@pytest.mark.long
def test_one_actor_and_four_processes_have_the_same_rows(
    cluster: Cluster, clips: Path, inline: Path, tmp_path: Path
) -> None:
    on_ray(cluster, clips, tmp_path / "ray", workers=1)
    survey(clips, out=tmp_path / "local", model=MODEL, workers=4, **SMALL)
    for name in ("ray", "local"):
        assert rows(tmp_path / name).equals(rows(inline))
        assert told(tmp_path / name).keys() == told(inline).keys()


@has_ray
@pytest.mark.long
def test_a_survey_whose_process_was_killed_goes_on(
    cluster: Cluster, clips: Path, inline: Path, tmp_path: Path
) -> None:
    """The first run has a Ray of its own, which must end with it; a cluster goes on."""
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "nlviz", "survey", clips, "-o", out, "--engine=ray"]
    command += [f"--model={MODEL}", *(f"--{name}={value}" for name, value in SMALL.items())]
    first = subprocess.Popen(
        [*command, "--workers=1"], env=cluster.environment, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    started: set[psutil.Process] = set()
    while first.poll() is None and not list((out / "pieces" / "clips").glob("*")):
        started |= set(psutil.Process(first.pid).children(recursive=True))
        time.sleep(0.05)
    first.kill()
    printed, _ = first.communicate()
    assert started
    assert psutil.wait_procs(list(started), timeout=60)[1] == []
    done = subprocess.run(
        [*command, "--resume", f"--address={cluster.address}"], env=cluster.environment,
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rows(out).equals(rows(inline))
    assert told(out).keys() == told(inline).keys()
    assert b"ray" not in printed.lower()


def job(folder: Path) -> Job:
    return Job("lite-nl", SurveyOptions(), str(folder), "7")


def refused(address: str | None, folder: Path) -> str:
    with pytest.raises(NlvizError) as caught:
        engine.RayEngine(address).run(job(folder), [], workers=1, heard=print)
    return str(caught.value)


def test_without_ray_the_command_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'nlviz[ray]'" in refused(None, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:{port}", "no Ray cluster answers at '127.0.0.1:"),
        ("hello world", "got 'hello world'"),
        ("127.0.0.1:99999", "no Ray cluster answers"),
        ("nowhere.invalid:6379", "no Ray cluster answers"),
    ],
)
def test_an_address_where_nobody_is_says_so_at_once(address: str, said: str) -> None:
    with pytest.raises(NlvizError) as caught:
        ray_cluster._answering(address.format(port=free_port()))
    assert said in str(caught.value)


def test_a_ray_that_is_too_old_is_refused() -> None:
    ray_cluster._checked("2.60.0")
    ray_cluster._checked("3.0.0.dev0")
    with pytest.raises(NlvizError, match=r"needs Ray 2\.60 or newer, got 2\.9\.3"):
        ray_cluster._checked("2.9.3")


class _Wrapped(Exception):
    cause = NlvizError("no model is called 'x'")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (_Wrapped("RayTaskError"), "no model is called 'x'"),
        (RuntimeError("ray::A.__init__() \n nlviz.errors.NlvizError: every node"), "every node"),
        (RuntimeError("Version mismatch: the cluster has 2.60.1"), "must have the same versions"),
        (RuntimeError("ModuleNotFoundError: No module named 'nlviz'"), "on every node"),
        (ConnectionError("InvalidAuthToken: AuthenticationError"), "RAY_AUTH_MODE=token"),
        (TimeoutError("late"), "no Ray cluster answers at 'a:1' (late)"),
        (ValueError("two\nlines"), "Ray gave up at 'a:1': ValueError: two lines"),
    ],
)
def test_what_ray_raises_becomes_one_sentence(error: Exception, said: str) -> None:
    with pytest.raises(NlvizError) as caught, ray_cluster.explained("a:1"):
        raise error
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_a_node_does_not_see_is_told(tmp_path: Path) -> None:
    meeting = Meeting.called(tmp_path / "survey" / "diaries", "token")
    meeting.check()
    (tmp_path / "survey" / "diaries" / "token").write_text("of another machine")
    with pytest.raises(NlvizError, match=r"every node .* must see the survey's folder"):
        meeting.check()
    shutil.rmtree(tmp_path / "survey")
    with pytest.raises(NlvizError, match=r"there is no .*survey of this survey"):
        meeting.check()


def test_workers_are_counted_by_gpus_where_there_are(tmp_path: Path) -> None:
    one, places = job(tmp_path), ray_cluster._fitting
    assert places({"CPU": 7.0}, one, None) == ray_cluster.Places(7)
    assert places({"CPU": 7.0, "GPU": 3.0}, one, None) == ray_cluster.Places(3, 1.0)
    assert places({"CPU": 7.0, "GPU": 3.0}, one, 2) == ray_cluster.Places(2, 1.0)
    on_cpu = Job("lite-nl", SurveyOptions(threads=2), "x", "7", {"device": "cpu"})
    assert places({"CPU": 7.0, "GPU": 3.0}, on_cpu, None) == ray_cluster.Places(3)
    on_cuda = Job("lite-nl", SurveyOptions(), "x", "7", {"device": "cuda"})
    with pytest.raises(NlvizError, match="Ray sees none"):
        places({"CPU": 7.0}, on_cuda, None)


def test_a_diary_knows_what_was_done_when_the_process_died_within_a_line(tmp_path: Path) -> None:
    path = tmp_path / "0-0.jsonl"
    first = Diary(path)
    assert not first.opened_before
    done = Done("/a.mp4", "failed", "missing", "it is gone: 消えた", 0.5)
    first.write(asdict(done))
    first.write({"alone": "/b.mp4"})
    with path.open("a") as file:
        file.write('{"alone": "/c')
    again = Diary(path)
    assert again.opened_before
    assert (again.done, again.alone) == ({"/a.mp4": done}, {"/b.mp4"})
    again.close()
    assert not path.exists()


def test_what_workers_tell_travels_whole() -> None:
    messages = [Ready("w", "cpu", ("stage3", "stage4")), Done("/ü.mp4", "done", seconds=0.25)]
    assert list(unpacked(packed(messages))) == messages
    items = [Item("/a b.mp4", "file", "b.mp4", "label"), Item("x.tar#1.mp4", "member", "1.mp4")]
    given = [
        {k: v for k, v in row.items() if k != "block"} for row in block("0-5", items).to_pylist()
    ]
    assert [Item(**row) for row in given] == items
