"""A bundled file."""

from __future__ import annotations

import shutil
from pathlib import Path

from nlviz.resources import asset


def written_to(folder: Path) -> Path:
    """Copy a bundled file."""
    return Path(shutil.copy(asset("weights/gatv2.lookup.safetensors"), folder / "copy.safetensors"))
