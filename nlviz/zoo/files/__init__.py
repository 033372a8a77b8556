"""Files that hold weights, read without running anything that they contain.

The kind of a file follows from its content, never from its name.
"""

from __future__ import annotations

from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.zoo.files.read import read_checkpoint

__all__ = ["Checkpoint", "read_checkpoint"]
