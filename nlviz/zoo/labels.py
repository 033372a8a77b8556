"""Class labels of the data sets that published networks were trained on."""

from __future__ import annotations

from functools import cache

from nlviz.errors import (
    NlvizError,
    did_you_mean,
)


@cache
def labels_named(name: str) -> tuple[str, ...]:
    """Return a list of class names, in the order of the logits.

    Both come from the metadata of torchvision's weights; nothing is downloaded. The order of
    Kinetics-400 is the alphabet's in every one of its published networks.

    Args:
        name: ``imagenet`` or ``kinetics400``.

    Raises:
        NlvizError: when there is no such list.

    >>> labels_named("kinetics400")[0], labels_named("kinetics400")[399]
    ('abseiling', 'zumba')
    """
    if name == "imagenet":
        from torchvision.models import EfficientNet_B0_Weights

        return tuple(EfficientNet_B0_Weights.DEFAULT.meta["categories"])
    if name == "kinetics400":
        from torchvision.models.video import R3D_18_Weights

        return tuple(R3D_18_Weights.DEFAULT.meta["categories"])
    known = ("imagenet", "kinetics400")
    raise NlvizError(f"there is no list of labels called {name!r}{did_you_mean(name, known)}")
