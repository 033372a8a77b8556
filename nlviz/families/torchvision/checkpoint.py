"""torchvision's Mask R-CNN and Keypoint R-CNN (ResNet-50, FPN), with or without non-local blocks.

Their files hold no block unless somebody trained one here: a missing one is put in fresh, which
changes no detection. Source of the trap: torchvision's builders set the epsilon of batch
normalisation to 0 for the weights COCO_V1, which no key shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.affinity.pairwise import PairwiseName
from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.layout import Block, Reading
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.detection import HEAD, LAST_BUT_ONE, Kind, detection_network

_CLASSES = "roi_heads.box_predictor.cls_score.bias"
_SIGNS = ("backbone.body.layer3.5.conv3.weight", "roi_heads.box_head.fc6.weight", _CLASSES)
_COCO_V1 = re.compile(r"bf2d0c1e|fc266e95")  # beginnings of their digests, which their names carry
_COUNTER = "num_batches_tracked"


class TorchvisionDetectionLayout:
    """Keys are torchvision's; those of blocks begin with ``non_local_``."""

    flags: Mapping[str, str] = MappingProxyType(
        {
            "pairwise": "f of the blocks that are put in",
            "across_frames": "the block in res4 sees all frames of a clip at once",
            "exact_variance": "batch normalisation adds nothing to the variance",
        }
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        if all(sign in checkpoint.tensors for sign in _SIGNS) and _kind(checkpoint):
            return "a ResNet-50 with a feature pyramid and heads for boxes"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network; every name stays."""
        kind = _kind(checkpoint)
        if kind is None:
            raise WeightsMismatch(
                "a detection network has a head for masks or for keypoints beside that for boxes; "
                f"{checkpoint.path.name} has neither"
            )
        layers = (LAST_BUT_ONE, *(HEAD if kind == "keypoint" else ()))
        flags = Flags(overrides, known=self.flags)
        names = [k for k in checkpoint.tensors if k.startswith("non_local_")]
        pairwise = flags.pairwise(_pairwise(names), "key" if names else "preset")
        across = flags.truth("across_frames", True, "preset")
        coco = bool(_COCO_V1.search(checkpoint.path.name))
        exact = flags.truth("exact_variance", coco, "file name" if coco else "preset")
        if pairwise == "concatenation":
            raise NlvizError(
                "pairwise is gaussian, embedded_gaussian or dot_product in these networks, whose "
                "embeddings have length 1; got 'concatenation'"
            )
        unit = not names or any(name.endswith(".log_scale") for name in names)
        fresh: dict[str, tuple[Tensor, str]] = {}
        blocks = []
        for layer in layers:
            wide = 1024 if layer == LAST_BUT_ONE else 512
            prefix = f"non_local_{layer.replace('.', '_')}."
            blocks.append(Block(layer.removeprefix("roi_heads."), wide, wide // 2, pairwise))
            if not any(name.startswith(prefix) for name in names):
                why = "a fresh block, which changes nothing until it is trained"
                block = _fresh(wide, across and layer == LAST_BUT_ONE, pairwise, unit)
                fresh.update({prefix + k: (v, why) for k, v in block.state_dict().items()})
        counted = [k for k in checkpoint.tensors if k.endswith(_COUNTER) and k not in names]
        return Reading(
            architecture=f"{'Mask' if kind == 'mask' else 'Keypoint'} R-CNN, ResNet-50, FPN",
            build=partial(
                _build,
                kind,
                int(checkpoint.tensors[_CLASSES].numel()),
                eps=0.0 if exact else 1e-5,
                pairwise=pairwise,
                unit_length=unit,
                across_frames=across,
                **_keypoints(checkpoint),
            ),
            names={key: key for key in checkpoint.tensors},
            dropped={key: "a counter of training steps, not used" for key in counted},
            filled=fresh,
            blocks=tuple(blocks),
            flags=flags.found,
            input_spec=InputSpec(size=800, layout="frames", frames=1),
            input_note="RGB in [0, 1]; the network resizes: shorter side 800, longer at most 1333",
            trained_for="detection; its non-local blocks are not trained"
            if not names
            else "training unknown",
        )


def _kind(checkpoint: Checkpoint) -> Kind | None:
    if "roi_heads.keypoint_predictor.kps_score_lowres.weight" in checkpoint.tensors:
        return "keypoint"
    masks = "roi_heads.mask_predictor.mask_fcn_logits.weight" in checkpoint.tensors
    return "mask" if masks else None


def _keypoints(checkpoint: Checkpoint) -> dict[str, int]:
    bias = checkpoint.tensors.get("roi_heads.keypoint_predictor.kps_score_lowres.bias")
    return {} if bias is None else {"num_keypoints": int(bias.numel())}


def _pairwise(names: list[str]) -> PairwiseName:
    return "embedded_gaussian" if any(".theta." in name for name in names) else "gaussian"


def _fresh(channels: int, clips: bool, pairwise: PairwiseName, unit: bool) -> NonLocalBlock:
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # an identity whatever is drawn; the same on every day
        return NonLocalBlock(
            channels, dimension=3 if clips else 2, pairwise=pairwise, unit_length=unit
        )


def _build(kind: Kind, classes: int, **options: Any) -> nn.Module:
    # Anchors are computed as the network is built, and belong to no state: they need a real device.
    with torch.device("cpu"):
        return detection_network(kind, classes=classes, **options)
