"""What a watched network is made to do so that its attention runs in sight, and what is seen."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.networks.attention.contraction import Contraction
from nlviz.networks.attention.tags import Term

_IN_SIGHT: dict[str, Any] = {}


def of_one_memory(x: Tensor, y: Tensor) -> bool:
    """Check whether two tensors share their memory."""
    return x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


@contextmanager
def as_written_in_python() -> Iterator[None]:
    """Let functions that were compiled run as they were written, where there can be any."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def term_of_mask(mask: Tensor, full: tuple[int, ...]) -> Term:
    """Return what a mask of fused attention adds to the logits, or keeps of them."""
    x = mask.reshape((1,) * (len(full) - mask.dim()) + tuple(mask.shape))
    for axis, stride in enumerate(x.stride()):
        if stride == 0 and x.shape[axis] > 1:
            x = x.narrow(axis, 0, 1)
    kept = x.detach().clone(memory_format=torch.contiguous_format)
    return Term(kept, full[:-2], full[-2:-1], full[-1:], masks=mask.dtype == torch.bool)


def learned(found: Contraction) -> bool:
    """Check whether a chain without a softmax is two layers of fixed weights, as of an adapter."""
    return isinstance(found.x, nn.Parameter) or isinstance(found.y, nn.Parameter)


def body_in_sight(func: Any) -> Any:
    """Return a function of torch whose own calls are seen, too.

    Its body is the same code; it asks whether somebody else wants to handle it, which is answered
    with no, else the mode would be asked again without end.
    """
    if func.__name__ not in _IN_SIGHT:
        names = {**func.__globals__, "has_torch_function": lambda tensors: False}
        found = types.FunctionType(
            func.__code__, names, func.__name__, func.__defaults__, func.__closure__
        )
        found.__kwdefaults__ = func.__kwdefaults__
        _IN_SIGHT[func.__name__] = found
    return _IN_SIGHT[func.__name__]


def is_a_leaf_of_torch(module: nn.Module) -> bool:
    """Check whether a module is a layer of torch's own without others in it, or a norm.

    >>> is_a_leaf_of_torch(nn.Linear(2, 3)), is_a_leaf_of_torch(nn.MultiheadAttention(4, 2))
    (True, False)
    """
    if module._modules:
        return False
    return type(module).__module__.startswith("torch.nn.") or isinstance(module, nn.LayerNorm)
