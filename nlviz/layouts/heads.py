"""What the size of a classifier tells of its training."""

from __future__ import annotations

from torch import Tensor

_LABELS = {400: "kinetics400", 1000: "imagenet"}
_TRAINED_FOR = {
    174: "action recognition on Something-Something",
    400: "action recognition on Kinetics-400",
    600: "action recognition on Kinetics-600",
    1000: "recognition of objects on ImageNet",
}


def trained_for(classes: int) -> str:
    """Return what a video network with so many classes was most probably trained for.

    >>> trained_for(400), trained_for(7)
    ('action recognition on Kinetics-400', 'recognition of 7 classes')
    """
    return _TRAINED_FOR.get(classes, f"recognition of {classes} classes")


def labels_of(classes: int) -> str:
    """Return the name of the list of class names with so many of them, or an empty string.

    >>> labels_of(400), labels_of(7)
    ('kinetics400', '')
    """
    return _LABELS.get(classes, "")


def as_matrix(weight: Tensor) -> Tensor:
    """Return a classifier's weight that is a convolution's kernel of one cell as (classes, d).

    >>> import torch
    >>> as_matrix(torch.zeros(400, 6, 1, 1, 1)).shape
    torch.Size([400, 6])
    """
    return weight.reshape(weight.shape[0], -1)
