"""Files of vision transformers (DINO, DINOv2, DeiT, timm) with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.families.references import Weights
from tests.families.torch_names import State

DEPTH, HEADS, D, PATCH, GRID = 2, 3, 64, 8, 5
DIM, FRAMES = HEADS * D, 2


def state_of(kind: str, *, classes: int = 0, depth: int = DEPTH) -> State:
    """Return random tensors by the names of dino, dinov2, giant (gated), deit or timm."""
    make = Weights(3)
    registers = 4 if kind in ("dinov2_reg", "timm_reg") else 0
    extra = 1 + (kind == "deit")
    found: State = {
        "cls_token": make.normal(1, 1, DIM),
        "pos_embed": make.normal(1, GRID * GRID + (kind != "timm_reg") * extra, DIM, scale=0.5),
        "patch_embed.proj.weight": make.kernel(DIM, 3, PATCH, PATCH),
        "patch_embed.proj.bias": make.normal(DIM, scale=0.1),
    }
    if registers:
        key = "reg_token" if kind == "timm_reg" else "register_tokens"
        found[key] = make.normal(1, registers, DIM)
    if kind.startswith(("dinov2", "giant")):
        found["mask_token"] = make.normal(1, DIM)
    if kind == "deit":
        found["dist_token"] = make.normal(1, 1, DIM)

    def norm(prefix: str, size: int = DIM) -> None:
        found[f"{prefix}.weight"] = 1 + make.normal(size, scale=0.1)
        found[f"{prefix}.bias"] = make.normal(size, scale=0.1)

    def linear(prefix: str, out: int, into: int, size: float = 1.0) -> None:
        found[f"{prefix}.weight"] = make.linear(out, into) * size
        found[f"{prefix}.bias"] = make.normal(out, scale=0.1)

    for i in range(depth):
        p = f"blocks.{i}"
        norm(f"{p}.norm1")
        linear(f"{p}.attn.qkv", 3 * DIM, DIM)
        linear(f"{p}.attn.proj", DIM, DIM)
        norm(f"{p}.norm2")
        wide = 3 * DIM + 5
        if kind == "giant":
            linear(f"{p}.mlp.w12", 2 * wide, DIM)
            linear(f"{p}.mlp.w3", DIM, wide)
        else:
            linear(f"{p}.mlp.fc1", wide, DIM)
            linear(f"{p}.mlp.fc2", DIM, wide)
        if kind.startswith(("dinov2", "giant")):
            found[f"{p}.ls1.gamma"] = make.normal(DIM, scale=0.7)
            found[f"{p}.ls2.gamma"] = make.normal(DIM, scale=0.7)
        if kind == "timm_norm":
            norm(f"{p}.attn.q_norm", D)
            norm(f"{p}.attn.k_norm", D)
    norm("norm")
    if classes:
        linear("head", classes, DIM)
        if kind == "deit":
            linear("head_dist", classes, DIM)
    return found


def written_to(folder: Path) -> Path:
    """Write a file as the original code does."""
    path = folder / "dino_deitsmall8_pretrain_full_checkpoint.pth"
    teacher = {f"backbone.{k}": v for k, v in state_of("dino").items()}
    torch.save({"teacher": teacher, "epoch": 100}, path)
    return path
