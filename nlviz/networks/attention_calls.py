"""Sees the attention products of a forward pass: their q, k and v as they enter, and what leaves.

A function mode of torch sees every call of a torch function, whichever way the caller came by its
name, and leaves fused kernels alone: what the network computes is bit for bit what it computes
without. Two forms are known,

    fused      F.scaled_dot_product_attention(q, k, v, ...)
    written    logits = q @ k^T;  rows = softmax(logits);  y = rows @ v

and the second only where what enters the second product has the shape of the logits. Whether
anything came between (a bias, a gate, dropout) is not decided here: rows that do not give y are
refused by their receipt, see ``nlviz.affinity.receipt``. All is copied as it enters and leaves.
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
        fault: what makes softmax(scale q k^T) another thing than what ran, in words, or empty.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    y: Tensor
    scale: float
    fault: str = ""


class WatchProducts(TorchFunctionMode):
    """Collects the attention products of the modules that are entered and left, of this thread.

    >>> q, k, v = torch.randn(3, 2, 4, 5, 6).unbind(0)
    >>> watch = WatchProducts()
    >>> with watch:
    ...     depth = watch.enter()
    ...     y = F.scaled_dot_product_attention(q, k, v)
    ...     z = (q @ k.mT).softmax(-1) @ v
    ...     fused, written = watch.leave(depth)
    >>> torch.equal(fused.y, y), torch.equal(written.y, z), round(fused.scale, 4), written.scale
    (True, True, 0.4082, 1.0)
    """

    def __init__(self) -> None:
        super().__init__()
        self._open: list[list[Product]] = []
        self._logits: _Logits | None = None
        self._normalised = False

    def enter(self) -> int:
        """Begin a module; return how many are open around it."""
        self._open.append([])
        return len(self._open) - 1

    def leave(self, depth: int) -> tuple[Product, ...]:
        """End a module; return the products that ran in it, not deeper.

        Args:
            depth: what ``enter`` returned; modules inside that an exception ended are dropped.
        """
        self._logits = None
        found = tuple(self._open[depth]) if depth < len(self._open) else ()
        del self._open[depth:]
        return found

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if not self._open:
            return func(*args, **given)
        if func is F.scaled_dot_product_attention:
            # Copied before it runs: the output may be written over an input afterwards.
            return self._fused(func, args, given)
        output = func(*args, **given)
        if func in _PRODUCTS and len(args) == 2:
            self._product(*args, output)
        elif func in _SOFTMAXES and self._logits is not None:
            self._normalised = bool(args) and args[0] is self._logits.output
        return output

    def _fused(
        self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        given = {**dict(zip(_FUSED, args, strict=False)), **options}
        q, k, v = (_kept(given[name]) for name in _FUSED[:3])
        output = func(*args, **options)
        if given.get("enable_gqa"):
            k, v = (x.repeat_interleave(q.shape[-3] // x.shape[-3], -3) for x in (k, v))
        scale = given.get("scale")
        fault = "a mask took part" if _masks(given.get("attn_mask")) else ""
        if given.get("is_causal"):
            fault = "a causal mask took part"
        if given.get("dropout_p"):
            fault = "dropout was left on"
        self._open[-1].append(
            Product(
                q,
                k,
                v,
                _kept(output),
                q.shape[-1] ** -0.5 if scale is None else float(scale),
                fault,
            )
        )
        return output

    def _product(self, left: Tensor, right: Tensor, output: Tensor) -> None:
        logits = self._logits
        if logits is not None and self._normalised and left.shape == logits.output.shape:
            self._logits = None
            q, k, v, y = (_kept(x) for x in (logits.left, logits.right.mT, right, output))
            self._open[-1].append(Product(q, k, v, y, 1.0, logits.fault))
            return
        self._logits, self._normalised = _Logits(left, right, output, _versions(left, right)), False


@dataclass(frozen=True, eq=False)
class _Logits:
    """A product that may turn out to be logits; not copied before it does."""

    left: Tensor
    right: Tensor
    output: Tensor
    versions: tuple[int, ...]

    @property
    def fault(self) -> str:
        if _versions(self.left, self.right) == self.versions:
            return ""
        return "q or k was changed in place behind its product"


def _versions(*tensors: Tensor) -> tuple[int, ...]:
    """Return how often each was changed in place; torch does not count it in inference mode."""
    return tuple(0 if x.is_inference() else x._version for x in tensors)


def _kept(x: Tensor) -> Tensor:
    return x.detach().clone(memory_format=torch.contiguous_format)


def _masks(mask: Tensor | None) -> bool:
    """Check whether a mask masks anything, or adds anything."""
    if mask is None or mask.device.type == "meta":
        return mask is not None
    try:
        return not bool(mask.all()) if mask.dtype == torch.bool else bool(mask.any())
    except RuntimeError:  # tensors without data
        return True
