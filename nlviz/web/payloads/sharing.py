"""Leaves out sections of a container that were sent before, with another source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity

Arrays = dict[str, npt.NDArray[Any]]


def share_sections(
    derived: dict[str, Any],
    affinity: Affinity,
    learned: Affinity,
    packed: Sequence[dict[str, Any]],
    arrays: Arrays,
) -> None:
    """Leave out sections that were sent with the block's own affinity, the same tensors."""
    if not (isinstance(affinity, EmbeddedAffinity) and isinstance(learned, EmbeddedAffinity)):
        return
    if not packed or packed[0]["server"] or derived["server"] or derived["split"]:
        return
    own = packed[0]
    for name in ("theta", "phi"):
        if getattr(affinity, name) is getattr(learned, name):
            del arrays[derived[name]]
            derived[name] = own[name]
    if affinity.bias is not None and affinity.bias is learned.bias:
        for section in [v for v in derived["bias"].values() if v in arrays]:
            del arrays[section]
        derived["bias"] = own["bias"]


def share_vectors(
    derived: dict[str, Any], packed: Sequence[dict[str, Any]], arrays: Arrays
) -> None:
    """Leave out vectors that were sent before, as those of features of which f alone differs."""
    if derived["server"] or "theta" not in derived:
        return
    known = [s[n] for s in packed for n in ("theta", "phi") if not s["server"] and n in s]
    for name in ("theta", "phi"):
        section = derived[name]
        if section in known or section not in arrays:
            continue
        same = [n for n in known if np.array_equal(arrays[n], arrays[section])]
        if same:
            del arrays[section]
            derived[name] = same[0]
        known.append(derived[name])
