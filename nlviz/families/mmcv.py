"""mmcv's blocks, and those of the older mmdetection, in any network.

https://github.com/open-mmlab/mmcv (Apache-2.0): ``NonLocal1d``, ``2d`` and ``3d``. Keys are pooled
behind their convolutions; only the embedded Gaussian is scaled, by d^-1/2.

code                paper
``theta, phi, g``   theta, phi, g, the latter two with the pooling in one ``Sequential``
``conv_out``        W_z with its normalisation
``concat_project``  w_f
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nlviz.families.foreign import ForeignAdapter, Parts, dimension_of, is_called, last_of
from nlviz.pairwise import Pairwise


class MMCVAdapter(ForeignAdapter):
    """Reads ``_NonLocalNd`` and what derives from it."""

    family = "mmcv blocks"

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of mmcv's is put together, or None."""
        own: Any = block
        if not is_called(block, "nonlocal") or not isinstance(getattr(block, "mode", None), str):
            return None
        if not all(hasattr(block, n) for n in ("g", "conv_out", "use_scale")):
            return None
        dimension = dimension_of(own.g)
        conv = own.conv_out.conv
        norm = own.conv_out.norm if own.conv_out.with_norm else None
        behind = (conv,) if norm is None else (conv, norm)
        phi = getattr(block, "phi", None)
        if own.mode == "gaussian":
            return Parts(dimension, (Pairwise("gaussian"),), behind, g=own.g, pool=phi)
        f: tuple[Pairwise, ...] = (Pairwise(own.mode),)
        if own.mode == "embedded_gaussian" and own.use_scale:
            d = conv.in_channels
            f = (Pairwise(own.mode, d**-0.5), Pairwise(own.mode, d**0.5))  # the latter: mmdet's bug
        w_f = own.concat_project.conv.weight if own.mode == "concatenation" else None
        return Parts(dimension, f, behind, own.theta, phi, own.g, last_of(phi), w_f)
