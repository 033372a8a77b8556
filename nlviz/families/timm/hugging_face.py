"""Vision transformers by the names of Hugging Face: ViT, DeiT and DINOv2 in files of weights alone.

https://github.com/huggingface/transformers (Apache-2.0). A folder with its ``config.json`` is
opened by that library itself; what is read here is a file without one, or one with a flag. The
network is timm's, and the keys are those of ``nlviz.families.timm.checkpoint`` but for these:

    key of the file                                    key there
    vit.embeddings.patch_embeddings.projection.weight  patch_embed.proj.weight
    encoder.layer.0.attention.attention.query.weight   blocks.0.attn.qkv.weight, with key and value
    encoder.layer.0.layernorm_before.weight            blocks.0.norm1.weight    (DINOv2: norm1)
    encoder.layer.0.intermediate.dense.weight          blocks.0.mlp.fc1.weight  (DINOv2: mlp.fc1)
    encoder.layer.0.layer_scale1.lambda1               blocks.0.ls1.gamma       (DINOv2)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.input_spec import InputSpec
from nlviz.families.reading.layout import Flag, Reading
from nlviz.families.reading.picture_card import input_spec_of, processor_in
from nlviz.families.timm.checkpoint import TimmViTLayout
from nlviz.files.checked_json import parsed_json

_LARGEST = 1 << 20  # bytes of a configuration
_START = r"^(?:module\.)?(?:\w+\.)?"
_LAYER = _START + r"encoder\.layer\.(\d+)\."
_NAMES = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (_START + r"embeddings\.(cls_token|mask_token|register_tokens)$", r"\1"),
        (_START + r"embeddings\.distillation_token$", "dist_token"),
        (_START + r"embeddings\.position_embeddings$", "pos_embed"),
        (_START + r"embeddings\.patch_embeddings\.projection\.(\w+)$", r"patch_embed.proj.\1"),
        (_LAYER + r"(?:norm1|layernorm_before)\.(\w+)$", r"blocks.\1.norm1.\2"),
        (_LAYER + r"(?:norm2|layernorm_after)\.(\w+)$", r"blocks.\1.norm2.\2"),
        (_LAYER + r"attention\.attention\.query\.(\w+)$", r"blocks.\1.attn.qkv.\2"),
        (_LAYER + r"attention\.output\.dense\.(\w+)$", r"blocks.\1.attn.proj.\2"),
        (_LAYER + r"(?:intermediate\.dense|mlp\.fc1)\.(\w+)$", r"blocks.\1.mlp.fc1.\2"),
        (_LAYER + r"(?:output\.dense|mlp\.fc2)\.(\w+)$", r"blocks.\1.mlp.fc2.\2"),
        (_LAYER + r"mlp\.weights_in\.(\w+)$", r"blocks.\1.mlp.w12.\2"),
        (_LAYER + r"mlp\.weights_out\.(\w+)$", r"blocks.\1.mlp.w3.\2"),
        (_LAYER + r"layer_scale([12])\.lambda1$", r"blocks.\1.ls\2.gamma"),
        (_START + r"layernorm\.(\w+)$", r"norm.\1"),
        (r"^(?:module\.)?(?:cls_)?classifier\.(\w+)$", r"head.\1"),
        (r"^(?:module\.)?distillation_classifier\.(\w+)$", r"head_dist.\1"),
    )
)
_QUERY = re.compile(_LAYER + r"attention\.attention\.(query)\.(\w+)$")
_REST = re.compile(_LAYER + r"attention\.attention\.(?:key|value)\.\w+$")
_DROPPED = (
    (re.compile(r"^(?:\w+\.)?pooler\."), "a layer behind the class token, no part of attention"),
    (re.compile(r"^(?:module\.)?decoder\."), "the decoder of masked autoencoding"),
)


@dataclass(frozen=True, eq=False)
class _Renamed:
    """A file under the names of timm.

    Attributes:
        checkpoint: with these names; queries, keys and values in one.
        source: name -> key of the file; of q, k and v that of q.
        joined: key of q in the file -> those of k and v.
        dropped: key of the file -> why it is not used.
    """

    checkpoint: Checkpoint
    source: Mapping[str, str]
    joined: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, str]


class HuggingFaceViTLayout:
    """A transformer of square patches by the names of Hugging Face's ViT, DeiT and DINOv2."""

    flags: Mapping[str, str] = TimmViTLayout.flags

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        patches = [
            tensor
            for key, tensor in checkpoint.tensors.items()
            if re.search(r"(^|\.)embeddings\.patch_embeddings\.projection\.weight$", key)
        ]
        names = {name for key in checkpoint.tensors if (name := _name(key))}
        needed = {"pos_embed", "blocks.0.attn.qkv.weight", "blocks.0.attn.proj.weight"}
        if len(patches) != 1 or patches[0].dim() != 4 or not needed <= names:
            return None
        return "the names embeddings.patch_embeddings.projection and attention.attention.query"

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network.

        Raises:
            WeightsMismatch: when keys or values of a layer are missing.
        """
        renamed = _renamed(checkpoint)
        config = _config(checkpoint.path)
        asked = dict(overrides)
        told: dict[str, tuple[object, str]] = {
            # transformers resizes without antialiasing, but for DINOv2 with registers
            "positions": ("timm" if "register_tokens" in renamed.source else "transformers", "key")
        }
        heads = config.get("num_attention_heads")
        if isinstance(heads, int) and not isinstance(heads, bool) and heads > 0:
            told["heads"] = (heads, "config")
            if asked.get("heads", heads) != heads:
                raise NlvizError(
                    f"config.json beside {checkpoint.path.name} says {heads} heads, "
                    f"heads={asked['heads']} something else; leave it out"
                )
        for name, (value, _) in told.items():
            asked.setdefault(name, value)
        reading = TimmViTLayout().read(renamed.checkpoint, asked)
        flags = dict(reading.flags)
        for name, (_, origin) in told.items():
            if name not in overrides:
                found = flags[name]
                flags[name] = Flag(found.value, origin, found.note)  # type: ignore[arg-type]
        spec, note, warnings = _input(checkpoint.path, reading, overrides)
        source = renamed.source
        names = {source[key]: target for key, target in reading.names.items()}
        change: dict[str, Callable[[Tensor], Tensor]] = {
            source[key]: function for key, function in reading.change.items()
        }
        build = reading.build
        if any("layernorm_before" in key for key in checkpoint.tensors):
            build = _WithEpsilon(build, float(config.get("layer_norm_eps", 1e-12)))
        return replace(
            reading,
            build=build,
            names=names,
            change=change,
            dropped={**{source[k]: why for k, why in reading.dropped.items()}, **renamed.dropped},
            joined=renamed.joined,
            flags=flags,
            input_spec=spec,
            input_note=note,
            warnings=warnings,
        )


def _renamed(checkpoint: Checkpoint) -> _Renamed:
    tensors: dict[str, Tensor] = {}
    source: dict[str, str] = {}
    joined: dict[str, tuple[str, ...]] = {}
    dropped: dict[str, str] = {}
    width = next(t.shape[0] for key, t in checkpoint.tensors.items() if _of_patches(key))
    for key, tensor in checkpoint.tensors.items():
        why = next((why for pattern, why in _DROPPED if pattern.match(key)), None)
        name = _name(key)
        if name == "head.weight" and tensor.shape[-1] != width:
            why = "a classifier of more than the class token"
        if name == "head.bias" and _wide_head(checkpoint, width):
            why = "a classifier of more than the class token"
        if why is not None:
            dropped[key] = why
            continue
        if _REST.match(key):
            continue
        if query := _QUERY.match(key):
            others = tuple(
                key[: query.start(2)] + part + key[query.end(2) :] for part in ("key", "value")
            )
            missing = [other for other in others if other not in checkpoint.tensors]
            if missing:
                raise WeightsMismatch(
                    f"{checkpoint.path.name} lacks {', '.join(missing)}; load a complete file"
                )
            joined[key] = others
            tensor = torch.cat([tensor, *(checkpoint.tensors[other] for other in others)])
        name = name or key
        tensors[name], source[name] = tensor, key
    return _Renamed(replace(checkpoint, tensors=tensors), source, joined, dropped)


def _name(key: str) -> str | None:
    for pattern, ours in _NAMES:
        if pattern.match(key):
            return pattern.sub(ours, key)
    return None


def _of_patches(key: str) -> bool:
    return _name(key) == "patch_embed.proj.weight"


def _wide_head(checkpoint: Checkpoint, width: int) -> bool:
    return any(
        _name(key) == "head.weight" and tensor.shape[-1] != width
        for key, tensor in checkpoint.tensors.items()
    )


def _input(
    path: Path, reading: Reading, overrides: Mapping[str, object]
) -> tuple[InputSpec, str, tuple[str, ...]]:
    """Return how a clip becomes the input: as a processor beside the file says, where there is one.

    Returns:
        The same in words, too, and what to tell of it.
    """
    processor = processor_in(path if path.is_dir() else path.parent, video=False)
    spec = reading.input_spec
    if not processor or "centred" in overrides:
        return spec, reading.input_note, reading.warnings
    found = input_spec_of(None, spec.multiple, None, processor, video=False, any_size=True)
    size = spec.size if "size" in overrides or not _sized(processor) else found.size
    found = replace(found, size=size)
    note = f"RGB, normalised as the processor's file says, shorter side {size}"
    return found, note, tuple(w for w in reading.warnings if "normalised" not in w)


def _sized(processor: Mapping[str, Any]) -> bool:
    return bool(processor.get("size") or processor.get("crop_size"))


def _config(path: Path) -> Mapping[str, Any]:
    """Return the configuration beside a file of weights; empty where there is none to read."""
    config = (path if path.is_dir() else path.parent) / "config.json"
    if not config.is_file() or config.stat().st_size > _LARGEST:
        return {}
    try:
        found = parsed_json(config.read_bytes(), of=config.name)
    except NlvizError:
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class _WithEpsilon:
    """Builds a network whose normalisations add another number to the variance than timm's."""

    build: Callable[[], nn.Module]
    epsilon: float

    def __call__(self) -> nn.Module:
        net = self.build()
        for module in net.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = self.epsilon
        return net


FAMILY = Family(
    name="timm-hugging-face",
    row=TableRow(
        source="https://github.com/huggingface/transformers",
        networks="ViT, DeiT, DINOv2 from a file of weights alone, as networks of timm",
        recognised_by="`embeddings.patch_embeddings`, `attention.attention.query`",
        not_told="number of heads, mean and deviation (what lies beside it)",
        parity="rows, logits against `output_attentions=True`",
    ),
    checkpoint=HuggingFaceViTLayout(),
    needs="timm",
)
