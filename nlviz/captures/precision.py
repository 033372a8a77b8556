"""Half precision: what products are computed in, and what their results are kept in.

A network may run in float16 or bfloat16; theta, phi and features are kept as float32, since rows
are computed from them and a softmax needs the digits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nlviz.errors import NlvizError

_HALF = (torch.float16, torch.bfloat16)


def half_precision(name: str | None) -> torch.dtype | None:
    """Return the type in which autocast computes, by its name.

    Raises:
        NlvizError: when it is no type of half precision.

    >>> half_precision("bfloat16"), half_precision(None)
    (torch.bfloat16, None)
    """
    if name is None:
        return None
    by_name = {str(dtype).removeprefix("torch."): dtype for dtype in _HALF}
    if name not in by_name:
        raise NlvizError(f"autocast is {' or '.join(by_name)}, or None; got {name!r}")
    return by_name[name]


def full(x: Tensor) -> Tensor:
    """Return a tensor of half precision as float32, others as they are."""
    return x.float() if x.dtype in _HALF else x
