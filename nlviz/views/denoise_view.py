"""Views of the Denoise page: which picture, which noise, which denoisers, and where one looks.

{"format": "nlviz.view", "version": 1, "page": "denoise",
 "picture": {"name", "digest", "start", "frame", "whole", "size", "grey", "noisy"},
 "noise": {"kind", "sigma", "gain", "amount", "clipped"}, "seed", "told",
 "denoisers": [...], "parameters": {denoiser: {parameter: value}}, "fair",
 "query": {"frame", "y", "x"} or null, "source", "block", "display": {...}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from nlviz.clips.point import Point
from nlviz.denoise.noise import Kind, Noise
from nlviz.errors import InvalidView, NlvizError
from nlviz.files.checked_json import Count, FromZero, Positive, Text, check_fields, checked
from nlviz.views.display import DISPLAY_PARAMETERS, Display, Share
from nlviz.views.page_view import AT, CURE, SWITCH, PageView, Parameter, Place, exact

FIRST_PICTURE = "cat.jpg"
FIRST_SIZE = 256
FIRST_DENOISERS = (
    *("mean", "gaussian", "bilateral"),
    *("non-local-means", "learned-local", "learned-nonlocal"),
)
FIRST_DISPLAY = Display(show="map")
FRAMES = 5  # that are read of a video, one after the other

LEAST_SIDE = 16
Side = Annotated[int, Meta(ge=LEAST_SIDE, le=10**4)]
Values = Mapping[str, Mapping[str, Any]]
_WORDS = {"on": True, "off": False, "none": None}


@dataclass(frozen=True)
class PictureRef:
    """Which picture.

    Attributes:
        name: a bundled name, a path, or what an upload was called.
        digest: sha256 of the file's bytes, or empty.
        start: seconds of a video to skip.
        frame: index among the frames that are read from there on.
        whole: whether all of these frames are denoised, as a clip.
        size: largest shorter side in pixels, or None for the file's own.
        grey: whether the luminance alone is taken.
        noisy: whether the picture is noisy already, so that no noise is added.
    """

    name: Text = FIRST_PICTURE
    digest: str = ""
    start: FromZero = 0.0
    frame: Count = 0
    whole: bool = False
    size: Side | None = FIRST_SIZE
    grey: bool = False
    noisy: bool = False


class _File(msgspec.Struct):
    picture: PictureRef = PictureRef()
    noise: Any = {}
    seed: Count = 0
    told: FromZero | None = None
    denoisers: tuple[str, ...] = FIRST_DENOISERS
    parameters: dict[str, dict[str, Any]] = {}
    fair: bool = False
    query: Place | None = None
    source: Text | None = None
    block: Text | None = None
    display: dict[str, Any] = {}


def _values(text: str) -> dict[str, dict[str, Any]]:
    """Return parameters by denoiser from ``bm3d.level:1.2,mean.window:5``."""
    out: dict[str, dict[str, Any]] = {}
    for part in text.split(",") if text else ():
        place, _, given = part.partition(":")
        name, _, parameter = place.rpartition(".")
        value: Any = _WORDS.get(given, given)
        if isinstance(value, str):
            number = float(given)
            value = int(number) if number.is_integer() and "." not in given else number
        out.setdefault(name, {})[parameter] = value
    _check_values(out)
    return out


def _values_text(values: Values) -> str:
    words = {value: word for word, value in _WORDS.items()}

    def text(value: Any) -> str:
        return words[value] if value is None or isinstance(value, bool) else repr(value)

    return ",".join(f"{n}.{p}:{text(v)}" for n, of in values.items() for p, v in of.items())


def _check_values(values: Values) -> None:
    for name, of in values.items():
        for parameter, value in of.items():
            place = f"{name}.{parameter}"
            if not name or not parameter or set(",:") & set(place) or "." in parameter:
                raise InvalidView(
                    f"a parameter must be named DENOISER.NAME, without , or :, got {place[:60]!r}"
                )
            number = isinstance(value, int | float) and math.isfinite(value)
            if value is not None and not number:
                raise InvalidView(
                    f"parameters {place} must be a finite number, true, false or null, "
                    f"got {str(value)[:60]!r}"
                )


@dataclass(frozen=True)
class DenoiseView(PageView):
    """What the Denoise page shows.

    Attributes:
        picture: the picture.
        noise: the noise that is added, unless the picture is noisy already.
        seed: of the noise.
        told: standard deviation that denoisers are given for a picture that is noisy already, in
            grey levels of 255; None estimates it.
        denoisers: their names.
        parameters: value by parameter by denoiser, strengths in multiples of the noise's standard
            deviation; all others have their defaults.
        fair: whether every strength is tuned against the clean picture.
        query: the pixel whose weights are shown, or None for one that a rule chooses.
        source: key of the weights that are shown, a denoiser's name for instance; None for the
            first.
        block: block of Explore's network whose weights are shown as well, or None.
        display: how the weights are shown; its own source is not used.

    Raises:
        InvalidView: when a value is out of its range.

    >>> view = DenoiseView(PictureRef("rocket.jpg"), Noise(sigma=50.0), denoisers=("mean",))
    >>> DenoiseView.from_json(view.to_json()) == view
    True
    >>> view.address
    '/denoise?picture=rocket.jpg&sigma=50&with=mean'
    """

    page: ClassVar[str] = "denoise"
    path: ClassVar[str] = "denoise"
    address_parameters: ClassVar[Mapping[str, Parameter]] = {
        "picture": Parameter(Text),
        "start": Parameter(FromZero, float, exact),
        "frame": Parameter(Count, int),
        "clip": SWITCH,
        "size": Parameter(Side, lambda text: max(int(text), LEAST_SIDE), words={"full": None}),
        "grey": SWITCH,
        "noisy": SWITCH,
        "noise": Parameter(Kind),
        "sigma": Parameter(FromZero, float, exact),
        "gain": Parameter(Positive, float, exact),
        "amount": Parameter(Share, float, exact),
        "seed": Parameter(Count, int),
        "clipped": SWITCH,
        "told": Parameter(FromZero, float, exact),
        "with": Parameter(
            tuple[str, ...], lambda text: tuple(n for n in text.split(",") if n), ",".join
        ),
        "set": Parameter(
            Any, _values, _values_text, rule="DENOISER.NAME:VALUE, with commas between"
        ),
        "fair": SWITCH,
        "at": AT,
        "source": Parameter(Text),
        "block": Parameter(Text),
        **{name: one for name, one in DISPLAY_PARAMETERS.items() if name != "source"},
    }

    picture: PictureRef = field(default_factory=PictureRef)
    noise: Noise = field(default_factory=Noise)
    seed: Count = 0
    told: FromZero | None = None
    denoisers: tuple[str, ...] = FIRST_DENOISERS
    parameters: Values = field(default_factory=dict)
    fair: bool = False
    query: Point | None = None
    source: Text | None = None
    block: Text | None = None
    display: Display = FIRST_DISPLAY

    def __post_init__(self) -> None:
        check_fields(self, of="a view's", error=InvalidView)
        check_fields(self.picture, of="a view's picture", error=InvalidView)
        _check_values(self.parameters)
        for name in self.denoisers:
            if not name or set(",:") & set(name):
                raise InvalidView(f"a denoiser is named without , or :, got {name[:60]!r}")

    @property
    def input(self) -> PictureRef:
        """The file that the view is of."""
        return self.picture

    def to_dict(self) -> dict[str, Any]:
        """Return the view as what JSON can hold, with every option."""
        whole = asdict(self)
        del whole["display"]["source"]
        return {
            **whole,
            "denoisers": list(self.denoisers),
            "query": None if self.query is None else self.query._asdict(),
        }

    @classmethod
    def from_dict(cls, whole: Mapping[str, Any]) -> DenoiseView:
        """Return the view that a mapping from JSON describes; other fields are ignored.

        Raises:
            InvalidView: when a field has a wrong type or a value out of range.
        """
        found = checked(whole, _File, of="a view's", cure=CURE, error=InvalidView)
        try:
            noise = checked(found.noise, Noise, of="a view's noise", cure=CURE)
        except NlvizError as error:
            raise InvalidView(str(error)) from None
        display = {**FIRST_DISPLAY.to_dict(), **found.display, "source": FIRST_DISPLAY.source}
        return cls(
            picture=found.picture,
            noise=noise,
            seed=found.seed,
            told=found.told,
            denoisers=found.denoisers,
            parameters=found.parameters,
            fair=found.fair,
            query=None if found.query is None else found.query.point,
            source=found.source,
            block=found.block,
            display=Display.from_dict(display),
        )

    def values(self) -> dict[str, Any]:
        """Return the value of every parameter of the address."""
        picture, noise = self.picture, self.noise
        display = self.display.to_dict()
        return {
            "picture": picture.name,
            "start": picture.start,
            "frame": picture.frame,
            "clip": picture.whole,
            "size": picture.size,
            "grey": picture.grey,
            "noisy": picture.noisy,
            "noise": noise.kind,
            "sigma": noise.sigma,
            "gain": noise.gain,
            "amount": noise.amount,
            "seed": self.seed,
            "clipped": noise.clipped,
            "told": self.told,
            "with": self.denoisers,
            "set": self.parameters,
            "fair": self.fair,
            "at": self.query,
            **display,
            "source": self.source,
            "block": self.block,
        }

    def to_query_params(self) -> dict[str, str]:
        """Return the view as parameters of an address; digests and defaults are left out."""
        first = DenoiseView().values()
        return {
            name: self.address_parameters[name].text(value)
            for name, value in self.values().items()
            if name == "picture" or value != first[name]
        }

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> DenoiseView:
        """Return the view of the values of an address's parameters; others are the defaults."""
        v = {**DenoiseView().values(), **values}
        return cls(
            picture=PictureRef(
                v["picture"],
                start=v["start"],
                frame=v["frame"],
                whole=v["clip"],
                size=v["size"],
                grey=v["grey"],
                noisy=v["noisy"],
            ),
            noise=Noise(v["noise"], v["sigma"], v["gain"], v["amount"], v["clipped"]),
            seed=v["seed"],
            told=v["told"],
            denoisers=v["with"],
            parameters=v["set"],
            fair=v["fair"],
            query=v["at"],
            source=v["source"],
            block=v["block"],
            display=Display(**{n: v[n] for n in DISPLAY_PARAMETERS if n != "source"}),
        )
