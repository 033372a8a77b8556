"""A file of a recall network, as its recipe writes it."""

from __future__ import annotations

from pathlib import Path

from nlviz.networks.recall import RecallNL
from nlviz.recipes.recall import write


def written_to(folder: Path) -> Path:
    """One whose pairwise function stands in its metadata alone."""
    path = folder / "recall.safetensors"
    write(RecallNL("dot_product"), path, seed=2, found=0.5)
    return path
