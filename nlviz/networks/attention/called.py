"""A call of a function of torch in one form: its name, and its arguments in one order.

``x @ y``, ``torch.matmul(other=y, input=x)`` and ``torch.ops.aten.matmul(x, y)`` are one call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor

from nlviz.networks.attention.contraction import PRODUCTS
from nlviz.networks.attention.sums import BEGINS

_TWO = ("input", "other")
_ORDER: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        "matmul add sub subtract rsub mul multiply div divide true_divide".split(), _TWO
    ),
    "bmm": ("input", "mat2"),
    "tensordot": ("a", "b", "dims"),
    "inner": ("input", "other"),
    "mm": ("input", "mat2"),
    "baddbmm": ("input", "batch1", "batch2"),
    "softmax": ("input", "dim"),
    "where": ("condition", "input", "other"),
    "masked_fill": ("input", "mask", "value"),
    "dropout": ("input", "p", "training"),
    "cat": ("tensors", "dim"),
}
_OTHER_NAMES = {"special_softmax": "softmax", "concat": "cat", "concatenate": "cat"}
_ONE_OPERATION = ("attention", "flash", "attn", "xformers")
_NOT_ONE = frozenset(("scaled_dot_product_attention", "multi_head_attention_forward"))


@cache
def name_of(func: Callable[..., Any]) -> str:
    """Return the name of a function without marks of being in place or a method.

    >>> import torch
    >>> name_of(Tensor.__imul__), name_of(Tensor.mul_), name_of(torch.ops.aten.mul)
    ('imul', 'mul', 'mul')
    >>> name_of(Tensor.mT.__get__)
    'mT'
    """
    name = str(getattr(func, "__name__", ""))
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", "get"))
    name = name.partition(".")[0].strip("_")
    return _OTHER_NAMES.get(name, name)


def in_order(
    func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with those that have a place in an order put there.

    >>> import torch
    >>> x, y = torch.zeros(2, 3), torch.ones(3, 4)
    >>> args, rest = in_order(torch.matmul, "matmul", (), {"other": y, "input": x})
    >>> args[0] is x, args[1] is y, rest
    (True, True, {})
    """
    if name == "where" and getattr(func, "of", func) is Tensor.where and len(args) == 3:
        return (args[1], args[0], args[2]), kwargs
    order = _ORDER.get(name)
    if order is None or not kwargs:
        return args, kwargs
    rest = dict(kwargs)
    if order[0] not in rest and "self" in rest:
        rest[order[0]] = rest.pop("self")
    found = list(args)
    for key in order[len(args) :]:
        if key not in rest:
            break
        found.append(rest.pop(key))
    return tuple(found), rest


@cache
def computes_none(func: Callable[..., Any]) -> bool:
    """Check whether a function is no part of attention, as long as no weights go into it.

    >>> import torch
    >>> computes_none(torch.nn.functional.linear), computes_none(torch.bmm)
    (True, False)
    """
    name = name_of(func)
    of_attention = name in PRODUCTS or name in _NOT_ONE or name == "softmax" or name in BEGINS
    return not (of_attention or one_operation(func))


@cache
def one_operation(func: Callable[..., Any]) -> str:
    """Return the name of a function that computes attention in one operation, or nothing.

    >>> import torch
    >>> one_operation(torch.ops.aten._scaled_dot_product_flash_attention_for_cpu)
    'aten::_scaled_dot_product_flash_attention_for_cpu'
    >>> one_operation(torch.nn.functional.scaled_dot_product_attention)
    ''
    """
    name = str(getattr(func, "_qualified_op_name", "") or getattr(func, "__name__", ""))
    if name_of(func) in _NOT_ONE or not any(part in name.lower() for part in _ONE_OPERATION):
        return ""
    return name
