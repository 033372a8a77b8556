"""`nlviz denoise`: real pictures in, real files out, the digits of the API."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from nlviz import cli
from nlviz.clips.clip import read_clip
from nlviz.denoise import Noise, add_noise, compare, denoise, list_clip_denoisers
from nlviz.resources import asset

QUICK = ["--size", "40", "--set", "patch=5", "--set", "window=11"]
TWO = ["--denoiser", "gaussian", "--denoiser", "non-local-means"]
NAMES = ["gaussian", "non-local-means"]
SMALL = {"patch": 5, "window": 11}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, ["denoise", *(str(a) for a in arguments)])


def table(path: str = "a.csv") -> dict[str, dict[str, str]]:
    with Path(path).open(encoding="utf-8") as file:
        return {row["denoiser"]: row for row in csv.DictReader(file)}


def cat() -> np.ndarray:
    return np.asarray(read_clip(asset("photos/cat.jpg"), size=40).frames[0])


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_command_and_api_agree_to_the_last_digit() -> None:
    done = run("cat.jpg", *QUICK, *TWO, "--sigma", "30", "--seed", "4", "-o", "a.csv")
    assert done.exit_code == 0, done.output
    seen = compare(cat(), sigma=30, seed=4, denoisers=NAMES, parameters=SMALL)
    for name, row in table().items():
        assert float(row["psnr"]) == seen.results[name].psnr
        assert float(row["ssim"]) == seen.results[name].ssim


def test_the_table_is_aligned_and_the_best_is_marked() -> None:
    done = run("cat.jpg", *QUICK, *TWO, "-o", "a.csv", "-o", "a.png")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["denoiser", "noisy", *NAMES, "a.csv", "a.png"]
    psnr = {name: row["psnr"] for name, row in table().items()}
    best = max(psnr, key=lambda name: float(psnr[name]))
    for line in lines[2:4]:
        name = line.split()[0]
        star = "*" if name == best else " "
        assert f" {float(psnr[name]):.2f}{star}" in line
    assert lines[2].index("spatial=") == lines[3].index("h=")
    assert "sigma 25, that of the noise; input: float" in done.stderr
    with Image.open("a.png") as figure:
        assert figure.width == 1800


@pytest.mark.parametrize(
    ("options", "noise"),
    [
        (["--noise", "poisson-gaussian", "--gain", "3"], Noise("poisson-gaussian", 0, 3)),
        (
            ["--noise", "poisson-gaussian", "--gain", "3", "--sigma", "7", "--clipped"],
            Noise("poisson-gaussian", 7, 3, clipped=True),
        ),
        (
            ["--noise", "salt-and-pepper", "--amount", "0.3"],
            Noise("salt-and-pepper", 0, amount=0.3),
        ),
        (["--clipped"], Noise(clipped=True)),
    ],
)
def test_all_noises_can_be_asked_for(options: list[str], noise: Noise) -> None:
    done = run("cat.jpg", *QUICK, *TWO, *options, "-o", "a.csv")
    assert done.exit_code == 0, done.output
    seen = compare(cat(), noise=noise, denoisers=NAMES, parameters=SMALL)
    assert float(table()["gaussian"]["psnr"]) == seen.results["gaussian"].psnr


def test_a_comparison_is_computed_again_to_the_same_digits() -> None:
    first = run("cat.jpg", *QUICK, *TWO, "--fair", "--seed", "2", "-o", "a.json", "-o", "a.csv")
    assert first.exit_code == 0, first.output
    again = run("a.json", "-o", "b.csv", "-o", "b.json")
    assert again.exit_code == 0, again.output
    one, two = table("a.csv"), table("b.csv")
    for name in one:
        assert {k: v for k, v in one[name].items() if k not in ("seconds", "best")} == {
            k: v for k, v in two[name].items() if k not in ("seconds", "best")
        }
    a, b = (json.loads(Path(f).read_text("utf-8")) for f in ("a.json", "b.json"))
    assert a["setup"] == b["setup"]
    assert a["picture"] == b["picture"]


def test_ones_own_picture_is_found_beside_the_comparison(somewhere: Path) -> None:
    folder = somewhere / "mine"
    folder.mkdir()
    shutil.copy(asset("photos/cat.jpg"), folder / "own.jpg")
    assert run("mine/own.jpg", *QUICK, *TWO, "-o", "mine/a.json").exit_code == 0
    assert run("mine/a.json", "-o", "b.csv").exit_code == 0
    (folder / "own.jpg").rename(somewhere / "moved.jpg")
    gone = run("mine/a.json")
    assert gone.exit_code == 1
    assert "own.jpg" in gone.stderr
    assert run("mine/a.json", "--original", "moved.jpg").exit_code == 0
    other = run("mine/a.json", "--original", asset("photos/coffee.jpg"))
    assert "pixels of the sha256" in other.stderr


def test_a_picture_that_is_noisy_already_has_its_sigma_estimated() -> None:
    noisy = add_noise(cat(), 20).clip(0, 255).round().astype(np.uint8)
    Image.fromarray(noisy).save("noisy.png")
    done = run("noisy.png", "--noisy", *TWO, "-o", "a.csv", "-o", "a.json")
    assert done.exit_code == 0, done.output
    assert {row["psnr"] for row in table().values()} == {""}
    assert "Donoho" in done.stderr
    assert run("a.json").exit_code == 0
    given = run("noisy.png", "--noisy", "--sigma", "9", *TWO)
    assert "sigma 9, given" in given.stderr


def test_the_result_itself_is_written() -> None:
    Image.fromarray(cat()).save("own.png")
    options = ["--noisy", "--sigma", "12", "--denoiser", "non-local-means"]
    done = run("own.png", *options, "--result", "out.png")
    assert done.exit_code == 0, done.output
    expected = denoise(cat(), "non-local-means", sigma=12)
    assert np.array_equal(np.asarray(Image.open("out.png")), expected)
    assert run("own.png", *options, "--result", "out.npy").exit_code == 0
    in_float = denoise(cat().astype(np.float32), "non-local-means", sigma=12)
    assert np.array_equal(np.load("out.npy"), in_float)
    several = run("own.png", "--noisy", *TWO, "--result", "two.png")
    assert "name one denoiser with --denoiser" in several.stderr
    assert not Path("two.png").exists()


def test_arrays_keep_their_type_and_range() -> None:
    picture = (cat() / np.float32(255)).astype(np.float32)
    np.save("own.npy", picture)
    done = run("own.npy", "--sigma", "0.1", *TWO, "-o", "a.csv", "-o", "a.json")
    assert done.exit_code == 0, done.output
    seen = compare(picture, sigma=0.1, denoisers=NAMES)
    assert float(table()["gaussian"]["psnr"]) == seen.results["gaussian"].psnr
    assert run("a.json").exit_code == 0
    wrong = run("own.npy", "--sigma", "25", *TWO)
    assert wrong.exit_code == 1
    assert "whose white is 1" in wrong.stderr
    assert run("own.npy", "--sigma", "25", "--white", "255", *TWO).exit_code == 0


def test_grey_pictures_have_no_axis_of_channels() -> None:
    Image.fromarray(cat()[..., 1]).save("grey.png")
    assert run("grey.png", *TWO, "-o", "a.csv").exit_code == 0
    seen = compare(np.ascontiguousarray(cat()[..., 1]), denoisers=NAMES)
    assert float(table()["gaussian"]["psnr"]) == seen.results["gaussian"].psnr
    assert run("cat.jpg", "--size", "40", "--grey", *TWO, "-o", "b.csv").exit_code == 0
    luminance = np.asarray(Image.fromarray(cat()).convert("L"))
    seen = compare(luminance, denoisers=NAMES)
    assert float(table("b.csv")["gaussian"]["psnr"]) == seen.results["gaussian"].psnr


def test_frames_of_a_video_are_denoised_in_space_time() -> None:
    names = ["non-local-means", "opencv-nlm-multi"]
    asked = [part for name in names for part in ("--denoiser", name)]
    done = run("bunny.mp4", *QUICK, "--frames", "3", *asked, "-o", "a.csv", "-o", "a.png")
    assert done.exit_code == 0, done.output
    clip = read_clip(asset("clips/bunny.mp4"), frames=3, stride=1, size=40).frames
    seen = compare(clip, denoisers=names, parameters=SMALL)
    for name, row in table().items():
        assert float(row["psnr"]) == seen.results[name].psnr


def test_the_denoisers_are_listed_one_a_line() -> None:
    assert run("--list").stdout.split() == list_clip_denoisers()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "a picture is needed"),
        (["none.jpg"], "nor a bundled input of that name"),
        (["cat.jpg", "-o", "a.gif"], "saved as .png, .pdf, .svg, .csv or .json"),
        (["cat.jpg", "--result", "a.jpg"], "a result is saved as .png, .tif, .tiff or .npy"),
        (["cat.jpg", "--denoiser", "nlmeans"], "no denoiser is called 'nlmeans'"),
        (["bunny.mp4", "--grey", "--frames", "2"], "clips are denoised in colour"),
        (["cat.jpg", "--noise", "pink"], "there is no noise 'pink'"),
        (["cat.jpg", "--sigma", "-4"], "sigma must be 0 or above, got sigma=-4"),
        (["cat.jpg", "--noisy", "--fair"], "tunes against the clean picture"),
        (["cat.jpg", "--set", "patch"], "a parameter is NAME=VALUE"),
        (["cat.jpg", "--set", "patch=6"], "patch is an odd number"),
        (["cat.jpg", "--set", "bm3d.level=6", "--denoiser", "mean"], "not among the denoisers"),
        (["cat.jpg", "--precision", "half"], "float or uint8, got precision='half'"),
        (["broken.npy"], "is no array of numbers"),
        (["words.npy"], "a picture is uint8"),
        (["broken.json"], "cannot be read as a comparison"),
    ],
)
def test_mistakes_are_told_in_one_sentence(arguments: list[str], sentence: str) -> None:
    Path("broken.npy").write_bytes(b"nothing")
    Path("broken.json").write_text("nothing", "utf-8")
    np.save("words.npy", np.array([["a", "b"], ["c", "d"]]))
    before = set(Path.cwd().iterdir())
    done = run(*arguments, "--size", "40")
    assert done.exit_code == 1
    assert done.stderr.startswith("nlviz: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.output
    assert set(Path.cwd().iterdir()) == before
