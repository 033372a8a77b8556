"""Files that hold weights, read without running anything that they contain.

The kind of a file is told by its content, never by its name.
"""

from __future__ import annotations

from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.zoo.files.read import read_checkpoint

__all__ = ["Checkpoint", "read_checkpoint"]
