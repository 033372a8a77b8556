"""What one part of the lesson on self-attention adds to its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Part(NamedTuple):
    """Numbers for texts, what figures read from the header, and arrays by name.

    Attributes:
        numbers: what texts quote, by the names of their placeholders.
        head: entries of the header.
        arrays: sections of the container.
    """

    numbers: Mapping[str, float]
    head: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]


def half(values: npt.ArrayLike) -> npt.NDArray[np.float16]:
    """Return numbers in half precision, as weights are bundled.

    >>> half([0.1]).dtype
    dtype('float16')
    """
    return np.asarray(values, np.float16)
