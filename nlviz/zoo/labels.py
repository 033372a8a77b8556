"""Class labels of the data sets that published networks were trained on."""

from __future__ import annotations

from functools import cache

from nlviz.errors import NlvizError, did_you_mean
from nlviz.families.reading.data_sets import DATA_SETS


def labels_named(name: str) -> tuple[str, ...]:
    """Return a list of class names, in the order of the logits.

    They come from the metadata of torchvision's weights; nothing is downloaded. Kinetics-400 is in
    alphabetical order in every one of its published networks.

    Args:
        name: ``imagenet`` or ``kinetics400``.

    Raises:
        NlvizError: when there is no such list.

    >>> labels_named("kinetics400")[0], labels_named("kinetics400")[399]
    ('abseiling', 'zumba')
    """
    return _labels(name)


@cache
def _labels(name: str) -> tuple[str, ...]:
    known = {data.name: data.labels for data in DATA_SETS if data.labels is not None}
    if name not in known:
        raise NlvizError(f"there is no list of labels called {name!r}{did_you_mean(name, known)}")
    return known[name]()
