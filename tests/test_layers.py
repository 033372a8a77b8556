"""A layer imports downwards only; import-linter knows the layers from pyproject.toml."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nlviz

ROOT = Path(__file__).parent.parent


def contract() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (layers,) = (
        c["layers"] for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers"
    )
    return [name.strip() for layer in layers for name in re.split(r"[|:]", layer)]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_layers_import_downwards_only() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_is_in_a_layer() -> None:
    modules = {f"nlviz.{m.name}" for m in pkgutil.iter_modules(nlviz.__path__)}
    assert modules <= set(contract())


@pytest.mark.parametrize("break_it", ["import upwards", "missing layer"])
def test_the_linter_would_notice(tmp_path: Path, break_it: str) -> None:
    """A small project with the same contract: an upward import or a missing layer fails."""
    package = tmp_path / "pack"
    package.mkdir()
    for name in ("__init__", "high", "low"):
        (package / f"{name}.py").write_text("", "utf-8")
    layers = ["pack.high", "pack.low"]
    if break_it == "missing layer":
        layers.append("pack.gone")
    else:
        (package / "low.py").write_text("import pack.high\n", "utf-8")
    (tmp_path / ".importlinter").write_text(
        "[importlinter]\nroot_package = pack\n[importlinter:contract:1]\nname = layers\n"
        "type = layers\nlayers =\n" + "".join(f"    {layer}\n" for layer in layers),
        "utf-8",
    )
    assert lint(tmp_path).returncode != 0
