"""Non-local means: exact, whichever kernel computes it."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlviz.denoise import averaging
from nlviz.denoise.kernels import cpu, gpu
from nlviz.denoise.weighted_means import non_local_means, non_local_means_of_clip
from nlviz.denoise.weighting import Weighting
from nlviz.errors import NlvizError
from tests.denoise import naive

pytestmark = pytest.mark.slow

PROPERTIES: dict[str, dict[str, Any]] = {
    "flat": {"patch": 5, "window": 7},
    "flat 3": {"patch": 3, "window": 9},
    "flat 7": {"patch": 7, "window": 5, "h": 9.0},
    "flat 9": {"patch": 9, "window": 5},
    "large patch": {"patch": 11, "window": 3},
    "one pixel": {"patch": 1, "window": 7, "h": 60.0},
    "Gaussian patch": {"patch": 5, "window": 7, "patch_sigma": 1.1},
    "large Gaussian patch": {"patch": 11, "window": 5, "patch_sigma": 2.5},
    "bias": {"patch": 5, "window": 7, "sigma": 20.0, "h": 12.0},
    "Gaussian patch and bias": {"patch": 7, "window": 5, "patch_sigma": 1.5, "sigma": 25.0},
    "spatial": {"patch": 3, "window": 9, "spatial": 1.7},
    "bilateral": {"patch": 1, "window": 9, "spatial": 2.0, "h": 40.0},
    "every key alike": {"patch": 5, "window": 7, "h": np.inf, "spatial": 2.2},
    "window of one": {"patch": 5, "window": 1},
}


@pytest.fixture(params=["numba", "torch"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each kernel in turn, both on the CPU and through the public functions."""

    def by_torch(frames: Any, weighting: Any, threads: int, progress: Any) -> Any:
        tensor, _ = gpu.placed(frames, None)
        return gpu.of_pictures(tensor, weighting, progress).numpy()

    if request.param == "torch":
        monkeypatch.setattr(averaging, "_by_numba", by_torch)
    return str(request.param)


def scene(*shape: int, seed: int = 0, noise: float = 12.0) -> np.ndarray:
    """Return a noisy picture in which patches do resemble each other, float64, around 0 to 255."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(*map(np.arange, shape[:2]), indexing="ij")
    base = 128 + 70 * np.sin(columns / 2) * np.cos(rows / 3) + 50 * (columns > shape[1] // 2)
    base = base.reshape(*base.shape, *[1] * (len(shape) - 2))
    return base + rng.normal(0, noise, shape)


def film(count: int, *shape: int) -> np.ndarray:
    return np.stack([scene(*shape, seed=t) for t in range(count)])


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("shape", [(12, 17), (11, 14, 3)], ids=["grey", "colour"])
@pytest.mark.parametrize("case", PROPERTIES)
def test_equal_to_a_double_loop(
    kernel: str, case: str, shape: tuple[int, ...], dtype: type, tolerance: float
) -> None:
    image = scene(*shape).astype(dtype)
    options = {"h": 20.0, **PROPERTIES[case]}
    want = naive.non_local_means(image[None], **options)[0]
    got = non_local_means(image, **options)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * 255)
    if case != "window of one":
        assert np.abs(want - image).max() > 1  # there was something to do


@pytest.mark.parametrize("frames_window", [1, 3, 5, 9])
@pytest.mark.parametrize("shape", [(4, 9, 13), (3, 8, 11, 3)], ids=["grey", "colour"])
def test_clip_equal_to_a_double_loop(
    kernel: str, shape: tuple[int, ...], frames_window: int
) -> None:
    clip = film(*shape)
    options: dict[str, Any] = {"h": 15.0, "sigma": 8.0, "patch": 3, "window": 5, "spatial": 3.0}
    got = non_local_means_of_clip(clip, frames_window=frames_window, **options)
    want = naive.non_local_means(clip, frames_window=frames_window, **options)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-11)


def test_kernels_take_any_number_of_channels() -> None:
    """Planes that are copies of one another say no more than one of them."""
    one = film(2, 14, 11)[:, None]
    weighting = Weighting(30, patch=3, window=7, spatial=2.0)
    for count in (2, 5):
        many = np.repeat(one, count, 1)
        want = np.repeat(cpu.averaged(one, weighting), count, 1)
        np.testing.assert_allclose(cpu.averaged(many, weighting), want, atol=1e-11)
        by_torch = gpu.averaged(torch.from_numpy(many), weighting)
        np.testing.assert_allclose(by_torch.numpy(), want, atol=1e-11)


def test_a_batch_is_its_pictures(kernel: str) -> None:
    batch = film(3, 14, 19, 3).clip(0, 255).astype(np.uint8)
    got = non_local_means_of_clip(batch, h=20, window=9, frames_window=1)
    for one, picture in zip(got, batch, strict=True):
        np.testing.assert_array_equal(one, non_local_means(picture, h=20, window=9))


@settings(max_examples=40)
@given(st.data())
def test_any_size(data: st.DataObject) -> None:
    sides = st.integers(1, 9)
    shape = (data.draw(sides), data.draw(sides), *data.draw(st.sampled_from([(), (3,)])))
    patch, window = (data.draw(st.sampled_from([1, 3, 5, 7, 9, 13])) for _ in range(2))
    image = scene(*shape, seed=data.draw(st.integers(0, 99)))
    if data.draw(st.booleans()):
        image = np.ascontiguousarray(image.swapaxes(0, 1)).swapaxes(0, 1)
    options: dict[str, Any] = {
        "h": data.draw(st.sampled_from([0.5, 10.0, 400.0])),
        "sigma": data.draw(st.sampled_from([0.0, 14.0])),
        "patch": patch,
        "window": min(window, 7),
        "patch_sigma": data.draw(st.sampled_from([None, 0.8])),
    }
    got = non_local_means(image, **options)
    np.testing.assert_allclose(got, naive.non_local_means(image[None], **options)[0], atol=1e-10)
    weighting = Weighting(**options)
    by_torch = gpu.of_pictures(torch.from_numpy(image[None]), weighting)[0].numpy()
    np.testing.assert_allclose(by_torch, got, atol=1e-10)


def test_weights_are_symmetric(kernel: str) -> None:
    """A faint mark in one channel at pixel j comes out at i as f_ij over i's sum of weights."""
    image = scene(16, 18, 3)
    image[..., 2] = 0
    mark = 1e-6
    probes = [(7, 8), (7, 9), (8, 8), (9, 10), (6, 7), (8, 6)]  # no border is near
    shares = np.empty((len(probes), len(probes)))
    for j, place in enumerate(probes):
        marked = image.copy()
        marked[(*place, 2)] = mark
        out = non_local_means(marked, h=25, patch=3, window=7)[..., 2] / mark
        shares[:, j] = [out[i] for i in probes]
    f = shares / shares.diagonal()[:, None]  # as f_ii = 1
    np.testing.assert_allclose(f, f.T, rtol=1e-8)
    assert 1e-3 < f[0, 1] < 0.999


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("value", [0, 0.1, 7, 255])
def test_constant_pictures_stay_as_they_are(kernel: str, dtype: type, value: float) -> None:
    image = np.full((13, 21, 3), value, dtype)
    np.testing.assert_array_equal(non_local_means(image, h=3, sigma=2), image)
    np.testing.assert_array_equal(non_local_means(image, h=1e-3), image)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_a_small_h_gives_the_picture_back(kernel: str, dtype: type) -> None:
    image = scene(20, 23, 3).clip(0, 255).astype(dtype)
    np.testing.assert_array_equal(non_local_means(image, h=1e-4), image)
    np.testing.assert_array_equal(non_local_means(image, h=1e-300), image)


def test_a_large_h_gives_the_mean_of_the_window(kernel: str) -> None:
    image = scene(19, 25, 3)
    want = cv2.blur(image, (9, 9), borderType=cv2.BORDER_REFLECT_101)
    for h in (np.inf, 1e9):
        got = non_local_means(image, h=h, patch=5, window=9)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-9)


def test_a_shifted_picture_gives_a_shifted_result(kernel: str) -> None:
    image = scene(40, 45)
    options: dict[str, Any] = {"h": 14, "sigma": 10, "patch": 5, "window": 9}
    margin = 6
    whole = non_local_means(image, **options)[3 + margin : -margin, 5 + margin : -margin]
    part = non_local_means(image[3:, 5:], **options)[margin:-margin, margin:-margin]
    np.testing.assert_allclose(whole, part, rtol=0, atol=1e-11)
    turned = non_local_means(np.rot90(image, 1, (0, 1)), **options)
    np.testing.assert_allclose(
        turned, np.rot90(non_local_means(image, **options), 1, (0, 1)), rtol=0, atol=1e-11
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_rounded_floats(kernel: str, dtype: type) -> None:
    most = np.iinfo(dtype).max
    image = (scene(18, 22, 3) * most / 255).clip(0, most).astype(dtype)
    assert image.max() == most
    options: dict[str, Any] = {"h": 0.08 * most, "sigma": 0.02 * most, "window": 11}
    got = non_local_means(image, **options)
    assert got.dtype == dtype
    exact = non_local_means(image.astype(np.float64), **options)
    assert np.abs(got - exact).max() <= 0.5 + 1e-5 * most
    assert (got == np.rint(exact)).mean() > (0.99 if dtype == np.uint8 else 0.9)


@pytest.mark.parametrize("factor", [2.0**100, 2.0**-90, 1e30, -3.0])
def test_units_do_not_matter(kernel: str, factor: float) -> None:
    image = scene(17, 20).astype(np.float32)
    want = non_local_means(image, h=20, sigma=9, window=9)
    got = non_local_means(
        image * np.float32(factor), h=20 * abs(factor), sigma=9 * abs(factor), window=9
    )
    np.testing.assert_allclose(got / np.float32(factor), want, rtol=0, atol=1e-6 * 255)


@pytest.mark.parametrize("offset", [1e4, -1e4])
def test_what_all_values_share_does_not_matter(kernel: str, offset: float) -> None:
    image = (offset + scene(20, 23, 3) / 100).astype(np.float32)
    want = non_local_means(image.astype(np.float64), h=0.2, window=9)
    step = np.spacing(np.float32(1e4))
    np.testing.assert_allclose(non_local_means(image, h=0.2, window=9), want, rtol=0, atol=step)
    np.testing.assert_array_equal(non_local_means(image, h=1e-9), image)


def test_views_and_read_only_pictures(kernel: str) -> None:
    image = scene(15, 19, 3)
    want = non_local_means(image[::-1, ::2].copy(), h=20, window=5)
    image.flags.writeable = False
    np.testing.assert_array_equal(non_local_means(image[::-1, ::2], h=20, window=5), want)


def test_float_values_beyond_the_range_are_kept(kernel: str) -> None:
    image = scene(15, 18) / 255
    image[:8] -= 3
    image[8:] += 3
    got = non_local_means(image, h=0.1)
    assert got.min() < -2 and got.max() > 3
    assert image.min() <= got.min() and got.max() <= image.max()


@pytest.mark.parametrize("frames_window", [1, 3])
def test_bands_do_not_change_the_result(
    kernel: str, frames_window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = film(3, 90, 75).astype(np.float32)
    run: Callable[[], np.ndarray] = lambda: non_local_means_of_clip(  # noqa: E731
        clip, h=17, sigma=12, window=9, frames_window=frames_window
    )
    whole = run()
    monkeypatch.setattr(cpu, "TILE_ROWS", 7)
    monkeypatch.setattr(cpu, "TILE_COLUMNS", 23)
    monkeypatch.setattr(gpu, "BAND_BYTES", 1)
    np.testing.assert_allclose(run(), whole, rtol=0, atol=1e-6 * 255)


def test_threads_do_not_change_a_bit() -> None:
    image = scene(203, 61, 3).astype(np.float32)
    one = non_local_means(image, h=15, sigma=12, window=9)
    for threads in (2, 5):
        many = non_local_means(image, h=15, sigma=12, window=9, threads=threads)
        np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize("threads", [1, 3])
def test_progress_reaches_all_and_cancels(threads: int) -> None:
    clip = film(2, 200, 40)
    told: list[float] = []
    run: Callable[[Any], Any] = lambda progress: non_local_means_of_clip(  # noqa: E731
        clip, h=15, window=5, frames_window=3, threads=threads, progress=progress
    )
    run(lambda sentence, share: told.append(share))
    assert told == sorted(told) and len(told) == 8 and told[-1] == 1

    class Cancelled(Exception):
        pass

    calls = 0

    def cancel(sentence: str, share: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(cancel)
    assert calls == 2


def test_cancelling_stops_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "TILE_ROWS", 4)
    started: list[int] = []
    inner = cpu._compiled

    class Counted:
        signatures = ("one",)

        def __call__(self, *args: Any) -> None:
            started.append(1)
            inner(*args)

    monkeypatch.setattr(cpu, "_compiled", Counted())

    def cancel(sentence: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        non_local_means(
            scene(800, 300), h=15, window=1, patch=21, patch_sigma=5, threads=2, progress=cancel
        )
    assert len(started) < 150  # of 200


def test_progress_of_the_torch_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "BAND_BYTES", 1)
    told: list[float] = []
    frames = torch.from_numpy(scene(64, 20))[None]
    weighting = Weighting(20, window=3, patch=3)
    gpu.of_pictures(frames, weighting, lambda _, share: told.append(share))
    assert told == [0.25, 0.5, 0.75, 1]


def test_memory_is_that_of_bands() -> None:
    image = np.zeros((1500, 1100), np.float32)
    non_local_means(image[:9, :9], h=1, window=3, patch=1)
    tracemalloc.start()
    try:
        non_local_means(image, h=np.inf, window=31, patch=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The result as planes and as a picture, and tiles.
    assert peak < 3.2 * image.nbytes


def test_tensors_come_back_as_tensors() -> None:
    image = scene(14, 17, 3).clip(0, 255)
    for dtype in (torch.uint8, torch.uint16, torch.float32, torch.float64):
        tensor = torch.from_numpy(image).to(dtype)
        got = non_local_means(tensor, h=20, window=5)
        assert got.dtype == dtype and got.device == tensor.device
        np.testing.assert_array_equal(got.numpy(), non_local_means(tensor.numpy(), h=20, window=5))
    wants_gradient = torch.rand(9, 11, requires_grad=True)
    assert not non_local_means(wants_gradient, h=1, window=3).requires_grad


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"h": 0}, "h must be above 0, got h=0; take a small h"),
        ({"h": -2.5}, "h must be above 0, got h=-2.5"),
        ({"h": float("nan")}, "h must be above 0, got h=nan"),
        ({"sigma": -1}, "sigma must be 0 or above, got sigma=-1"),
        ({"sigma": float("nan")}, "sigma must be 0 or above, got sigma=nan"),
        ({"sigma": float("inf")}, "sigma must be 0 or above, got sigma=inf"),
        ({"patch": 6}, "patch is an odd number of pixels from 1 on, got 6; take 5 or 7"),
        ({"patch": 0}, "patch is an odd number of pixels from 1 on, got 0; take 1 or 3"),
        ({"window": 20}, "window is an odd number of pixels from 1 on, got 20; take 19 or 21"),
        ({"window": -3}, "window is an odd number of pixels from 1 on, got -3; take 1 or 3"),
        ({"window": 7.5}, "window is an odd number of pixels from 1 on, got 7.5"),
        ({"patch_sigma": 0}, "patch_sigma must be above 0 pixels, got patch_sigma=0"),
        ({"spatial": -1.0}, "spatial must be above 0 pixels, got spatial=-1"),
        ({"threads": 0}, "threads must be 1 or more, got threads=0"),
        ({"device": "nowhere"}, "there is no device 'nowhere' here"),
    ],
)
def test_parameters_out_of_range(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NlvizError) as error:
        non_local_means(np.zeros((9, 8)), **{"h": 10.0, **options})
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    "image, sentence",
    [
        (np.zeros((24, 17, 36)), "non_local_means_of_volume and non_local_means_of_clip know it"),
        (np.zeros(7), "a picture has the shape (H, W) or (H, W, C), this one has (7,)"),
        (np.zeros((2, 5, 6, 3)), "frames go through non_local_means_of_clip"),
        (np.zeros((0, 6)), "needs at least one pixel"),
        (np.full((3, 4), np.nan), "12 of this one's are NaN or infinite"),
        (np.zeros((3, 4), np.int64), "this one is int64"),
        (torch.zeros((3, 4), dtype=torch.int64), "this one is torch.int64"),
    ],
)
def test_pictures_that_are_none(image: Any, sentence: str) -> None:
    with pytest.raises(NlvizError) as error:
        non_local_means(image, h=10)
    assert sentence in str(error.value)


@pytest.mark.parametrize("shape", [(0, 5, 6), (5, 6), (2, 3, 6, 9), (3, 0, 6)])
def test_clips_that_are_none(shape: tuple[int, ...]) -> None:
    with pytest.raises(NlvizError):
        non_local_means_of_clip(np.zeros(shape), h=10)


def test_even_windows_in_time() -> None:
    with pytest.raises(NlvizError, match="frames_window is an odd number of frames"):
        non_local_means_of_clip(np.zeros((4, 5, 6)), h=10, frames_window=2)


@pytest.mark.slow
def test_numba_is_imported_with_the_first_picture_only() -> None:
    code = (
        "import sys, numpy as np, nlviz, nlviz.denoise\n"
        "from nlviz.denoise import non_local_means\n"
        "assert 'numba' not in sys.modules and 'torch' not in sys.modules\n"
        "non_local_means(np.zeros((3, 4)), h=1)\n"
        "assert 'numba' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
