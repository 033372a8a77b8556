"""Files of torchvision's Mask R-CNN, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn


def written_to(folder: Path) -> Path:
    """Write a file as torchvision publishes it: without blocks, without a wrapper."""
    net = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=11)
    path = folder / "maskrcnn.pth"
    torch.save(net.state_dict(), path)
    return path
