"""AlexHex7's blocks, and the many copies of them, TSM's among them, in any network.

https://github.com/AlexHex7/Non-local_pytorch (Apache-2.0): ``NONLocalBlock1D``, ``2D`` and ``3D``,
one file for each f. Keys are pooled behind their convolutions; logits have no scale.

code                     paper
``theta, phi, g``        theta, phi, g, the latter two with the pooling in one ``Sequential``
``W``                    W_z, with its normalisation in one ``Sequential``
``concat_project``       w_f

The embedded Gaussian's file and the dot product's have the same modules.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nlviz.families.foreign import ForeignAdapter, Parts, dimension_of, is_called, last_of
from nlviz.pairwise import Pairwise


class AlexHex7Adapter(ForeignAdapter):
    """Reads ``_NonLocalBlockND`` and what derives from it."""

    family = "alexhex7 blocks"

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of AlexHex7's is put together, or None."""
        own: Any = block
        if not is_called(block, "nonlocal") or hasattr(block, "nonlocal_type"):
            return None
        if not all(isinstance(getattr(block, n, None), nn.Module) for n in ("g", "W")):
            return None
        behind = tuple(own.W) if isinstance(own.W, nn.Sequential) else (own.W,)
        dimension = dimension_of(own.g)
        phi = getattr(block, "phi", None)
        if getattr(block, "theta", None) is None:
            return Parts(dimension, (Pairwise("gaussian"),), behind, g=own.g, pool=phi)
        concat = getattr(block, "concat_project", None)
        w_f = None if concat is None else concat[0].weight
        f: tuple[Pairwise, ...] = (Pairwise("concatenation"),)
        if concat is None:
            scaled = Pairwise("embedded_gaussian", channels_of(own.theta) ** -0.5)  # some copies
            f = (Pairwise("embedded_gaussian"), Pairwise("dot_product"), scaled)
        return Parts(dimension, f, behind, own.theta, phi, own.g, last_of(phi), w_f)


def channels_of(theta: nn.Module) -> int:
    """Return d, the channels of theta.

    >>> channels_of(nn.Conv2d(6, 3, 1))
    3
    """
    return int(next(theta.parameters()).shape[0])
