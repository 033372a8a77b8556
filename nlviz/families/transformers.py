"""Image and video transformers of the library transformers.

https://github.com/huggingface/transformers (Apache-2.0): TimeSformer, VideoMAE, ViViT, V-JEPA 2,
ViT, DeiT, BEiT, DINOv2, DINOv3, Swin, CLIP, SigLIP, SAM, DETR and others. How a network takes a
clip follows from its configuration and from the processor that was saved with it; its attention is
seen as it runs, see ``nlviz.families.reading.attention_adapter``.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from torch import nn

from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputSpec, Prepared, prepare
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.families.reading.class_names import labels_of
from nlviz.families.reading.picture_card import (
    PROCESSORS,
    input_spec_of,
    processor_in,
    read_processor,
)
from nlviz.families.reading.prepared import PICTURE

_PICTURES = ("pixel_values", "pixel_values_videos")
# Their code takes pictures of any size without being asked to: positions are resampled or rotated,
# windows padded.
_ANY_SIZE = frozenset(
    """dinov2 dinov2_with_registers dinov3_vit swin swinv2 maskformer-swin detr conditional_detr
    table-transformer rt_detr deformable_detr yolos hiera pvt_v2 segformer""".split()
)
# Their tables of positions, or their layers, hold the number of frames of training.
_FRAMES_OF_TRAINING = frozenset(("timesformer", "videomae", "vivit"))


_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The processors that the library has for these kinds say 0.5, or CLIP's numbers; the files that
# their authors published say these.
_OF_PUBLISHED = {
    "videomae": _IMAGENET,
    "dinov2": _IMAGENET,
    "dinov2_with_registers": _IMAGENET,
    "timesformer": ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
}


class TransformersAdapter(AttentionAdapter):
    """Reads the attention of networks of transformers, also where one is a part of a network."""

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the innermost modules whose code computes attention; none without the library."""
        return {} if _trunk(net) is None else super().blocks(net)

    def takes(self, net: nn.Module) -> bool:
        """Check whether a network, or its trunk, is one of transformers."""
        return _trunk(net) is not None

    def input_spec(self, net: nn.Module) -> InputSpec | None:
        """Return how the network takes a clip, from its configuration and its processor.

        >>> from transformers import ViTConfig, ViTModel
        >>> tiny = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
        >>> net = ViTModel(ViTConfig(image_size=(12, 18), patch_size=6, **tiny))
        >>> FAMILY.blocks.input_spec(net).sides
        (12, 18)
        """
        trunk = _trunk(net)
        return None if trunk is None else spec_of(trunk, _processor(trunk))

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, T, 3, H, W) for a network of videos, else (T, 3, H, W), by the name it asks.

        Raises:
            NlvizError: when the network takes other frames, or words beside the picture.
        """
        trunk = _trunk(net)
        assert trunk is not None  # for the type checker
        saved = _processor(trunk)
        own = spec_of(trunk, saved)
        spec = own if spec is None else replace(spec, layout=own.layout)
        name = type(net).__name__
        frames, most = len(clip.frames), frames_of_training(trunk)
        if most is not None and frames != most:
            raise NlvizError(
                f"{name} takes clips of {most} frames, this one has {frames}; read {most} of them, "
                f"or take capture_windows(clip, frames={most})"
            )
        prepared = prepare(clip, spec, net)
        if not saved and spec.normalisation() == own.normalisation():
            mean, std = (", ".join(f"{v / 255:.3g}" for v in n) for n in own.normalisation())
            told = (
                "No processor was saved with this network: pixels in [0, 1] are taken minus "
                f"({mean}), over ({std}), as is usual for its kind; give input_spec= where it was "
                "trained with others."
            )
            prepared = replace(prepared, notes=(*prepared.notes, told))
        if net is not trunk:
            return prepared
        return replace(prepared, args=(), kwargs=_arguments(trunk, prepared))

    def frames_taken(self, net: nn.Module, frames: int) -> int:
        """Return the frames of training where it takes no others, else whole tubelets."""
        trunk = _trunk(net)
        assert trunk is not None  # for the type checker
        most = frames_of_training(trunk)
        if most is not None:
            return max(frames, most)
        step = _tubelet(_vision(trunk.config))[0] if _of_videos(trunk) else 1
        return -(-frames // step) * step

    def labels(self, net: nn.Module) -> tuple[str, ...]:
        """Return the names of classes that the configuration has, or nothing."""
        trunk = _trunk(net)
        return () if trunk is None else labels_of(trunk.config)

    def token_names(self, net: nn.Module) -> tuple[str, ...]:
        """Return ``cls``, ``dist``, ``registers.0`` ..., ``object.0`` ... or ``probe``."""
        found = super().token_names(net)
        if found:
            return found
        own = {n.rpartition("model.")[2]: p for n, p in net.named_parameters()}
        for ending, name in (("query_position_embeddings.weight", "object"), ("probe", "probe")):
            for parameter in (p for n, p in own.items() if n.endswith(ending)):
                if name == "object":
                    return tuple(f"object.{i}" for i in range(len(parameter)))
                return (name,)
        return ()


def spec_of(trunk: Any, processor: Mapping[str, Any]) -> InputSpec:
    """Return how a network of transformers takes a clip.

    Args:
        trunk: the network.
        processor: what was saved with it, see ``nlviz.families.reading.picture_card``.
    """
    config = _vision(trunk.config)
    sides = getattr(config, "image_size", None) or getattr(config, "crop_size", None)
    sides = _pair(sides) if sides else None
    video = _of_videos(trunk)
    any_size = str(config.model_type) in _ANY_SIZE or not sides
    patch = max(_tubelet(config)[1:])
    stages = len(getattr(config, "depths", ())) or 1  # each but the first merges 2 x 2
    if any_size and stages > 1:
        patch *= 2 ** (stages - 1)
    return input_spec_of(
        sides,
        patch,
        _frames(config) if video else None,
        processor or _published(config) or _default_processor(cast(Hashable, type(trunk.config))),
        video=video,
        any_size=any_size,
        least_frames=(frames_of_training(trunk) or _tubelet(config)[0]) if video else 1,
    )


def frames_of_training(trunk: Any) -> int | None:
    """Return the number of frames that a network takes and no other; None where any will do."""
    config = _vision(trunk.config)
    return _frames(config) if config.model_type in _FRAMES_OF_TRAINING else None


def _trunk(net: nn.Module) -> Any:
    """Return the first network of the library in a network, or None."""
    from transformers import PreTrainedModel

    return next((m for m in net.modules() if isinstance(m, PreTrainedModel)), None)


def _vision(config: Any) -> Any:
    """Return the part of a configuration that is about pictures."""
    return getattr(config, "vision_config", None) or config


def _arguments(net: Any, prepared: Prepared) -> dict[str, Any]:
    """Return what the network is called with.

    Raises:
        NlvizError: when it takes no pictures, or something that a clip does not have.
    """
    given = inspect.signature(net.forward).parameters
    name = next((n for n in _PICTURES if n in given), None)
    kind = type(net).__name__
    if name is None:
        raise NlvizError(
            f"{kind} takes {', '.join(list(given)[:2])}, no pictures; give a network of pictures"
        )
    part = next((n for n, m in net.named_children() if "vision" in n), "")
    if "input_ids" in given and part:
        raise NlvizError(
            f"{kind} takes words beside the picture; give the part of it that sees: net.{part}"
        )
    if "bool_masked_pos" in given and given["bool_masked_pos"].default is inspect.Parameter.empty:
        raise NlvizError(
            f"{kind} takes a mask of patches beside the picture, as in pretraining; give the part "
            f"of it that sees all of them: net.{net.base_model_prefix}"
        )
    found: dict[str, Any] = {name: PICTURE}
    sides = getattr(_vision(net.config), "image_size", None)
    if "interpolate_pos_encoding" in given and sides:
        found["interpolate_pos_encoding"] = tuple(prepared.tensor.shape[-2:]) != _pair(sides)
    return found


def _of_videos(trunk: Any) -> bool:
    return trunk.main_input_name == _PICTURES[1] or _frames(_vision(trunk.config)) is not None


def _frames(config: Any) -> int | None:
    for name in ("num_frames", "frames_per_clip"):
        if isinstance(found := getattr(config, name, None), int):
            return found
    return None


def _tubelet(config: Any) -> tuple[int, int, int]:
    """Return frames, rows and columns of a patch."""
    tubelet = getattr(config, "tubelet_size", None) or 1
    if isinstance(tubelet, (list, tuple)) and len(tubelet) == 3:
        return int(tubelet[0]), int(tubelet[1]), int(tubelet[2])
    t = tubelet[0] if isinstance(tubelet, (list, tuple)) else tubelet
    return (int(t), *_pair(getattr(config, "patch_size", None) or 32))


def _pair(sides: Any) -> tuple[int, int]:
    if isinstance(sides, (list, tuple)):
        return int(sides[0]), int(sides[-1])
    return int(sides), int(sides)


def _processor(trunk: Any) -> Mapping[str, Any]:
    """Return what was saved with the weights that a network came from, where they are here."""
    place = str(getattr(trunk, "name_or_path", "") or "")
    video = _of_videos(trunk)
    if not place:
        return {}
    if Path(place).is_dir():
        return processor_in(Path(place), video=video)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        kept = [try_to_load_from_cache(place, name) for name in PROCESSORS]
    except HFValidationError:  # no name of a repository
        return {}
    return read_processor([Path(p) for p in kept if isinstance(p, str)], video=video)


def _published(config: Any) -> Mapping[str, Any]:
    """Return mean and deviation of a kind's published networks, where the library's are others.

    >>> from transformers import Dinov2Config
    >>> _published(Dinov2Config())["image_mean"]
    (0.485, 0.456, 0.406)
    """
    card = _OF_PUBLISHED.get(config.model_type)
    return {} if card is None else {"image_mean": card[0], "image_std": card[1]}


@cache
def _default_processor(kind: Any) -> Mapping[str, Any]:
    """Return mean and deviation of the processor that the library has for a configuration."""
    from transformers import AutoImageProcessor, AutoVideoProcessor  # noqa: F401  # fills the map
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING
    from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING

    for mapping in (VIDEO_PROCESSOR_MAPPING, IMAGE_PROCESSOR_MAPPING):
        try:
            found: Any = mapping[kind]
        except KeyError:
            continue
        for each in found.values() if isinstance(found, dict) else (found,):
            names = ("image_mean", "image_std", "rescale_factor", "do_normalize")
            card = {n: v for n in names if (v := getattr(each, n, None)) is not None}
            if "image_mean" in card:
                return card
    return {}


FAMILY = Family(
    name="transformers",
    row=TableRow(
        source="https://github.com/huggingface/transformers",
        live="the attention of TimeSformer, VideoMAE, ViViT, V-JEPA 2, ViT, DeiT, BEiT, DINOv2, "
        "DINOv3, Swin, CLIP, SigLIP, SAM, DETR; as a folder of `save_pretrained`, or `hf:NAME`",
        recognised_by="`config.json`; `PreTrainedModel`",
        not_told="mean and deviation, where no processor was saved",
        parity="rows against `output_attentions=True`",
        health="without size and γ",
    ),
    blocks=TransformersAdapter(),
    needs="transformers",
)
