"""`nlviz denoise` on what microscopes, scanners and sensors write."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner, Result

from nlviz import cli
from nlviz.denoise import compare
from nlviz.denoise.value_files import png_bytes

ONE = ["--denoiser", "non-local-means", "--set", "patch=3", "--set", "window=7"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, ["denoise", *(str(a) for a in arguments)])


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scene(sigma: float, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    clean = 30_000 + 900.0 * (np.arange(shape[-1]) > 20) * np.ones(shape)
    return clean, clean + sigma * np.random.default_rng(1).standard_normal(shape)


def error(found: np.ndarray, clean: np.ndarray) -> float:
    return float(np.sqrt(((found - clean) ** 2).mean()))


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_sixteen_bits_come_back_with_their_alpha(kind: str) -> None:
    clean, noisy = scene(40, 36, 50)
    values = noisy.round().astype(np.uint16)
    alpha = np.full(values.shape, 65535, np.uint16)
    alpha[:9], values[:9] = 0, 7
    if kind == "png":
        Path("a.png").write_bytes(png_bytes(values, alpha))
    else:
        layers = np.stack([values, alpha], -1)
        options = {"photometric": "minisblack", "extrasamples": ["unassalpha"]}
        tifffile.imwrite("a.tif", layers, planarconfig="contig", **options)  # type: ignore[arg-type]
    done = run(f"a.{kind}", "--noisy", *ONE, "--result", f"b.{kind}")
    assert done.exit_code == 0, done.output
    assert "25 % of the pixels are fully transparent" in done.stderr
    assert "range 0 to 65535, of uint16" in done.stderr
    back = tifffile.imread("b.tif") if kind == "tif" else cv2.imread("b.png", -1)
    np.testing.assert_array_equal(back[..., -1], alpha)
    np.testing.assert_array_equal(back[:9, :, 0], values[:9])
    assert back.dtype == np.uint16
    assert error(back[9:, :, 0].astype(float), clean[9:]) < 0.5 * 40


def test_a_ct_keeps_its_units_and_its_range_is_told() -> None:
    clean, noisy = scene(25, 30, 44)
    tifffile.imwrite("ct.tif", (noisy - 31_000).round().astype(np.int16))
    done = run("ct.tif", "--noisy", *ONE, "--result", "b.tif")
    assert done.exit_code == 0, done.output
    assert ", of its values" in done.stderr
    back = tifffile.imread("b.tif")
    assert back.dtype == np.int16 and error(back + 31_000.0, clean) < 0.5 * 25
    given = run("ct.tif", "--sigma", "20", *ONE, "--range", "-1024", "3071", "-o", "a.json")
    assert "range -1024 to 3071, given; PSNR and SSIM are measured against it" in given.stderr
    assert run("a.json").exit_code == 0


def test_gaps_are_left_out_and_come_back() -> None:
    clean, noisy = scene(25, 30, 44)
    noisy[4, 5] = np.nan
    np.save("a.npy", noisy)
    done = run("a.npy", "--noisy", *ONE, "--result", "b.npy")
    assert "1 of the values are NaN or infinite" in done.stderr
    back = np.load("b.npy")
    assert np.argwhere(np.isnan(back)).tolist() == [[4, 5]]
    assert error(np.nan_to_num(back, nan=30_000), clean) < 0.5 * 25


def test_volumes_and_channels_that_come_first() -> None:
    clean, noisy = scene(25, 6, 18, 44)
    np.save("v.npy", noisy.astype(np.float32))
    told = run("v.npy", "--noisy", *ONE)
    assert told.exit_code == 1 and "may be a volume of 6 slices" in told.stderr
    done = run("v.npy", "--noisy", *ONE, "--axes", "ZYX", "--result", "b.tif")
    assert done.exit_code == 0, done.output
    assert error(tifffile.imread("b.tif"), clean) < 0.3 * 25
    np.save("c.npy", noisy[:3].astype(np.float32))
    assert run("c.npy", "--noisy", *ONE, "--axes", "CYX", "--result", "d.npy").exit_code == 0
    assert np.load("d.npy").shape == (3, 18, 44)
    tifffile.imwrite("s.tif", noisy.round().astype(np.uint16), photometric="minisblack")
    assert run("s.tif", "--noisy", *ONE, "--frames", "3", "--result", "t.tif").exit_code == 0
    assert tifffile.imread("t.tif").shape == (3, 18, 44)


def test_noise_that_grows_with_the_signal() -> None:
    y, x = np.mgrid[:80, :90]
    clean = 2 + 200.0 * (0.5 + 0.5 * np.sin(x / 11) * np.cos(y / 9)) * x / 90
    noisy = 3.0 * np.random.default_rng(2).poisson(clean / 3)
    Path("a.png").write_bytes(png_bytes(noisy.round().astype(np.uint16)))
    options = ["--noisy", "--noise", "poisson", "--result", "b.npy"]
    errors = []
    for more in ([], ["--gain", "3"]):
        done = run("a.png", *options, *more, *ONE)
        assert done.exit_code == 0, done.output
        assert "exact unbiased inverse" in done.stderr
        errors.append(error(np.load("b.npy"), clean))
    run("a.png", "--noisy", *ONE, "--result", "b.npy")
    plain = error(np.load("b.npy"), clean)
    assert max(errors) < 0.9 * plain
    added = run("a.png", "--noise", "poisson", "--gain", "2", "--stabilise", *ONE, "-o", "a.json")
    assert added.exit_code == 0, added.output
    again = run("a.json")
    assert again.stdout.splitlines()[2].split()[:3] == added.stdout.splitlines()[2].split()[:3]


def test_twelve_bits_in_sixteen_are_told() -> None:
    values = np.random.default_rng(0).integers(100, 4000, (20, 30), dtype=np.uint16)
    Path("a.png").write_bytes(png_bytes(values))
    done = run("a.png", "--sigma", "50", "--denoiser", "mean")
    assert "values reach 3998 only: where they have 12 bits, give the range 0 to 4095" in (
        done.stderr.replace(str(values.max()), "3998")
    )
    told = run("a.png", "--sigma", "50", "--denoiser", "mean", "--range", "0", "4095")
    assert "12 bits" not in told.stderr
    seen = compare(values, sigma=50, denoisers=["mean"], range=(0, 4095))
    assert f"{seen.results['mean'].psnr:.2f}" in told.stdout
