"""Public names of a package, written once in its stub and imported when first used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import lazy_loader


def public_names(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package from its ``__init__.pyi``.

    The stub is what type checkers read, so each name is written in one place. A public name keeps
    the ``__module__`` of the file that defines it: ``inspect.getsource``, ``get_type_hints`` and
    doctest look there.

    Args:
        package: ``__name__`` of the package.
        file: ``__file__`` of the package.

    Raises:
        ValueError: when there is no stub next to the file.
    """
    load, _, names = lazy_loader.attach_stub(package, file)

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}",
                name=name,
                obj=sys.modules[package],  # Python then proposes the closest name
            )
        return load(name)

    def known() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return get, known, names
