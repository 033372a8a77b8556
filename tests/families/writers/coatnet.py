"""A file of a CoAtNet, as its recipe writes it."""

from __future__ import annotations

from pathlib import Path

from nlviz.networks.coatnet import coatnet
from nlviz.recipes.coatnet_layouts import write


def written_to(folder: Path) -> Path:
    """One whose third and fourth stages attend."""
    path = folder / "coatnet.safetensors"
    write(coatnet("C-C-T-T"), path, layout="C-C-T-T", seed=2)
    return path
