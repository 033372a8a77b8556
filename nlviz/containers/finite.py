"""Whether weights are numbers: NaN and infinity are found in one pass over the memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nlviz.containers.source import Source
from nlviz.errors import UnreadableCheckpoint


def _sound(values: Tensor) -> bool:
    if not values.is_floating_point():
        return True
    if values.element_size() == 1:
        values = values.float()
    # A sum meets every NaN and infinity and runs at the speed of memory, fifty times as fast as
    # isfinite; only a sum that is not finite, and be it by overflow, needs the exact answer.
    total = values.sum(dtype=torch.promote_types(values.dtype, torch.float32))
    return bool(total.isfinite()) or bool(values.isfinite().all())


def check_finite(source: Source, tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        UnreadableCheckpoint: naming the first tensors that hold such values.
    """
    bad = [key for key, values in tensors.items() if not _sound(values)]
    if bad:
        told = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise UnreadableCheckpoint(
            f"{source.name} holds NaN or infinite weights in {told}; such a network computes "
            "nothing, take a checkpoint of an earlier epoch or download it again"
        )
