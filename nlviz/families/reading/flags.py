"""Properties of the computation that a layout settles, one after the other, with their origins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nlviz.affinity.pairwise import OF_BLOCKS, PairwiseName
from nlviz.errors import NlvizError, did_you_mean
from nlviz.families.reading.layout import Flag, Origin
from nlviz.named_values import named_value

_ARGUMENTS = ("name", "device", "progress", "autocast", "allow_code")  # of load_model, no flags


class Flags:
    """What was taken for each flag; an override by the user goes before everything else.

    >>> flags = Flags({"scale": False}, known={"scale": "logits times d^-1/2", "key_pool": "side"})
    >>> flags.truth("scale", True, "preset"), flags.number("key_pool", 2, "preset", choices=(1, 2))
    (False, 2)
    >>> flags.found["scale"].origin
    'user'
    """

    def __init__(self, overrides: Mapping[str, object], *, known: Mapping[str, str]) -> None:
        for name in overrides:
            if name not in known:
                raise NlvizError(f"this layout has no flag {name!r}{did_you_mean(name, known)}")
        self._overrides = {k: v for k, v in overrides.items() if v is not None}
        self._known = known
        self.found: dict[str, Flag] = {}

    def _settle(self, name: str, value: object, origin: Origin, note: str) -> object:
        if name in self._overrides:
            value, origin = self._overrides[name], "user"
        self.found[name] = Flag(value, origin, note or self._known.get(name, ""))
        return value

    def truth(self, name: str, value: bool, origin: Origin, note: str = "") -> bool:
        """Settle a flag that is on or off.

        Raises:
            NlvizError: when the override is neither.
        """
        found = self._settle(name, value, origin, note)
        if found not in (True, False):
            raise NlvizError(f"the flag {name} is true or false, got {found!r}")
        return bool(found)

    def number(
        self,
        name: str,
        value: int,
        origin: Origin,
        note: str = "",
        *,
        choices: tuple[int, ...] | None = None,
        least: int = 1,
    ) -> int:
        """Settle a flag that is a whole number.

        Raises:
            NlvizError: when the override is no number, not one of the choices, or too small.
        """
        found = self._settle(name, value, origin, note)
        whole = isinstance(found, int) and not isinstance(found, bool)
        if choices is not None and not (whole and found in choices):
            raise NlvizError(
                f"the flag {name} is one of {', '.join(map(str, choices))}, got {found!r}"
            )
        if not whole or (choices is None and int(str(found)) < least):
            raise NlvizError(f"the flag {name} is a number of {least} or more, got {found!r}")
        return int(str(found))

    def choice(
        self, name: str, value: str, origin: Origin, note: str = "", *, choices: Iterable[str]
    ) -> str:
        """Settle a flag that is one of several words.

        Raises:
            NlvizError: when the override is another.
        """
        found, known = self._settle(name, value, origin, note), tuple(choices)
        if found not in known:
            raise NlvizError(f"the flag {name} is one of {', '.join(known)}, got {found!r}")
        return str(found)

    def pairwise(self, value: PairwiseName, origin: Origin, note: str = "") -> PairwiseName:
        """Settle the name of f.

        Raises:
            NlvizError: when the override names no f that a block can have.
        """
        found = self._settle("pairwise", value, origin, note)
        for name in OF_BLOCKS:
            if found == name:
                return name
        raise NlvizError(f"the flag pairwise is one of {', '.join(OF_BLOCKS)}; got {found!r}")


def parsed_flags(texts: Iterable[str]) -> dict[str, Any]:
    """Return flags by name from texts like ``scale=false``.

    Raises:
        NlvizError: when a text is not NAME=VALUE, or the name is that of another argument.

    >>> parsed_flags(["scale=false", "key_pool=2", "pairwise=dot_product"])
    {'scale': False, 'key_pool': 2, 'pairwise': 'dot_product'}
    """
    flags: dict[str, Any] = {}
    for text in texts:
        name, value = named_value(text, what="a flag", example="scale=false")
        if name in _ARGUMENTS:
            raise NlvizError(
                f"no flag is called {name!r}; `nlviz inspect FILE` lists a file's flags"
            )
        if value is None:
            raise NlvizError(f"the flag {name} needs a value, got {text!r}; or leave it out")
        flags[name] = value
    return flags
