"""Files of the networks over sequences, as their recipe writes them."""

from __future__ import annotations

from pathlib import Path

from nlviz.recipes.sequences import Kind, Plan, built, write


def written_to(folder: Path) -> Path:
    """MUSE."""
    return _written(folder, "muse")


def towers_written_to(folder: Path) -> Path:
    """Four towers of non-local blocks."""
    return _written(folder, "non-local-1d")


def _written(folder: Path, kind: Kind) -> Path:
    path = folder / f"{kind}.safetensors"
    write(built(kind, "shift"), path, kind=kind, seed=2, plan=Plan())
    return path
