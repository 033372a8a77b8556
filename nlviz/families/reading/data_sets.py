"""Data sets that published networks were trained on, recognised by their number of classes.

To add a data set, add one literal to ``DATA_SETS``: titles, load reports and class labels follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """A data set with class labels.

    Attributes:
        name: as in ``ModelCard.labels`` and ``labels_named``.
        classes: their number.
        trained_for: what a network trained on it does; one phrase for titles.
        labels: returns the class names in the order of the logits; None where they are not at hand.
    """

    name: str
    classes: int
    trained_for: str
    labels: Callable[[], tuple[str, ...]] | None = None


def _imagenet() -> tuple[str, ...]:
    from torchvision.models import EfficientNet_B0_Weights  # metadata; nothing is downloaded

    return tuple(EfficientNet_B0_Weights.DEFAULT.meta["categories"])


def _kinetics400() -> tuple[str, ...]:
    from torchvision.models.video import R3D_18_Weights

    return tuple(R3D_18_Weights.DEFAULT.meta["categories"])


DATA_SETS = (
    DataSet("something-something", 174, "action recognition on Something-Something"),
    DataSet("kinetics400", 400, "action recognition on Kinetics-400", _kinetics400),
    DataSet("kinetics600", 600, "action recognition on Kinetics-600"),
    DataSet("imagenet", 1000, "recognition of objects on ImageNet", _imagenet),
)


def trained_for(classes: int) -> str:
    """Guess what a video network was trained for from its number of classes.

    >>> trained_for(400), trained_for(7)
    ('action recognition on Kinetics-400', 'recognition of 7 classes')
    """
    found = (data.trained_for for data in DATA_SETS if data.classes == classes)
    return next(found, f"recognition of {classes} classes")


def labels_of(classes: int) -> str:
    """Return the name of the list of class labels with this many of them, or an empty string.

    >>> labels_of(400), labels_of(600)
    ('kinetics400', '')
    """
    return next((d.name for d in DATA_SETS if d.classes == classes and d.labels), "")
