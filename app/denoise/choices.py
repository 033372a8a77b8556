"""What a visitor chose on the Denoise page, and how an address says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlencode

import nlviz

from ..shared.choices import Choices as PageChoices
from ..shared.uploads import Upload

SIZES = (128, 192, 256, 384, 512, 720, None)
BUNDLED, UPLOAD, EXPLORE = "Bundled", "Upload", "Explore"
FROM = "from"  # parameter of an address: that of Explore, whose clip or block is shown

# Field of the choices by parameter of the address.
FIELDS = {
    "picture": "picture",
    "start": "start",
    "frame": "frame",
    "clip": "whole",
    "size": "size",
    "grey": "grey",
    "noisy": "already",
    "noise": "noise",
    "sigma": "sigma",
    "gain": "gain",
    "amount": "amount",
    "seed": "seed",
    "clipped": "clipped",
    "told": "told",
    "with": "chosen",
    "set": "set",
    "fair": "fair",
    "block": "block",
    "at": "query",
}


@dataclass(frozen=True)
class SetParameter:
    """A parameter of a denoiser was set.

    Attributes:
        denoiser: its name.
        parameter: its name.
        value: in the unit of its slider.
        default: the value that it has unless it is set.
    """

    denoiser: str
    parameter: str
    value: Any
    default: Any


@dataclass(frozen=True)
class Reset:
    """The parameters of a denoiser go back to their defaults."""

    denoiser: str


@dataclass(frozen=True)
class OfExplore:
    """The clip that is open in Explore is shown.

    Attributes:
        clip: a text that changes with it.
    """

    clip: str


@dataclass(frozen=True)
class LensSaid:
    """The reader pinned another pixel in the lens, or freed it.

    Attributes:
        of: what the lens was told it is about.
        n: number of the reader's act.
        query: the pixel, or None where the lens was freed.
    """

    of: str
    n: float
    query: nlviz.Point | None


@dataclass(frozen=True)
class Choices(PageChoices):
    """Choices of the Denoise page.

    Attributes:
        kind: of the picture: bundled, an upload, or the clip that is open in Explore.
        picture: name of a bundled picture.
        upload: the visitor's own picture, or None.
        explore: the clip that is open in Explore, as a text.
        start: seconds of a video to skip.
        frame: index among the frames that are read from there on.
        whole: whether all of these frames are denoised, as a clip.
        size: largest shorter side in pixels, or None for the file's own.
        grey: whether the luminance alone is taken.
        already: whether the picture is noisy already.
        noise: kind of the noise.
        sigma: its standard deviation, in grey levels of 255.
        gain: grey levels for each photon.
        amount: share of black and white pixels.
        seed: of the noise.
        clipped: whether it is cut off below black and above white.
        told: sigma that denoisers are given for a picture that is noisy already, or None.
        chosen: names of the denoisers.
        set: value by parameter by denoiser, where they were set.
        fair: whether every strength is tuned against the clean picture.
        block: block of Explore's network whose weights are shown as well, or None.
        one: key of the first of two weights that are compared; empty for the first there is.
        other: key of the second.
        lens_seen: number of the latest act that the lens said.
    """

    of_input: ClassVar[frozenset[str]] = frozenset({"kind", "picture", "upload"})

    kind: str = BUNDLED
    picture: str = ""
    upload: Upload | None = None
    explore: str = ""
    start: float = 0.0
    frame: int = 0
    whole: bool = False
    size: int | None = None
    grey: bool = False
    already: bool = False
    noise: Literal["gaussian", "poisson-gaussian", "salt-and-pepper"] = "gaussian"
    sigma: float = 25.0
    gain: float = 1.0
    amount: float = 0.1
    seed: int = 0
    clipped: bool = False
    told: float | None = None
    chosen: tuple[str, ...] = ()
    set: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fair: bool = False
    block: str | None = None
    one: str = ""
    other: str = ""
    lens_seen: float = 0

    @property
    def of(self) -> str:
        """A text that changes with the pixels that are shown."""
        name: object = {BUNDLED: self.picture, UPLOAD: self.upload}.get(self.kind, self.explore)
        return repr((self.kind, name, self.start, self.frame, self.whole, self.size))

    @property
    def name(self) -> str:
        """Name of the picture, or empty while an upload is missing."""
        if self.kind == UPLOAD:
            return "" if self.upload is None else self.upload.name
        return self.picture if self.kind == BUNDLED else "the clip of Explore"

    @property
    def acted(self) -> float:
        """Number of the reader's latest act that is known, in the live view or in the lens."""
        return max(self.seen, self.lens_seen)

    def after(self, event: object) -> Self:
        """Return the choices that follow an event."""
        if isinstance(event, SetParameter):
            own = {**self.set.get(event.denoiser, {}), event.parameter: event.value}
            if event.value == event.default:
                del own[event.parameter]
            return replace(self._with_set(event.denoiser, own), notes=())
        if isinstance(event, Reset):
            return replace(self._with_set(event.denoiser, {}), notes=())
        if isinstance(event, OfExplore):
            if event.clip == self.explore:
                return self
            after = replace(self, explore=event.clip)
            return after.with_another_input() if self.explore else after
        if isinstance(event, LensSaid):
            if event.n <= self.lens_seen:
                return self
            after = replace(self, lens_seen=event.n)
            if event.of != self.of or event.n < self.acted:  # another picture, or an older act
                return after
            query = self.query if event.query is None else event.query
            return replace(after, query=query, pinned=event.query is not None, notes=())
        return super().after(event)

    def _with_set(self, denoiser: str, own: Mapping[str, Any]) -> Self:
        whole = {**self.set, denoiser: dict(own)}
        return replace(self, set={name: of for name, of in whole.items() if of})

    def with_another_input(self) -> Self:
        """Return the choices for another picture, from the beginning of its file."""
        return replace(super().with_another_input(), start=0.0, frame=0)

    def restored(self, other: Self) -> Self:
        """Return other choices, made before or elsewhere, as what follows these."""
        seen = max(self.lens_seen, other.lens_seen)
        return replace(super().restored(other), lens_seen=seen)

    def view(self) -> nlviz.DenoiseView:
        """Return the view that the page shows."""
        known = nlviz.DenoiseView.address_parameters
        display = {name: value for name, value in self.display.items() if name in known}
        own = {name: getattr(self, key) for name, key in FIELDS.items()}
        return nlviz.DenoiseView.of_values({**display, **own})


def parameters(now: Choices, explore: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of an address that opens the page as it is.

    Args:
        now: the choices.
        explore: parameters of the address of Explore, where that page was opened.
    """
    params = now.view().to_query_params()
    if now.kind == UPLOAD and now.upload is not None:
        params["picture"] = now.upload.text
    if now.kind == EXPLORE:
        if not explore:  # nothing that could be named is open there
            return {}
        del params["picture"]
    if explore and (now.kind == EXPLORE or now.block is not None):
        params[FROM] = urlencode(dict(explore))
    return params


def first() -> Choices:
    """Return the choices of a first visit."""
    values = nlviz.DenoiseView().values()
    return Choices(**{key: values[name] for name, key in FIELDS.items()})


def opened(address: Mapping[str, str]) -> Choices:
    """Return the choices that an address describes, as far as it can be read."""
    found = nlviz.DenoiseView.understood(address)
    chosen = {FIELDS[name]: value for name, value in found.values.items() if name in FIELDS}
    display = {name: value for name, value in found.values.items() if name not in FIELDS}
    upload = Upload.parse(chosen.get("picture", ""))
    if upload is not None:
        del chosen["picture"]
        chosen |= {"kind": UPLOAD, "upload": upload}
    elif FROM in address and "picture" not in address:
        chosen["kind"] = EXPLORE
    chosen["pinned"] = "query" in chosen
    chosen["notes"] = (found.complaint,) if found.complaint else ()
    return replace(first(), **chosen, display=display)
