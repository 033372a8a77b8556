"""How a view is shown: the options that the app, its address and view files share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_origin

from msgspec import Meta

from nlviz.affinity.variants import LEARNED, VARIANTS
from nlviz.errors import InvalidView, did_you_mean
from nlviz.files.checked_json import Positive, check_fields, check_value, hints_of
from nlviz.views.page_view import Parameter
from nlviz.views.painted import MOST_TEXT, RULE, checked_painting

SOURCES = tuple(variant.key for variant in VARIANTS)
MOST_LINKS = 500

Source: Any = Literal[SOURCES]
Head = Annotated[int, Meta(ge=0)] | Literal["mean", "max"]
Links = Annotated[int, Meta(ge=0, le=MOST_LINKS)]
Share = Annotated[float, Meta(ge=0, le=1)]
Residual = Annotated[float, Meta(ge=0, lt=1)]
Token = Annotated[str, Meta(max_length=60)]
Painted = Annotated[str, Meta(max_length=MOST_TEXT)]


@dataclass(frozen=True)
class Display:
    """Display options of a view.

    Attributes:
        source: which affinity is shown for the query, the key of a ``Variant``.
        head: index of a head, or ``mean`` or ``max`` over heads.
        direction: ``from`` the query to its keys, or ``to`` this key from all queries.
        show: the map, the strongest links as arrows, or both.
        links: how many links.
        cells: keys as cells or smooth.
        strength: opacity of the strongest weight, in [0, 1].
        values: normalised rows or raw logits.
        leave_out: the query's own cell or frame, with the rest renormalised.
        scale: one colour scale for the query, one ``locked`` at ``top``, one per frame, or a
            logarithmic one over three decades up to the strongest key.
        top: end of the locked scale in multiples of uniform attention.
        unit: weights as multiples of uniform attention or absolute.
        objects: whether what a detection network found is drawn over the frames.
        token: name of a token without a place that is the query, ``cls`` for instance, in the
            place of a point; empty for none, and passed over where the affinity has no such token.
        heads: whether a live view also shows ``all`` heads side by side, in one colour scale.
        residual: share of the residual path in a rollout.
        painted: cells of the block's key grid that were painted, as ``painted_cells`` reads them.

    Raises:
        InvalidView: when a value is not one of those.

    >>> Display(links=5).changed()
    {'links': 5}
    >>> Display(scale="frames")
    Traceback (most recent call last):
    nlviz.errors.InvalidView: scale must be query, locked, frame or log, got 'frames'
    """

    source: str = LEARNED.key
    head: Head = "mean"
    direction: Literal["from", "to"] = "from"
    show: Literal["map", "links", "both"] = "both"
    links: Links = 20
    cells: Literal["cells", "smooth"] = "cells"
    strength: Share = 0.85
    values: Literal["rows", "logits"] = "rows"
    leave_out: Literal["nothing", "cell", "frame"] = "nothing"
    scale: Literal["query", "locked", "frame", "log"] = "query"
    top: Positive | None = None
    unit: Literal["uniform", "absolute"] = "uniform"
    objects: Literal["shown", "hidden"] = "shown"
    token: Token = ""
    heads: Literal["one", "all"] = "one"
    residual: Residual = 0.5
    painted: Painted = ""

    def __post_init__(self) -> None:
        check_value(self.source, Source, name="source", error=InvalidView)
        check_fields(self, error=InvalidView)
        checked_painting(self.painted)

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Display:
        """Return a display from a view's JSON; absent fields are the defaults, others ignored.

        Raises:
            InvalidView: when a value is not one of those allowed.
        """
        if not isinstance(options, Mapping):
            raise InvalidView(f"display must be an object of options, got {options!r}")
        known = {f.name for f in fields(cls)}
        given = {k: v for k, v in options.items() if k in known}
        if given.get("source", "") is None:  # what a live view says before the first choice
            del given["source"]
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Return all options."""
        return asdict(self)

    def changed(self) -> dict[str, Any]:
        """Return the options that are not the default."""
        default = Display()
        return {k: v for k, v in asdict(self).items() if v != getattr(default, k)}


def _head(text: str) -> int | str:
    return text if text in ("mean", "max") else int(text)


CHOICES: dict[str, tuple[str, ...]] = {"source": SOURCES} | {
    name: get_args(kind) for name, kind in hints_of(Display).items() if get_origin(kind) is Literal
}
_READ: dict[str, Any] = {
    "head": _head,
    "links": int,
    "strength": float,
    "top": float,
    "residual": float,
    "painted": checked_painting,
}
_RULES = {"painted": RULE}
DISPLAY_PARAMETERS = {
    name: Parameter(
        Source if name == "source" else kind, _READ.get(name, str), rule=_RULES.get(name, "")
    )
    for name, kind in hints_of(Display).items()
}


def parsed(name: str, text: str) -> Any:
    """Return the value of an option that was written as text, in an address for instance.

    Raises:
        InvalidView: when there is no such option, or the text is not one of its values.

    >>> parsed("links", "5")
    5
    """
    if name not in DISPLAY_PARAMETERS:
        raise InvalidView(
            f"no display option is called {name!r}{did_you_mean(name, DISPLAY_PARAMETERS)}"
        )
    return DISPLAY_PARAMETERS[name].value(name, text)
