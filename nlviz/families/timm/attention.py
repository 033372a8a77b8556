"""Every other network of timm with attention: Swin, BEiT, CoAtNet, MaxViT, VOLO, PVT, CaiT, Hiera.

https://github.com/huggingface/pytorch-image-models (Apache-2.0). A frame is a picture of its own;
each network's card says size, mean and deviation. What its attention is (windows, grids of far
cells, pooled keys, tables of relative position) is read off the products, see
``nlviz.families.reading.attention_adapter``.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.attention_adapter import AttentionAdapter

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class TimmAttentionAdapter(AttentionAdapter):
    """Reads the attention of a network that timm built."""

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the modules whose code computes attention, of a network of timm."""
        return super().blocks(net) if _is_timms(net) else {}

    def takes(self, net: nn.Module) -> bool:
        """Check whether timm built a network, which then has a card."""
        return _is_timms(net)

    def labels(self, net: nn.Module) -> tuple[str, ...]:
        """Return a name for each class, where the network's card has them."""
        card: dict[str, Any] = getattr(net, "pretrained_cfg", None) or {}
        return tuple(card.get("label_names") or ())

    def input_spec(self, net: nn.Module) -> InputSpec:
        """Return how a clip becomes the input: the size of its card, frames as a batch."""
        card: dict[str, Any] = getattr(net, "pretrained_cfg", None) or {}
        mean, std = (
            tuple(255 * float(v) for v in card.get(key, default))
            for key, default in zip(("mean", "std"), IMAGENET, strict=True)
        )
        size = getattr(getattr(net, "patch_embed", None), "img_size", None)
        _, height, width = card.get("input_size") or (3, *(size or (224, 224)))
        if size is not None:  # a network that was built for another size than its card's
            height, width = (size, size) if isinstance(size, int) else size
        return InputSpec(
            mean=(mean[0], mean[1], mean[2]),
            std=(std[0], std[1], std[2]),
            layout="frames",
            sides=(int(height), int(width)),
        )


def _is_timms(net: nn.Module) -> bool:
    return type(net).__module__.startswith("timm.") and hasattr(net, "pretrained_cfg")


FAMILY = Family(
    name="timm-attention",
    row=TableRow(
        source="https://github.com/huggingface/pytorch-image-models",
        live="Swin, BEiT, CoAtNet, MaxViT, VOLO, PVT, CaiT, MViT v2, Hiera and others of timm",
        recognised_by="networks that `timm.create_model` builds",
        not_told="–",
        parity="rows",
        health="without size and γ",
    ),
    blocks=TimmAttentionAdapter(),
    needs="timm",
)
