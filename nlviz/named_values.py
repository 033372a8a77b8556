"""Values that people type: NAME=VALUE on the command line, in text fields and in addresses."""

from __future__ import annotations

from nlviz.errors import NlvizError

Value = bool | int | float | str | None

_WORDS: dict[str, bool | None] = {
    "true": True,
    "yes": True,
    "on": True,
    "false": False,
    "no": False,
    "off": False,
    "none": None,
}


def value_of(text: str) -> Value:
    """Return what a text means: a truth, none, a whole number, a decimal number, or itself.

    >>> [value_of(text) for text in ("yes", "None", "5", "-2", "1.5", "1e-3", "dot_product")]
    [True, None, 5, -2, 1.5, 0.001, 'dot_product']
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def named_value(text: str, *, what: str, example: str) -> tuple[str, Value]:
    """Split NAME=VALUE.

    Args:
        text: what was typed.
        what: it is, for the sentence when it is wrong.
        example: of a right one.

    Raises:
        NlvizError: when the name, the equals sign or the value is missing.

    >>> named_value("scale=false", what="a flag", example="scale=false")
    ('scale', False)
    """
    name, _, value = text.partition("=")
    if not name.strip() or not value:
        raise NlvizError(f"{what} is NAME=VALUE, got {text!r}; try {example}")
    return name.strip(), value_of(value)
