"""DINOv2 of transformers with positions that are resized as another code base does it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers.models.dinov2.modeling_dinov2 import Dinov2Embeddings
from transformers.models.dinov2_with_registers.modeling_dinov2_with_registers import (
    Dinov2WithRegistersEmbeddings,
)

from nlviz.families.reading.positions import resized_positions


class _Resized(nn.Module):
    """What differs from the embeddings of transformers.

    Attributes:
        positions: one of ``nlviz.families.reading.positions.WAYS``.
    """

    positions: str

    def interpolate_pos_encoding(self, embeddings: Tensor, height: int, width: int) -> Tensor:
        """Return the table of positions for a picture of another size."""
        own: Any = self
        table: Tensor = own.position_embeddings
        side = round((table.shape[1] - 1) ** 0.5)
        rows, columns = own.patch_embeddings.patch_size
        return resized_positions(
            table, (side, side), (height // rows, width // columns), self.positions
        )


class ResizedEmbeddings(_Resized, Dinov2Embeddings):  # type: ignore[misc]
    """The embeddings of DINOv2."""


class ResizedWithRegisters(_Resized, Dinov2WithRegistersEmbeddings):  # type: ignore[misc]
    """The embeddings of DINOv2 with registers."""


def resized_dinov2(net: nn.Module, positions: str) -> bool:
    """Let a DINOv2 of transformers resize its positions in another way; return whether it is one.

    Args:
        net: the network.
        positions: one of ``nlviz.families.reading.positions.WAYS``.
    """
    known: dict[type[nn.Module], type[_Resized]] = {
        Dinov2Embeddings: ResizedEmbeddings,
        Dinov2WithRegistersEmbeddings: ResizedWithRegisters,
    }
    found = False
    for module in net.modules():
        if type(module) in known:
            module.__class__ = known[type(module)]
        if isinstance(module, _Resized):
            module.positions, found = positions, True
    return found
