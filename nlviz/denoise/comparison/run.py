"""Running denoisers side by side: the same noisy input for all, and what each makes of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.denoise.comparison.given import GivenPictures, model_of, sigma_of_white
from nlviz.denoise.comparison.oracle import Tuned, tuned
from nlviz.denoise.comparison.results import Comparison as Comparison
from nlviz.denoise.comparison.results import Floats, Result
from nlviz.denoise.comparison.setup import Precision, Setup, default_denoisers, digest_of_pixels
from nlviz.denoise.denoiser import Denoiser
from nlviz.denoise.estimation import under_mask
from nlviz.denoise.ground import Mask, filled
from nlviz.denoise.image import Image
from nlviz.denoise.noise import Noise, check_pixels, checked_sigma
from nlviz.denoise.quality import SIDE, method_noise, psnr, ssim
from nlviz.denoise.ranges import Given, one_range, range_of
from nlviz.denoise.registry import denoiser_of
from nlviz.denoise.told import Told, carried_out, values_for
from nlviz.errors import NlvizError
from nlviz.progress import SILENT, Listener, Progress

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
    data_range: Given = None,
    range: Sequence[float] | None = None,
    precision: Precision | None = None,
    axes: str | None = None,
    mask: npt.ArrayLike | None = None,
    stabilise: bool = False,
    name: str = "picture",
    progress: Listener | None = None,
) -> Comparison:
    """Run denoisers on one noisy picture and measure what each gives.

    Args:
        image: the clean picture (H, W) or (H, W, C), or a clip (T, H, W, C), of any type of
            picture; or with ``axes`` a volume.
        sigma: of the Gaussian noise that is added, in units of the picture; by default 25 of 255.
            With ``noise`` or ``noisy``: what the denoisers are given; by default the noise's own
            level, or the estimate.
        denoisers: names; by default all that run here but the very slow ones.
        seed: of the noise.
        noise: another noise than Gaussian. Of a picture that is noisy already: the Poisson-Gaussian
            noise that it has, or "poisson" or "poisson-gaussian" to estimate it, which is made even
            for the denoisers.
        clipped: whether values of the noisy picture beyond the range are cut off.
        noisy: a picture that is noisy already, with its clean one or, without ``image``, alone;
            True says that ``image`` itself is noisy. Alone there is no PSNR and no SSIM.
        fair: same patch, window and type of input for all, and each strength the *oracle*'s: the
            best of a grid against the clean picture. Where a denoiser takes uint8 only, all get
            the rounded and clipped picture.
        parameters: value by name for all that have it, {"patch": 5}, or for one denoiser,
            {"bm3d": {"level": 20}}.
        data_range: value of white, or (black, white), see
            :func:`nlviz.denoise.ranges.range_of`; PSNR and SSIM are measured against it.
        range: (black, white), another way to say ``data_range``.
        precision: ``float`` or ``uint8`` input for all, whatever ``fair`` says.
        axes: letters of the axes, see :func:`nlviz.denoise.denoise`.
        mask: True where a pixel does not count, see there; it is not measured either.
        stabilise: whether Poisson-Gaussian noise that is added is made even before each denoiser,
            see :mod:`nlviz.denoise.stabilising`, rather than told by its mean level.
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
    found, ground = under_mask(given, mask, axes)
    check_pixels(filled(found.values, ground))
    data_range = one_range(data_range, range)
    if sigma is not None:
        checked_sigma(sigma)
    model: Noise | None = None
    told = sigma
    if noisy is not None:
        noise, model = None, model_of(noise, found, ground)
    elif isinstance(noise, str):
        raise NlvizError(f"noise that is added is a Noise, got {noise!r}; give its gain and sigma")
    else:
        if noise is None:
            ends = range_of(filled(found.values, ground), data_range, sigma=0, mask=ground)
            noise, told = Noise(sigma=sigma_of_white(ends.span) if sigma is None else sigma), None
        noise = replace(noise, clipped=noise.clipped or clipped)
        model = replace(noise, clipped=False) if stabilise else None
    kind = found.kind
    names = default_denoisers(of_clips=kind == "clip") if denoisers is None else tuple(denoisers)
    ends_given = data_range if isinstance(data_range, int | float | None) else tuple(data_range)
    setup = Setup(
        names,
        noise,
        told,
        seed,
        fair,
        dict(parameters or {}),
        ends_given,  # type: ignore[arg-type]
        precision,
        axes,
        model,
    )
    return carry_out(
        setup,
        image,
        noisy=None if noisy is None else noisy,
        mask=mask,
        name=name,
        progress=progress,
    )


def carry_out(
    setup: Setup,
    image: Image | None,
    *,
    noisy: Image | None = None,
    mask: npt.ArrayLike | None = None,
    name: str = "picture",
    progress: Listener | None = None,
) -> Comparison:
    """Return the comparison that a setup describes; the same setup gives the same digits.

    Args:
        setup: how.
        image: the clean picture, or None.
        noisy: the noisy one, where no noise is added.
        mask: True where a pixel does not count.
        name: of the picture.
        progress: called with a sentence and a share in [0, 1]; what it raises cancels.

    Raises:
        NlvizError: as :func:`compare`.
    """
    report = Progress.of(progress)
    given = GivenPictures.of(setup, image, noisy, mask)
    kind, clean = given.found.kind, given.clean
    setup.check(of_clips=kind == "clip", of_volumes=kind == "volume")
    if setup.fair and clean is None:
        raise NlvizError(
            "a fair comparison tunes against the clean picture, which is not there; leave fair out"
        )
    report("Adding noise", 0.0)
    seen, told, origin, notes = given.seen()
    precision = setup.input_type(of_clips=kind == "clip")
    results: dict[str, Result] = {}
    for index, each in enumerate(setup.denoisers):
        first, last = index / len(setup.denoisers), (index + 1) / len(setup.denoisers)
        results[each] = _result(
            setup, denoiser_of(each, kind), clean, seen, told, report.part(first, last)
        )
        if told.mask is not None:
            results[each] = _with_masked_ground(results[each], told.mask, given.found.values)
    report("Measured", 1.0)
    before = _quality(clean, seen, told)
    return Comparison(
        clean,
        seen,
        results,
        told.sigma,
        origin,
        told.range,
        precision,
        setup,
        digest_of_pixels(given.digested),
        *before,
        name=name,
        kind=kind,
        coloured=told.coloured,
        mask=told.mask,
        notes=notes,
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
    seen, told, origin, _ = GivenPictures.of(setup, image, noisy, None).seen()
    return seen, told.sigma, origin


def _result(
    setup: Setup,
    denoiser: Denoiser,
    clean: Image | None,
    noisy: Floats,
    told: Told,
    report: Progress,
) -> Result:
    asked = setup.of(denoiser)
    places = noisy.shape[:-1] if told.coloured else noisy.shape
    values = values_for(denoiser, told, asked, places)
    found = None
    _warm_up(denoiser, noisy, told, values, report)
    if setup.fair and clean is not None:
        found = tuned(denoiser, clean, noisy, told, values, progress=report.part(0.0, 0.9))
        whole = denoiser.parameters[denoiser.strength].kind == "odd"
        values[denoiser.strength] = int(found.value) if whole else found.value
    nothing = told.sigma == 0 and told.stabiliser is None
    if nothing and found is None and denoiser.strength not in asked:
        picture, seconds = noisy.copy(), 0.0
    else:
        picture, seconds = _timed(
            lambda progress: carried_out(denoiser, noisy, told, values, progress), report
        )
    picture = np.asarray(picture, noisy.dtype)
    return Result(
        picture,
        method_noise(noisy, picture),
        *_quality(clean, picture, told),
        seconds,
        values,
        _note(denoiser, noisy, told, found),
        denoiser.licence,
        denoiser.label,
        found,
    )


def _with_masked_ground(result: Result, mask: Mask, values: Image) -> Result:
    """Return a result whose masked pixels are as they were given, NaN for instance."""
    picture, noise = result.picture.copy(), result.method_noise.copy()
    picture[mask], noise[mask] = values[mask], 0
    return replace(result, picture=picture, method_noise=noise)


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
    denoiser: Denoiser, noisy: Floats, told: Told, values: Mapping[str, Any], report: Progress
) -> None:
    """Let a denoiser import, load and compile what it needs on a corner, before the clock runs."""
    channels = noisy.shape[-1] if told.coloured else 0
    masked = told.mask is not None and denoiser.maps
    key = (denoiser.name, channels, told.kind, masked, values.get("patch"))
    if key in _WARM:
        return
    report(f"Preparing: {denoiser.label}", 0.0)
    many = told.kind != "picture"
    corner = noisy[:2, :24, :24] if many else noisy[:24, :24]
    mask = np.zeros(corner.shape[: 2 + many], np.bool_) if masked else None
    if mask is not None:
        mask[..., 0] = corner.shape[1 + many] > 1
    # Any sigma will do: only that it runs matters.
    sigma = told.range.span / 10
    small = Told(sigma, told.range, told.kind, told.coloured, None, mask)
    carried_out(
        denoiser,
        corner,
        small,
        denoiser.values(sigma, told.range.span),
        Progress(lambda sentence, _: report(sentence[:1].upper() + sentence[1:], 0.0)),
    )
    _WARM.add(key)


def _quality(clean: Image | None, picture: Image, told: Told) -> tuple[float | None, float | None]:
    if clean is None:
        return None, None
    many = told.kind != "picture"
    height, width = clean.shape[1:3] if many else clean.shape[:2]
    ends = (told.range.low, told.range.high)
    axes = f"{'T' if many else ''}YX{'C' if told.coloured else ''}"
    near = None
    if min(height, width) >= SIDE:
        with suppress(NlvizError):  # the mask may leave no window
            near = ssim(clean, picture, data_range=ends, mask=told.mask, axes=axes)
    return psnr(clean, picture, data_range=ends, mask=told.mask), near


def _note(denoiser: Denoiser, noisy: Floats, told: Told, found: Tuned | None) -> str:
    notes = [denoiser.note]
    if told.kind == "volume" and "volume" not in denoiser.of:
        notes.append("Slice by slice.")
    channels = noisy.shape[-1] if told.coloured else 3
    if denoiser.scales and channels not in denoiser.channels:
        notes.append("Channel by channel.")
    if told.mask is not None and not denoiser.maps:
        notes.append("Takes no mask: masked pixels had the nearest value.")
    if denoiser.takes == "uint8" and told.stabiliser is None:
        ends = told.range.holding(noisy, told.sigma)
        half = 0.5 * ends.span / 255
        share = float(((noisy < ends.low - half) | (noisy > ends.high + half)).mean())
        if share > 0:
            notes.append(f"{max(100 * share, 0.01):.2g} % of the values were clipped.")
    if found is not None:
        edge = ", at the edge of the grid" if found.at_edge else ""
        notes.append(f"Oracle {found.parameter} = {found.value:.4g}{edge}.")
    if found is not None and not math.isfinite(found.psnr):
        notes.append("Equal to the clean picture.")
    return " ".join(notes)
