"""What holds for every denoiser, whatever it computes."""

from __future__ import annotations

import numpy as np
import pytest

from nlviz.clips.clip import Clip
from nlviz.denoise.denoiser import Denoiser
from nlviz.denoise.image import Image
from nlviz.denoise.methods import learned as networks_entry
from nlviz.denoise.noise import add_noise
from nlviz.denoise.quality import psnr
from nlviz.denoise.registry import (
    CLIP_DENOISERS,
    DENOISERS,
    SPELLINGS,
    denoise,
    denoise_clip,
    find_denoiser,
    list_clip_denoisers,
    list_denoisers,
)
from nlviz.errors import NlvizError

from .test_noise import photo

WINDOW = {"patch": 5, "window": 11}
NAMES = [name for name in list_denoisers() if name != "bm3d"]


def quickly(name: str) -> dict[str, int]:
    both = {**DENOISERS, **CLIP_DENOISERS}
    return WINDOW if "patch" in both[name].parameters else {}


def test_the_names_of_the_contract_are_listed() -> None:
    asked = ["mean", "gaussian", "bilateral", "non-local-means", "opencv-nlm", "scikit-image-fast"]
    asked += ["scikit-image-slow", "bm3d", "learned-local", "learned-nonlocal"]
    assert list(DENOISERS) == asked
    assert set(list_denoisers()) <= set(asked)
    assert {"non-local-means", "opencv-nlm-multi"} <= set(list_clip_denoisers())


@pytest.mark.parametrize("one", [*DENOISERS.values(), *CLIP_DENOISERS.values()])
def test_each_tells_about_itself(one: Denoiser) -> None:
    for text in (one.label, one.formula, one.source, one.licence, one.note):
        assert text
        assert "\n" not in text
    assert one.strength in one.parameters
    values = one.values(20, 255)
    for name, parameter in one.parameters.items():
        assert parameter.what
        assert values[name] == parameter.at(20, 255)
        if parameter.kind != "switch" and values[name] is not None:
            scale = 20 if parameter.unit == "sigma" else 1
            assert parameter.low * scale <= float(values[name] or 0) <= parameter.high * scale


@pytest.mark.parametrize("name", ["gaussian", "non-local-means"])
def test_a_clip_is_denoised_as_its_frames_are(name: str) -> None:
    frames = np.random.default_rng(0).integers(90, 160, (4, 13, 17, 3), np.uint8)
    clip = Clip.from_frames(frames, fps=5.0, name="noise").noted("Shown twice as fast.")
    done = denoise(clip, name, sigma=20.0)
    assert np.array_equal(done.frames, denoise_clip(frames, name, sigma=20.0))
    assert np.array_equal(done.times, clip.times)
    assert done.notes == clip.notes
    assert done.digest != clip.digest
    assert "noise" in done.name


@pytest.mark.parametrize(("spelling", "name"), SPELLINGS.items())
def test_other_spellings_are_the_same_method(spelling: str, name: str) -> None:
    noisy = np.random.default_rng(1).normal(120, 20, (22, 26)).astype(np.float32)
    assert np.array_equal(denoise(noisy, spelling, sigma=20), denoise(noisy, name, sigma=20))
    assert name in DENOISERS
    assert spelling not in DENOISERS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grey", [False, True])
def test_each_denoises_and_keeps_type_and_shape(name: str, grey: bool) -> None:
    clean = photo(size=(50, 42))
    clean = clean[..., 1] if grey else clean
    noisy = add_noise(clean, 25, seed=1)
    done = denoise(noisy, name, sigma=25, **quickly(name))
    assert done.dtype == np.float32
    assert done.shape == noisy.shape
    assert psnr(clean, done) > psnr(clean, noisy) + 3
    for dtype, white in (("uint8", 255), ("uint16", 65535)):
        scale = white / 255
        seen = np.rint(noisy.clip(0, 255) * scale).astype(dtype)
        whole = denoise(seen, name, sigma=25 * scale, **quickly(name))
        assert whole.dtype == dtype
        in_float = denoise(
            seen.astype(np.float32), name, sigma=25 * scale, data_range=white, **quickly(name)
        )
        assert np.abs(whole - in_float.clip(0, white)).max() <= 0.5 + 1e-3 * scale


@pytest.mark.parametrize("name", NAMES)
def test_units_do_not_matter(name: str) -> None:
    clean = photo(size=(33, 28))
    noisy = add_noise(clean, 25, seed=1)
    large = denoise(noisy, name, sigma=25, data_range=255, **quickly(name))
    small = denoise(noisy / 255, name, sigma=25 / 255, data_range=1, **quickly(name))
    assert np.abs(large - small * 255).max() < 0.02


@pytest.mark.parametrize("name", [n for n in NAMES if n != "opencv-nlm"])
def test_float_is_never_clipped(name: str) -> None:
    noisy = add_noise(np.full((40, 36), 250, np.uint8), 12, seed=2) + 20
    done = denoise(noisy, name, sigma=12, data_range=255, **quickly(name))
    assert done.mean() == pytest.approx(270, abs=3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 1, 3), (9, 4, 3)])
def test_tiny_pictures_are_denoised(name: str, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)
    done = denoise(picture, name, sigma=10, **quickly(name))
    assert done.shape == shape
    assert np.isfinite(done).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_picture_stays(name: str) -> None:
    picture = np.full((20, 26, 3), (40, 90, 200), np.uint8)
    # A network that is told of noise where there is none finds some.
    most = 12 if name.startswith("learned") else 1
    done = denoise(picture, name, sigma=10, **quickly(name))
    assert np.abs(done.astype(int) - picture).max() <= most
    assert np.array_equal(denoise(picture, name), picture)  # its sigma is estimated as 0


@pytest.mark.parametrize("name", NAMES)
def test_without_noise_nothing_is_removed_unless_asked(name: str) -> None:
    picture = photo(size=(31, 24))
    assert np.array_equal(denoise(picture, name, sigma=0), picture)
    what = find_denoiser(name).strength
    value = 9 if find_denoiser(name).parameters[what].kind == "odd" else 20.0
    assert not np.array_equal(denoise(picture, name, sigma=0, **{what: value}), picture)


def test_a_sigma_that_is_not_given_is_estimated() -> None:
    noisy = add_noise(photo(), 20)
    from nlviz.denoise.estimation import estimate_sigma

    given = denoise(noisy, "gaussian", sigma=estimate_sigma(noisy))
    assert np.array_equal(denoise(noisy, "gaussian"), given)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sigma": -1}, "sigma must be 0 or above, got sigma=-1"),
        ({"sigma": float("nan")}, "sigma must be 0 or above"),
        ({"h": 0}, "h must be above 0, got h=0"),
        ({"h": "much"}, "h must be above 0, got h=much"),
        ({"patch": 4}, "patch is an odd number of pixels from 1 on, got 4; take 3 or 5"),
        ({"window": 0}, "window is an odd number of pixels from 1 on, got 0; take 1 or 3"),
        ({"bias": "perhaps"}, "bias is true or false, got bias=perhaps"),
        ({"patsh": 5}, "non-local-means has no parameter 'patsh'; did you mean 'patch'"),
        ({"data_range": -1}, "value of white must be above 0"),
    ],
)
def test_numbers_out_of_their_range_are_told(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(NlvizError, match=sentence):
        denoise(photo(size=(20, 15)), "non-local-means", **{"sigma": 10, **options})


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (np.zeros((24, 8, 19), np.uint8), "may be a volume of 24 slices, 24 frames of a clip"),
        (
            np.zeros((3, 8, 19), np.uint8),
            "they seem to come first; say axes='CYX'",
        ),
        (np.zeros((8, 9), complex), "real and imaginary parts as two channels"),
        (np.zeros((8, 9), np.int64), "convert it with image.astype"),
        (np.full((8, 9), np.inf), "72 of this one's are NaN or infinite"),
        (np.zeros((8, 9), bool), "looks like a mask, which goes with a picture as mask="),
        (np.zeros(9), "shape"),
    ],
)
@pytest.mark.parametrize("name", ["gaussian", "opencv-nlm", "learned-local"])
def test_what_is_no_picture_is_told(picture: Image, sentence: str, name: str) -> None:
    with pytest.raises(NlvizError, match=sentence):
        denoise(picture, name, sigma=5)


def test_a_window_smaller_than_the_patch_is_allowed() -> None:
    noisy = add_noise(photo(size=(30, 25)), 25)
    for name in ("non-local-means", "opencv-nlm", "scikit-image-fast"):
        assert denoise(noisy, name, sigma=25, patch=9, window=3).shape == noisy.shape


def test_unknown_names_are_told() -> None:
    picture = photo(size=(20, 15))
    with pytest.raises(NlvizError, match="did you mean 'bilateral'"):
        denoise(picture, "bilatral")
    with pytest.raises(NlvizError, match="'opencv-nlm-multi' is for clips, this is one picture"):
        denoise(picture, "opencv-nlm-multi")


def test_networks_without_weights_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise NlvizError(name)

    monkeypatch.setattr(networks_entry, "asset", missing)
    assert not {"learned-local", "learned-nonlocal"} & set(list_denoisers())
    with pytest.raises(NlvizError, match=r"denoiser-local.safetensors, are not there; train them"):
        denoise(photo(size=(20, 15)), "learned-local", sigma=5)


@pytest.mark.parametrize("name", NAMES)
def test_progress_is_told_and_can_cancel(name: str) -> None:
    told: list[float] = []
    noisy = add_noise(photo(size=(30, 25)), 25)
    denoise(noisy, name, sigma=25, progress=lambda s, x: told.append(x), **quickly(name))
    assert told
    assert all(0 <= share <= 1 for share in told)

    def stop(sentence: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        denoise(noisy, name, sigma=25, progress=stop, **quickly(name))


@pytest.mark.parametrize("name", ["gaussian", "non-local-means", "opencv-nlm-multi"])
def test_clips_keep_their_type(name: str) -> None:
    clip = np.stack([photo(size=(31, 24))] * 4)
    noisy = add_noise(clip, 20)
    done = denoise_clip(noisy, name, sigma=20, **quickly(name))
    assert (done.dtype, done.shape) == (noisy.dtype, noisy.shape)
    assert psnr(clip, done) > psnr(clip, noisy) + 2
    grey = np.ascontiguousarray(noisy[..., 1].clip(0, 255)).astype(np.uint16)
    whole = denoise_clip(grey, name, sigma=20, data_range=255, **quickly(name))
    assert (whole.dtype, whole.shape) == (np.uint16, grey.shape)


@pytest.mark.parametrize("name", ["non-local-means", "opencv-nlm-multi"])
def test_space_time_is_better_than_frame_by_frame(name: str) -> None:
    clip = np.stack([photo(size=(52, 44))] * 5)
    noisy = add_noise(clip, 30)
    one, three = (denoise_clip(noisy, name, sigma=30, frames=n, **WINDOW) for n in (1, 3))
    assert psnr(clip, three) > psnr(clip, one) + 0.2


def test_frame_by_frame_is_the_denoiser_of_pictures() -> None:
    noisy = add_noise(np.stack([photo(size=(31, 24))] * 3), 20)
    done = denoise_clip(noisy, "gaussian", sigma=20)
    assert np.array_equal(done[2], denoise(noisy[2], "gaussian", sigma=20))
    alone = denoise_clip(noisy, "non-local-means", sigma=20, frames=1)
    assert np.array_equal(alone[1], denoise(noisy[1], "non-local-means", sigma=20))
