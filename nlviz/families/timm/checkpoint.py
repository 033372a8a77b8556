"""Vision transformers as timm, DeiT, DINO and DINOv2 save them.

https://github.com/huggingface/pytorch-image-models, https://github.com/facebookresearch/deit,
https://github.com/facebookresearch/dino and https://github.com/facebookresearch/dinov2 (all
Apache-2.0). Their names are timm's, but for these:

    key of the file                  key of the network
    blocks.2.0.norm1.weight          blocks.0.norm1.weight     (DINOv2 in training: chunks)
    blocks.0.mlp.w12, .w3            blocks.0.mlp.fc1, .fc2    (DINOv2 giant)
    blocks.0.gamma_1                 blocks.0.ls1.gamma        (DeiT III)
    register_tokens                  reg_token                 (DINOv2; see below)

DINOv2 puts its registers in behind the positions, timm keeps the positions of patches alone: that
of the class token is added to the token itself.

The network is timm's. For pictures of other sizes than in training, positions are resized as the
authors of the weights do it, see ``nlviz.families.reading.positions``: DINO's way where the keys
or the file's name show that it is theirs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.key_map import stripped
from nlviz.families.reading.layout import Block, Origin, Reading
from nlviz.families.reading.positions import WAYS

_WRAPPERS = ("module.", "model.", "backbone.")
_CHUNKED = re.compile(r"blocks\.\d+\.(\d+)\.(.+)")
_RENAMED = (
    (re.compile(r"(blocks\.\d+\.mlp)\.w12\."), r"\1.fc1."),
    (re.compile(r"(blocks\.\d+\.mlp)\.w3\."), r"\1.fc2."),
    (re.compile(r"(blocks\.\d+)\.gamma_([12])$"), r"\1.ls\2.gamma"),
    (re.compile(r"^register_tokens$"), "reg_token"),
)
_OF_DINO = re.compile(r"(head\.(mlp2?|last_layer2?)|dino_head|ibot_head)\.")
_DROPPED = (
    (
        _OF_DINO,
        "the projection of self-supervised training, not a classifier",
    ),
    (re.compile(r"(mask_token|masked_embed)$"), "stands for masked patches in training"),
    (re.compile(r"decoder_"), "the decoder of masked autoencoding"),
)
_OTHERS = (
    ("norm_pre.weight", "a normalisation before its blocks, as CLIP has it"),
    ("attn_pool.latent", "attention that pools, as SigLIP has it"),
)
_HEAD = 64  # channels of a head in most of these
_USUAL = {192: 3, 384: 6, 768: 12, 1024: 16, 1536: 24}  # heads by width: Ti, S, B, L, g of DINOv2
_CENTRED = (
    "The keys do not tell how pixels were normalised; ImageNet's mean and deviation are taken. Say "
    "centred=true for ViT of Google and AugReg, which saw (value - 127.5) / 127.5."
)
# So400m, H, g and G, whose heads are wider.
_WIDER = {1152: 16, 1280: 16, 1408: 16, 1664: 16, 1792: 16}
_IMAGENET = "ImageNet's mean and deviation"
_NEEDED = ("blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc2.weight")
_HALF = (127.5, 127.5, 127.5)


def timm_vit_name(key: str) -> str:
    """Return timm's name for a key.

    >>> timm_vit_name("module.backbone.blocks.1.7.mlp.w12.bias"), timm_vit_name("register_tokens")
    ('blocks.7.mlp.fc1.bias', 'reg_token')
    """
    bare = stripped(key, _WRAPPERS)
    if m := _CHUNKED.fullmatch(bare):
        bare = f"blocks.{m[1]}.{m[2]}"
    for pattern, ours in _RENAMED:
        bare = pattern.sub(ours, bare)
    return bare


@dataclass(frozen=True)
class _Shapes:
    """The architecture that the shapes show, with sides in patches and in pixels."""

    dim: int
    depth: int
    patch: tuple[int, int]
    grid: int
    hidden: int
    gated: bool
    registers: int
    placed: bool  # the class token and the registers have positions of their own
    classes: int


class TimmViTLayout:
    """A transformer of square patches, by timm's names or those of DINO and DINOv2."""

    flags: Mapping[str, str] = MappingProxyType(
        {
            "heads": "number of heads of each attention",
            "size": "shorter side of the pictures in pixels",
            "centred": "pixels enter as (value - 127.5) / 127.5, not by ImageNet's statistics",
            "positions": "how they are resized for other sizes: timm, dino or transformers",
        }
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        by_name = {timm_vit_name(key): tensor for key, tensor in checkpoint.tensors.items()}
        patches = by_name.get("patch_embed.proj.weight")
        if patches is None or patches.dim() != 4 or "blocks.0.attn.qkv.weight" not in by_name:
            return None
        if not {"cls_token", "pos_embed"} & set(by_name):
            return None
        return "the names patch_embed.proj and blocks.0.attn.qkv"

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network."""
        source = checkpoint.path.name
        dropped, names = {}, {}
        for key in checkpoint.tensors:
            name = timm_vit_name(key)
            why = next((why for pattern, why in _DROPPED if pattern.match(name)), None)
            if why is None:
                names[key] = name
            else:
                dropped[key] = why
        by_name = {name: checkpoint.tensors[key] for key, name in names.items()}
        shapes = _shapes(by_name, source)
        flags = Flags(overrides, known=self.flags)
        heads = _heads(by_name, shapes, flags, source)
        size = flags.number("size", shapes.grid * shapes.patch[0], "shape", least=shapes.patch[0])
        centred = flags.truth("centred", False, "preset")
        distilled = "dist_token" in by_name
        positions = _positions(checkpoint, flags)
        change: dict[str, Callable[[Tensor], Tensor]] = {}
        theirs = {name: key for key, name in names.items()}
        if any(stripped(key, _WRAPPERS) == "register_tokens" for key in names):
            change[theirs["cls_token"]] = partial(_plus, by_name["pos_embed"][:, :1])
            change[theirs["pos_embed"]] = _without_first
        spec = InputSpec(size=size, multiple=max(shapes.patch), layout="frames")
        if centred:
            spec = InputSpec(
                size=size, multiple=max(shapes.patch), layout="frames", mean=_HALF, std=_HALF
            )
        return Reading(
            architecture=_architecture(shapes, heads, distilled),
            build=partial(
                _build, distilled, shapes.gated, positions, _options(by_name, shapes, heads)
            ),
            names=names,
            change=change,
            dropped=dropped,
            blocks=tuple(
                Block(f"blocks.{i}", shapes.dim, shapes.dim, "embedded_gaussian")
                for i in range(shapes.depth)
            ),
            flags=flags.found,
            input_spec=spec,
            input_note=f"RGB, {'(value - 127.5) / 127.5' if centred else _IMAGENET}, "
            f"shorter side {size}",
            labels="imagenet" if shapes.classes == 1000 else "",
            trained_for=_trained_for(shapes.classes),
            warnings=(
                *_of_heads(shapes, heads, flags),
                *(() if "centred" in overrides or not shapes.classes or distilled else (_CENTRED,)),
            ),
        )


def _of_heads(shapes: _Shapes, heads: int, flags: Flags) -> tuple[str, ...]:
    """Return what to tell of a number of heads that no file says, at a width that is not usual."""
    if flags.found["heads"].origin != "preset" or shapes.dim in _USUAL | _WIDER:
        return ()
    return (
        f"The keys do not tell the number of heads; {heads} of {shapes.dim // heads} "
        "channels are taken, and maps are wrong where there are "
        "others. Say heads= if you know it.",
    )


def _shapes(by_name: Mapping[str, Tensor], source: str) -> _Shapes:
    for key, what in _OTHERS:
        if key in by_name:
            raise WeightsMismatch(
                f"{source} has {what}, which is not read from files; build the network with timm "
                "and take nlviz.capture(net, clip)"
            )
    if "pos_embed" not in by_name:
        raise WeightsMismatch(
            f"{source} has no learned positions, DINOv3 turns queries and keys instead (RoPE), "
            "which is not read from files; build the network with timm and take "
            "nlviz.capture(net, clip)"
        )
    missing = [k for k in _NEEDED if k not in by_name]
    if missing:
        raise WeightsMismatch(f"{source} lacks {', '.join(missing)}; load a complete file")
    dim, colours, *patch = by_name["patch_embed.proj.weight"].shape
    if colours != 3:
        raise WeightsMismatch(
            f"these transformers take 3 colours, the patches of {source} have {colours}; load one "
            "that was trained on RGB"
        )
    hidden, into = (by_name[f"blocks.0.mlp.{n}.weight"] for n in ("fc1", "fc2"))
    if into.shape[1] not in (hidden.shape[0], hidden.shape[0] / 2):
        raise WeightsMismatch(
            f"fc2 of an MLP takes all that fc1 gives, or a half where the other gates it; in "
            f"{source} it takes {into.shape[1]} of {hidden.shape[0]}; load a complete file"
        )
    depth = 1 + max(int(m[1]) for n in by_name if (m := re.match(r"blocks\.(\d+)\.", n)))
    registers = by_name["reg_token"].shape[1] if "reg_token" in by_name else 0
    prefix = sum(token in by_name for token in ("cls_token", "dist_token"))
    positions = by_name["pos_embed"].shape[1]
    # Registers of DINOv2 have no position, its class token has: that row moves, see above.
    ways = ((prefix + registers, True), (prefix, not registers), (0, False))
    fitting = [(n, placed) for n, placed in ways if _side(positions - n)]
    if not fitting:
        raise WeightsMismatch(
            f"positions must make a square of patches, {source} has {positions} of them for "
            f"{prefix + registers} other tokens; build the network with timm and take "
            "nlviz.capture(net, clip)"
        )
    without_place, placed = fitting[0]
    return _Shapes(
        dim=dim,
        depth=depth,
        patch=(patch[0], patch[1]),
        grid=_side(positions - without_place),
        hidden=hidden.shape[0],
        gated=into.shape[1] != hidden.shape[0],
        registers=registers,
        placed=placed,
        classes=by_name["head.weight"].shape[0] if "head.weight" in by_name else 0,
    )


def _side(patches: int) -> int:
    """Return the side of a square of patches, or 0."""
    side = math.isqrt(max(patches, 0))
    return side if side * side == patches else 0


def _heads(by_name: Mapping[str, Tensor], shapes: _Shapes, flags: Flags, source: str) -> int:
    normed = by_name.get("blocks.0.attn.q_norm.weight")
    if normed is not None:
        heads = flags.number("heads", shapes.dim // normed.numel(), "shape")
    else:
        preset = _WIDER.get(shapes.dim, max(shapes.dim // _HEAD, 1))
        note = f"{shapes.dim // preset} channels each, which the keys do not tell"
        heads = flags.number("heads", preset, "preset", note)
    if shapes.dim % heads:
        raise NlvizError(
            f"the heads share the {shapes.dim} channels of {source} evenly, {heads} cannot; say "
            "heads=, a number that divides them"
        )
    return heads


def _positions(checkpoint: Checkpoint, flags: Flags) -> str:
    """Return how positions are resized: as the authors of the weights do it, as far as is known."""
    keys = {stripped(key, _WRAPPERS): tensor for key, tensor in checkpoint.tensors.items()}
    way = "timm"
    origin: Origin = "preset"
    token = keys.get("mask_token", keys.get("masked_embed"))
    if "register_tokens" in keys:
        origin = "key"
    elif (token is not None and token.dim() == 2) or any(map(_OF_DINO.match, keys)):
        way, origin = "dino", "key"
    elif any(key.startswith("decoder_") for key in keys):  # He et al. 2022 (MAE)
        way, origin = "transformers", "key"
    elif re.search("dino(?!v3)", checkpoint.path.name.lower()) and "reg_token" not in keys:
        way, origin = "dino", "file name"
    way = flags.choice("positions", way, origin, choices=WAYS)
    flags.found["positions"] = replace(flags.found["positions"], note=WAYS[way])
    return way


def _options(by_name: Mapping[str, Tensor], shapes: _Shapes, heads: int) -> dict[str, Any]:
    token = "cls_token" in by_name and "fc_norm.weight" not in by_name
    return {
        "img_size": (shapes.grid * shapes.patch[0], shapes.grid * shapes.patch[1]),
        "patch_size": shapes.patch,
        "num_classes": shapes.classes,
        "global_pool": "token" if token else "avg",
        "embed_dim": shapes.dim,
        "depth": shapes.depth,
        "num_heads": heads,
        "mlp_ratio": (shapes.hidden + 0.5) / shapes.dim,  # timm rounds the product down
        "qkv_bias": "blocks.0.attn.qkv.bias" in by_name,
        "qk_norm": "blocks.0.attn.q_norm.weight" in by_name,
        "proj_bias": "blocks.0.attn.proj.bias" in by_name,
        "init_values": 1.0 if "blocks.0.ls1.gamma" in by_name else None,
        "class_token": "cls_token" in by_name,
        "no_embed_class": not shapes.placed,
        "reg_tokens": shapes.registers,
        "fc_norm": "fc_norm.weight" in by_name,
        "dynamic_img_size": True,
    }


def _architecture(shapes: _Shapes, heads: int, distilled: bool) -> str:
    extra = [
        *(["a token of distillation"] if distilled else []),
        *([f"{shapes.registers} registers"] if shapes.registers else []),
    ]
    return (
        f"ViT of {shapes.depth} blocks, {shapes.dim} channels in {heads} "
        f"head{'' if heads == 1 else 's'}, patches of {shapes.patch[0]}"
        + (f", with {' and '.join(extra)}" if extra else "")
    )


def _trained_for(classes: int) -> str:
    if not classes:
        return "features, without a classifier"
    objects = "objects on ImageNet" if classes == 1000 else f"{classes} classes"
    return f"recognition of {objects}"


def _plus(position: Tensor, token: Tensor) -> Tensor:
    return token + position


def _without_first(positions: Tensor) -> Tensor:
    return positions[:, 1:]


def _build(distilled: bool, gated: bool, positions: str, options: Mapping[str, Any]) -> nn.Module:
    from timm.layers.mlp import SwiGLUPacked
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.vision_transformer import VisionTransformer

    given = {**options, **({"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU} if gated else {})}
    net: nn.Module = (VisionTransformerDistilled if distilled else VisionTransformer)(**given)
    if positions != "timm":
        from nlviz.families.timm.resized_vit import resized_vit

        resized_vit(net, positions)
    return net
