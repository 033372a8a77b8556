"""Modules of packages that are installed but cannot be imported as a whole, or not at all."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

# A folder of their own, last on the path: one of them brings a package called ``tests``.
FOLDER = Path(sys.prefix) / "originals"
_CURE = "see tests/originals/requirements.txt"


def original(module: str, *, skipping: tuple[str, ...] = ()) -> Any:
    """Return a module of a package, or skip the test where the package is not installed.

    Args:
        module: dotted name.
        skipping: packages above it whose ``__init__`` is not run: mmaction2's wheel lacks files
            that it imports, and GluonCV's refuses every torch from 2.0 on, whatever it is asked.
    """
    root = module.split(".")[0]
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    if root in sys.modules:
        base = Path(sys.modules[root].__path__[0])
    else:
        spec = importlib.util.find_spec(root)
        if spec is None or spec.origin is None:
            pytest.skip(f"{root} is not installed: {_CURE}")
        base = Path(spec.origin).parent
    for name in skipping:
        if name not in sys.modules:
            bare = types.ModuleType(name)
            bare.__path__ = [str(base.joinpath(*name.split(".")[1:]))]
            sys.modules[name] = bare
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old code, about today's torch and numpy
        return importlib.import_module(module)
