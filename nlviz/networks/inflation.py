"""Weights of networks for pictures, inflated in time.

A kernel in 2-D is repeated t times and divided by t, so that a clip of one picture gives what the
picture gave; normalisations stay as they are. Carreira and Zisserman, "Quo Vadis", CVPR 2017, arXiv
1705.07750, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor

from nlviz.errors import DownloadFailed, NlvizError, WeightsMismatch
from nlviz.files.cache import is_offline
from nlviz.networks.torchvision_names import torchvision_name
from nlviz.networks.video_resnet import VideoResNet, VideoResNetSpec


def inflated(state: Mapping[str, Tensor], spec: VideoResNetSpec) -> dict[str, Tensor]:
    """Return the state of a ResNet for pictures under a video network's names and shapes.

    Args:
        state: of torchvision's ResNet of the same depth.
        spec: the video network; where its classes differ the head is left out.

    Raises:
        WeightsMismatch: when the state is of another depth.

    >>> from torchvision.models import resnet18
    >>> spec = VideoResNetSpec(depth=18, stem_kernel=5, classes=1000)
    >>> state = resnet18().state_dict()
    >>> wide = inflated(state, spec)["stem.conv.weight"]
    >>> wide.shape, torch.allclose(wide.sum(2), state["conv1.weight"])
    (torch.Size([64, 3, 5, 7, 7]), True)
    """
    with torch.device("meta"):
        own = VideoResNet(spec).state_dict()
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = torchvision_name(key)
        if name is None or (name not in own and not name.startswith("head.")):
            raise WeightsMismatch(
                f"{key} has no place in a video network of {spec.depth} layers; take the state of "
                "torchvision's ResNet of that depth"
            )
        if name.startswith("head.") and (name not in own or own[name].shape != tensor.shape):
            continue
        if tensor.dim() == 4:
            t = own[name].shape[2]
            tensor = tensor[:, :, None].expand(-1, -1, t, -1, -1) / t
        if tensor.shape != own[name].shape:
            raise WeightsMismatch(
                f"{key} is {tuple(tensor.shape)}, {name} needs {tuple(own[name].shape)}; take the "
                f"state of torchvision's ResNet of {spec.depth} layers"
            )
        found[name] = tensor
    return found


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
    >>> net = VideoResNet(VideoResNetSpec(depth=18, stem_kernel=5, classes=1000))
    >>> inflate(net, resnet18().state_dict())
    ()
    """
    found = inflated(state, net.spec)
    net.load_state_dict(found, strict=False)
    return tuple(
        k for k in net.state_dict() if k not in found and not k.endswith("num_batches_tracked")
    )


def from_torchvision(
    spec: VideoResNetSpec, weights: Any | str | Mapping[str, Tensor] = "DEFAULT"
) -> VideoResNet:
    """Return a video network with the weights of torchvision's ResNet for pictures, in eval mode.

    Args:
        spec: of the network; fresh non-local blocks change nothing, a head of other classes than
            ImageNet's is random.
        weights: a member of torchvision's weights of that depth, its name, or a state.

    Raises:
        DownloadFailed: when the weights are neither in torch.hub's cache nor to be had.
        NlvizError: when torchvision has no weights of that name.
        WeightsMismatch: when a state is of another depth.

    >>> from torchvision.models import resnet18
    >>> net = from_torchvision(VideoResNetSpec(depth=18, classes=0), resnet18().state_dict())
    >>> net(torch.zeros(1, 3, 2, 34, 46)).shape
    torch.Size([1, 512, 2, 2, 2])
    """
    state = weights if isinstance(weights, Mapping) else _published(spec.depth, weights)
    net = VideoResNet(spec)
    inflate(net, state)
    return net.eval()


def _published(depth: int, weights: Any) -> Mapping[str, Tensor]:
    """Return a state from torch.hub's cache, or download it."""
    from torchvision.models import get_model_weights  # not above: most networks need none

    known = get_model_weights(f"resnet{depth}")
    if isinstance(weights, str):
        if weights not in known.__members__:
            raise NlvizError(
                f"torchvision's weights of a ResNet of {depth} layers are "
                f"{', '.join(known.__members__)}; got {weights!r}"
            )
        weights = known[weights]
    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    why = "NLVIZ_OFFLINE forbids downloads" if is_offline() and not place.exists() else ""
    if not why:
        try:
            state: Mapping[str, Tensor] = weights.get_state_dict(
                progress=False, check_hash=True, weights_only=True
            )
            return state
        except (
            OSError,
            RuntimeError,
        ) as error:  # no connection, or another file than its name says
            why = str(error)
    raise DownloadFailed(
        f"{weights.url} could not be had: {why}; download it by other means and put it at {place}"
    )
