"""Vision transformers of timm: ViT, DeiT, DINO, DINOv2 with registers, and EVA, DINOv3 with RoPE.

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

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import Adapter, Branch, InputSpec, Prepared, prepare
from nlviz.families.reading.attention import (
    PatchTokens,
    attention_affinity,
    only_product,
    patch_tokens,
)
from nlviz.families.reading.attention_adapter import token_names_of
from nlviz.families.timm.checkpoint import TimmViTLayout
from nlviz.networks.hooks import Call, block_and_run, replaced

_EMBED = "patch_embed"


class TimmViTAdapter(Adapter[nn.Module]):
    """Reads the attention of every block, ``blocks.0`` onwards."""

    products = True

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the attention of the blocks, also where the transformer is a part of ``net``."""
        from timm.layers.attention import Attention, AttentionRope
        from timm.models.eva import EvaAttention

        known = (Attention, AttentionRope, EvaAttention)
        name, trunk = _trunk(net)
        before = f"{name}." if name else ""
        return {
            f"{before}blocks.{i}": block.attn
            for i, block in enumerate(trunk.blocks if trunk is not None else ())
            if isinstance(getattr(block, "attn", None), known)
        }

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the attention of the blocks, and the embedding, which gives the grid."""
        return {_EMBED: _trunk(net)[1].patch_embed, **self.blocks(net)}

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (T, 3, H, W), mean and deviation as the weights' card says.

        A network that takes other sizes than its own gets the clip in its aspect, the shorter side
        as in training; else the whole picture is resized to the one size that it takes.
        """
        return prepare(clip, spec or input_spec(_trunk(net)[1]), net)

    def read(
        self, name: str, block: nn.Module, calls: Mapping[str, Call], prepared: Prepared
    ) -> Affinity:
        """Return the affinity: q, k, v and y as they entered and left the product.

        Raises:
            NlvizError: when no plain product of all tokens was seen, or tokens were dropped.
        """
        product = only_product(name, calls[name])
        tokens = _tokens(name, calls, product.q.shape[2], prepared)
        prefix_name = "the class token" if tokens.prefix == 1 else "class token and registers"
        return attention_affinity(name, product, tokens, prepared, prefix_name=prefix_name)

    def token_names(self, net: nn.Module) -> tuple[str, ...]:
        """Return ``cls`` and ``registers.0`` ... as the transformer's parameters say."""
        return token_names_of(_trunk(net)[1])

    def features(self, name: str, block: nn.Module, calls: Mapping[str, Call]) -> Tensor:
        """Return what entered the attention, behind ``norm1``, patches only."""
        x: Tensor = calls[name].args[0]
        return _tokens(name, calls, x.shape[1]).laid_out(x)

    def positions(self, name: str, block: nn.Module, calls: Mapping[str, Call]) -> Tensor:
        """Return what entered the attention, (channels, frames, tokens)."""
        x: Tensor = calls[name].args[0]
        return x.permute(2, 0, 1)

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which the attention adds nothing to its residual path."""
        from timm.models.eva import EvaBlockPostNorm
        from timm.models.vision_transformer import ResPostBlock

        path, run = block_and_run(name)
        block: Any = net.get_submodule(path)
        # x + norm1(attn(x)) in these two: what is added leaves norm1.
        last = block.norm1 if isinstance(block, (ResPostBlock, EvaBlockPostNorm)) else block.attn
        return replaced(last, lambda args, output: torch.zeros_like(output), run=run)

    def branch(self, net: nn.Module, name: str) -> Branch | None:
        """Return where to see what attention adds to the input of the transformer's whole block.

        It leaves ``drop_path1``, behind scale and normalisation, in every kind of block of timm.
        """
        block = net.get_submodule(block_and_run(name)[0])
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
    height, width = net.patch_embed.img_size
    return InputSpec(
        size=min(height, width),
        multiple=max(net.patch_embed.patch_size),
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        layout="frames",
        sides=None if getattr(net, "dynamic_img_size", False) else (height, width),
    )


def _trunk(net: nn.Module) -> tuple[str, Any]:
    """Return the dotted name of the first transformer of timm in a network and itself, or None."""
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    trunks = (VisionTransformer, Eva)
    found = ((n, m) for n, m in net.named_modules() if isinstance(m, trunks))
    return next(found, ("", None))


def _tokens(
    name: str, calls: Mapping[str, Call], tokens: int, prepared: Prepared | None = None
) -> PatchTokens:
    """Return where the tokens of an attention lie: followed to it, or as the embedding left them.

    Raises:
        NlvizError: when patches were dropped, merged or moved.
    """
    embed: Any = calls[_EMBED].module
    patches: Tensor = calls[_EMBED].output
    # (T, h, w, C) where sizes may change, (T, h w, C) where there is one
    frames = patches.shape[0]
    count = patches.shape[1] * (patches.shape[2] if patches.dim() == 4 else 1)
    places = calls[name].places
    if places is not None and places.y.shape == (frames, tokens):
        size = (1, 1, 1) if prepared is None else (frames, *prepared.tensor.shape[-2:])
        return patch_tokens(name, places, size, count)
    h, w = patches.shape[1:3] if patches.dim() == 4 else embed.grid_size
    if tokens < h * w:
        raise NlvizError(
            f"every patch must reach the attention, {name} saw {tokens} tokens of {h * w} patches; "
            "a network that drops or merges patches has no map of the picture"
        )
    return PatchTokens(frames, int(h), int(w), tokens - int(h) * int(w))


FAMILY = Family(
    name="timm-vit",
    row=TableRow(
        source="https://github.com/huggingface/pytorch-image-models",
        networks="ViT, DeiT, DINO, DINOv2; as `timm/NAME` also DINOv3 and EVA",
        live="the attention of these transformers",
        recognised_by="`patch_embed`, `attn.qkv`; `VisionTransformer`, `Eva`",
        not_told="number of heads, centring of pixels",
    ),
    blocks=TimmViTAdapter(),
    checkpoint=TimmViTLayout(),
    needs="timm",
)
