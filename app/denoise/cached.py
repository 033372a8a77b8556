"""Results of the Denoise page, shared by reruns and visitors.

Everything is keyed by content: the pixels, the noise, and each denoiser's own parameters, so that a
denoiser that joins the others costs its own time alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import streamlit as st

import nlviz

from ..shared.slots import Key, Slot, filled
from .picture import Picture


@st.cache_resource(max_entries=8, show_spinner=False)
def _input_slot(key: Key) -> Slot:
    return Slot()


@st.cache_resource(max_entries=48, show_spinner=False)
def _result_slot(key: Key) -> Slot:
    return Slot()


@st.cache_resource(max_entries=12, show_spinner=False)
def view_slot(key: Key) -> Slot:
    """Return the slot of a view or a curve."""
    return Slot()


@dataclass(frozen=True, eq=False)
class NoisyInput:
    """Input of all denoisers.

    Attributes:
        noisy: float32 in the picture's units.
        sigma: the noise's standard deviation that denoisers are given, in the same units.
        sigma_from: how it is known, in words.
    """

    noisy: nlviz.denoise.Image
    sigma: float
    sigma_from: str


def noisy_input(picture: Picture, setup: nlviz.denoise.Setup) -> NoisyInput:
    """Return the noisy picture of a setup.

    Raises:
        NlvizError: when the noise is out of its range.
    """
    clean, noisy = _clean_and_noisy(picture, setup)
    return filled(
        _input_slot(input_key(picture, setup)),
        lambda: NoisyInput(*nlviz.denoise.noisy_input(setup, clean, noisy=noisy)),
    )


def _clean_and_noisy(
    picture: Picture, setup: nlviz.denoise.Setup
) -> tuple[nlviz.denoise.Image | None, nlviz.denoise.Image | None]:
    return (picture.image, None) if setup.noise is not None else (None, picture.image)


def input_key(picture: Picture, setup: nlviz.denoise.Setup) -> Key:
    """Return the key of a noisy picture."""
    precision = setup.input_type(of_clips=picture.of_clip)
    return (picture.digest, setup.noise, setup.sigma, setup.seed, precision)


def denoisers_of(picture: Picture) -> dict[str, nlviz.denoise.Denoiser]:
    """Return the denoisers that run here on such a picture, by name."""
    names = (
        nlviz.denoise.list_clip_denoisers() if picture.of_clip else nlviz.denoise.list_denoisers()
    )
    return {name: nlviz.denoise.find_denoiser(name, of_clips=picture.of_clip) for name in names}


def one_by_one(
    picture: Picture,
    setup: nlviz.denoise.Setup,
    progress: nlviz.Progress,
    arrived: Callable[[nlviz.denoise.Comparison], None],
) -> nlviz.denoise.Comparison:
    """Return the comparison of a setup; denoisers that were computed before cost nothing.

    Args:
        picture: what is denoised.
        setup: how.
        progress: called with a sentence and a share; what it raises cancels.
        arrived: called with all that is there whenever a denoiser was computed.

    Raises:
        NlvizError: whatever the denoisers raise.
    """
    setup.check(of_clips=picture.of_clip)
    _compile(progress)
    found: dict[str, nlviz.denoise.Comparison] = {}
    for index, name in enumerate(setup.denoisers):
        slot = _result_slot(_result_key(picture, setup, name))
        computed = slot.value is None
        part = progress.part(index / len(setup.denoisers), (index + 1) / len(setup.denoisers))
        found[name] = filled(slot, partial(_one, picture, setup, name, part))
        if computed:
            arrived(_together(found, setup, picture))
    return _together(found, setup, picture)


def there_already(picture: Picture, setup: nlviz.denoise.Setup) -> nlviz.denoise.Comparison | None:
    """Return the part of a comparison that was computed before, or None."""
    found = {}
    for name in setup.denoisers:
        value = _result_slot(_result_key(picture, setup, name)).value
        if value is not None:
            found[name] = value
    return _together(found, setup, picture) if found else None


def _compile(progress: nlviz.Progress) -> None:
    if not nlviz.denoise.compiled():
        progress("Compiling non-local means: once on this machine, then kept on disk", 0.0)
        nlviz.denoise.warm_up()


def _result_key(picture: Picture, setup: nlviz.denoise.Setup, name: str) -> Key:
    own = _alone(picture, setup, name)
    parameters = tuple(sorted(own.parameters[name].items(), key=str))
    return (*input_key(picture, setup), own.fair, name, parameters)


def _alone(picture: Picture, setup: nlviz.denoise.Setup, name: str) -> nlviz.denoise.Setup:
    """Return the setup of one denoiser, which gets the same input as among the others."""
    own = setup.of(nlviz.denoise.find_denoiser(name, of_clips=picture.of_clip))
    precision = setup.input_type(of_clips=picture.of_clip)
    return replace(setup, denoisers=(name,), parameters={name: own}, precision=precision)


def _one(
    picture: Picture, setup: nlviz.denoise.Setup, name: str, progress: nlviz.Progress
) -> nlviz.denoise.Comparison:
    clean, noisy = _clean_and_noisy(picture, setup)
    done = nlviz.denoise.carry_out(
        _alone(picture, setup, name), clean, noisy=noisy, name=picture.name, progress=progress
    )
    # All of them hold the same noisy picture, and the clean one that is there anyway.
    return replace(done, noisy=noisy_input(picture, setup).noisy)


def _together(
    found: Mapping[str, nlviz.denoise.Comparison], setup: nlviz.denoise.Setup, picture: Picture
) -> nlviz.denoise.Comparison:
    first = next(iter(found.values()))
    results = {name: one.results[name] for name, one in found.items()}
    setup = replace(setup, denoisers=tuple(results))
    chosen = {name: setup.parameters[name] for name in results if name in setup.parameters}
    return replace(
        first,
        results=results,
        setup=replace(setup, parameters=chosen),
        name=picture.name,
        source=picture.source,
    )


def quality_curve(
    picture: Picture, setup: nlviz.denoise.Setup, progress: nlviz.Progress
) -> nlviz.denoise.QualityCurve:
    """Return PSNR over sigma for the denoisers of a setup, computed once.

    Raises:
        NlvizError: whatever the denoisers raise.
    """
    parameters = tuple(
        (name, tuple(sorted(_alone(picture, setup, name).parameters[name].items(), key=str)))
        for name in setup.denoisers
    )
    key = ("psnr", picture.digest, setup.seed, setup.fair, parameters)
    return filled(
        view_slot(key),
        lambda: nlviz.denoise.psnr_over_sigma(
            picture.image,
            denoisers=setup.denoisers,
            seed=setup.seed,
            fair=setup.fair,
            parameters=setup.parameters,
            progress=progress,
        ),
    )


def effective_curve(
    picture: Picture,
    setup: nlviz.denoise.Setup,
    known: Mapping[str, nlviz.denoise.Denoiser],
    progress: nlviz.Progress,
) -> nlviz.denoise.EffectiveCurve:
    """Return how many pixels non-local means averages over h, computed once.

    Raises:
        NlvizError: when a parameter is out of its range.
    """
    given = noisy_input(picture, setup)
    values = known["non-local-means"].values(given.sigma, 255.0, setup.of(known["non-local-means"]))
    shape: dict[str, Any] = {n: values[n] for n in ("patch", "window", "patch_sigma", "bias")}
    middle = given.noisy[len(given.noisy) // 2] if picture.of_clip else given.noisy
    key = ("effective", *input_key(picture, setup), tuple(shape.items()))
    return filled(
        view_slot(key),
        lambda: nlviz.denoise.effective_number_over_h(
            middle, sigma=given.sigma, progress=progress, **shape
        ),
    )
