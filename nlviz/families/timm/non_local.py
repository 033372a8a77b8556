"""timm's non-local attention, ``attn_layer="nl"`` of its convolutional networks.

https://github.com/huggingface/pytorch-image-models (Apache-2.0), ``timm.layers.NonLocalAttn``: the
embedded Gaussian over one frame, all keys, scaled by C^-1/2 with C the channels of the input.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nlviz.affinity.pairwise import Pairwise
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.foreign_blocks import ForeignAdapter, Parts, dimension_of, is_called


class TimmNonLocalAdapter(ForeignAdapter):
    """Reads ``NonLocalAttn``."""

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of timm's is put together, or None."""
        own: Any = block
        if not is_called(block, "nonlocalattn"):
            return None
        if not all(hasattr(block, n) for n in ("t", "p", "g", "z", "norm", "scale")):
            return None
        f = Pairwise("embedded_gaussian", float(own.scale))
        return Parts(dimension_of(own.z), (f,), (own.z, own.norm), own.t, own.p, own.g)


FAMILY = Family(
    name="timm-non-local",
    row=TableRow(
        source="https://github.com/huggingface/pytorch-image-models",
        live='`attn_layer="nl"` of its convolutional networks',
        recognised_by="`NonLocalAttn`",
        not_told="–",
        parity="rows",
    ),
    blocks=TimmNonLocalAdapter(),
    needs="timm",
    last_norm=("norm",),
    aliases=("timm non-local",),
)
