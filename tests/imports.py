"""Every import of a source file, also those inside functions and those by a module's name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BY_NAME = {"import_module", "__import__"}  # functions that import what a string names


@dataclass(frozen=True)
class Import:
    """One import.

    Attributes:
        module: the importing module, dotted.
        target: the imported module, dotted; a package where only the beginning of the name is in
            the file (``f"pack.{name}"``), and None where nothing of it is.
        line: from 1.
    """

    module: str
    target: str | None
    line: int


def modules(root: Path, *packages: str) -> dict[str, Path]:
    """Return the files of these packages under a folder, by dotted name."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(files: dict[str, Path]) -> list[Import]:
    """Return the imports of files by dotted name; ``from a import b`` is a.b where that is one."""
    return [
        Import(module, target, line)
        for module, path in files.items()
        for target, line in _targets(ast.parse(path.read_text("utf-8")), module, path, files)
    ]


def _targets(
    tree: ast.Module, module: str, path: Path, files: dict[str, Path]
) -> Iterator[tuple[str | None, int]]:
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                inside = f"{base}.{alias.name}"
                yield (inside if inside in files else base), node.lineno
        elif isinstance(node, ast.Call) and _name(node.func) in BY_NAME:
            yield _named(node.args[0] if node.args else None), node.lineno


def _name(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _named(argument: ast.expr | None) -> str | None:
    """Return what a string names, or the whole packages that the beginning of an f-string names."""
    if isinstance(argument, ast.JoinedStr):
        argument = argument.values[0]
        if isinstance(argument, ast.Constant) and "." in str(argument.value):
            return str(argument.value).rpartition(".")[0]
        return None
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    return None
