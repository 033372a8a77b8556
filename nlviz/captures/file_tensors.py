"""Checks of the tensors that the file of a capture holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nlviz.errors import NlvizError


def tensor_of(tensors: Mapping[str, Tensor], key: str, axes: int | None = None) -> Tensor:
    """Return a tensor of the file, checked for its number of axes.

    Raises:
        NlvizError: when it is missing, has other axes, or holds no floats.
    """
    require(key in tensors, f"the tensor {key} is missing")
    found = tensors[key]
    if axes is not None:
        require(found.dim() == axes, f"{key} must have {axes} axes, it is {[*found.shape]}")
        require(found.is_floating_point(), f"{key} must hold floats, it holds {found.dtype}")
    return found


def whole_numbers(
    tensors: Mapping[str, Tensor], key: str, shape: tuple[int | None, ...], least: int, end: int
) -> Tensor:
    """Return whole numbers of the file, checked to lie from ``least`` to below ``end``.

    Raises:
        NlvizError: when they are missing, have another shape, or lie elsewhere.
    """
    require(key in tensors, f"the tensor {key} is missing")
    found = tensors[key]
    require(found.dtype == torch.int32, f"{key} must hold whole numbers, it holds {found.dtype}")
    require(found.dim() == len(shape), f"{key} must have {len(shape)} axes, it is {[*found.shape]}")
    fits(key, found, shape)
    fine = not found.numel() or (int(found.min()) >= least and int(found.max()) < end)
    require(fine, f"{key} must hold numbers from {least} to {end - 1}")
    return found.long()


def fits(key: str, tensor: Tensor, shape: tuple[int | None, ...]) -> None:
    """Check the shape of a tensor; None stands for any size.

    Raises:
        NlvizError: when it has another.
    """
    require(
        tensor.dim() == len(shape), f"{key} must have {len(shape)} axes, it is {[*tensor.shape]}"
    )
    same = all(b is None or a == b for a, b in zip(tensor.shape, shape, strict=True))
    wanted = " x ".join("any" if n is None else str(n) for n in shape)
    require(same, f"{key} must be {wanted}, it is {' x '.join(map(str, tensor.shape))}")


def require(fine: bool, rule: str) -> None:
    """Refuse a file that breaks a rule.

    Raises:
        NlvizError: with the rule, when it does not hold.
    """
    if not fine:
        raise NlvizError(rule)
