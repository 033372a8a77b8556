"""timm's vision transformer with positions that are resized as another code base does it."""

from __future__ import annotations

from typing import Any

import torch
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from nlviz.families.reading.positions import resized_positions


class _Resized(nn.Module):
    """What differs from timm's transformer.

    Attributes:
        positions: one of ``nlviz.families.reading.positions.WAYS``.
    """

    positions: str = "timm"

    def _pos_embed(self, x: Tensor) -> Tensor:
        net: Any = self
        table = net.pos_embed
        if x.dim() == 4:  # (frames, rows, columns, channels), where sizes may change
            table = resized_positions(
                table, net.patch_embed.grid_size, (x.shape[1], x.shape[2]), self.positions
            )
            x = x.flatten(1, 2)
        tokens = (getattr(net, name, None) for name in ("cls_token", "dist_token", "reg_token"))
        apart = [token.expand(len(x), -1, -1) for token in tokens if token is not None]
        if net.no_embed_class:
            return net.pos_drop(torch.cat([*apart, x + table], 1))  # type: ignore[no-any-return]
        return net.pos_drop(torch.cat([*apart, x], 1) + table)  # type: ignore[no-any-return]


class ResizedViT(_Resized, VisionTransformer):
    """A vision transformer of timm, its positions resized in a way of its own."""


class ResizedDistilledViT(_Resized, VisionTransformerDistilled):
    """The same with a token of distillation."""


def resized_vit(net: nn.Module, positions: str) -> bool:
    """Let a transformer of timm resize its positions in another way; return whether it can.

    Args:
        net: it must be ``VisionTransformer`` itself, with learned positions that may be resized.
        positions: one of ``nlviz.families.reading.positions.WAYS``.

    >>> net = VisionTransformer(depth=1, embed_dim=12, num_heads=3, dynamic_img_size=True)
    >>> resized_vit(net, "dino"), net.positions, resized_vit(nn.Linear(2, 2), "dino")
    (True, 'dino', False)
    """
    known: dict[type[nn.Module], type[_Resized]] = {
        VisionTransformer: ResizedViT,
        VisionTransformerDistilled: ResizedDistilledViT,
    }
    if isinstance(net, _Resized):
        net.positions = positions
        return True
    if type(net) not in known or net.pos_embed is None or not net.dynamic_img_size:
        return False
    net.__class__ = known[type(net)]
    assert isinstance(net, _Resized)
    net.positions = positions
    return True
