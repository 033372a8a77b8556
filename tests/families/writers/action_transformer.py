"""A file of an action transformer, as this project's recipe writes it: the bundled one."""

from __future__ import annotations

import shutil
from pathlib import Path

from nlviz.resources import asset


def written_to(folder: Path) -> Path:
    """Copy the bundled file."""
    own = asset("weights/action-transformer.safetensors")
    return Path(shutil.copy(own, folder / "copy.safetensors"))
