"""Weights of networks for pictures, inflated in time.

A kernel in 2-D is repeated t times and divided by t, so that a clip of one picture gives what the
picture gave. Carreira and Zisserman, "Quo Vadis", CVPR 2017, arXiv 1705.07750, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor

from nlviz.errors import DownloadFailed, NlvizError, WeightsMismatch
from nlviz.networks.torchvision_names import torchvision_name
from nlviz.networks.video_resnet import VideoResNet


def inflate(net: VideoResNet, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Put the weights of torchvision's ResNet of the same depth into a video network.

    Args:
        net: the network; its non-local blocks and, where classes differ, its head stay as they are.
        state: the state of a torchvision ResNet.

    Returns:
        Names of the parameters that stayed as they were.

    Raises:
        WeightsMismatch: when the state is of another depth.

    >>> from torchvision.models import resnet18
    >>> from nlviz.networks.video_resnet_spec import VideoResNetSpec
    >>> net = VideoResNet(VideoResNetSpec(depth=18, stem_kernel=5, classes=1000))
    >>> inflate(net, resnet18().state_dict())
    ()
    """
    own = net.state_dict()
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = torchvision_name(key)
        if name is None or name not in own:
            raise WeightsMismatch(
                f"{key} has no place in {type(net).__name__} of {net.spec.depth} layers; take the "
                "state of torchvision's ResNet of that depth"
            )
        target = own[name]
        if tensor.dim() == 4:
            t = target.shape[2]
            tensor = tensor[:, :, None].expand(-1, -1, t, -1, -1) / t
        if tensor.shape != target.shape:
            if name.startswith("head."):
                continue
            raise WeightsMismatch(
                f"{key} is {tuple(tensor.shape)}, {name} needs {tuple(target.shape)}; take the "
                f"state of torchvision's ResNet of {net.spec.depth} layers"
            )
        found[name] = tensor
    net.load_state_dict(found, strict=False)
    return tuple(k for k in own if k not in found and not k.endswith("num_batches_tracked"))


def load_imagenet(net: VideoResNet, weights: Any = "DEFAULT") -> tuple[str, ...]:
    """Put torchvision's ImageNet weights into a video network.

    Args:
        net: the network.
        weights: a member of torchvision's weights of that depth, or its name.

    Returns:
        Names of the parameters that stayed as they were.

    Raises:
        DownloadFailed: when the weights are neither in torch.hub's cache nor to be had.
    """
    from torchvision.models import get_model_weights

    known = get_model_weights(f"resnet{net.spec.depth}")
    if isinstance(weights, str):
        if weights not in known.__members__:
            raise NlvizError(
                f"torchvision's weights of a ResNet of {net.spec.depth} layers are "
                f"{', '.join(known.__members__)}; got {weights!r}"
            )
        weights = known[weights]
    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        raise DownloadFailed(
            f"{weights.url} could not be had ({error}); download it by hand and put it at {place}"
        ) from None
    return inflate(net, state)
