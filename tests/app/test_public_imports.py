"""The app is a customer of the public names: ``import nlviz`` and nothing beneath."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import nlviz

FOLDER = Path(__file__).parents[2] / "app"
FILES = sorted(FOLDER.rglob("*.py"))


def private(source: str) -> list[str]:
    """Return what a file uses of nlviz without that it is public."""
    tree = ast.parse(source)
    return [*_imports(tree), *(chain for chain in _chains(tree) if not is_public(chain))]


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("nlviz."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nlviz":
            yield from (f"{node.module}.{a.name}" for a in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield ast.unparse(node)


def _chains(tree: ast.AST) -> Iterator[str]:
    """Return what stands behind ``nlviz.``, each as far as it goes."""
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and _is_dotted(n)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            chain = ast.unparse(node)
            if re.fullmatch(r"nlviz(\.\w+)+", chain):
                yield chain


def _is_dotted(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and bool(re.fullmatch(r"[\w.]+", ast.unparse(node)))


def is_public(chain: str) -> bool:
    """Return whether each step from a package to what lies in it goes by a public name."""
    value: object = nlviz
    for name in chain.split(".")[1:]:
        if not isinstance(value, ModuleType):
            return True  # what a public object offers
        if name.startswith("_") or name not in getattr(value, "__all__", dir(value)):
            return False
        value = getattr(value, name)
    return True


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(FOLDER)))
def test_the_app_uses_public_names_only(path: Path) -> None:
    assert private(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import nlviz\nnlviz.Point.parse('0,1,2')\nnlviz.denoise.psnr", []),
        ("def f():\n    from nlviz.render.save import render_bytes", 1),
        ("from nlviz import denoise", 1),
        ("import nlviz.words", 1),
        ("import nlviz\nx = nlviz.captures.capture.Capture", 1),
        ("import nlviz\nnlviz.words.rows.row_sentence(1)", 1),
        ("from importlib import import_module\nimport_module('nlviz.views')", 1),
    ],
)
def test_the_test_would_notice(source: str, found: object) -> None:
    assert len(private(source)) == (found or 0)


def test_importing_the_app_imports_nothing_heavy() -> None:
    """The page appears at once: PyTorch and its friends come with the first view."""
    heavy = ("torch", "timm", "cv2", "av", "numba", "safetensors")
    code = f"import sys, app.main; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
