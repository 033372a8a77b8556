"""Files of vision transformers by the names of Hugging Face, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.families.writers.timm_vit import state_of

_RENAMED = (
    ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
    ("pos_embed", "embeddings.position_embeddings"),
    ("cls_token", "embeddings.cls_token"),
    ("blocks.", "encoder.layer."),
    (".attn.proj", ".attention.output.dense"),
    (".mlp.fc1", ".intermediate.dense"),
    (".mlp.fc2", ".output.dense"),
    (".norm1", ".layernorm_before"),
    (".norm2", ".layernorm_after"),
)


def written_to(folder: Path) -> Path:
    """Write a file as ``save_pretrained`` does, without its configuration."""
    found: dict[str, torch.Tensor] = {}
    for key, tensor in state_of("dino").items():
        for theirs, ours in _RENAMED:
            key = key.replace(theirs, ours)
        key = key.replace("norm.", "layernorm.") if key.startswith("norm.") else key
        if ".attn.qkv." in key:
            for part, own in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                found[f"vit.{key.replace('attn.qkv', f'attention.attention.{part}')}"] = (
                    own.contiguous()
                )
        else:
            found[f"vit.{key}"] = tensor
    path = folder / "weights.safetensors"
    save_file(found, path)
    return path
