"""JSON that people and files bring: parsed, checked against types, refused in a sentence.

What a value may be stands in the types: ``Annotated[int, Meta(ge=1, le=60)] | None`` for a whole
number from 1 to 60 or null. ``msgspec`` checks them, without taking true for 1 or "3" for 3; the
sentences are made from the same types. An upper bound of ``HUGE`` or more says "finite": NaN and
infinities lie within no bounds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import Meta

from nlviz.errors import NlvizError, did_you_mean
from nlviz.sentences import listed

HUGE = 10**12
Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0, le=HUGE)]
Finite = Annotated[float, Meta(ge=-HUGE, le=HUGE)]
Positive = Annotated[float, Meta(gt=0, le=HUGE)]
FromZero = Annotated[float, Meta(ge=0, le=HUGE)]

T = TypeVar("T")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_SHOWN = 60  # characters of a value that a sentence shows


class Record(msgspec.Struct, forbid_unknown_fields=True):
    """Base of the objects in a file: their fields, and no others."""


def parsed_json(text: str | bytes, *, of: str = "it") -> Any:
    """Parse a JSON text; NaN and infinities are floats, to be refused where they stand.

    Args:
        text: the text, or its bytes in UTF-8.
        of: what the text is, for the sentence.

    Raises:
        NlvizError: when the text is not JSON, or nested too deeply.

    >>> parsed_json('{"links": 5}')
    {'links': 5}
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NlvizError(f"{of} must be JSON text ({error})") from None


def checked(
    value: object,
    kind: type[T],
    *,
    of: str,
    cure: str = "",
    error: type[NlvizError] = NlvizError,
) -> T:
    """Convert what JSON gave into records and dataclasses of this kind.

    Args:
        value: objects, lists, texts and numbers.
        kind: the type that it must have.
        of: whose fields the sentence names, ``a view's`` for instance, or which list.
        cure: what the sentence ends with.
        error: the class of the error.

    Raises:
        NlvizError: of the class asked for; it names the field, the rule and the value.

    >>> checked([4, 0], list[Annotated[int, Meta(ge=1)]], of="its frames")
    Traceback (most recent call last):
    nlviz.errors.NlvizError: its frames[1] must be a whole number from 1, got 0
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as found:
        reason = found.args[0]
    raise error(_sentence(reason, value, kind, of) + (f"; {cure}" if cure else ""))


def check_fields(record: object, *, of: str = "", error: type[NlvizError] = NlvizError) -> None:
    """Check the plain fields of a dataclass against their annotations.

    Fields that hold dataclasses or mappings check themselves.

    Raises:
        NlvizError: of the class asked for; it names the field, the rule and the value.
    """
    hints = hints_of(cast(Any, type(record)))
    for field in fields(cast(Any, record)):
        value = getattr(record, field.name)
        if not is_dataclass(value) and not isinstance(value, Mapping):
            name = f"{of} {field.name}".strip()
            check_value(value, hints[field.name], name=name, error=error)


def check_value(
    value: object, kind: Any, *, name: str, error: type[NlvizError] = NlvizError
) -> None:
    """Check one value against its type.

    Raises:
        NlvizError: of the class asked for; it names the value, the rule and what was given.

    >>> check_value(0.5, Annotated[int, Meta(ge=1, le=60)] | None, name="frames")
    Traceback (most recent call last):
    nlviz.errors.NlvizError: frames must be a whole number from 1 to 60, or null, got 0.5
    """
    plain = float(value) if isinstance(value, float) else value  # NumPy's are floats, too
    try:
        msgspec.convert(plain, kind)
    except msgspec.ValidationError:
        raise error(f"{name} must be {rule_of(kind)}, got {_shown(value)}") from None


def rule_of(kind: Any) -> str:
    """Return what values of a type are, in words.

    >>> rule_of(Positive), rule_of(Finite | None)
    ('a number above 0', 'a finite number, or null')
    """
    bare, bounds = _bare(kind)
    if parts := _union(bare):
        words = [rule_of(part) for part in parts if part is not NoneType]
        return ", or ".join([*words, "null"] if NoneType in parts else words)
    origin, inner = get_origin(bare) or bare, get_args(bare)
    if origin is Literal:
        return listed(map(str, inner))
    if origin in (int, float):
        return _number_rule(bounds, "a whole number" if origin is int else "a number")
    if origin is tuple and Ellipsis not in inner:
        return f"a list of {len(inner)}"
    noun = {str: "a text", bool: "true or false", list: "a list", tuple: "a list"}
    empty = " that is not empty" if bounds and bounds.min_length else ""
    return noun.get(origin, "an object") + empty


def _bare(kind: Any) -> tuple[Any, Meta | None]:
    """Return a type without its bounds, and the bounds."""
    if get_origin(kind) is not Annotated:
        return kind, None
    bare, *notes = get_args(kind)
    return bare, next((note for note in notes if isinstance(note, Meta)), None)


def _union(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else ()


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """Return the annotations of a class, by field, with their bounds."""
    return get_type_hints(kind, include_extras=True)


def _sentence(reason: str, value: Any, kind: Any, of: str) -> str:
    """Say which field breaks which rule, from the path that msgspec gives."""
    rule, _, path = reason.partition(" - at `$")
    name = ""
    for field, index in _STEP.findall(path):
        kind = _inner(kind, field, index)
        value = value[field] if field else value[int(index)]
        name += f".{field}" if field else f"[{index}]"
    if missing := re.search("missing required field `(.*)`", rule):
        return f"{_where(of, f'{name}.{missing[1]}')} is missing"
    if unknown := re.search("unknown field `(.*)`", rule):
        known = hints_of(_container(kind))
        return f"{_where(of, name)} has no field {unknown[1]!r}{did_you_mean(unknown[1], known)}"
    return f"{_where(of, name)} must be {rule_of(kind)}, got {_shown(value)}"


def _where(of: str, name: str) -> str:
    """Join ``a view's`` with ``.clip.name``, or ``detections`` with ``[0].frame``."""
    if not name:
        return of.removesuffix("'s")
    return of + name if name.startswith("[") else f"{of} {name[1:]}".strip()


def _container(kind: Any) -> Any:
    """Return the part of a type, or of a union, that has something inside."""
    bare, _ = _bare(kind)
    if parts := _union(bare):
        bare = next(b for b in (_bare(part)[0] for part in parts) if b is not NoneType)
    return bare


def _inner(kind: Any, field: str, index: str) -> Any:
    """Return the type of a field of an object, or of an item of a list."""
    whole = _container(kind)
    if field and get_origin(whole) is None:
        return hints_of(whole)[field]
    inner = [one for one in get_args(whole) if one is not Ellipsis]
    return inner[min(int(index or len(inner)), len(inner) - 1)]


def _number_rule(bounds: Meta | None, noun: str) -> str:
    if bounds is None:
        return noun
    low, above, high = bounds.ge, bounds.gt, bounds.le
    if high is not None and high >= HUGE:
        high = None
        if low is not None and low <= -HUGE:
            return f"a finite {noun.removeprefix('a ')}"
    words = (("from", low), ("above", above), ("to", high))
    return " ".join([noun, *(f"{word} {n:g}" for word, n in words if n is not None)])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
