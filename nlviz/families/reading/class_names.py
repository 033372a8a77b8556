"""The names of classes that a configuration of transformers has."""

from __future__ import annotations

from typing import Any

_UNNAMED = "LABEL_"  # how the library calls classes that nobody named


def labels_of(config: Any) -> tuple[str, ...]:
    """Return the names of classes of a configuration, in their order; nothing where they have none.

    >>> from transformers import ViTConfig
    >>> labels_of(ViTConfig(id2label={0: "cat", 1: "dog"})), labels_of(ViTConfig(num_labels=3))
    (('cat', 'dog'), ())
    """
    named = getattr(config, "id2label", None) or {}
    if sorted(named) != list(range(len(named))):
        return ()
    labels = tuple(str(named[i]) for i in range(len(named)))
    return () if all(n == f"{_UNNAMED}{i}" for i, n in enumerate(labels)) else labels
