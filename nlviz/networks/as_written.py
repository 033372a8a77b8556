"""A network as it was written: without what compiles it or spreads it over devices.

A compiled graph runs no hook that came after it, so nothing would be seen and nothing bypassed,
without a word. The modules inside are the original ones; where one of them was compiled, those that
hold it are copied without it, with the same parameters, buffers and hooks. The network itself is
not touched: it stays compiled.
"""

from __future__ import annotations

import sys
import types
from collections import OrderedDict
from typing import Any, cast

import torch
from torch import nn

from nlviz.sentences import listed

_COMPILED = "_torchdynamo_orig_callable"
_HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


def as_written(net: nn.Module) -> nn.Module:
    """Return a network as it was written; itself where nothing was compiled or spread.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> as_written(net) is net, as_written(nn.DataParallel(net)) is net
    (True, True)
    >>> found = as_written(nn.Sequential(torch.compile(net[0]), net[1]))
    >>> found[0] is net[0], [name for name, _ in found.named_parameters()]
    (True, ['0.weight', '0.bias'])
    """
    return _written(net, {})


def name_as_written(name: str) -> str:
    """Return a part's name without those of the wrappers around it.

    >>> name_as_written("_orig_mod.layer3._orig_mod.0"), name_as_written("module.layer3")
    ('layer3.0', 'layer3')
    """
    name = name.removeprefix("module.")
    return name.replace("_orig_mod.", "").removesuffix("._orig_mod").removeprefix("module.")


def unseen(net: nn.Module) -> str:
    """Return the names of parts that are graphs, inside which no hook runs, in words, or nothing.

    They are modules that were scripted, traced or exported; the outermost of each.

    >>> unseen(nn.Sequential(nn.Identity(), torch.fx.symbolic_trace(nn.Sequential(nn.ReLU()))))
    '1'
    """
    names = graphs(net)
    return listed(names, "and") if names else ""


def graphs(net: nn.Module) -> tuple[str, ...]:
    """Return the names of the parts of a network that are graphs, outermost only.

    >>> graphs(nn.Sequential(nn.Identity()))
    ()
    """
    found: list[str] = []
    for name, module in net.named_modules():
        # By name: torch.fx is not imported for it.
        kinds = {kind.__name__ for kind in type(module).__mro__}
        if kinds & {"ScriptModule", "GraphModule"} and not any(
            name.startswith(f"{other}.") or other == "the whole" for other in found
        ):
            found.append(name or "the whole")
    return tuple(found)


def _written(module: nn.Module, seen: dict[int, nn.Module]) -> nn.Module:
    if id(module) in seen:
        return seen[id(module)]
    inside = _inside(module)
    if inside is not None:
        seen[id(module)] = _hooked(_written(inside, seen), module)
        return seen[id(module)]
    seen[id(module)] = module
    if isinstance(module, torch.jit.ScriptModule):
        return module
    children = {
        name: _written(child, seen) for name, child in module._modules.items() if child is not None
    }
    plain = _plain_methods(module)
    same = all(child is module._modules[name] for name, child in children.items())
    if same and not plain and module._compiled_call_impl is None:
        return module
    copy = _copy(module)
    copy.__dict__["_modules"] = type(module._modules)({**module._modules, **children})
    for name, method in plain.items():
        own = getattr(method, "__self__", None)
        function = method.__func__ if own is module else method
        bound = own is module or (own is None and name not in module.__dict__)
        copy.__dict__[name] = types.MethodType(function, copy) if bound else method
    seen[id(module)] = copy
    return copy


def _inside(module: nn.Module) -> nn.Module | None:
    """Return what a wrapper holds; None for other modules."""
    dynamo = sys.modules.get("torch._dynamo")  # not imported: then nothing was compiled
    if dynamo is not None and isinstance(module, dynamo.OptimizedModule):
        return cast(nn.Module, module._orig_mod)
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    return module.module if isinstance(module, parallel) else None


def _plain_methods(module: nn.Module) -> dict[str, Any]:
    """Return the methods that were compiled, by name, as they were before."""
    found: dict[str, Any] = {}
    kinds = [vars(kind) for kind in type(module).__mro__ if not _is_torchs(kind)]
    for attributes in (*reversed(kinds), module.__dict__):
        for name, value in attributes.items():
            if callable(value):
                plain = getattr(value, "__dict__", {}).get(_COMPILED)
                if plain is not None:
                    found[name] = plain
    return found


def _is_torchs(kind: type) -> bool:
    return kind.__module__.split(".")[0] in ("torch", "builtins")


def _hooked(module: nn.Module, wrapper: nn.Module) -> nn.Module:
    """Return a module with the hooks of its wrapper behind its own."""
    if not any(getattr(wrapper, name) for name in _HOOKS):
        return module
    copy = _copy(module)
    for name in _HOOKS:
        copy.__dict__[name] = OrderedDict({**getattr(module, name), **getattr(wrapper, name)})
    return copy


def _copy(module: nn.Module) -> nn.Module:
    copy = object.__new__(type(module))
    copy.__dict__.update(module.__dict__)
    copy.__dict__["_compiled_call_impl"] = None
    return copy
