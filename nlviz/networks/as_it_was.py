"""Undoes what a forward pass leaves behind in a network's modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_HOOKS = (
    *("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    *("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
)


@contextmanager
def as_it_was(net: nn.Module, *, numbers: bool = False) -> Iterator[None]:
    """Undo what a pass keeps in the attributes of modules: tables by input size, kept maps, lists.

    Hooks that were registered meanwhile go, too: a library that notes in an attribute that its own
    are there would register them again.

    Args:
        net: the network.
        numbers: undo changes of the buffers' numbers, too: counters, for instance.

    >>> net = nn.Identity()
    >>> with as_it_was(net):
    ...     net.kept = 3
    ...     handle = net.register_forward_hook(print)
    >>> hasattr(net, "kept"), len(net._forward_hooks)
    (False, 0)
    """
    # The attributes of what was scripted or traced are not Python's.
    modules = [m for m in net.modules() if not isinstance(m, torch.jit.ScriptModule)]
    before = [
        (attributes, dict(attributes)) for m in modules for attributes in (m.__dict__, m._buffers)
    ]
    filled: list[tuple[Any, Any]] = [
        (value, value.copy())
        for m in modules
        for name, value in m.__dict__.items()
        if isinstance(value, (list, dict, set)) and not name.startswith("_")
    ]
    hooks = [(own, set(own)) for m in modules for name in _HOOKS for own in [m.__dict__[name]]]
    buffers = [(b, b.detach().clone()) for b in net.buffers()] if numbers else []
    try:
        yield
    finally:
        for now, then in before:
            for name in [n for n in now if n not in then]:
                del now[name]
            now.update({n: value for n, value in then.items() if now.get(n) is not value})
        for own, there in hooks:
            for number in [n for n in own if n not in there]:
                del own[number]
        for container, content in filled:
            if isinstance(container, list):
                container[:] = content
            else:
                container.clear()
                container.update(content)
        for buffer, kept in buffers:
            if buffer._version:
                buffer.data.copy_(kept)
