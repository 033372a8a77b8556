"""Attention that runs where nothing of Python sees it: parts that were scripted or traced."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_IN_GRAPH = ("aten::softmax", "aten::_softmax", "aten::scaled_dot_product_attention")
_DEEP = 2  # functions that functions of a module call


def out_of_sight(net: nn.Module) -> dict[str, str]:
    """Return why attention in some modules cannot be seen, by module.

    >>> out_of_sight(nn.ModuleDict({"a": nn.Softmax(-1)}))  # nothing is scripted here
    {}
    """
    found: dict[str, str] = {}
    known: dict[type, str] = {}  # a network has many modules of few kinds
    for name, module in net.named_modules():
        name = name or "network"
        if found and any(name.startswith(f"{other}.") for other in found):
            continue
        if isinstance(module, torch.jit.ScriptModule):
            if _attends(module):
                found[name] = "it is a graph of torch.jit, inside which attention is not seen"
            continue
        kind = type(module)
        if kind not in known:
            known[kind] = next(iter(_scripted(kind.forward, _DEEP)), "")
        if function := known[kind]:
            found[name] = (
                f"it calls {function}, a graph of torch.jit, inside which attention is not seen"
            )
    return found


def _attends(graph: Any) -> bool:
    try:
        said = str(graph.inlined_graph)
    except (RuntimeError, AttributeError):
        return False
    return any(word in said for word in _IN_GRAPH)


def _scripted(function: Any, deep: int) -> Iterator[str]:
    """Yield names of scripted functions that attend, which a function calls by a global name."""
    if not isinstance(function, types.FunctionType) or function.__module__.startswith("torch."):
        return
    held = vars(sys.modules.get(function.__module__, types.SimpleNamespace()))
    for name in function.__code__.co_names:
        value = held.get(name)
        if isinstance(value, torch.jit.ScriptFunction) and _attends(value):
            yield name
        elif isinstance(value, types.FunctionType) and deep:
            yield from _scripted(value, deep - 1)
