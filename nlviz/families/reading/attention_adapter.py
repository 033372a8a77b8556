"""The adapter of attention in any network: every product of queries and keys that runs.

Self-attention is the embedded Gaussian of Wang et al. 2018 (arXiv 1711.07971, 3.2), with
other sets of keys: y = softmax(q k^T / sqrt(d)) v of Vaswani et al. 2017 (arXiv 1706.03762).
Nothing of the code that computes it is known here; its products are seen as they run, and its
tokens are found by running it on positions.
"""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grouped import GroupedAffinity
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import Adapter, Branch, InputSpec, Prepared, prepare_for
from nlviz.families.reading.predicted_boxes import predicted_boxes
from nlviz.families.reading.token_features import token_features
from nlviz.networks.attention.chosen import Choose, ChosenRows
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.sites import Site
from nlviz.networks.attention.token_names import token_names_of
from nlviz.networks.attention.watch import PART, watched
from nlviz.networks.calls import Call, block_and_run

_PRODUCTS = frozenset(
    "softmax scaled_dot_product_attention multi_head_attention_forward attention_interface "
    "flex_attention".split()
)

_TENSOR_PRODUCTS = frozenset("einsum matmul bmm baddbmm".split())


Known = EmbeddedAffinity | StoredAffinity | GroupedAffinity


class AttentionAdapter(Adapter[nn.Module]):
    """Reads every attention product of a network; families of networks say how it takes a clip.

    Attributes:
        keeps: whether a capture also holds the values and the sums of each product, and what
            entered each block; else it holds queries and keys alone.
    """

    watches = True
    keeps: bool = False

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the innermost modules whose code computes attention, as far as it can be read.

        Which of them do, and whether others do, a forward pass shows.
        """
        found = {n or "network": m for n, m in net.named_modules() if _may_attend(m)}
        if not found:
            found = _around_a_softmax(net)
        return {
            name: module
            for name, module in found.items()
            if not any(other is not module and _may_attend(other) for other in module.modules())
        }

    def block_names(self, net: nn.Module) -> dict[str, str]:
        """Return what blocks are called, by the names of their modules, where the two differ."""
        return {}

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W) for a network of 3-D convolutions, (T, 3, H, W) else."""
        return prepare_for(net, clip, spec or self.input_spec(net), ())

    def input_spec(self, net: nn.Module) -> InputSpec | None:
        """Return how the network takes a clip, where its own card says it."""
        return None

    def with_processor(self, processor: Any) -> AttentionAdapter:
        """Return the adapter of a network whose tokenizer or processor is given.

        Raises:
            NlvizError: when such networks take none.
        """
        raise NlvizError(
            "processor= makes the input of networks of words, and of pictures and words; this one "
            "takes prepare="
        )

    def settled(self, net: nn.Module, prepared: Prepared) -> Prepared:
        """Return an input with what only running the network tells; the caller holds it."""
        return prepared

    def choose(self, net: nn.Module, prepared: Prepared) -> Choose | None:
        """Return which queries of which modules are kept; None for all."""
        return None

    def chosen_blocks(self, net: nn.Module, prepared: Prepared) -> tuple[str, ...] | None:
        """Return the blocks of which some queries alone are kept; None where all are."""
        return None

    def knows(self, net: nn.Module, module: str) -> bool:
        """Check whether the family knows the tokens of what runs in a module."""
        return False

    def affinity_of(
        self, net: nn.Module, name: str, product: AttentionProduct | ChosenRows, prepared: Prepared
    ) -> Known | None:
        """Return the affinity of a product whose tokens the family knows; None of any other.

        Raises:
            NoLayout: when it is not what the family knows.
        """
        return None

    def site_of(
        self, net: nn.Module, product: AttentionProduct | ChosenRows, prepared: Prepared
    ) -> Site | None:
        """Return where the rows of a product are computed whose tokens the family knows."""
        return None

    def note(self, prepared: Prepared) -> str:
        """Return what a reader must know of every affinity of a pass, or an empty text."""
        return aspect_note(prepared)

    def boxes(
        self, net: nn.Module, output: object, prepared: Prepared
    ) -> tuple[TokenBoxes | None, tuple[str, ...]]:
        """Return the boxes that queries stand for, and what to tell of them.

        They are those that the network was asked about, else those that it predicted.
        """
        if prepared.boxes is not None:
            return prepared.boxes, ()
        return predicted_boxes(net, output, prepared)

    def features(
        self, name: str, block: nn.Module, calls: Mapping[str, Call]
    ) -> Float[Tensor, "channels t h w"]:
        """Return what entered a block, laid on the grid of its tokens.

        Raises:
            NlvizError: when where they lie is not known, or they fill no grid.
        """
        call = calls[name]
        return token_features(name, call.args[0], call.places)

    def positions(self, name: str, block: nn.Module, calls: Mapping[str, Call]) -> Tensor:
        """Return what entered a block, (channels, entries, tokens)."""
        x: Tensor = calls[name].args[0]
        return x.flatten(0, -3).permute(2, 0, 1)

    def read(self, name: str, block: nn.Module, calls: Any, prepared: Prepared) -> Affinity:
        """Refuse: what is read is what a pass has shown, see ``watches``.

        Raises:
            NlvizError: always.
        """
        raise NlvizError(f"the attention of {name} is read from what a forward pass shows")

    def token_names(self, net: nn.Module) -> tuple[str, ...]:
        """Return ``cls``, ``dist`` and ``registers.0`` ... as the network's parameters say."""
        return token_names_of(net)

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which an attention returns zeros in the place of y.

        Where its output is added is not known, so the bias of its projection still is.
        """
        return _silenced(net, name)

    def branch(self, net: nn.Module, name: str) -> Branch | None:
        """Return None: where the attention is added is not known."""
        return None


@contextmanager
def _silenced(net: nn.Module, name: str) -> Iterator[None]:
    module = name.partition(PART)[0]
    with watched(net, keep=(block_and_run(module)[0],), silenced=module):
        yield


def aspect_note(prepared: Prepared) -> str:
    """Return what to tell of a picture that was resized without keeping its aspect.

    >>> import torch
    >>> from nlviz.affinity.grid import Axis
    >>> picture = torch.zeros(1, 3, 32, 64)
    >>> aspect_note(Prepared(picture, Axis(2.0), Axis(2.0), (1, 64, 128)))
    ''
    >>> aspect_note(Prepared(picture, Axis(3.0), Axis(2.0), (1, 96, 128)))[:42]
    'The network is given pictures of 64×32 px:'
    """
    if not prepared.y.stride or abs(prepared.y.stride / prepared.x.stride - 1) <= 0.05:
        return ""
    height, width = prepared.tensor.shape[-2:]
    return (
        f"The network is given pictures of {width}×{height} px: the whole frame was resized to "
        "that without keeping its aspect."
    )


def _around_a_softmax(net: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that multiply tensors and hold a softmax, inside containers too."""
    modules = dict(net.named_modules())
    found = {}
    for name, module in modules.items():
        if not isinstance(module, nn.Softmax):
            continue
        parts = name.split(".")
        above = (".".join(parts[:n]) for n in range(len(parts) - 1, -1, -1))
        for owner in (o for o in above if not type(modules[o]).__module__.startswith("torch.nn.")):
            if _multiplies(type(modules[owner])):
                found[owner or "network"] = modules[owner]
            break
    return found


def _multiplies(kind: type[nn.Module]) -> bool:
    """Check whether the code of a module multiplies tensors.

    >>> class Written(nn.Module):
    ...     def forward(self, x):
    ...         return x @ x.mT
    >>> _multiplies(Written), _multiplies(nn.Linear)
    (True, False)
    """
    code = getattr(kind.forward, "__code__", None)
    if code is None:
        return False
    written = any("@" in step.argrepr for step in dis.get_instructions(code))
    return written or not _TENSOR_PRODUCTS.isdisjoint(_called(kind.forward, kind))


def _may_attend(module: nn.Module) -> bool:
    kind = type(module)
    if any(isinstance(child, nn.Softmax) for child in module._modules.values()):
        return not kind.__module__.startswith("torch.nn.")
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
