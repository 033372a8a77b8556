"""No module imports itself by way of others, not even inside a function."""

from __future__ import annotations

from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest


def circle(imports: Mapping[str, Set[str]]) -> list[str]:
    """Return the modules of one circle, each imported by the next; empty where there is no circle.

    Args:
        imports: what each module imports directly.
    """
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def imports_of(*packages: str) -> dict[str, Set[str]]:
    """Return what each module of these packages imports, wherever in its file it does so."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = imports_of("nlviz", "app")
    assert len(found) > 100
    assert circle(found) == []


@pytest.mark.parametrize("place", ["", "def late():\n    "])
def test_a_circle_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A package of three modules that import each other around, at the top or in a function."""
    package = tmp_path / f"ring{len(place)}"
    package.mkdir()
    (package / "__init__.py").write_text("", "utf-8")
    for name, other in (("one", "two"), ("two", "three"), ("three", "one")):
        (package / f"{name}.py").write_text(f"{place}import {package.name}.{other}\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert set(circle(imports_of(package.name))) == {
        f"{package.name}.{name}" for name in ("one", "two", "three")
    }
