"""Non-local means against its peers: ``python -m tests.benchmarks.non_local_means``.

Speed at one thread, 512 x 512, patch 7, window 21; a second thread; memory; compiling; a GPU where
there is one. Quality at sigma 25 in two columns: on the same uint8 input, and on float input, which
OpenCV does not take; each method at its own oracle h, the one of a grid that is best against the
clean picture.
"""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import __version__ as skimage_version
from skimage import data, restoration

from nlviz.denoise.kernels import cpu
from nlviz.denoise.weighted_means import non_local_means
from tests.benchmarks.measuring import (
    Figure,
    alternate,
    at_least,
    at_most,
    extra_memory,
    processor,
    ratio,
    save,
    table,
)

SIGMA = 25.0
PICTURES = {"camera, grey": data.camera, "astronaut, RGB": data.astronaut}
ROOT = Path(__file__).parent.parent.parent
COMPILE = """
import time
start = time.process_time()
from nlviz.denoise.kernels import cpu
imported = time.process_time()
cpu.warm_up()
print(imported - start, time.process_time() - imported)
"""


def noisy(clean: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a picture with Gaussian noise, float32, not clipped."""
    noise = np.random.default_rng(seed).normal(0, SIGMA, clean.shape)
    return (clean + noise).astype(np.float32)


def as_uint8(image: np.ndarray) -> np.ndarray:
    """Return the picture rounded and clipped."""
    return np.rint(image).clip(0, 255).astype(np.uint8)


def fast_mode(image: np.ndarray, h: float, patch: int = 7, window: int = 21) -> np.ndarray:
    """Return scikit-image's fast mode, which knows sigma."""
    axis = -1 if image.ndim == 3 else None
    return restoration.denoise_nl_means(
        image,
        patch,
        window // 2,
        h,
        fast_mode=True,
        sigma=SIGMA,
        channel_axis=axis,
        preserve_range=True,
    )


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    cv2.setNumThreads(1)
    cpu.warm_up()
    return [
        *_speed(3 if quick else 7),
        *_faster_than_scikit_image(1 if quick else 3),
        *_threads(3 if quick else 9),
        *_memory(),
        *_gpu(9),
        *_compiling(),
        *_quality(1 if quick else 3),
    ]


def _speed(rounds: int) -> list[Figure]:
    grey, colour = (as_uint8(noisy(picture())) for picture in PICTURES.values())
    seconds = alternate(
        {
            "grey": lambda: non_local_means(grey, h=17, sigma=SIGMA),
            "OpenCV, grey": lambda: cv2.fastNlMeansDenoising(grey, None, 17, 7, 21),
            "RGB": lambda: non_local_means(colour, h=17, sigma=SIGMA),
            "OpenCV, RGB": lambda: cv2.fastNlMeansDenoisingColored(colour, None, 17, 17, 7, 21),
            "OpenCV, three channels": lambda: cv2.fastNlMeansDenoising(colour, None, 17, 7, 21),
        },
        rounds=rounds,
    )
    name = "512 x 512, patch 7, window 21, one thread"
    grey_ratio = ratio(seconds, "grey", "OpenCV, grey")
    colour_ratio = ratio(seconds, "RGB", "OpenCV, RGB")
    three = ratio(seconds, "RGB", "OpenCV, three channels")
    return [
        at_most(f"{name}: grey / fastNlMeansDenoising", grey_ratio, 0.7, "x"),
        at_most(f"{name}: RGB / fastNlMeansDenoisingColored", colour_ratio, 0.45, "x"),
        Figure(f"{name}: RGB / fastNlMeansDenoising of three channels", f"{three:.3g}x"),
        *(
            Figure(f"{name}: {what}", f"{1e3 * statistics.median(values):.0f} ms")
            for what, values in seconds.items()
        ),
    ]


def _faster_than_scikit_image(rounds: int) -> list[Figure]:
    figures = []
    for (name, picture), side, patch, window in (
        (("grey", data.camera), 256, 7, 21),
        (("grey", data.camera), 512, 7, 21),
        (("grey", data.camera), 512, 5, 13),
        (("RGB", data.astronaut), 512, 7, 21),
        (("RGB", data.astronaut), 512, 5, 13),
    ):
        image = noisy(picture())[:side, :side]
        seconds = alternate(
            {
                "ours": lambda i=image, p=patch, w=window: non_local_means(
                    i, h=17, sigma=SIGMA, patch=p, window=w
                ),
                "theirs": lambda i=image, p=patch, w=window: fast_mode(i, 17, p, w),
            },
            rounds=rounds,
        )
        what = f"{side} x {side} {name}, patch {patch}, window {window}: / scikit-image's fast mode"
        figures.append(at_most(what, ratio(seconds, "ours", "theirs"), 1, "x"))
    return figures


def _threads(rounds: int) -> list[Figure]:
    image = np.tile(noisy(data.astronaut()), (2, 2, 1))
    runs: dict[str, Callable[[], object]] = {
        "one": lambda: non_local_means(image, h=17, sigma=SIGMA),
        "two": lambda: non_local_means(image, h=17, sigma=SIGMA, threads=2),
    }
    wall = alternate(runs, rounds=rounds, clock=time.perf_counter)
    work = ratio(alternate(runs, rounds=2), "two", "one")
    name = "1024 x 1024 RGB"
    gain = min(wall["one"]) / min(wall["two"])
    return [
        at_least(
            f"{name}: one thread / two threads, wall time, least of the rounds", gain, 1.6, "x"
        ),
        Figure(f"{name}: processor time, two threads / one", f"{work:.3g}x"),
    ]


def _scan(side: int) -> Callable[[], Callable[[], np.ndarray]]:
    def prepare() -> Callable[[], np.ndarray]:
        image = np.tile(noisy(data.camera()), (side // 512, side // 512))
        non_local_means(image[:64, :64], h=17, sigma=SIGMA)
        return lambda: non_local_means(image, h=17, sigma=SIGMA)

    return prepare


MEMORY = {str(side): _scan(side) for side in (512, 4096)}


def _memory() -> list[Figure]:
    extra = {side: extra_memory("non_local_means", str(side)) for side in (512, 4096)}
    picture = {side: side * side * 4 / 2**20 for side in extra}
    small = f"{extra[512]:.3g} MiB (the picture: {picture[512]:.3g})"
    what = "4096 x 4096 float32: extra memory, result included, in pictures"
    return [
        Figure("512 x 512 float32: extra memory, result included", small),
        at_most(what, extra[4096] / picture[4096], 3, "x"),
    ]


def _gpu(rounds: int) -> list[Figure]:
    if not torch.cuda.is_available():
        return []
    image = torch.from_numpy(np.resize(as_uint8(noisy(data.astronaut())), (1080, 1920, 3))).cuda()

    def run() -> None:
        non_local_means(image, h=17, sigma=SIGMA)
        torch.cuda.synchronize()

    seconds = alternate({"gpu": run}, rounds=rounds, clock=time.perf_counter)["gpu"]
    name = f"{torch.cuda.get_device_name()}: RGB 1920 x 1080, patch 7, window 21"
    return [at_least(name, 1 / statistics.median(seconds), 25, " frames a second")]


def _compiling() -> list[Figure]:
    command = [sys.executable, "-c", COMPILE]
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "NUMBA_CACHE_DIR": folder}
        told = [
            subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
            for _ in range(2)
        ]
    first, again = (one.stdout.split() for one in told)
    return [
        Figure("compiling, once on a machine", f"{float(first[1]):.2g} s"),
        Figure("loading what was compiled, once in a process", f"{float(again[1]):.2g} s"),
        Figure("importing the compiler, once in a process", f"{float(again[0]):.2g} s"),
    ]


def oracle(clean: np.ndarray, run: Callable[[float], np.ndarray]) -> float:
    """Return the best PSNR in dB over h from 0.5 to 1.15 sigma."""
    shares = np.arange(0.5, 1.16, 0.05)
    errors = [((run(float(s) * SIGMA) - clean.astype(np.float64)) ** 2).mean() for s in shares]
    return float(10 * np.log10(255**2 / min(errors)))


def _quality(seeds: int) -> list[Figure]:
    figures = []
    for name, picture in PICTURES.items():
        clean = picture()
        found: dict[str, list[float]] = {}
        for seed in range(seeds):
            floats = noisy(clean, seed)
            image = as_uint8(floats)
            runs = {
                "OpenCV": functools.partial(_opencv, image),
                "no bias": functools.partial(_ours, image, 0.0),
                "bias": functools.partial(_ours, image, SIGMA),
                "float, no bias": functools.partial(_ours, floats, 0.0),
                "float, bias": functools.partial(_ours, floats, SIGMA),
                "scikit-image": functools.partial(fast_mode, floats),
            }
            for what, run in runs.items():
                found.setdefault(what, []).append(oracle(clean, run))
        figures += _columns(name, found, 0.6 if clean.ndim == 3 else 0.2)
    return figures


def _opencv(image: np.ndarray, h: float) -> np.ndarray:
    return cv2.fastNlMeansDenoising(image, None, h, 7, 21)


def _ours(image: np.ndarray, sigma: float, h: float) -> np.ndarray:
    return non_local_means(image, h=h, sigma=sigma)


def _columns(name: str, found: dict[str, list[float]], gain: float) -> list[Figure]:
    def over(ours: str, peer: str) -> list[float]:
        return [a - b for a, b in zip(found[ours], found[peer], strict=True)]

    def shown(values: list[float]) -> str:
        return f"{statistics.mean(values):+.3f} dB ({min(values):+.3f} to {max(values):+.3f})"

    plain, biased = over("no bias", "OpenCV"), over("bias", "OpenCV")
    beyond, scikit = over("float, bias", "bias"), over("float, bias", "scikit-image")
    same = f"{name}, the same uint8 input"
    psnr = ", ".join(f"{what} {statistics.mean(v):.2f}" for what, v in found.items())
    near = all(abs(v) <= 0.02 for v in plain)
    enough = min(biased) >= gain
    close = min(scikit) >= -0.25
    return [
        Figure(f"{name}, PSNR in dB at oracle h", psnr),
        Figure(f"{same}: without the bias, over OpenCV", shown(plain), "within 0.02 dB", near),
        Figure(f"{same}: with the bias, over OpenCV", shown(biased), f"at least {gain} dB", enough),
        Figure(f"{name}, float input: beyond uint8 input, with the bias", shown(beyond)),
        Figure(
            f"{name}, float input: with the bias, over scikit-image's fast mode",
            shown(scikit),
            "at least -0.25 dB",
            close,
        ),
    ]


CONDITIONS = "processor time at one thread unless said, medians over alternating rounds"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    versions = f"OpenCV {cv2.__version__}, scikit-image {skimage_version}"
    save("non_local_means", figures, f"{CONDITIONS}; {processor()}; {versions}")
    print(f"### Non-local means\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
