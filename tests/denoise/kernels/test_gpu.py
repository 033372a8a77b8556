"""The kernel for GPUs on one; on the CPU the tests of test_means.py run it too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nlviz.denoise.kernels.gpu import averaged, numpy_type, placed
from nlviz.denoise.weighted_means import (
    bilateral,
    gaussian,
    mean,
    non_local_means,
    non_local_means_of_clip,
)
from nlviz.denoise.weighting import Weighting
from nlviz.errors import NlvizError


def frames(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_inputs_are_left_alone() -> None:
    before = frames(3, 2, 12, 15)
    given = before.clone()
    done = averaged(given, Weighting(0.4, 0.1, patch=3, window=5, frames=3))
    assert torch.equal(given, before) and done.shape == before.shape
    assert not done.is_inference()  # it may be used in what learns


def test_types_that_pictures_have_not() -> None:
    with pytest.raises(NlvizError, match=r"this one is torch\.bfloat16"):
        numpy_type(torch.zeros(2, dtype=torch.bfloat16))


def test_devices_that_are_not_there() -> None:
    with pytest.raises(NlvizError, match="no device 'cuda:99' here"):
        placed(np.zeros((3, 4)), "cuda:99")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(61, 83), (57, 70, 3)])
def test_gpu_gives_what_the_cpu_gives(shape: tuple[int, ...], dtype: type) -> None:
    image = (255 * frames(*shape).numpy()).astype(dtype)
    atol = {np.uint8: 1, np.uint16: 1, np.float32: 1e-3, np.float64: 1e-10}[dtype]
    for options in ({"sigma": 60.0}, {"patch_sigma": 1.5}, {"patch": 1, "spatial": 3.0}):
        want = non_local_means(image, h=90, window=11, **options)
        got = non_local_means(image, h=90, window=11, device="cuda", **options)
        assert isinstance(got, np.ndarray) and got.dtype == dtype
        np.testing.assert_allclose(got.astype(np.float64), want, rtol=0, atol=atol)
    tensor = torch.from_numpy(image).cuda()
    on_gpu = non_local_means(tensor, h=90, window=11)
    assert on_gpu.device == tensor.device and on_gpu.dtype == tensor.dtype


@pytest.mark.gpu
def test_gpu_clips_and_filters() -> None:
    clip = frames(4, 30, 37, 3).numpy()
    want = non_local_means_of_clip(clip, h=0.4, window=7, frames_window=3)
    got = non_local_means_of_clip(clip, h=0.4, window=7, frames_window=3, device="cuda")
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-10)
    for run in (
        lambda device: mean(clip[0], window=5, device=device),
        lambda device: gaussian(clip[0], spatial=1.3, device=device),
        lambda device: bilateral(clip[0], h=0.3, spatial=1.3, device=device),
    ):
        np.testing.assert_allclose(run("cuda"), run("cpu"), rtol=0, atol=1e-10)
