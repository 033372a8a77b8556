"""GluonCV's blocks for torch in any network.

https://github.com/dmlc/gluon-cv (Apache-2.0), ``NonLocal``. What its code calls ``gaussian`` is the
embedded Gaussian, scaled by d^-1/2; without ``embed`` theta, phi and g are the features themselves.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nlviz.families.foreign import ForeignAdapter, Parts, dimension_of, is_called
from nlviz.pairwise import Pairwise


class GluonCVBlockAdapter(ForeignAdapter):
    """Reads ``NonLocal`` of GluonCV."""

    family = "gluoncv blocks"

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of GluonCV's is put together, or None."""
        own: Any = block
        if not is_called(block, "nonlocal") or not hasattr(block, "nonlocal_type"):
            return None
        if not all(hasattr(block, n) for n in ("W", "embed", "embed_dim")):
            return None
        behind = (own.W, own.bn) if hasattr(block, "bn") else (own.W,)
        scale = own.embed_dim**-0.5
        if not own.embed:
            return Parts(dimension_of(own.W), (Pairwise("gaussian", scale),), behind)
        pooled = getattr(block, "sub_sample", False)
        return Parts(
            dimension_of(own.W),
            (Pairwise("embedded_gaussian", scale),),
            behind,
            own.theta,
            own.sub_phi if pooled else own.phi,
            own.sub_g if pooled else own.g,
            own.max_pool if pooled else None,
        )
