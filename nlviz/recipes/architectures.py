"""The architectures of the coverage table, by the library that builds them, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from nlviz.families.reading.input_spec import InputSpec, Layout

TIMM = """
vit_tiny_patch16_224 deit3_small_patch16_224 deit_tiny_distilled_patch16_224
vit_small_patch14_reg4_dinov2 vit_small_patch16_dinov3 vit_relpos_small_patch16_224
vit_tiny_r_s16_p8_224 vit_base_patch32_clip_224 vit_base_patch16_siglip_224
vit_small_patch16_18x2_224 naflexvit_base_patch16_gap beit_base_patch16_224
eva02_tiny_patch14_224 cait_xxs24_224 crossvit_tiny_240 convit_tiny tnt_s_patch16_224
pit_ti_224 visformer_tiny levit_128s
swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224 swin_s3_tiny_224
twins_svt_small twins_pcpvt_small nest_tiny gcvit_xxtiny
coatnet_pico_rw_224 coatnet_0_rw_224 coatnet_rmlp_nano_rw_224 maxvit_rmlp_pico_rw_256
volo_d1_224 pvt_v2_b0 mvitv2_tiny hiera_tiny_224 sam2_hiera_tiny davit_tiny xcit_nano_12_p16_224
edgenext_xx_small mobilevit_xs mobilevitv2_050 efficientformer_l1 efficientformerv2_s0
efficientvit_m0 efficientvit_b0 fastvit_t8 tiny_vit_5m_224 caformer_s18 halonet26t botnet26t_256
lambda_resnet26t focalnet_tiny_srf mixer_s32_224
""".split()
TORCHVISION = """
vit_b_32 vit_l_32 swin_t swin_s swin_v2_t swin_v2_s maxvit_t mvit_v1_b mvit_v2_s swin3d_t swin3d_s
""".split()
SMALL = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
}
PICTURE = {**SMALL, "image_size": 64, "patch_size": 16}
FILM = {**SMALL, "image_size": 48, "patch_size": 16, "num_frames": 4}
SWIN = {"image_size": 64, "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
# Class of the network, class of its configuration, the configuration, layout, frames, side.
TRANSFORMERS: tuple[tuple[str, str, dict[str, Any], Layout, int, int], ...] = (
    ("ViTModel", "ViTConfig", PICTURE, "frames", 1, 64),
    ("DeiTModel", "DeiTConfig", PICTURE, "frames", 1, 64),
    ("BeitModel", "BeitConfig", {**PICTURE, "use_relative_position_bias": True}, "frames", 1, 64),
    ("Dinov2Model", "Dinov2Config", {**PICTURE, "mlp_ratio": 1}, "frames", 1, 64),
    (
        "Dinov2WithRegistersModel",
        "Dinov2WithRegistersConfig",
        {**PICTURE, "mlp_ratio": 1, "num_register_tokens": 3},
        "frames",
        1,
        64,
    ),
    ("DINOv3ViTModel", "DINOv3ViTConfig", {**PICTURE, "num_register_tokens": 4}, "frames", 1, 64),
    ("CLIPVisionModel", "CLIPVisionConfig", PICTURE, "frames", 1, 64),
    ("SiglipVisionModel", "SiglipVisionConfig", PICTURE, "frames", 1, 64),
    ("SwinModel", "SwinConfig", SWIN, "frames", 1, 64),
    ("Swinv2Model", "Swinv2Config", SWIN, "frames", 1, 64),
    ("ViTMAEModel", "ViTMAEConfig", {**PICTURE, "mask_ratio": 0.0}, "frames", 1, 64),
    ("ViTMSNModel", "ViTMSNConfig", PICTURE, "frames", 1, 64),
    ("IJepaModel", "IJepaConfig", PICTURE, "frames", 1, 64),
    ("PvtV2Model", "PvtV2Config", {"image_size": 64}, "frames", 1, 64),
    ("TimesformerModel", "TimesformerConfig", FILM, "frames first", 4, 48),
    ("VideoMAEModel", "VideoMAEConfig", FILM, "frames first", 4, 48),
    (
        "VivitModel",
        "VivitConfig",
        {**FILM, "tubelet_size": [2, 16, 16]},
        "frames first",
        4,
        48,
    ),
    (
        "VJEPA2Model",
        "VJEPA2Config",
        {
            **{k: v for k, v in SMALL.items() if k != "intermediate_size"},
            "crop_size": 48,
            "frames_per_clip": 4,
            "pred_hidden_size": 24,
            "pred_num_attention_heads": 2,
            "pred_num_hidden_layers": 1,
        },
        "frames first",
        4,
        48,
    ),
)


@dataclass(frozen=True)
class Architecture:
    """An architecture of a library.

    Attributes:
        library: that builds it.
        name: there.
        build: returns it with random weights.
        spec: how a clip becomes its input.
        frames: of the clip.
    """

    library: str
    name: str
    build: Callable[[], nn.Module]
    spec: InputSpec
    frames: int


def architectures() -> Iterator[Architecture]:
    """Yield every architecture of the table; a library that is not installed has none."""
    yield from _of_timm()
    yield from _of_torchvision()
    yield from _of_transformers()


def _of_timm() -> Iterator[Architecture]:
    import timm

    for name in TIMM:
        card = timm.models.get_pretrained_cfg(name)
        height, width = card.input_size[1:] if card is not None else (224, 224)
        build = partial(timm.create_model, name, num_classes=7)
        spec = InputSpec(sides=(height, width), layout="frames")
        yield Architecture("timm", name, build, spec, 1)


def _of_torchvision() -> Iterator[Architecture]:
    import torchvision

    for name in TORCHVISION:
        film = name.startswith(("mvit", "swin3d"))
        build = partial(torchvision.models.get_model, name, weights=None, num_classes=7)
        layout: Layout = "clip" if film else "frames"
        frames = 16 if name.startswith("mvit") else 6 if film else 1
        sides = (100, 132) if name.startswith("swin") else (224, 224)  # windows that are cut off
        yield Architecture(
            "torchvision", name, build, InputSpec(sides=sides, layout=layout), frames
        )


def _of_transformers() -> Iterator[Architecture]:
    try:
        import transformers
    except ImportError:
        return
    for model, config, values, layout, frames, side in TRANSFORMERS:

        def build(model: str = model, config: str = config, values: Any = values) -> nn.Module:
            settings = getattr(transformers, config)(**values)
            net: nn.Module = getattr(transformers, model)(settings)
            return net

        spec = InputSpec(sides=(side, side), layout=layout)
        yield Architecture("transformers", model, build, spec, frames)
