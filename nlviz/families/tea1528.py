"""tea1528's blocks in any network.

https://github.com/tea1528/Non-Local-NN-Pytorch (MIT), ``NLBlockND``: four modes, no pooling of
keys, no scale; ``W_z`` is the output projection with its normalisation, ``W_f`` has a bias.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nlviz.families.foreign import ForeignAdapter, Parts, dimension_of, is_called
from nlviz.pairwise import Pairwise, PairwiseName

_MODES: dict[str, PairwiseName] = {
    "gaussian": "gaussian",
    "embedded": "embedded_gaussian",
    "dot": "dot_product",
    "concatenate": "concatenation",
}


class Tea1528Adapter(ForeignAdapter):
    """Reads ``NLBlockND``."""

    family = "tea1528 blocks"

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of tea1528's is put together, or None."""
        own: Any = block
        if not is_called(block, "nlblock") or not hasattr(block, "W_z"):
            return None
        if not hasattr(block, "g") or getattr(block, "mode", None) not in _MODES:
            return None
        behind = tuple(own.W_z) if isinstance(own.W_z, nn.Sequential) else (own.W_z,)
        f = Pairwise(_MODES[own.mode])
        if f.name == "gaussian":
            return Parts(dimension_of(own.g), (f,), behind, g=own.g)
        concat = own.W_f[0] if f.name == "concatenation" else None
        return Parts(
            dimension_of(own.g),
            (f,),
            behind,
            own.theta,
            own.phi,
            own.g,
            w_f=None if concat is None else concat.weight,
            w_f_bias=None if concat is None else concat.bias,
        )
