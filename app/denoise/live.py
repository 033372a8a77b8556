"""Live view and lens of the Denoise page: bytes that reruns and visitors share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import nlviz

from ..explore import cached
from ..shared.slots import filled
from .cached import input_key, noisy_input, view_slot
from .picture import Picture
from .state import LENS_CHANNEL, STATE, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..explore.state import Choice

ORDER = ("non-local-means", "bilateral", "gaussian", "mean", "learned-nonlocal")
EVERYWHERE = "everywhere"
NETWORK = "network"
OPENING_SIGMA = 25.0  # grey levels; of the weights by which the opening pixel is chosen
NOTES = {
    "non-local-means": "Counts pixels whose surroundings look alike, wherever they lie in the "
    "window.",
    "bilateral": "Counts pixels that are near and of a similar value themselves.",
    "gaussian": "Counts pixels by their distance alone; it never looks at the picture.",
    "mean": "Counts all pixels of a small window alike; it never looks at the picture.",
    "learned-nonlocal": "A trained network's own idea of what is alike, between cells of 2 x 2 "
    "pixels; it averages features, not pixels.",
    EVERYWHERE: "The same weights with the whole picture as the window.",
}


@dataclass(frozen=True, eq=False)
class Live:
    """Data of the live view of the weights.

    Attributes:
        affinities: by key, in the order on the screen.
        labels: by key.
        payload: the live view's bytes.
        opening: (frame, y, x) that it opens at.
        clip: the noisy picture or clip.
    """

    affinities: dict[str, nlviz.Affinity]
    labels: dict[str, str]
    payload: bytes
    opening: nlviz.Point
    clip: nlviz.Clip


@dataclass(frozen=True)
class Block:
    """A block of the network that is open in Explore.

    Attributes:
        choice: of the network.
        name: of the block.
    """

    choice: Choice
    name: str


def live(
    picture: Picture,
    setup: nlviz.denoise.Setup,
    known: Mapping[str, nlviz.denoise.Denoiser],
    block: Block | None,
    progress: nlviz.Progress,
) -> Live:
    """Return the live view of what denoisers average in a picture, made once.

    Raises:
        NlvizError: when a parameter is out of its range, or the network refuses the picture.
    """
    chosen = {n: setup.of(known[n]) for n in ORDER if n in known}
    if picture.of_clip:
        chosen.pop("learned-nonlocal", None)  # it sees one picture
    of_block = () if block is None else (*cached.model_key(block.choice), block.name)
    parameters = tuple((n, tuple(sorted(of.items(), key=str))) for n, of in chosen.items())
    key = ("live", *input_key(picture, setup), parameters, of_block)
    return filled(view_slot(key), lambda: _live(picture, setup, known, chosen, block, progress))


def fill_first_view() -> None:
    """Compute the first view ahead of the first visitor."""
    from .cached import denoisers_of, one_by_one
    from .picture import picture

    view = nlviz.DenoiseView()
    first = picture(Source(view.picture.name, size=view.picture.size), nlviz.Progress())
    known = denoisers_of(first)
    names = tuple(name for name in known if name in view.denoisers)
    setup = nlviz.denoise.Setup(names, view.noise, None, view.seed)
    live(first, setup, known, None, nlviz.Progress())
    one_by_one(first, setup, nlviz.Progress(), lambda done: None)


def _live(
    picture: Picture,
    setup: nlviz.denoise.Setup,
    known: Mapping[str, nlviz.denoise.Denoiser],
    chosen: Mapping[str, Mapping[str, Any]],
    block: Block | None,
    progress: nlviz.Progress,
) -> Live:
    import numpy as np

    given = noisy_input(picture, setup)
    bytes_seen = np.rint(given.noisy).clip(0, 255).astype(np.uint8)
    coloured = bytes_seen if bytes_seen.shape[-1:] == (3,) else np.stack([bytes_seen] * 3, -1)
    clip = nlviz.Clip.from_frames(coloured, name=picture.name)
    shown: dict[str, nlviz.Affinity] = {}
    labels: dict[str, str] = {}
    for index, (name, parameters) in enumerate(chosen.items()):
        progress(f"Weights of {known[name].label.lower()}", index / (len(chosen) + 1))
        own = {k: v for k, v in parameters.items() if k != "level"}
        shown[name] = nlviz.denoise.affinity(
            given.noisy, name, sigma=given.sigma, data_range=255.0, **own
        )
        labels[name] = known[name].label
        if name == "non-local-means" and not picture.of_clip:
            wide = {**own, "window": None}
            shown[EVERYWHERE] = nlviz.denoise.affinity(
                given.noisy, name, sigma=given.sigma, data_range=255.0, **wide
            )
            labels[EVERYWHERE] = "Non-local means, whole picture"
    if EVERYWHERE in shown:  # after the windows, as it takes a browser longest
        shown[EVERYWHERE] = shown.pop(EVERYWHERE)
    notes = dict(NOTES)
    if block is not None:
        progress(f"Running {block.choice.model} on the noisy picture", 0.8)
        capture = cached.model(block.choice).capture(clip)
        shown[NETWORK] = capture.affinities[block.name]
        labels[NETWORK] = f"{block.choice.model}, {block.name}"
        notes[NETWORK] = (
            "A block of the network that is open in Explore, on the same noisy picture."
        )
    clean = None if setup.noise is None else picture.image
    opening = _opening(picture)
    payload = nlviz.web.denoise_view(
        clip,
        shown,
        labels=labels,
        notes=notes,
        query=opening,
        query_rule="opens at the textured point that averages most pixels of the picture",
        channel=STATE.name,
        clean=clean,
        white=255.0,
    )
    return Live(shown, labels, payload, opening, clip)


def _opening(picture: Picture) -> nlviz.Point:
    """Return the pixel to open at; it depends on the picture alone, not on noise or denoisers."""
    weights = nlviz.denoise.affinity(
        picture.image, "non-local-means", sigma=OPENING_SIGMA, data_range=255.0
    )
    assert isinstance(weights, nlviz.PatchAffinity)  # that of non-local means
    return nlviz.averaging_query(weights)


def lens(comparison: nlviz.denoise.Comparison) -> bytes:
    """Return the lens over a comparison's pictures, made once.

    A clip shows its middle frame.
    """
    best = None if comparison.psnr is None else comparison.best("psnr")

    def caption(psnr: float | None, ssim: float | None) -> str:
        parts = [] if psnr is None else [f"{psnr:.2f} dB"]
        return " · ".join(parts if ssim is None else [*parts, f"SSIM {ssim:.3f}"])

    def make() -> bytes:
        pictures = []
        if comparison.clean is not None:
            pictures.append(nlviz.web.LensPicture("clean", "Clean", "", comparison.shown("clean")))
        known = comparison.clean is not None
        pictures.append(
            nlviz.web.LensPicture(
                "noisy",
                "Noisy",
                caption(comparison.psnr, comparison.ssim),
                comparison.shown("noisy"),
                comparison.shown_noise("noisy") if known else None,
            )
        )
        for name, result in comparison.results.items():
            pictures.append(
                nlviz.web.LensPicture(
                    name,
                    result.label,
                    caption(result.psnr, result.ssim),
                    comparison.shown(name),
                    comparison.shown_noise(name),
                    name == best,
                )
            )
        return bytes(
            nlviz.web.lens_payload(
                pictures,
                noise_note="Method noise, noisy minus denoised: grey is none, black and white are "
                f"{comparison.noise_scale:.3g} grey levels. The less of the picture it shows, the "
                "better.",
                noise_scale=comparison.noise_scale,
                before="noisy",
                after=best or next(iter(comparison.results)),
                channel=LENS_CHANNEL,
            )
        )

    results = tuple(
        (name, tuple(sorted(result.parameters.items(), key=str)))
        for name, result in comparison.results.items()
    )
    setup = replace(comparison.setup, parameters={})
    key = ("lens", comparison.digest, setup.noise, setup.sigma, setup.seed, setup.fair, results)
    return filled(view_slot(key), make)
