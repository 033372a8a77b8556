"""What the app's pages have in common: the state of a page is a view, as JSON and as an address.

A view's JSON has ``"format": "nlviz.view"``, a version and the name of its page; without a page it
is one of Explore, which was the only page with views up to version 0.3. An address names a page by
its path and everything else by parameters, each of which is read by itself: an address that was
edited by hand keeps its good parts.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar
from urllib.parse import urlencode

import msgspec

from nlviz.clips.point import Point
from nlviz.errors import InvalidView, NlvizError, did_you_mean
from nlviz.files.checked_json import FromZero, check_value, parsed_json, rule_of

FORMAT = "nlviz.view"
VERSION = 1
CURE = "save the view again, or correct the file"

V = TypeVar("V")


@dataclass(frozen=True)
class Parameter:
    """How one parameter of an address is read and written.

    Attributes:
        kind: type of its values, with bounds.
        read: makes a value of the text; raises ValueError or NlvizError where it cannot.
        write: makes the text of a value.
        words: values that have a word of their own, ``all`` for None for instance.
        rule: what the values are, where the type does not say it.
    """

    kind: Any
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] = str
    words: Mapping[str, Any] = field(default_factory=dict)
    rule: str = ""

    def value(self, name: str, text: str) -> Any:
        """Return the value that a text stands for.

        Raises:
            InvalidView: when it is not one; the sentence names the rule.
        """
        if text in self.words:
            return self.words[text]
        try:
            value = self.read(text)
            check_value(value, self.kind, name=name)
        except (ValueError, NlvizError):
            raise InvalidView(f"{name} must be {self.described}, got {text[:40]!r}") from None
        return value

    @property
    def described(self) -> str:
        """What its values are, in words."""
        return ", or ".join([self.rule or rule_of(self.kind), *self.words])

    def text(self, value: Any) -> str:
        """Return the text of a value."""
        for word, special in self.words.items():
            if value is special:
                return word
        return self.write(value)


@dataclass(frozen=True)
class Understood:
    """What an address says, as far as it can be read.

    Attributes:
        values: by name of the parameter.
        left_out: what is wrong with each parameter that cannot be read, by its name.
        complaint: one sentence on all that cannot be read, or None.
    """

    values: Mapping[str, Any]
    left_out: Mapping[str, InvalidView]
    complaint: str | None = None


class InputRef(Protocol):
    """Which file: a bundled name, a path or what an upload was called, and its sha256 or empty."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def digest(self) -> str:
        """The sha256 of its bytes, or empty."""


class PageView(ABC):
    """The state of a page of the app.

    Attributes:
        page: name of the page, in JSON.
        path: of the page in an address.
        address_parameters: of the address, by name.
    """

    page: ClassVar[str]
    path: ClassVar[str]
    address_parameters: ClassVar[Mapping[str, Parameter]]

    @property
    @abstractmethod
    def input(self) -> InputRef:
        """The file that the view is of."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the view as what JSON can hold, with every option."""

    @classmethod
    @abstractmethod
    def from_dict(cls, whole: Mapping[str, Any]) -> Self:
        """Return the view that a mapping from JSON describes; other fields are ignored.

        Raises:
            InvalidView: when a field is missing, has a wrong type or a value out of range.
        """

    @abstractmethod
    def to_query_params(self) -> dict[str, str]:
        """Return the view as parameters of an address; digests and defaults are left out."""

    @classmethod
    @abstractmethod
    def of_values(cls, values: Mapping[str, Any]) -> Self:
        """Return the view of the values of an address's parameters.

        Raises:
            InvalidView: when a parameter is missing that has no default.
        """

    def to_json(self) -> str:
        """Return the view as JSON text, readable and with every option."""
        whole = {"format": FORMAT, "version": VERSION, "page": self.page, **self.to_dict()}
        return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the view that a JSON text describes.

        Raises:
            InvalidView: when the text is not JSON, not a view of this page or version, or a field
                has a wrong type or a value out of range.
        """
        whole = view_fields(text)
        if whole["page"] != cls.page:
            raise InvalidView(
                f"this is a view of the page {whole['page']!r}, not of {cls.page!r}; "
                "nlviz.read_view opens either"
            )
        return cls.from_dict(whole)

    @property
    def address(self) -> str:
        """The address of the page that shows the view, from the slash on."""
        return f"/{self.path}?{urlencode(self.to_query_params())}"

    @classmethod
    def understood(cls, params: Mapping[str, str]) -> Understood:
        """Read an address's parameters one by one; those of others are ignored."""
        values, left_out, bad = {}, {}, []
        for name, text in params.items():
            if name not in cls.address_parameters:
                continue
            one = cls.address_parameters[name]
            try:
                values[name] = one.value(name, text)
            except InvalidView as error:
                left_out[name] = error
                bad.append(f"{name}={text[:40]} (it must be {one.described})")
        complaint = (
            f"A part of this page's address cannot be read and was left out: {', '.join(bad)}."
        )
        return Understood(values, left_out, complaint if bad else None)

    @classmethod
    def from_query_params(cls, params: Mapping[str, str]) -> Self:
        """Return the view that an address describes; parameters of others are ignored.

        Raises:
            InvalidView: when a parameter is missing that has no default, or has a value that makes
                no sense; ``understood`` reads the good parts of such an address.
        """
        found = cls.understood(params)
        for error in found.left_out.values():
            raise error
        return cls.of_values(found.values)


def view_fields(text: str | bytes) -> dict[str, Any]:
    """Return the fields of a view's JSON, of whatever page; ``page`` is among them.

    Raises:
        InvalidView: when the text is not JSON, not a view, or of another version.
    """
    try:
        whole = parsed_json(text, of="a view")
    except NlvizError as error:
        raise InvalidView(f"{error}; {CURE}") from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        found = whole.get("format") if isinstance(whole, dict) else type(whole).__name__
        raise InvalidView(f'a view has "format": "{FORMAT}", this has {found!r}; {CURE}')
    if whole.get("version") != VERSION:
        raise InvalidView(
            f"this nlviz reads views of version {VERSION}, this one has version "
            f"{whole.get('version')!r}; save the view again with this nlviz"
        )
    return {"page": "explore", **whole}


def text_of_file(path: Path) -> str:
    """Return the text of a view's file.

    Raises:
        InvalidView: when there is no such file, or it is not text.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidView(f"the view {str(path)!r} cannot be read ({reason}); {CURE}") from None


def page_named(name: object, pages: Mapping[str, V]) -> V:
    """Return the class of the views of a page.

    Raises:
        InvalidView: when there is no such page.
    """
    if not isinstance(name, str) or name not in pages:
        raise InvalidView(f"no page is called {name!r}{did_you_mean(str(name), pages)}; {CURE}")
    return pages[name]


def exact(value: float) -> str:
    """Return a number as the shortest text that is read as the same number.

    >>> exact(25.0), exact(0.1), exact(1 / 3)
    ('25', '0.1', '0.3333333333333333')
    """
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def to_bool(text: str) -> bool:
    """Return whether a switch of an address is on: it is not empty, ``0`` or ``false``."""
    return text not in ("", "0", "false")


SWITCH = Parameter(bool, to_bool, lambda value: str(int(value)))

AT = Parameter(
    Any,
    Point.parse,
    lambda point: str(point.text),
    rule="frame,y,x, three numbers from 0",
)


class Place(msgspec.Struct):
    """A point in JSON."""

    frame: FromZero
    y: FromZero
    x: FromZero

    @property
    def point(self) -> Point:
        """The point itself."""
        return Point(self.frame, self.y, self.x)
