"""Running denoisers side by side: the same noisy input for all, and what each makes of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nlviz.denoise.comparison.oracle import Tuned, tuned
from nlviz.denoise.comparison.results import Comparison as Comparison
from nlviz.denoise.comparison.results import Floats, Result
from nlviz.denoise.comparison.setup import Precision, Setup, default_denoisers, digest_of_pixels
from nlviz.denoise.denoiser import Denoiser, Value
from nlviz.denoise.image import Image
from nlviz.denoise.image import data_range as white_of
from nlviz.denoise.methods.opencv import as_bytes
from nlviz.denoise.noise import ESTIMATOR, Noise, add_noise, checked_picture, estimate_sigma
from nlviz.denoise.quality import SIDE, method_noise, psnr, ssim
from nlviz.denoise.registry import denoise_picture, find_denoiser
from nlviz.errors import NlvizError
from nlviz.progress import SILENT, Listener, Progress

_EIGHT_BITS = 25.0 / 255.0  # the default sigma, as a share of white
_MOST_RUNS = 5  # of which the fastest is told, as other programs only ever slow one down
_QUICK = 0.1  # seconds after which none is repeated
_WARM: set[tuple[Any, ...]] = set()


def compare(
    image: Image | None = None,
    *,
    sigma: float | None = None,
    denoisers: Sequence[str] | None = None,
    seed: int = 0,
    noise: Noise | None = None,
    clipped: bool = False,
    noisy: Image | bool | None = None,
    fair: bool = False,
    parameters: Mapping[str, Any] | None = None,
    data_range: float | None = None,
    precision: Precision | None = None,
    name: str = "picture",
    progress: Listener | None = None,
) -> Comparison:
    """Run denoisers on one noisy picture and measure what each gives.

    Args:
        image: the clean picture (H, W) or (H, W, 3), or a clip (T, H, W, 3): uint8, uint16, float.
        sigma: of the Gaussian noise that is added, in units of the picture; by default 25 of 255.
            With ``noise`` or ``noisy``: what the denoisers are given; by default the noise's own
            level, or the estimate.
        denoisers: names; by default all that run here but the very slow ones.
        seed: of the noise.
        noise: another noise than Gaussian.
        clipped: whether values of the noisy picture beyond the range are cut off.
        noisy: a picture that is noisy already, with its clean one or, without ``image``, alone;
            True says that ``image`` itself is noisy. Alone there is no PSNR and no SSIM.
        fair: same patch, window and type of input for all, and each strength the *oracle*'s: the
            best of a grid against the clean picture. Where a denoiser takes uint8 only, all get
            the rounded and clipped picture.
        parameters: value by name for all that have it, {"patch": 5}, or for one denoiser,
            {"bm3d": {"level": 20}}.
        data_range: value of white, see :func:`nlviz.denoise.image.data_range`.
        precision: ``float`` or ``uint8`` input for all, whatever ``fair`` says.
        name: of the picture.
        progress: called with a sentence and a share in [0, 1]; what it raises cancels.

    Raises:
        NlvizError: when there is no picture, or a denoiser, a parameter or a number is out of its
            range.

    >>> from nlviz.resources import asset
    >>> from PIL import Image
    >>> cat = np.asarray(Image.open(asset("photos/cat.jpg")).convert("L").reduce(6))
    >>> seen = compare(cat, sigma=25, denoisers=["gaussian", "non-local-means"], seed=0)
    >>> [row["denoiser"] for row in seen.table], seen.psnr < seen.results["gaussian"].psnr
    (['gaussian', 'non-local-means'], True)
    """
    if noisy is True:
        image, noisy = None, image
    elif noisy is False:
        noisy = None
    given = image if noisy is None else noisy
    if given is None:
        raise NlvizError("a comparison needs a picture, none is given")
    given = np.asarray(given)
    if noisy is not None and noise is not None:
        raise NlvizError("a picture that is noisy already gets no more noise; leave noise out")
    if noisy is None:
        told = sigma if noise is not None else None
        if noise is None:
            checked_picture(given)
            amount = _EIGHT_BITS * white_of(given, data_range) if sigma is None else sigma
            noise = Noise(sigma=amount)
        noise = replace(noise, clipped=noise.clipped or clipped)
    else:
        told = sigma
    names = default_denoisers(of_clips=given.ndim == 4) if denoisers is None else tuple(denoisers)
    setup = Setup(names, noise, told, seed, fair, dict(parameters or {}), data_range, precision)
    return carry_out(
        setup,
        image,
        noisy=None if noisy is None else given,
        name=name,
        progress=progress,
    )


def carry_out(
    setup: Setup,
    image: Image | None,
    *,
    noisy: Image | None = None,
    name: str = "picture",
    progress: Listener | None = None,
) -> Comparison:
    """Return the comparison that a setup describes; the same setup gives the same digits.

    Args:
        setup: how.
        image: the clean picture, or None.
        noisy: the noisy one, where no noise is added.
        name: of the picture.
        progress: called with a sentence and a share in [0, 1]; what it raises cancels.

    Raises:
        NlvizError: as :func:`compare`.
    """
    report = Progress.of(progress)
    clean = None if image is None else np.asarray(image)
    given = clean if noisy is None else np.asarray(noisy)
    if given is None:
        raise NlvizError("a comparison needs a picture, none is given")
    checked_picture(given)
    of_clips = given.ndim == 4
    setup.check(of_clips=of_clips)
    if setup.fair and clean is None:
        raise NlvizError(
            "a fair comparison tunes against the clean picture, which is not there; leave fair out"
        )
    white = white_of(given if clean is None else clean, setup.data_range)
    report("Adding noise", 0.0)
    seen, sigma, origin = noisy_input(setup, clean, noisy=given)
    precision = setup.input_type(of_clips=of_clips)
    results: dict[str, Result] = {}
    for index, each in enumerate(setup.denoisers):
        first, last = index / len(setup.denoisers), (index + 1) / len(setup.denoisers)
        results[each] = _result(
            setup,
            find_denoiser(each, of_clips=of_clips),
            clean,
            seen,
            sigma,
            white,
            report.part(first, last),
        )
    report("Measured", 1.0)
    before = _quality(clean, seen, white)
    return Comparison(
        clean,
        seen,
        results,
        sigma,
        origin,
        white,
        precision,
        setup,
        digest_of_pixels(given if clean is None else clean),
        *before,
        name=name,
    )


def noisy_input(
    setup: Setup, image: Image | None, *, noisy: Image | None = None
) -> tuple[Floats, float, str]:
    """Return the picture that all denoisers of a comparison are given, and their sigma.

    Args:
        setup: how.
        image: the clean picture, or None.
        noisy: the noisy one, where no noise is added.

    Returns:
        The noisy picture, its sigma, and where that comes from in words.

    Raises:
        NlvizError: as :func:`compare`.

    >>> noisy_input(Setup(("mean",), Noise(sigma=5)), np.full((5, 7), 9, np.uint8))[1:]
    (5.0, 'that of the noise')
    """
    given = image if noisy is None else noisy
    if given is None:
        raise NlvizError("a comparison needs a picture, none is given")
    checked_picture(given)
    white = white_of(given if image is None else image, setup.data_range)
    seen, sigma, origin = _seen_and_told(setup, image, given, white)
    if setup.input_type(of_clips=given.ndim == 4) == "uint8":
        seen = (as_bytes(seen, white) * np.float32(white / 255)).astype(np.float32)
    return seen, sigma, origin


def _seen_and_told(
    setup: Setup, clean: Image | None, given: Image, white: float
) -> tuple[Floats, float, str]:
    """Return the noisy picture, the sigma that denoisers are given, and where that comes from."""
    if setup.noise is None or clean is None:
        seen = given.astype(np.float32)
        if setup.sigma is not None:
            return seen, float(setup.sigma), "given"
        return seen, estimate_sigma(given), f"estimated: {ESTIMATOR}"
    if setup.noise.sigma > 4 * white:
        raise NlvizError(
            f"sigma is in units of the picture, whose white is {white:g}; sigma="
            f"{setup.noise.sigma:g} leaves nothing of it, and 25 of 255 would be "
            f"sigma={_EIGHT_BITS * white:.3g}"
        )
    seen = add_noise(clean, setup.noise, seed=setup.seed, data_range=white)
    if setup.sigma is not None:
        return seen, float(setup.sigma), "given"
    level = setup.noise.level(
        clean.reshape(-1, *clean.shape[2:]) if clean.ndim == 4 else clean, data_range=white
    )
    what = "that of the noise" if setup.noise.kind == "gaussian" else "root of the mean variance"
    return seen, level, what


def _result(
    setup: Setup,
    denoiser: Denoiser,
    clean: Image | None,
    noisy: Floats,
    sigma: float,
    white: float,
    report: Progress,
) -> Result:
    asked = setup.of(denoiser)
    values = denoiser.values(sigma, white, asked)
    found = None
    _warm_up(denoiser, noisy, white, values, report)
    if setup.fair and clean is not None:
        found = tuned(
            denoiser,
            clean,
            noisy,
            sigma,
            white,
            values,
            progress=report.part(0.0, 0.9),
        )
        whole = denoiser.parameters[denoiser.strength].kind == "odd"
        values[denoiser.strength] = int(found.value) if whole else found.value
    if sigma == 0 and found is None and denoiser.strength not in asked:
        picture, seconds = noisy.copy(), 0.0
    else:
        picture, seconds = _timed(
            lambda told: denoise_picture(denoiser, noisy, sigma, white, values, told), report
        )
    picture = np.asarray(picture, np.float32)
    return Result(
        picture,
        method_noise(noisy, picture),
        *_quality(clean, picture, white),
        seconds,
        values,
        _note(denoiser, noisy, white, found),
        denoiser.licence,
        denoiser.label,
        found,
    )


def _timed(run: Callable[[Progress], Image], report: Progress) -> tuple[Image, float]:
    """Return what a run gives, and the seconds of the fastest of several where it is quick."""
    best, spent = math.inf, 0.0
    for index in range(_MOST_RUNS):
        start = time.perf_counter()
        picture = run(report if index == 0 else SILENT)
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
        if spent > _QUICK:
            break
    return picture, best


def _warm_up(
    denoiser: Denoiser, noisy: Floats, white: float, values: Mapping[str, Value], report: Progress
) -> None:
    """Let a denoiser import, load and compile what it needs on a corner, before the clock runs."""
    key = (denoiser.name, noisy.shape[3:], noisy.ndim, values.get("patch"))
    if key in _WARM:
        return
    report(f"Preparing: {denoiser.label}", 0.0)
    corner = noisy[:2, :24, :24] if noisy.ndim == 4 else noisy[:24, :24]
    if noisy.ndim == 4 and not denoiser.of_clips:
        corner = corner[0]
    # Any sigma will do: only that it runs matters.
    sigma = white / 10
    denoiser.run(
        corner,
        sigma,
        white,
        Progress(lambda sentence, _: report(sentence[:1].upper() + sentence[1:], 0.0)),
        **denoiser.values(sigma, white),
    )
    _WARM.add(key)


def _quality(
    clean: Image | None, picture: Image, white: float
) -> tuple[float | None, float | None]:
    if clean is None:
        return None, None
    height, width = clean.shape[1:3] if clean.ndim == 4 else clean.shape[:2]
    near = ssim(clean, picture, data_range=white) if min(height, width) >= SIDE else None
    return psnr(clean, picture, data_range=white), near


def _note(denoiser: Denoiser, noisy: Floats, white: float, found: Tuned | None) -> str:
    notes = [denoiser.note]
    if denoiser.takes == "uint8":
        share = float(((noisy < -0.5 * white / 255) | (noisy > 255.5 / 255 * white)).mean())
        if share > 0:
            notes.append(f"{max(100 * share, 0.01):.2g} % of the values were clipped.")
    if found is not None:
        edge = ", at the edge of the grid" if found.at_edge else ""
        notes.append(f"Oracle {found.parameter} = {found.value:.4g}{edge}.")
    if found is not None and not math.isfinite(found.psnr):
        notes.append("Equal to the clean picture.")
    return " ".join(notes)
