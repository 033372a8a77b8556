"""Views of the page A | B: two views of one query, and how they are drawn.

{"format": "nlviz.view", "version": 1, "page": "compare",
 "a": {fields of a view of Explore}, "b": {likewise}, "crossed": false,
 "table": [...], "notes": [...]}

``crossed`` says that the queries of ``a``'s input ask the keys of ``b``'s. ``table`` and ``notes``
say what was found when the view was saved; drawing does not use them. An address holds the
parameters of ``a`` as Explore has them, and those of ``b``, after ``b_``, that are others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import msgspec

from nlviz.affinity.asked import Query
from nlviz.analysis.compare import Comparison, Side
from nlviz.captures.capture import Capture
from nlviz.clips.point import nearest_inside
from nlviz.errors import InvalidView
from nlviz.files.checked_json import checked
from nlviz.views.display import Display
from nlviz.views.page_view import CURE, SWITCH, PageView, Parameter
from nlviz.views.refs import ClipRef
from nlviz.views.view import View

OWN = "b_"  # what parameters of the second view begin with
ASKED = ("source", "head", "direction", "token")  # display options that each side has
SAMPLING = ("text", "boxes", "start", "stride", "frames", "size", "fps")


class _File(msgspec.Struct):
    a: dict[str, Any]
    b: dict[str, Any]
    crossed: bool = False
    table: list[dict[str, Any]] = []
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CompareView(PageView):
    """Two views of one query side by side.

    Attributes:
        a: the first one; how both are drawn is what its display says.
        b: the second one.
        crossed: whether its rows are those of queries of ``a``'s input over the keys of its own.
        table: figures when the view was saved, as of ``Comparison.table``.
        notes: what had to be known of the comparison then.

    >>> from nlviz.clips.point import Point
    >>> from nlviz.views.view import ModelRef
    >>> a = View(ModelRef("lite-nl"), ClipRef("a.jpg", frames=8), "stage4", Point(0, 96, 140))
    >>> view = CompareView(a, replace(a, block="stage3"))
    >>> CompareView.from_json(view.to_json()) == view
    True
    >>> view.address
    '/compare?clip=a.jpg&model=lite-nl&block=stage4&at=0%2C96%2C140&b_block=stage3'
    """

    page: ClassVar[str] = "compare"
    path: ClassVar[str] = "compare"
    address_parameters: ClassVar[Mapping[str, Parameter]] = {
        **View.address_parameters,
        **{f"{OWN}{name}": one for name, one in View.address_parameters.items()},
        "crossed": SWITCH,
    }

    a: View
    b: View
    crossed: bool = False
    table: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(
        cls, found: Comparison, *, display: Display | Mapping[str, Any] | None = None
    ) -> CompareView:
        """Return the view of a comparison.

        Args:
            found: the comparison.
            display: how both are drawn; what they show is taken from the comparison.

        Raises:
            InvalidView: when a side shows an affinity that no name stands for, or a display option
                has no such value.
        """
        drawn = display if isinstance(display, Display) else Display.from_dict(display or {})
        views = []
        for side, query, row in (
            (found.a, found.query, found.one),
            (found.b, found.query_b, found.other),
        ):
            if side.affinity is not None:
                raise InvalidView(
                    f"a view names what it shows, {side.label} shows an affinity of your own; "
                    "save a picture, or give the side a block and a source"
                )
            at = query if isinstance(query, tuple) else row.query
            shown = replace(
                drawn,
                source=side.source,
                head="mean" if side.head is None else side.head,
                direction=side.direction,
                token=query if isinstance(query, str) else "",
            )
            frame, y, x = nearest_inside(at, side.asked_clip.shape)
            capture = side.capture
            view = View.of(capture, side.block, frame=frame, y=y, x=x, display=shown)
            if side.keys_of is not None:
                view = replace(view, clip=ClipRef.of(side.keys_of.clip))
            views.append(view)
        crossed = found.b.keys_of is not None
        if found.a.keys_of is not None:
            raise InvalidView("queries of one input ask keys of another on side B; swap the sides")
        return cls(views[0], views[1], crossed, tuple(found.table), found.notes)

    @property
    def input(self) -> ClipRef:
        """The file that the first view is of."""
        return self.a.clip

    @property
    def same_pass(self) -> bool:
        """Whether both sides are of one network and one input."""
        passes = [(v.model, v.clip, v.text) for v in (self.a, self.b)]
        return passes[0] == passes[1]

    @property
    def query(self) -> Query:
        """What is asked of the first side: a token by its name, or a place."""
        return self.a.display.token or self.a.query

    def sides(self, a: Capture, b: Capture) -> tuple[Side, Side]:
        """Return the sides of the comparison that this is a view of.

        Args:
            a: capture of the first view's input.
            b: of the second one's.
        """

        def side(view: View, capture: Capture, query: Query | None) -> Side:
            display = view.display
            return Side(
                capture, view.block, display.head, display.source, display.direction, query=query
            )

        first = side(self.a, a, self.query)
        if self.crossed:
            return first, replace(side(self.b, a, self.query), keys_of=b, label="")
        same = self.b.query == self.a.query and self.b.display.token == self.a.display.token
        own = None if same else self.b.display.token or self.b.query
        return first, side(self.b, b, own)

    def to_dict(self) -> dict[str, Any]:
        """Return the view as what JSON can hold, with every option."""
        return {
            "a": self.a.to_dict(),
            "b": self.b.to_dict(),
            "crossed": self.crossed,
            "table": [dict(row) for row in self.table],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, whole: Mapping[str, Any]) -> CompareView:
        """Return the view that a mapping from JSON describes; other fields are ignored.

        Raises:
            InvalidView: when a field is missing, has a wrong type or a value out of range.
        """
        found = checked(whole, _File, of="a view's", cure=CURE, error=InvalidView)
        a, b = View.from_dict(found.a), View.from_dict(found.b)
        return cls(a, b, found.crossed, tuple(found.table), found.notes)

    def to_query_params(self) -> dict[str, str]:
        """Return the view as parameters of an address; digests and defaults are left out."""
        a, b = self.a.to_query_params(), self.b.to_query_params()
        own = {n: b[n] for n in ("model", "block", "at") if b[n] != a[n]}
        if self._input_of(self.a) != self._input_of(self.b):
            own |= {n: b[n] for n in ("clip", *SAMPLING) if n in b}
        shown = asdict(self.b.display)
        own |= {
            name: self.address_parameters[name].text(shown[name])
            for name in ASKED
            if shown[name] != asdict(self.a.display)[name]
        }
        return {
            **a,
            **{f"{OWN}{name}": text for name, text in own.items()},
            **({"crossed": SWITCH.text(True)} if self.crossed else {}),
        }

    @staticmethod
    def _input_of(view: View) -> tuple[object, ...]:
        return replace(view.clip, digest=""), view.text

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> CompareView:
        """Return the view of the values of an address's parameters.

        Raises:
            InvalidView: when clip and text, block or query of the first view are missing.
        """
        first = {n: v for n, v in values.items() if n in View.address_parameters}
        own = {n[len(OWN) :]: v for n, v in values.items() if n.startswith(OWN)}
        kept = first
        if {"clip", "text"} & own.keys():
            kept = {n: v for n, v in first.items() if n not in ("clip", *SAMPLING)}
        return cls(
            View.of_values(first),
            View.of_values({**kept, **own}),
            bool(values.get("crossed", False)),
        )
