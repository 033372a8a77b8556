"""Mask R-CNN and Keypoint R-CNN with non-local blocks, over torchvision's networks.

Blocks: Wang et al. 2018, arXiv 1711.07971, section 5: one in res4 right before its last residual
block and, for keypoints, four more in the keypoint head, one after every two convolutions.
Networks: He et al. 2017, arXiv 1703.06870, as in torchvision (BSD-3-Clause), whose parameters keep
their names. Nobody published weights for the blocks: a fresh one changes nothing, so what the
network detects is what torchvision's detects.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from nlviz.affinity.pairwise import PairwiseName
from nlviz.errors import DownloadFailed, NlvizError
from nlviz.files.cache import is_offline
from nlviz.networks.insert import insert

LAST_BUT_ONE = "backbone.body.layer3.4"
HEAD = tuple(f"roi_heads.keypoint_head.{n}" for n in (3, 7, 11, 15))

WeightsName = Literal["coco", "random"]
Kind = Literal["mask", "keypoint"]


def mask_rcnn_nl(
    *,
    weights: WeightsName = "coco",
    pairwise: PairwiseName = "gaussian",
    unit_length: bool = True,
    across_frames: bool = True,
    **options: Any,
) -> nn.Module:
    """Return torchvision's Mask R-CNN (ResNet-50, FPN) with one non-local block in res4.

    Args:
        weights: ``coco`` for torchvision's, ``random`` for a network that detects nothing.
        pairwise: see ``NonLocalBlock``. The block is not trained; the Gaussian one has no weights
            of its own in f.
        unit_length: see ``NonLocalBlock``; raw features are so long that without it every query
            would reach itself alone.
        across_frames: whether the block sees all frames of a clip at once, or each on its own.
        **options: of torchvision's builder: ``min_size``, ``box_score_thresh``, ...

    Raises:
        DownloadFailed: when the weights are not there and cannot be had.

    >>> net = mask_rcnn_nl(weights="random", min_size=64)
    >>> [name for name, _ in net.named_children() if name.startswith("non_local")]
    ['non_local_backbone_body_layer3_4']
    """
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

    known = MaskRCNN_ResNet50_FPN_Weights.COCO_V1
    asked = (weights, pairwise, unit_length, across_frames)
    return _with_weights("mask", known, asked, options)


def keypoint_rcnn_nl(
    *,
    weights: WeightsName = "coco",
    pairwise: PairwiseName = "gaussian",
    unit_length: bool = True,
    across_frames: bool = True,
    **options: Any,
) -> nn.Module:
    """Return torchvision's Keypoint R-CNN with a block in res4 and four in the keypoint head.

    The head's blocks work inside the box of one person, whatever ``across_frames`` says of the one
    in res4. The arguments are those of ``mask_rcnn_nl``.

    Raises:
        DownloadFailed: when the weights are not there and cannot be had.
    """
    from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

    known = KeypointRCNN_ResNet50_FPN_Weights.COCO_V1
    asked = (weights, pairwise, unit_length, across_frames)
    return _with_weights("keypoint", known, asked, options)


def detection_network(
    kind: Kind,
    *,
    classes: int,
    eps: float = 1e-5,
    pairwise: PairwiseName = "gaussian",
    unit_length: bool = True,
    across_frames: bool = True,
    **options: Any,
) -> nn.Module:
    """Return a network with random weights and fresh blocks.

    Args:
        kind: ``mask`` or ``keypoint``.
        classes: number of classes, background included.
        eps: what batch normalisation adds to the variance; 0 for torchvision's COCO weights.
        pairwise: as in ``mask_rcnn_nl``, like what follows.
        unit_length: the same.
        across_frames: the same.
        **options: the same.
    """
    from torchvision.models.detection import KeypointRCNN, MaskRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops.misc import FrozenBatchNorm2d

    build = MaskRCNN if kind == "mask" else KeypointRCNN
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=5
    )
    net: nn.Module = build(backbone, num_classes=classes, **options).eval()
    for module in net.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = eps
    with _small(net):
        _insert(net, LAST_BUT_ONE, pairwise, unit_length, across_frames)
        for layer in HEAD if kind == "keypoint" else ():
            _insert(net, layer, pairwise, unit_length, False)
    return net


def coco_weights(known: Any) -> dict[str, torch.Tensor]:
    """Return torchvision's weights, from torch.hub's cache or else downloaded into it.

    Args:
        known: a member of one of torchvision's enumerations of weights.

    Raises:
        DownloadFailed: when they are not there and cannot be had; the sentence names the URL and
            where the file belongs.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / str(known.url).rpartition("/")[2]
    if not path.is_file() and is_offline():
        raise _missing(known.url, path, "NLVIZ_OFFLINE forbids downloads")
    try:
        state: dict[str, torch.Tensor] = known.get_state_dict(
            progress=False, check_hash=True, map_location="cpu", weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise _missing(known.url, path, str(error) or type(error).__name__) from None
    return state


def _missing(url: str, path: Path, why: str) -> DownloadFailed:
    return DownloadFailed(
        f"{url} could not be had: {why}; put the file at {path}, or ask for weights='random', "
        "which detect nothing"
    )


def _with_weights(
    kind: Kind,
    known: Any,
    asked: tuple[WeightsName, PairwiseName, bool, bool],
    options: dict[str, Any],
) -> nn.Module:
    weights, pairwise, unit_length, across_frames = asked
    if weights not in ("coco", "random"):
        raise NlvizError(f"weights must be 'coco' or 'random', got {weights!r}")
    state = coco_weights(known) if weights == "coco" else {}
    net = detection_network(
        kind,
        classes=len(known.meta["categories"]),
        eps=0.0 if state else 1e-5,
        pairwise=pairwise,
        unit_length=unit_length,
        across_frames=across_frames,
        **options,
    )
    net.load_state_dict({**net.state_dict(), **state})
    return net


def _insert(
    net: nn.Module, layer: str, pairwise: PairwiseName, unit_length: bool, across_frames: bool
) -> None:
    like = next(net.parameters())
    insert(
        net,
        after=layer,
        pairwise=pairwise,
        unit_length=unit_length,
        across_frames=across_frames,
        example=torch.zeros(1, 3, 64, 64, device=like.device, dtype=like.dtype),
    )


@contextmanager
def _small(net: nn.Module) -> Iterator[None]:
    """Let the network take a small picture and keep one detection, while shapes are found out."""
    transform: Any = net.transform
    heads: Any = net.roi_heads
    before = (transform.min_size, transform.max_size, heads.detections_per_img)
    transform.min_size, transform.max_size, heads.detections_per_img = (64,), 64, 1
    try:
        yield
    finally:
        transform.min_size, transform.max_size, heads.detections_per_img = before
