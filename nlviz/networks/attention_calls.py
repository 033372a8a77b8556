"""Sees the attention products of a forward pass: their q, k and v as they enter, and what leaves.

A function mode of torch sees every call of a torch function, whichever way the caller came by its
name, and leaves fused kernels alone: what the network computes is bit for bit what it computes
without. Two forms are known,

    fused      F.scaled_dot_product_attention(q, k, v, ...)
    written    logits = q @ k^T;  rows = softmax(logits);  y = rows @ v

and the second only where nothing is added between: what enters the softmax must be what left the
first product, and what enters the second product must have its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_PRODUCTS: frozenset[Callable[..., Any]] = frozenset(
    (torch.matmul, torch.bmm, Tensor.matmul, Tensor.bmm, Tensor.__matmul__)
)
_SOFTMAXES: frozenset[Callable[..., Any]] = frozenset((torch.softmax, Tensor.softmax, F.softmax))
_FUSED = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")


@dataclass(frozen=True, eq=False)
class Product:
    """One attention product, y = softmax(scale q k^T) v, detached.

    Attributes:
        q: (batch, heads, queries, d).
        k: (batch, heads, keys, d).
        v: (batch, heads, keys, dv).
        y: (batch, heads, queries, dv).
        scale: factor of the logits that is not in q or k already.
        masked: whether a mask took part.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    y: Tensor
    scale: float
    masked: bool = False


class WatchProducts(TorchFunctionMode):
    """Collects the attention products of the modules that are entered and left, of this thread.

    >>> q, k, v = torch.randn(3, 2, 4, 5, 6).unbind(0)
    >>> watch = WatchProducts()
    >>> with watch:
    ...     watch.enter()
    ...     y = F.scaled_dot_product_attention(q, k, v)
    ...     z = (q @ k.mT).softmax(-1) @ v
    ...     fused, written = watch.leave()
    >>> torch.equal(fused.y, y), torch.equal(written.y, z), round(fused.scale, 4), written.scale
    (True, True, 0.4082, 1.0)
    """

    def __init__(self) -> None:
        super().__init__()
        self._open: list[list[Product]] = []
        self._logits: tuple[Tensor, Tensor, Tensor] | None = None  # q, k^T and their product
        self._normalised = False

    def enter(self) -> None:
        """Begin a module."""
        self._open.append([])

    def leave(self) -> tuple[Product, ...]:
        """End the module begun last; return the products that ran in it, not deeper."""
        self._logits = None
        return tuple(self._open.pop()) if self._open else ()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        output = func(*args, **given)
        if self._open:
            if func is F.scaled_dot_product_attention:
                self._fused({**dict(zip(_FUSED, args, strict=False)), **given}, output)
            elif func in _PRODUCTS and len(args) == 2:
                self._product(*args, output)
            elif func in _SOFTMAXES and self._logits is not None:
                self._normalised = bool(args) and args[0] is self._logits[2]
        return output

    def _fused(self, given: Mapping[str, Any], y: Tensor) -> None:
        q, k, v = (given[name].detach() for name in _FUSED[:3])
        if given.get("enable_gqa"):
            k, v = (x.repeat_interleave(q.shape[-3] // x.shape[-3], -3) for x in (k, v))
        scale = given.get("scale")
        self._open[-1].append(
            Product(
                q,
                k,
                v,
                y.detach(),
                q.shape[-1] ** -0.5 if scale is None else float(scale),
                masked=given.get("attn_mask") is not None or bool(given.get("is_causal")),
            )
        )

    def _product(self, left: Tensor, right: Tensor, output: Tensor) -> None:
        if self._logits is not None and self._normalised:
            q, kt, logits = self._logits
            self._logits = None
            if left.shape == logits.shape:
                q, k, v, y = (x.detach() for x in (q, kt.mT, right, output))
                self._open[-1].append(Product(q, k, v, y, scale=1.0))
                return
        self._logits, self._normalised = (left, right, output), False
