"""Non-local blocks in a file that no family knows, found by how their keys end."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from nlviz.families import FAMILIES
from nlviz.families.reading.layout import Block


def find_blocks(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Block, ...]]:
    """Return the blocks by the code that names its keys so; of a block's name, all but the ending.

    Args:
        tensors: by the keys of the file.

    >>> import torch
    >>> keys = {"net.nl.theta.weight": (3, 6, 1, 1), "net.nl.g.0.weight": (3, 6, 1, 1),
    ...     "net.nl.phi.0.weight": (3, 6, 1, 1), "net.nl.W.0.weight": (6, 3, 1, 1)}
    >>> find_blocks({k: torch.zeros(v) for k, v in keys.items()})["AlexHex7"][0].name
    'net.nl'
    """
    found: dict[str, list[Block]] = {}
    taken: set[str] = set()
    for ends in (ends for family in FAMILIES for ends in family.key_endings):
        between = re.escape(ends.between)
        pattern = re.compile(rf"(?:(.*){between})?{ends.g}")
        for key, tensor in tensors.items():
            if not (m := pattern.fullmatch(key)):
                continue
            prefix = f"{m[1]}{ends.between}" if m[1] else ""
            if prefix in taken or f"{prefix}{ends.out}" not in tensors or tensor.dim() < 2:
                continue
            taken.add(prefix)
            concat = bool(ends.w_f) and f"{prefix}{ends.w_f}" in tensors
            f = _pairwise(f"{prefix}{ends.theta}" in tensors, concat)
            block = Block(m[1] or "the whole file", tensor.shape[1], tensor.shape[0], f)
            found.setdefault(ends.code, []).append(block)
    return {code: tuple(blocks) for code, blocks in found.items()}


def _pairwise(has_theta: bool, concat: bool) -> str:
    if concat:
        return "concatenation"
    return "embedded_gaussian or dot_product" if has_theta else "gaussian"
