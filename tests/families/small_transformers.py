"""Small networks of the library transformers with random weights; all sizes are different."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

TINY = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
}
PICTURE = {"image_size": (20, 28), "patch_size": 4, **TINY}
SQUARE = {"image_size": 30, "patch_size": 6, **TINY}


def _of(name: str, config: str, **given: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        import transformers

        return getattr(transformers, name)(getattr(transformers, config)(**given))

    return build


def _detr() -> nn.Module:
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

    sides = {"embedding_size": 6, "hidden_sizes": [6, 8, 10, 14], "depths": [1, 1, 1, 1]}
    backbone = ResNetConfig(**sides, layer_type="basic", out_features=["stage4"])
    own = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None}
    layers = {f"{side}_layers": 2 for side in ("encoder", "decoder")}
    return DetrForObjectDetection(
        DetrConfig(
            backbone_config=backbone,
            **own,
            **layers,
            d_model=24,
            encoder_attention_heads=2,
            decoder_attention_heads=3,
            encoder_ffn_dim=20,
            decoder_ffn_dim=22,
            num_queries=5,
        )
    )


_WINDOWS = {"embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "window_size": 5}

BUILT: dict[str, Callable[[], nn.Module]] = {
    "timesformer": _of(
        "TimesformerForVideoClassification", "TimesformerConfig", **SQUARE, num_frames=3,
        id2label={0: "swim", 1: "run", 2: "jump"},
    ),
    "timesformer-joint": _of(
        "TimesformerModel", "TimesformerConfig", **SQUARE, num_frames=3,
        attention_type="joint_space_time",
    ),
    "videomae": _of(
        "VideoMAEForVideoClassification", "VideoMAEConfig", **PICTURE, num_frames=6,
        tubelet_size=2, num_labels=4,
    ),
    "vivit": _of(
        "VivitForVideoClassification", "VivitConfig", **TINY, image_size=30, num_frames=6,
        tubelet_size=[2, 6, 6],
    ),
    "v-jepa-2": _of(
        "VJEPA2ForVideoClassification", "VJEPA2Config", crop_size=24, patch_size=4,
        frames_per_clip=6, tubelet_size=2, hidden_size=48, num_hidden_layers=2,
        num_attention_heads=2, mlp_ratio=1.5, num_pooler_layers=1, pred_hidden_size=24,
        pred_num_attention_heads=1, pred_num_hidden_layers=1,
    ),
    "vit": _of("ViTForImageClassification", "ViTConfig", **PICTURE, num_labels=5),
    "deit": _of("DeiTForImageClassificationWithTeacher", "DeiTConfig", **PICTURE),
    "beit": _of(
        "BeitForImageClassification", "BeitConfig", **SQUARE, use_relative_position_bias=True
    ),
    "dinov2": _of("Dinov2ForImageClassification", "Dinov2Config", **SQUARE),
    "dinov2-registers": _of(
        "Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", **SQUARE, num_register_tokens=4
    ),
    "dinov3": _of("DINOv3ViTModel", "DINOv3ViTConfig", **SQUARE, num_register_tokens=2),
    "clip": _of("CLIPVisionModel", "CLIPVisionConfig", **SQUARE),
    "siglip": _of("SiglipVisionModel", "SiglipVisionConfig", **SQUARE),
    "swin": _of(
        "SwinForImageClassification", "SwinConfig", image_size=40, patch_size=2, **_WINDOWS
    ),
    "swin-v2": _of(
        "Swinv2ForImageClassification", "Swinv2Config", image_size=40, patch_size=2, **_WINDOWS
    ),
    "sam": _of(
        "SamVisionModel", "SamVisionConfig", image_size=48, patch_size=4, hidden_size=24,
        num_hidden_layers=2, num_attention_heads=3, window_size=5, global_attn_indexes=[1],
        mlp_dim=20, output_channels=8,
    ),
    "detr": _detr,
}  # fmt: skip


def small(name: str) -> Any:
    """Return a network with weights that make attention uneven, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        net = BUILT[name]().eval().requires_grad_(False)
        for parameter in net.parameters():
            spread = float(parameter.std(correction=0)) if parameter.numel() > 1 else 0.0
            if spread < 0.05:
                parameter.add_(torch.randn(parameter.shape) * 0.3)
    return net
