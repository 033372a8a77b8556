"""Vision transformers of timm: ViT, DeiT, DINO, DINOv2; EVA, DINOv3 with RoPE; NaFlexViT.

Dosovitskiy et al. 2021, arXiv 2010.11929; Caron et al. 2021 (DINO), arXiv 2104.14294; Darcet et al.
2024 (registers), arXiv 2309.16588; Siméoni et al. 2025 (DINOv3), arXiv 2508.10104. Networks from
https://github.com/huggingface/pytorch-image-models (Apache-2.0), which stay as they are: fused
attention runs as it runs without nlviz, q and k are seen on their way into it.

timm         here
``q, k, v``  theta, phi, values, as they enter the product: after q_norm, k_norm and RoPE
``x``        output, the product's own, before gate, norm and ``proj``

A frame is 16 x 16 patches, say, row by row, behind its class and register tokens, which have no
place. The frames of a clip go through as a batch, so each frame sees its own tokens alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import Branch, InputSpec, Prepared
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.families.timm.checkpoint import TimmViTLayout
from nlviz.networks.calls import block_and_run
from nlviz.networks.hooks import replaced


class TimmViTAdapter(AttentionAdapter):
    """Reads the attention of every block, ``blocks.0`` onwards, and whatever else attends."""

    keeps = True

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the attention of the blocks, also where the transformer is a part of ``net``."""
        return dict(_blocks(net))

    def block_names(self, net: nn.Module) -> dict[str, str]:
        """Return ``blocks.0`` for ``blocks.0.attn``, and so on."""
        return {f"{name}.attn": name for name, _ in _blocks(net)}

    def input_spec(self, net: nn.Module) -> InputSpec | None:
        """Return how a clip becomes the input of the first transformer of a network.

        A network that takes other sizes than its own gets the clip in its aspect, the shorter side
        as in training; else the whole picture is resized to the one size that it takes.
        """
        return next((input_spec(trunk) for _, trunk in _trunks(net)), None)

    def note(self, prepared: Prepared) -> str:
        """Return what a reader must know: frames are apart, and the aspect may not be kept."""
        apart = "The network sees one frame at a time: a query reaches its own frame only."
        said = (apart if prepared.clip_shape[0] > 1 else "", super().note(prepared))
        return " ".join(s for s in said if s)

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which the attention adds nothing to its residual path."""
        from timm.models.eva import EvaBlockPostNorm
        from timm.models.vision_transformer import ResPostBlock

        path, run = block_and_run(name)
        if path not in self.blocks(net):
            return super().bypass(net, name)
        block: Any = net.get_submodule(path)
        # x + norm1(attn(x)) in these two: what is added leaves norm1.
        last = block.norm1 if isinstance(block, (ResPostBlock, EvaBlockPostNorm)) else block.attn
        return replaced(last, lambda args, output: torch.zeros_like(output), run=run)

    def branch(self, net: nn.Module, name: str) -> Branch | None:
        """Return where to see what attention adds to the input of the transformer's whole block.

        It leaves ``drop_path1``, behind scale and normalisation, in every kind of block of timm.
        """
        path = block_and_run(name)[0]
        if path not in self.blocks(net):
            return None
        block = net.get_submodule(path)
        added = getattr(block, "drop_path1", None)
        if not isinstance(added, nn.Module):
            return None
        return Branch(block, added, with_input=False)


def input_spec(net: Any) -> InputSpec:
    """Return how a clip becomes the input of a transformer of timm.

    >>> import timm
    >>> input_spec(timm.create_model("vit_tiny_patch16_224")).sides
    (224, 224)
    >>> spec = input_spec(timm.create_model("vit_tiny_patch16_224", dynamic_img_size=True))
    >>> spec.size, spec.multiple, spec.sides
    (224, 16, None)
    """
    card = getattr(net, "pretrained_cfg", None) or {}
    mean, std = (
        tuple(255 * float(v) for v in card.get(key, default))
        for key, default in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225)))
    )
    embed = getattr(net, "embeds", None)
    if embed is not None:  # NaFlex: pictures of any size, in patches of one
        height, width = card.get("input_size", (3, 384, 384))[1:]
        sides = None
    else:
        embed = net.patch_embed
        height, width = embed.img_size
        sides = None if getattr(net, "dynamic_img_size", False) else (height, width)
    return InputSpec(
        size=min(height, width),
        multiple=max(embed.patch_size),
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        layout="frames",
        sides=sides,
    )


def _trunks(net: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the transformers of timm in a network, each behind the beginning of its names."""
    from timm.models.eva import Eva
    from timm.models.naflexvit import NaFlexVit
    from timm.models.vision_transformer import VisionTransformer

    kinds = (VisionTransformer, Eva, NaFlexVit)
    if isinstance(net, kinds):
        yield "", net
        return
    for name, module in net.named_modules():
        if isinstance(module, kinds):
            yield f"{name}.", module


def _blocks(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the attention of the blocks of all transformers of timm in a network, by name."""
    from timm.layers.attention import Attention, AttentionRope
    from timm.models.eva import EvaAttention

    for before, trunk in _trunks(net):
        for i, block in enumerate(trunk.blocks):
            attention = getattr(block, "attn", None)
            if isinstance(attention, (Attention, AttentionRope, EvaAttention)):
                yield f"{before}blocks.{i}", attention


FAMILY = Family(
    name="timm-vit",
    row=TableRow(
        source="https://github.com/huggingface/pytorch-image-models",
        networks="ViT, DeiT, DINO, DINOv2; as `timm/NAME` also DINOv3 and EVA",
        live="the attention of these transformers, and of NaFlexViT",
        recognised_by="`patch_embed`, `attn.qkv`; `VisionTransformer`, `Eva`, `NaFlexVit`",
        not_told="number of heads, centring of pixels, how positions are resized",
    ),
    blocks=TimmViTAdapter(),
    checkpoint=TimmViTLayout(),
    needs="timm",
)
