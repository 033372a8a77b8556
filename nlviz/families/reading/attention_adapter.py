"""The adapter of attention in any network: every product of queries and keys that runs.

Self-attention is the embedded Gaussian of Wang et al. 2018 (arXiv 1711.07971, 3.2), with
other sets of keys: y = softmax(q k^T / sqrt(d)) v of Vaswani et al. 2017 (arXiv 1706.03762).
Nothing of the code that computes it is known here; its products are seen as they run, and its
tokens are found by running it on positions.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

from torch import nn

from nlviz.affinity.base import Affinity
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import Adapter, Branch, InputSpec, Prepared, prepare_for
from nlviz.networks.attention.watch import PART, watched
from nlviz.networks.calls import block_and_run

_PRODUCTS = frozenset(
    "softmax scaled_dot_product_attention multi_head_attention_forward attention_interface "
    "flex_attention".split()
)
_TOKENS = (
    ("cls", ("cls_token", "class_token", "class_embedding", "cls_embedding", "cls")),
    ("dist", ("dist_token", "distillation_token")),
    ("registers", ("reg_token", "register_tokens", "registers", "reg_tokens", "storage_tokens")),
)
_SPELLINGS = frozenset(spelling for _, spellings in _TOKENS for spelling in spellings)


class AttentionAdapter(Adapter[nn.Module]):
    """Reads every attention product of a network; families of networks say how it takes a clip."""

    watches = True

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the innermost modules whose code computes attention, as far as it can be read.

        Which of them do, and whether others do, a forward pass shows.
        """
        found = {n or "network": m for n, m in net.named_modules() if _may_attend(type(m))}
        return {
            name: module
            for name, module in found.items()
            if not any(
                other is not module and _may_attend(type(other)) for other in module.modules()
            )
        }

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W) for a network of 3-D convolutions, (T, 3, H, W) else."""
        return prepare_for(net, clip, spec or self.input_spec(net), ())

    def input_spec(self, net: nn.Module) -> InputSpec | None:
        """Return how the network takes a clip, where its own card says it."""
        return None

    def read(self, name: str, block: nn.Module, calls: Any, prepared: Prepared) -> Affinity:
        """Refuse: what is read is what a pass has shown, see ``watches``.

        Raises:
            NlvizError: always.
        """
        raise NlvizError(f"the attention of {name} is read from what a forward pass shows")

    def token_names(self, net: nn.Module) -> tuple[str, ...]:
        """Return ``cls``, ``dist`` and ``registers.0`` ... as the network's parameters say."""
        return token_names_of(net)

    @contextmanager
    def bypass(self, net: nn.Module, name: str) -> Iterator[None]:
        """Run the network with an attention that returns zeros in the place of y.

        Where its output is added is not known, so the bias of its projection still is.
        """
        module = name.partition(PART)[0]
        with watched(net, keep=(block_and_run(module)[0],), silenced=module):
            yield

    def branch(self, net: nn.Module, name: str) -> Branch | None:
        """Return None: where the attention is added is not known."""
        return None


def token_names_of(net: nn.Module) -> tuple[str, ...]:
    """Return the names of a picture's tokens without a place, as a network's parameters are called.

    >>> import torch
    >>> net = nn.Module()
    >>> net.cls_token, net.reg_token = (nn.Parameter(torch.zeros(1, n, 6)) for n in (1, 2))
    >>> token_names_of(net)
    ('cls', 'registers.0', 'registers.1')
    """
    names: list[str] = []
    own = {
        n: p
        for m in net.modules()
        for n, p in m._parameters.items()
        if n in _SPELLINGS and p is not None
    }
    for kind, spellings in _TOKENS:
        for parameter in (own[s] for s in spellings if s in own):
            count = parameter.shape[-2] if parameter.dim() > 2 else 1
            if kind == "registers":
                names += [f"registers.{i}" for i in range(count)]
            else:
                names.append(kind)
            break
    return tuple(names)


def _may_attend(kind: type[nn.Module]) -> bool:
    return _attends_by_its_code(cast(Hashable, kind))


@cache
def _attends_by_its_code(kind: Any) -> bool:
    """Check whether the code of a module's class computes attention, as far as it can be read."""
    if issubclass(kind, (nn.MultiheadAttention,)):
        return True
    if kind.__module__.startswith("torch.nn") or issubclass(
        kind, (nn.Softmax, nn.Sequential, nn.ModuleList)
    ):
        return False
    try:
        called = _called(kind.forward, kind)
    except AttributeError:
        return False
    name = kind.__name__.lower()
    return not _PRODUCTS.isdisjoint(called) or "attention" in name or "attn" in name


def _called(function: Any, kind: type, deep: int = 1) -> set[str]:
    """Return the names that a function uses, and what it calls beside it: functions and methods."""
    if not isinstance(function, types.FunctionType):
        return set()
    code = function.__code__
    names = {*code.co_names, *code.co_varnames}
    package = str(function.__module__).partition(".")[0]
    for name in sorted(names) if deep else ():
        value = function.__globals__.get(name)
        near = isinstance(value, types.FunctionType) and (
            str(value.__module__).partition(".")[0] == package
        )
        names |= _called(value, kind, deep - 1) if near else set()
        own = inspect.getattr_static(kind, name, None)
        names |= _called(getattr(own, "__func__", own), kind, deep - 1)
    return names
