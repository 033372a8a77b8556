"""Adapters of other people's non-local blocks: the base of them all.

A block is known by the name of its class and by its attributes, so its package is not needed. Hooks
on theta, phi and g see them as they enter the product, pooled keys included, and a hook on the
output projection sees y. The block's declared mode is not trusted: rows are recomputed from theta
and phi under every f that its code supports, and the f that reproduces the recorded y is chosen.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from einops import rearrange
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.receipt import Receipt, receipt
from nlviz.affinity.support import Support
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import (
    Adapter,
    InputSpec,
    Prepared,
    grid_of,
    prepare_for,
    shape_of,
)
from nlviz.families.reading.running import edited_channels
from nlviz.networks.attention.running import Edit
from nlviz.networks.hooks import Call, block_and_run, replaced

CLEARLY = 0.1  # a later candidate must leave less than this share of the first one's error


@dataclass(frozen=True)
class Parts:
    """How a block of another code is put together.

    Attributes:
        dimension: 1 (time), 2 (space) or 3 (space-time).
        candidates: f and its scale; the most likely first, where the block does not say.
        behind: the modules that y goes through, W_z first and its normalisation after it.
        theta, phi, g: the modules whose outputs enter the product, keys already pooled; None where
            the features themselves do.
        pool: the pooling of keys, in or before those modules; with ``phi`` None, of the features.
        w_f: of ``concatenation``, theta's half first.
        w_f_bias: inside its ReLU.
    """

    dimension: int
    candidates: tuple[Pairwise, ...]
    behind: tuple[nn.Module, ...]
    theta: nn.Module | None = None
    phi: nn.Module | None = None
    g: nn.Module | None = None
    pool: nn.Module | None = None
    w_f: Tensor | None = None
    w_f_bias: Tensor | None = None


class ForeignAdapter(Adapter[nn.Module]):
    """Reads the blocks that ``parts`` knows, in any network; cells are followed to the blocks."""

    @abstractmethod
    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a module is put together if it is one of this family's blocks, else None."""

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks by their dotted names."""
        return {n or "block": m for n, m in net.named_modules() if self.parts(m) is not None}

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks and, in each, theta, phi and g and what y enters."""
        found: dict[str, nn.Module] = {}
        for name, block in self.blocks(net).items():
            parts = self._parts(block)
            found[name] = block
            inside = {"theta": parts.theta, "phi": parts.phi, "g": parts.g, "out": parts.behind[0]}
            found |= {f"{name}.{n}": m for n, m in inside.items() if m is not None}
        return found

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W) for a network of 3-D convolutions, (T, 3, H, W) else."""
        return prepare_for(net, clip, spec, self.blocks(net).values())

    def read(
        self, name: str, block: nn.Module, calls: Mapping[str, Call], prepared: Prepared
    ) -> Affinity:
        """Return the affinity that gives the block's y.

        Raises:
            NlvizError: when no f that this family's code supports does so.
        """
        parts = self._parts(block)
        call = calls[name]
        x: Tensor = call.args[0]
        if parts.dimension == 1 and x.shape[0] > 1:
            raise NlvizError(
                f"a block over time alone takes one sequence, {name} was given {x.shape[0]} at "
                "once; capture the network with one"
            )
        theta, phi, g = (
            calls[f"{name}.{part}"].output if module is not None else x
            for part, module in (("theta", parts.theta), ("phi", parts.phi), ("g", parts.g))
        )
        if parts.phi is None and parts.pool is not None:
            with torch.no_grad():
                phi = parts.pool(x)
        queries = grid_of(call, parts.dimension, prepared)
        keys = _pooled(queries, phi, parts)
        theta, phi, g, y = (
            rearrange(part, "batch d ... -> 1 (batch ...) d")
            for part in (theta, phi, g, calls[f"{name}.out"].args[0])
        )
        theta, phi = _weighed(theta, phi, parts)
        batch = x.shape[0]
        found = EmbeddedAffinity(
            name=name,
            pairwise=parts.candidates[0],
            theta=theta,
            phi=phi,
            queries=queries,
            keys=keys,
            support=Support(queries.shape[0] // batch if batch > 1 else None),
            values=g,
            output=y,
            clip_shape=prepared.clip_shape,
        )
        return _settled(found, parts.candidates)

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which the block returns what it was given, and its map if it does."""

        def unchanged(args: tuple[Any, ...], output: Any) -> Any:
            return (args[0], *output[1:]) if isinstance(output, tuple) else args[0]

        block, run = block_and_run(name)
        return replaced(self.blocks(net)[block], unchanged, run=run)

    def running(
        self, net: nn.Module, name: str, affinity: Affinity, edit: Edit
    ) -> AbstractContextManager[None]:
        """Return a context in which y is edited where it enters the block's projection."""
        path, run = block_and_run(name)
        block = self.blocks(net)[path]
        parts = self._parts(block)

        def rows(theta: Tensor, phi: Tensor) -> tuple[Tensor, Tensor, Pairwise]:
            return *_weighed(theta, phi, parts), affinity.pairwise

        return edited_channels(
            block,
            {"theta": parts.theta, "phi": parts.phi, "g": parts.g},
            lambda x: x if parts.pool is None or parts.phi is not None else parts.pool(x),
            parts.behind[0],
            rows,
            edit,
            run=run,
        )

    def _parts(self, block: nn.Module) -> Parts:
        found = self.parts(block)
        if found is None:
            raise NlvizError(f"{type(self).__name__} reads no block like {type(block).__name__}")
        return found


def _weighed(theta: Tensor, phi: Tensor, parts: Parts) -> tuple[Tensor, Tensor]:
    """Return theta and phi as they enter f: of ``concatenation`` one number each."""
    if parts.w_f is None:
        return theta, phi
    w = parts.w_f.detach().flatten().to(theta)
    d = theta.shape[-1]
    theta, phi = theta @ w[:d, None], phi @ w[d:, None]
    if parts.w_f_bias is not None:
        theta = theta + parts.w_f_bias.detach().to(theta)
    return theta, phi


def is_called(module: nn.Module, word: str) -> bool:
    """Return whether the name of a module's class, or of one that it derives from, holds a word.

    >>> is_called(nn.Conv2d(1, 1, 1), "convnd"), is_called(nn.Conv2d(1, 1, 1), "nonlocal")
    (True, False)
    """
    return any(word in c.__name__.lower() for c in type(module).__mro__)


def dimension_of(kernel: nn.Module) -> int:
    """Return the number of axes of a 1x1 convolution, or of a module that holds one.

    >>> dimension_of(nn.Sequential(nn.Conv3d(2, 3, 1), nn.MaxPool3d(2)))
    3
    """
    return max(p.dim() for p in kernel.parameters()) - 2


def last_of(module: nn.Module | None) -> nn.Module | None:
    """Return the pooling at the end of a ``Sequential``, or None where there is no Sequential."""
    return module[-1] if isinstance(module, nn.Sequential) else None


def _pooled(queries: TokenGrid, phi: Tensor, parts: Parts) -> TokenGrid:
    """Return where the keys lie, pooled by any kernel, stride and padding."""
    axes = [Axis(s, o) for s, o in zip(queries.stride, queries.origin, strict=True)]
    if parts.pool is not None:
        n = parts.dimension
        first = 0 if n == 1 else 3 - n
        for i in range(n):
            k, s, p = (
                _one(getattr(parts.pool, a), i) for a in ("kernel_size", "stride", "padding")
            )
            axes[first + i] = axes[first + i].through(kernel=k, stride=s, pad=p)
    return TokenGrid.of_axes(shape_of(phi, parts.dimension), *axes)


def _one(value: Any, i: int) -> int:
    return int(value[i] if isinstance(value, (tuple, list)) else value)


def _settled(affinity: EmbeddedAffinity, candidates: tuple[Pairwise, ...]) -> EmbeddedAffinity:
    """Return the affinity with the f whose rows give y; the first of those that fit equally."""
    tried = [replace(affinity, pairwise=pairwise) for pairwise in candidates]
    receipts = [cast(Receipt, receipt(a)) for a in tried]
    best = min(range(len(tried)), key=lambda i: receipts[i].error)
    if receipts[best].error >= CLEARLY * receipts[0].error:
        best = 0
    if not receipts[best].holds:
        raise NlvizError(
            f"rows from theta and phi must give what {affinity.name} computed, they are off by "
            f"{receipts[best].error:.2g} of its size, where rounding in "
            f"{receipts[best].precision} does {receipts[best].tolerance:.1g}, with "
            f"{' or '.join(str(c.name) for c in candidates)}; this is another block than its name "
            "says, put nlviz.NonLocalBlock in its place"
        )
    return tried[best]
