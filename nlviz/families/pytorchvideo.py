"""PyTorchVideo's blocks and SlowFast's, which have the same parts, in any network.

https://github.com/facebookresearch/pytorchvideo (Apache-2.0), ``NonLocal``;
https://github.com/facebookresearch/SlowFast (Apache-2.0), ``Nonlocal``. Features are pooled before
the convolutions of keys; ``softmax`` is the embedded Gaussian, scaled by d^-1/2.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nlviz.families.foreign import ForeignAdapter, Parts, dimension_of, is_called
from nlviz.pairwise import Pairwise


class PyTorchVideoAdapter(ForeignAdapter):
    """Reads ``NonLocal`` and ``Nonlocal``."""

    family = "pytorchvideo blocks"

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of PyTorchVideo's or SlowFast's is put together, or None."""
        own: Any = block
        mode = getattr(block, "instantiation", None)
        if not is_called(block, "nonlocal") or mode not in ("softmax", "dot_product"):
            return None
        if not all(hasattr(block, f"conv_{n}") for n in ("theta", "phi", "g", "out")):
            return None
        d = own.conv_out.in_channels
        f = Pairwise("embedded_gaussian", d**-0.5) if mode == "softmax" else Pairwise(mode)
        norms = (getattr(block, n, None) for n in ("norm", "bn"))
        return Parts(
            dimension_of(own.conv_g),
            (f,),
            (own.conv_out, *(n for n in norms if isinstance(n, nn.Module))),
            own.conv_theta,
            own.conv_phi,
            own.conv_g,
            getattr(block, "pool", None),
        )
