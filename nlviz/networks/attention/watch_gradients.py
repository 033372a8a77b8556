"""The gradient of a score at what leaves each attention product, in the order of its queries.

With y_i = sum_j a_ij v_j, the gradient at a weight is an inner product: d s / d a_ij = g_i . v_j,
g_i = d s / d y_i. So neither the weights nor their gradient are ever a matrix, and a fused product
stays fused: what is kept of each is v and g.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.networks.attention.contraction import Contraction
from nlviz.networks.attention.products import AttentionProduct, flat
from nlviz.networks.attention.tags import Tag
from nlviz.networks.attention.values_product import values_product
from nlviz.networks.attention.watch import WatchAttention
from nlviz.networks.calls import in_backward

Arrange = Callable[[Tensor], Tensor]


class WatchGradients(WatchAttention):
    """Collects the attention products of this thread, and the gradients that come back to them.

    >>> q, k, v = torch.randn(3, 1, 2, 5, 4).unbind(0)
    >>> w = (q @ k.mT).softmax(-1).requires_grad_()
    >>> with WatchGradients() as watch:
    ...     y = F.scaled_dot_product_attention(q.requires_grad_(), k, v, scale=1.0)
    >>> y.square().sum().backward()
    >>> (w @ v).square().sum().backward()
    >>> (found,) = watch.with_gradients()
    >>> torch.allclose(found.y @ found.v.mT, w.grad[0], atol=1e-5)
    True
    """

    def __init__(self) -> None:
        """Begin to watch."""
        super().__init__(sums=True)
        self._arrived: dict[int, Tensor] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        # The body of the packed form is called from here again; ``with torch.no_grad()`` in a
        # network is a call, too, that would end with this one's.
        left = func in (F.multi_head_attention_forward, torch._C._set_grad_enabled)
        if left or in_backward() or not torch.is_grad_enabled():
            return super().__torch_function__(func, types, args, kwargs)
        with torch.no_grad():  # what is kept and checked is no part of the network
            return super().__torch_function__(_with_gradient(func), types, args, kwargs)

    def _fused(
        self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        before = len(self.seen.products)
        output = super()._fused(func, args, options)
        if len(self.seen.products) > before:
            batch = self.seen.products[before].batch
            self._listen(before, output, lambda x: flat(x, batch))
        return output

    def _attention(
        self,
        found: Contraction,
        weights: str,
        tag: Tag,
        output: Any,
        number: int,
        *,
        whole: bool = True,
    ) -> Any:
        before = len(self.seen.products)
        placed = super()._attention(found, weights, tag, output, number, whole=whole)
        read = values_product(found, weights, tag)
        if read is not None and len(self.seen.products) > before:
            # Of values side by side, each part's sum has the gradient of the whole.
            self._listen(before, output, read.y)
        return placed

    def _listen(self, at: int, output: Tensor, arrange: Arrange) -> None:
        def arrived(gradient: Tensor) -> None:
            own = arrange(gradient.detach()).clone()
            known = self._arrived.get(at)
            self._arrived[at] = own if known is None else known + own

        if output.requires_grad:
            output.register_hook(arrived)  # type: ignore[no-untyped-call]

    def with_gradients(self) -> list[AttentionProduct]:
        """Return the products, each with the gradient at y in the place of y; 0 where none came."""
        found = []
        for at, product in enumerate(self.seen.products):
            if product.v is None or product.y is None:
                found.append(product)
                continue
            gradient = self._arrived.get(at)
            y = torch.zeros_like(product.y) if gradient is None else gradient
            found.append(replace(product, v=product.v.detach(), y=y))
        return found

    @property
    def any_arrived(self) -> bool:
        """Whether a gradient came back to any product."""
        return bool(self._arrived)


@cache
def _with_gradient(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of torch that keeps its gradient also where none is kept around it."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.enable_grad():
            return func(*args, **kwargs)

    for name in ("__name__", "__self__", "_qualified_op_name"):
        if hasattr(func, name):
            setattr(run, name, getattr(func, name))
    run.of = func  # type: ignore[attr-defined]
    return run
