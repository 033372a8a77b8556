"""JSON that people and files bring: parsed, checked against types, refused in a sentence.

What a value may be stands in the types: ``Annotated[int, Meta(ge=1, le=60)] | None`` for a whole
number from 1 to 60 or null. ``msgspec`` checks them, without taking true for 1 or "3" for 3; the
sentences are made from the same types. An upper bound of ``HUGE`` or more says "finite": NaN and
infinities lie within no bounds.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_type_hints

import msgspec
from msgspec import Meta

from nlviz.errors import NlvizError, did_you_mean

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


def parsed_json(text: str | bytes) -> Any:
    """Parse a JSON text; NaN and infinities are floats, to be refused where they stand.

    Raises:
        NlvizError: when the text is not JSON, or nested too deeply.

    >>> parsed_json('{"links": 5}')
    {'links': 5}
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NlvizError(f"it must be JSON text ({error})") from None


def checked(value: object, kind: type[T], *, of: str, error: type[NlvizError] = NlvizError) -> T:
    """Convert what JSON gave into records and dataclasses of this kind.

    Args:
        value: objects, lists, texts and numbers.
        kind: the type that it must have.
        of: whose fields the sentence names, ``a view's`` for instance, or which list.
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
    raise error(_sentence(reason, value, kind, of))


def check_fields(record: object, *, of: str = "", error: type[NlvizError] = NlvizError) -> None:
    """Check the fields of a dataclass against their annotations.

    Raises:
        NlvizError: of the class asked for; it names the field, the rule and the value.
    """
    hints = _hints(cast(Any, type(record)))
    for field in fields(cast(Any, record)):
        value = getattr(record, field.name)
        plain = float(value) if isinstance(value, float) else value  # NumPy's are floats, too
        try:
            msgspec.convert(plain, hints[field.name])
        except msgspec.ValidationError:
            whose = f"{of} {field.name}".strip()
            raise error(
                f"{whose} must be {_words(_described(hints[field.name]))}, got {_shown(value)}"
            ) from None


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _described(kind: Any) -> Any:
    from msgspec.inspect import type_info  # costs more than all checks, and only errors need it

    return type_info(kind)


def _sentence(reason: str, value: Any, kind: Any, of: str) -> str:
    """Say which field breaks which rule, from the path that msgspec gives."""
    rule, _, path = reason.partition(" - at `$")
    what, name = _described(kind), ""
    for field, index in _STEP.findall(path):
        what = _inner(what, field, index)
        value = value[field] if field else value[int(index)]
        name += f".{field}" if field else f"[{index}]"
    if missing := re.search("missing required field `(.*)`", rule):
        return f"{_where(of, f'{name}.{missing[1]}')} is missing"
    if unknown := re.search("unknown field `(.*)`", rule):
        known = [f.name for f in _without_null(what).fields]
        return f"{_where(of, name)} has no field {unknown[1]!r}{did_you_mean(unknown[1], known)}"
    return f"{_where(of, name)} must be {_words(what)}, got {_shown(value)}"


def _where(of: str, name: str) -> str:
    """Join ``a view's`` with ``.clip.name``, or ``detections`` with ``[0].frame``."""
    if not name:
        return of.removesuffix("'s")
    return of + name if name.startswith("[") else f"{of} {name[1:]}".strip()


def _without_null(what: Any) -> Any:
    """Return the part of a union that is neither null nor a plain value."""
    parts = getattr(what, "types", (what,))
    return next((p for p in parts if hasattr(p, "fields") or _items(p)), what)


def _items(what: Any) -> tuple[Any, ...]:
    """Return the types of a list's or mapping's items; one stands for all."""
    if hasattr(what, "item_types"):
        return tuple(what.item_types)
    return tuple(getattr(what, n) for n in ("item_type", "value_type") if hasattr(what, n))


def _inner(what: Any, field: str, index: str) -> Any:
    what = _without_null(what)
    if hasattr(what, "fields"):
        return next(f.type for f in what.fields if f.encode_name == field)
    items = _items(what)
    return items[min(int(index or 0), len(items) - 1)]


def _words(what: Any) -> str:
    """Say a type as a rule.

    >>> _words(_described(Annotated[int, Meta(ge=1, le=60)] | None))
    'a whole number from 1 to 60, or null'
    """
    name = type(what).__name__
    if name == "UnionType":
        parts = [_words(t) for t in what.types if type(t).__name__ != "NoneType"]
        null = len(parts) < len(what.types)
        return " or ".join(parts) + (", or null" if null else "")
    if name in ("IntType", "FloatType"):
        return _number_words(what, "a whole number" if name == "IntType" else "a number")
    if name == "LiteralType":
        *others, last = map(str, what.values)
        return f"{', '.join(others)} or {last}" if others else last
    if name == "StrType":
        return "a text that is not empty" if what.min_length else "a text"
    if name == "TupleType":
        return f"a list of {len(what.item_types)}"
    if name == "ListType" and what.min_length:
        return "a list that is not empty"
    known = {"BoolType": "true or false", "AnyType": "a value"}
    lists = ("ListType", "VarTupleType", "SetType", "FrozenSetType")
    return known.get(name, "a list" if name in lists else "an object")


def _number_words(what: Any, noun: str) -> str:
    low, above, high = what.ge, what.gt, what.le
    if high is not None and high >= HUGE:
        high = None
        if low is not None and low <= -HUGE:
            return f"a finite {noun.removeprefix('a ')}"
    if above is not None:
        return f"{noun} above {above:g}" + ("" if high is None else f", at most {high:g}")
    bounds = [f"{word} {n}" for word, n in (("from", low), ("to", high)) if n is not None]
    return " ".join([noun, *bounds])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
