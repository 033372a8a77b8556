"""Operators as people write them: weights made by a layer, applied to values around a place.

A form is made of weights (1, heads, taps, h, w), or more where windows overlap, and values
(1, heads, d, h, w). It returns y of the values' axes; it is linear in them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

H, W, HEADS, D, K = 5, 7, 3, 2, 3
C = HEADS * D

Form = Callable[[Tensor, Tensor], Tensor]
LOCAL: dict[str, Form] = {}


def local(form: Form) -> Form:
    LOCAL[form.__name__] = form
    return form


def unfolded(v: Tensor) -> Tensor:
    """Return (b, heads, d, taps, h, w)."""
    b = len(v)
    return F.unfold(v.reshape(b, C, H, W), K, padding=K // 2).reshape(b, HEADS, D, K * K, H, W)


@local
def involution(weights: Tensor, v: Tensor) -> Tensor:
    return (weights.unsqueeze(2) * unfolded(v)).sum(dim=3)


@local
def values_first(weights: Tensor, v: Tensor) -> Tensor:
    return torch.sum(unfolded(v) * weights[:, :, None], 3)


@local
def softmax_in_front(weights: Tensor, v: Tensor) -> Tensor:
    return (weights.softmax(2).unsqueeze(2) * unfolded(v)).sum(3)


@local
def einsum(weights: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bgkhw,bgckhw->bgchw", weights, unfolded(v))


@local
def einsum_of_softmax(weights: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bgckhw,bgkhw->bgchw", unfolded(v), weights.softmax(2))


@local
def matmul(weights: Tensor, v: Tensor) -> Tensor:
    w = weights.permute(0, 1, 3, 4, 2).unsqueeze(-2)  # b g h w 1 k
    y = w @ unfolded(v).permute(0, 1, 4, 5, 3, 2)
    return y.squeeze(-2).permute(0, 1, 4, 2, 3)


@local
def slices_put_together(weights: Tensor, v: Tensor) -> Tensor:
    wide = F.pad(v, (1, 1, 1, 1))
    around = [wide[..., i : i + H, j : j + W] for i in range(K) for j in range(K)]
    return (torch.stack(around, 3) * weights.unsqueeze(2)).sum(3)


@local
def views_of_windows(weights: Tensor, v: Tensor) -> Tensor:
    wide = F.pad(v, (1, 1, 1, 1)).unfold(3, K, 1).unfold(4, K, 1)  # b g c h w k k
    kernel = weights.permute(0, 1, 3, 4, 2).reshape(*weights.shape[:2], 1, H, W, K, K)
    return (wide * kernel).sum((-2, -1))


@local
def local_attention_by_sums(weights: Tensor, v: Tensor) -> Tensor:
    own, keys = weights.split((D, D, K * K - 2 * D), 2)[:2]
    around = unfolded(keys)
    logits = (own[:, :, :, None] * around).sum(2)
    return (logits.softmax(2)[:, :, None] * unfolded(v)).sum(3)


class OperatorNet(nn.Module):
    """A network of one operator: patches, values, weights, and a residual path around it."""

    def __init__(self, form: Form, *, residual: bool = True, taps: int = K * K) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, C, 4, 4)
        self.block = Block(form, taps)
        self.residual = residual
        self.head = nn.Linear(C, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.block(x)
        return self.head((x + y if self.residual else y).mean((0, 2, 3)))[None]


class Block(nn.Module):
    def __init__(self, form: Form, taps: int) -> None:
        super().__init__()
        self.form, self.taps = form, taps
        self.value = nn.Conv2d(C, C, 1)
        self.kernel = nn.Conv2d(C, HEADS * taps, 1)
        self.out = nn.Conv2d(C, C, 1)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        b = len(x)
        kernel = self.kernel(x)
        v = self.value(x).reshape(b, HEADS, D, H, W)
        return kernel.reshape(b, HEADS, self.taps, *kernel.shape[2:]), v

    def forward(self, x: Tensor) -> Tensor:
        weights, v = self.parts(x)
        return self.out(self.form(weights, v).reshape(len(x), C, *x.shape[2:]))


def dense(form: Form, weights: Tensor, v: Tensor) -> Tensor:
    """Return the operator of each item, (items, heads, queries, keys), one value after another."""
    n = v.shape[-2] * v.shape[-1]
    zero = form(weights, torch.zeros_like(v))
    assert not zero.any()
    columns = []
    for j in range(n):
        one = torch.zeros_like(v).flatten(-2)
        one[:, :, 0, j] = 1
        columns.append(form(weights, one.reshape(v.shape))[:, :, 0].flatten(-2))
    return torch.stack(columns, -1)
