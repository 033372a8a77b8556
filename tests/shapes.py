"""Checks shapes at run time: what ``Float[Tensor, "heads queries"]`` says holds in every test.

A plugin (pyproject.toml names it): the modules of ``nlviz`` that name a shape are imported through
jaxtyping's hook, which gives each function to ``checked``. Types without a shape are mypy's, and so
are values that a user may get wrong: functions refuse those with errors of their own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from beartype import beartype
from jaxtyping import install_import_hook

ROOT = Path(__file__).parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "nlviz").rglob("*.py")
        if "from jaxtyping import" in path.read_text("utf-8")
    ]
    install_import_hook(names, f"{__name__}.{checked.__name__}")


def checked(function: Any) -> Any:
    """Return the function with the shapes of its arguments and of its result checked."""
    everything = getattr(function, "__annotations__", {})
    known = getattr(function, "__globals__", {})
    shapes = {name: hint for name, hint in everything.items() if _names_axes(hint, known)}
    if not shapes:
        return function
    function.__annotations__ = shapes
    try:
        return beartype(function)
    finally:
        function.__annotations__ = everything


def _names_axes(hint: object, known: dict[str, object]) -> bool:
    """Return whether a hint is a shape, or a name that stands for one."""
    names = re.findall(r"\w+", hint) if isinstance(hint, str) else []
    objects = [known.get(name) for name in names] or [hint]
    return any(getattr(one, "__module__", "") == "jaxtyping" for one in objects)
