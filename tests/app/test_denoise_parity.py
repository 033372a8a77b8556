"""What the Denoise page computes, beside Python and the command: the same to the last digit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import nlviz
from app.denoise import cached as denoising
from app.denoise.picture import Picture, picture
from app.denoise.state import Source
from nlviz import cli
from nlviz.clips.clip import read_clip
from nlviz.denoise import Comparison, Noise, compare
from nlviz.denoise.comparison.setup import Setup
from nlviz.render.comparison_files import comparison_bytes
from nlviz.resources import asset

NAMES = ("gaussian", "non-local-means", "opencv-nlm", "learned-nonlocal")
SMALL = {"non-local-means": {"patch": 5, "window": 11}, "opencv-nlm": {"patch": 5, "window": 11}}


def nothing(sentence: str, share: float) -> None:
    pass


def shown(size: int = 48) -> Picture:
    return picture(Source("cat.jpg", size=size), nlviz.Progress(nothing))


def on_the_page(setup: Setup, seen: Picture | None = None) -> Comparison:
    return denoising.one_by_one(
        seen or shown(), setup, nlviz.Progress(nothing), lambda partial: None
    )


def equal(one: Comparison, other: Comparison) -> None:
    np.testing.assert_array_equal(one.noisy, other.noisy)
    assert (one.psnr, one.ssim, one.sigma) == (other.psnr, other.ssim, other.sigma)
    assert list(one.results) == list(other.results)
    for name, result in one.results.items():
        np.testing.assert_array_equal(result.picture, other.results[name].picture)
        assert result.psnr == other.results[name].psnr
        assert result.ssim == other.results[name].ssim
        assert result.parameters == other.results[name].parameters
        assert result.note == other.results[name].note


def cat(size: int = 48) -> np.ndarray:
    return np.asarray(read_clip(asset("photos/cat.jpg"), size=size).frames[0])


@pytest.mark.parametrize("fair", [False, True])
def test_page_and_python_agree(fair: bool) -> None:
    names = NAMES[:3] if fair else NAMES
    setup = Setup(names, Noise(sigma=30.0), seed=5, fair=fair, parameters=SMALL)
    python = compare(cat(), sigma=30, seed=5, denoisers=names, fair=fair, parameters=SMALL)
    assert python.precision == ("uint8" if fair else "float")
    equal(on_the_page(setup), python)


def test_a_noisy_picture_gets_the_same_estimate() -> None:
    setup = Setup(("bilateral", "mean"))
    python = compare(cat(), noisy=True, denoisers=["bilateral", "mean"])
    page = on_the_page(setup)
    equal(page, python)
    assert page.clean is None and "estimated" in page.sigma_from


def test_the_command_gives_the_digits_and_makes_the_page_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    setup = Setup(NAMES[:2], Noise(sigma=40.0), seed=3, parameters={"gaussian": {"spatial": 1.5}})
    page = on_the_page(setup)
    run = CliRunner().invoke(
        cli.app,
        [
            *("denoise", "cat.jpg", "--size", "48", "--sigma", "40", "--seed", "3"),
            *("--denoiser", NAMES[0], "--denoiser", NAMES[1], "--set", "gaussian.spatial=1.5"),
            *("-o", "command.json"),
        ],
    )
    assert run.exit_code == 0, run.output
    command = json.loads(Path("command.json").read_text())
    saved = json.loads(comparison_bytes(page, "json"))
    timeless = [
        [{k: v for k, v in row.items() if k not in ("seconds", "best")} for row in one["table"]]
        for one in (command, saved)
    ]
    assert timeless[0] == timeless[1]
    # The command reads the file's own values, which are bytes here, as the page has them.
    assert command["picture"]["source"].pop("values") == "own"
    assert command["picture"] == saved["picture"]
    assert command["noisy"] == saved["noisy"]
    # What the page saves, the command computes again.
    Path("page.json").write_bytes(comparison_bytes(page, "json"))
    run = CliRunner().invoke(cli.app, ["denoise", "page.json", "-o", "again.json"])
    assert run.exit_code == 0, run.output
    again = json.loads(Path("again.json").read_text())
    for first, second in zip(saved["table"], again["table"], strict=True):
        assert (first["psnr"], first["ssim"]) == (second["psnr"], second["ssim"])


def test_a_denoiser_that_joins_costs_its_own_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = nlviz.denoise.carry_out

    def counted(setup: Setup, *rest: object, **more: object) -> Comparison:
        asked.extend(setup.denoisers)
        return original(setup, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(nlviz.denoise, "carry_out", counted)
    seen = shown(31)
    setup = Setup(("mean", "gaussian"), Noise(sigma=17.0), seed=11)
    on_the_page(setup, seen)
    assert asked == ["mean", "gaussian"]
    arrived: list[list[str]] = []
    done = denoising.one_by_one(
        seen,
        replace(setup, denoisers=("bilateral", "mean")),
        nlviz.Progress(nothing),
        lambda partial: arrived.append(list(partial.results)),
    )
    assert asked == ["mean", "gaussian", "bilateral"]
    assert list(done.results) == ["bilateral", "mean"]
    assert arrived == [["bilateral"]]
    on_the_page(replace(setup, parameters={"mean": {"window": 9}}), seen)
    assert asked == ["mean", "gaussian", "bilateral", "mean"]


def test_cancelled_work_is_taken_up_where_it_was_left() -> None:
    class Cancelled(Exception):
        pass

    def cancel(sentence: str, share: float) -> None:
        if "Gaussian filter" in sentence:
            raise Cancelled

    seen, setup = shown(29), Setup(("mean", "gaussian"), Noise(sigma=19.0), seed=2)
    with pytest.raises(Cancelled):
        denoising.one_by_one(seen, setup, nlviz.Progress(cancel), lambda partial: None)
    there = denoising.there_already(seen, setup)
    assert there is not None and list(there.results) == ["mean"]
    equal(
        on_the_page(setup, seen), compare(seen.image, sigma=19, seed=2, denoisers=setup.denoisers)
    )
