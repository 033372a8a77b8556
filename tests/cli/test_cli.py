"""The command line on the bundled model: real files in, real files out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from PIL import __version__ as PIL_VERSION
from typer.testing import CliRunner, Result

from nlviz import cli
from nlviz.cli import app_server as serving
from nlviz.errors import NlvizError
from nlviz.resources import bundled_inputs

pytestmark = pytest.mark.slow

# Small and few: each call decodes, loads the model and runs it.
QUICK = ["--frames", "2", "--size", "96"]
CLIP = "composed-twins.mp4"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_attend_writes_the_file_and_says_what_the_row_does(somewhere: Path) -> None:
    result = run("attend", CLIP, "--query", "1,40,130", *QUICK, "--top", "7", "-o", "look.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == "look.png\n"
    assert result.stderr.startswith("stage4: spread over about ")
    assert "strongest other key" in result.stderr
    with Image.open("look.png") as image:
        view = json.loads(image.info["nlviz.view"])
    assert view["query"] == {"frame": 1, "y": 40, "x": 130}
    assert view["display"]["links"] == 7
    assert [p.name for p in somewhere.iterdir()] == ["look.png"]


OWN = """
import torch
from torch import nn
def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU()).eval()
"""


def test_any_layer_by_the_similarity_of_its_features(somewhere: Path) -> None:
    (somewhere / "own_layers.py").write_text(OWN, "utf-8")
    own = ["--model", "own_layers:plain"]
    result = run("attend", CLIP, "--layer", "1", *own, *QUICK, "-o", "look.npz")
    assert result.exit_code == 0, result.output
    assert "most alike other cell" in result.stderr
    rows = np.load("look.npz")["rows"]
    assert rows.shape[:2] == (1, 2) and rows.max() == pytest.approx(1, abs=1e-6)
    assert run("attend", CLIP, "--layer", "0", *own, *QUICK, "-o", "v.json").exit_code == 0
    again = run("render", "v.json", "--weights", "own_layers:plain", "-o", "again.png")
    assert again.exit_code == 0, again.output
    with Image.open("again.png") as image:
        assert json.loads(image.info["nlviz.view"])["block"] == "0, features"


def test_features_as_colours(somewhere: Path) -> None:
    result = run("features", CLIP, "--layer", "stage4", *QUICK, "--foreground", "-0.5")
    assert result.exit_code == 0, result.output
    assert result.stdout == "composed-twins-stage4.png\n"
    assert "principal components of 112 channels, one basis for the foreground" in result.stderr
    raw = run("features", CLIP, "--layer", "stage4", *QUICK, "-o", "raw.npz")
    assert raw.exit_code == 0, raw.output
    kept = np.load("raw.npz")
    assert kept["features"].shape[:2] == (112, 2)
    assert kept["colours"].shape == (*kept["features"].shape[1:], 3)


def test_pictures_are_a_clip_and_notes_are_told(somewhere: Path) -> None:
    folder = somewhere / "walk"
    folder.mkdir()
    for number in (8, 9, 10, 12):
        level = np.full((72, 96, 3), 20 * number, np.uint8)
        Image.fromarray(level).save(folder / f"f{number}.png")
    result = run("attend", "walk/f%d.png", "--fps", "5", "-o", "walk/look.json")
    assert result.exit_code == 0, result.output
    assert "note: One number is missing between 8 and 12, first 11" in result.stderr
    view = json.loads(Path("walk/look.json").read_text())
    known = {name: view["clip"][name] for name in ("name", "frames", "fps", "reader")}
    reader = f"Pillow {PIL_VERSION}"
    assert known == {"name": "f%d.png", "frames": 8, "fps": 5, "reader": reader}
    assert len(view["notes"]) == 1
    assert "One number is missing" in view["notes"][0]
    again = run("render", "walk/look.json", "-o", "again.npz")
    assert again.exit_code == 0, again.output
    assert again.stderr == result.stderr
    assert np.load("again.npz")["times"].tolist() == [0, 0.2, 0.4, 0.6]
    predicted = run("predict", "walk")
    assert "note: Nothing says how fast" in predicted.stderr
    denoised = run("denoise", "walk", "--denoiser", "mean", "-o", "table.json")
    assert "note: Nothing says how fast" in denoised.stderr
    assert "Nothing says how fast" in Path("table.json").read_text()


def test_without_a_query_it_is_the_centre_of_the_middle_frame() -> None:
    result = run("attend", "coffee.jpg", "--size", "100", "--block", "stage3")
    assert result.exit_code == 0, result.output
    name = result.stdout.strip()
    assert name == "coffee-stage3-0-50-74.png"
    assert Path(name).is_file()


def test_options_reach_the_saved_row() -> None:
    common = ["attend", CLIP, "--query", "1,40,130", *QUICK, "--source", "features"]
    assert run(*common, "-o", "row.npz").exit_code == 0
    with np.load("row.npz") as arrays:
        assert arrays["rows"].shape[:2] == (1, 2)
        assert arrays["rows"].sum() == pytest.approx(1, rel=1e-4)
        view = json.loads(str(arrays["view"]))
    assert view["display"]["source"] == "features"
    assert (view["clip"]["frames"], view["clip"]["size"]) == (2, 96)


@pytest.mark.slow
def test_a_view_is_drawn_again_as_the_same_picture(somewhere: Path) -> None:
    common = ["attend", CLIP, "--query", "1,40,130", *QUICK, "--leave-out", "frame", "--smooth"]
    assert run(*common, "-o", "look.json").exit_code == 0
    assert run(*common, "-o", "look.gif").exit_code == 0
    result = run("render", "look.json", "-o", "again.gif")
    assert result.exit_code == 0, result.output
    assert Path("again.gif").read_bytes() == Path("look.gif").read_bytes()
    result = run("render", somewhere / "look.json")
    assert result.stdout == f"{somewhere / 'look.png'}\n"


@pytest.mark.slow
def test_a_views_clip_is_found_beside_it_and_its_digest_is_checked(somewhere: Path) -> None:
    folder = somewhere / "talk"
    folder.mkdir()
    shutil.copy(bundled_inputs()["cat.jpg"], folder / "mine.jpg")
    assert run("attend", folder / "mine.jpg", "--size", "100", "-o", "talk/v.json").exit_code == 0
    assert run("render", "talk/v.json").exit_code == 0
    shutil.move(folder / "mine.jpg", somewhere / "moved.jpg")
    missing = run("render", "talk/v.json")
    assert missing.exit_code == 1
    assert "neither bundled nor beside the view; give its path with --clip" in missing.stderr
    assert run("render", "talk/v.json", "--clip", "moved.jpg").exit_code == 0
    other = run("render", "talk/v.json", "--clip", bundled_inputs()["coffee.jpg"])
    assert other.exit_code == 1
    assert "coffee.jpg has" in other.stderr
    view = json.loads((folder / "v.json").read_text("utf-8"))
    view["clip"]["digest"], view["model"]["digest"] = "", "0" * 64
    (folder / "v.json").write_text(json.dumps(view), "utf-8")
    weights = run("render", "talk/v.json", "--clip", "moved.jpg")
    assert weights.exit_code == 1
    assert "weights of lite-nl that have the sha256 000000000000..." in weights.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attend", "buny.mp4"], "there is no file 'buny.mp4', nor a bundled input"),
        (["attend", CLIP, "--query", "1,2"], "a query is FRAME,Y,X, three numbers from 0"),
        (["attend", CLIP, *QUICK, "--query", "2,1,1"], "frame must be between 0 and 1"),
        (["attend", CLIP, *QUICK, "--query", "1,96,1"], "y must be between 0 and 95"),
        (["attend", CLIP, *QUICK, "--block", "stage5"], "did you mean 'stage4'"),
        (["attend", CLIP, *QUICK, "--model", "lite-ln"], "did you mean 'lite-nl'?"),
        (["attend", CLIP, "-o", "look.webm"], "got 'look.webm'; change its ending"),
        (["attend", CLIP, *QUICK, "-o", "no/look.png"], "'no/look.png' cannot be written"),
        (["attend", CLIP, *QUICK, "--head", "4"], "head must be between 0 and 0"),
        (
            ["attend", CLIP, "--head", "all"],
            "head must be a whole number from 0, or mean or max, got 'all'",
        ),
        (["attend", CLIP, "--source", "pixels"], "source must be learned, features"),
        (["attend", CLIP, "--leave-out", "all"], "leave_out must be nothing, cell or frame"),
        (["attend", CLIP, "--top", "-1"], "links must be a whole number from 0"),
        (["attend", CLIP, "--frames", "0"], "frames must be at least 1, got 0"),
        (["attend", CLIP, "--start", "99"], "start"),
        (["attend", "text.mp4"], "text.mp4: FFmpeg cannot decode this"),
        (["attend", "empty.mp4"], "'empty.mp4' is empty"),
        (["attend", "cut.mp4"], "cut.mp4: "),
        (["attend", "."], "give the path of one video"),
        (["features", CLIP, *QUICK, "--layer", "stage9"], "no layer is called 'stage9'; did you"),
        (["features", CLIP, "--layer", "a", "--foreground", "2"], "threshold between 0 and 1"),
        (["features", CLIP, "--layer", "a", "-o", "a.txt"], "features is saved as .png"),
        (["attend", CLIP, "--layer", "a", "--source", "position"], "cosine of its features"),
        (["render", "missing.json"], "'missing.json' cannot be read"),
        (["render", "text.mp4"], "text.mp4: a view must be JSON text"),
        (["render", "v2.json"], "version 1, this one has version 2"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    arguments: list[str], message: str, somewhere: Path
) -> None:
    (somewhere / "text.mp4").write_text("this is no video\n", "utf-8")
    (somewhere / "empty.mp4").write_bytes(b"")
    (somewhere / "cut.mp4").write_bytes(bundled_inputs()[CLIP].read_bytes()[:20_000])
    (somewhere / "v2.json").write_text('{"format": "nlviz.view", "version": 2}', "utf-8")
    before = sorted(somewhere.iterdir())
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("nlviz: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert sorted(somewhere.iterdir()) == before


def test_models_and_info_and_the_version() -> None:
    assert "lite-nl" in run("models").stdout.splitlines()
    told = run("info").stdout
    assert CLIP in told
    assert "libavcodec" in told
    assert run("--version").stdout.count(".") == 2


def test_help_needs_nothing_heavy() -> None:
    program = (
        "import sys; from nlviz import cli\n"
        "try: cli.app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'av', 'cv2', 'streamlit', 'PIL', 'plotly'}\n"
        "sys.exit(sorted(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("attend", "render", "models", "info", "app"):
        assert command in done.stdout


PROGRAM = "from nlviz.cli import main; main()"


def command(*arguments: str, program: str = PROGRAM) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


@pytest.mark.slow
def test_the_program_answers_with_its_exit_code() -> None:
    done = subprocess.run(command("attend", "no.mp4"), capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert subprocess.run(command("attend"), capture_output=True).returncode == 2


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command("--version"), stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@contextmanager
def running(*arguments: str, program: str = PROGRAM) -> Iterator[subprocess.Popen[str]]:
    """Run the program in a terminal's foreground; whatever happens, it is gone afterwards.

    A shell starts what runs in the background with SIGINT ignored, and a child inherits that: then
    Python installs no handler and Ctrl-C rightly does nothing. The tests may be such a child.
    """
    process = subprocess.Popen(
        command(*arguments, program=program),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def opened_by(process: subprocess.Popen[str], pipe: str) -> int:
    """Return the writing end of a pipe once the program has opened it to read."""
    while process.poll() is None:
        with suppress(OSError):
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.01)
    raise AssertionError(process.communicate())


@pytest.fixture(params=["a foreground job", "a background job"])
def sigint_of_the_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the tests themselves do on SIGINT, which their children inherit."""
    ignored = request.param == "a background job"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_quietly(somewhere: Path, sigint_of_the_tests: None) -> None:
    # The clip is a pipe that nobody fills, so the program waits until the signal comes.
    os.mkfifo("endless.json")
    with running("render", "endless.json") as process:
        writer = opened_by(process, "endless.json")
        try:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        finally:
            os.close(writer)
    assert process.returncode == 130
    assert out == err == ""


def test_an_interrupt_that_is_noted_ends_a_call_that_blocks() -> None:
    # Another thread gets the signal: Python notes it, and the main thread's call goes on.
    program = (
        "import os, signal, threading, time\n"
        "from nlviz.cli.interrupts import interrupts_heard\n"
        "reader, _ = os.pipe()\n"
        "def interrupt():\n"
        "    time.sleep(0.5)\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        "try:\n"
        "    with interrupts_heard():\n"
        "        threading.Thread(target=interrupt, daemon=True).start()\n"
        "        os.read(reader, 1)\n"
        "except KeyboardInterrupt:\n"
        "    print('heard')\n"
    )
    with running(program=program) as process:
        out, err = process.communicate(timeout=60)
    assert (out, err) == ("heard\n", "")


@pytest.mark.parametrize("moment", ["while it starts", "when it serves"])
def test_the_app_is_interrupted_although_its_warm_up_still_runs(moment: str) -> None:
    port = serving.free_port()
    program = (
        "import time\n"
        "from nlviz.cli import main\n"
        "from nlviz.cli.app_entry import app_module\n"
        "warm_up = app_module('warm_up')\n"
        "def work():\n"
        "    print('warming up', flush=True)\n"
        "    time.sleep(600)\n"
        "warm_up._work = work\n"
        "warm_up.start()\n"
        "main()"
    )
    with running("app", "--no-browser", "--port", str(port), program=program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "warming up\n"
        while process.poll() is None:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/_stcore/health") as answer:
                assert answer.read() == b"ok"
                break
            if moment == "while it starts":
                assert process.stderr is not None
                assert process.stderr.readline().startswith("nlviz opens at")
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)  # under load; the warm-up takes ten minutes
    # Streamlit has a handler of its own, with which the server ends by itself.
    assert process.returncode == (130 if moment == "while it starts" else 0)
    assert "Traceback" not in err


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What Streamlit's own command line was called with; Streamlit itself stays out of it."""
    seen: list[list[str]] = []
    stub = ModuleType("streamlit.web.cli")
    stub.main = lambda args, **_: seen.append(args)  # type: ignore[attr-defined]
    web = ModuleType("streamlit.web")
    web.cli = stub  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "streamlit.web", web)
    monkeypatch.setitem(sys.modules, "streamlit", ModuleType("streamlit"))
    return seen


def test_the_app_is_started_on_this_machine_only(started: list[list[str]]) -> None:
    result = run("app", "--no-browser", "--port", "8599", "--server.maxUploadSize=7")
    assert result.exit_code == 0, result.output
    (arguments,) = started
    assert Path(arguments[1]).name == "app_asgi.py"
    assert Path(arguments[1]).is_file()
    assert {"--server.address=127.0.0.1", "--server.port=8599"} <= set(arguments)
    assert arguments[-1] == "--server.maxUploadSize=7"


def test_the_app_opens_a_saved_view(started: list[list[str]]) -> None:
    assert run("attend", CLIP, "--query", "1,40,130", *QUICK, "-o", "look.json").exit_code == 0
    result = run("app", "look.json", "--no-browser")
    assert result.exit_code == 0, result.output
    assert f"/?clip={CLIP}&model=lite-nl&block=stage4&at=1%2C40%2C130" in result.stderr
    assert run("app", "none.json", "--no-browser").exit_code == 1
    assert len(started) == 1


def test_a_free_port_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 8501 <= serving.free_port() < 8601

    class Busy:
        def __enter__(self) -> Busy:
            return self

        def __exit__(self, *_: object) -> None: ...

        def bind(self, address: object) -> None:
            raise OSError

    monkeypatch.setattr("socket.socket", Busy)
    with pytest.raises(NlvizError, match="name one with --port"):
        serving.free_port()
