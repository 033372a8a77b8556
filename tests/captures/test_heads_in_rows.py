"""Multi-query attention: heads that share one set of keys stand among the rows of the product."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz import InputSpec
from tests.nets import noise_clip

SPEC = InputSpec(sides=(24, 40), layout="frames")
WIDTH, HEADS = 12, 3
Form = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def by_einsum(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    rows = (torch.einsum("bhid,bjd->bhij", q, k) * 0.5).softmax(-1)
    return rows, torch.einsum("bhij,bjd->bhid", rows, v)


def with_bias_of_heads(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    rows = (torch.einsum("bhid,bjd->bhij", q, k) + bias[:, None, None]).softmax(-1)
    return rows, torch.einsum("bhij,bjd->bhid", rows * bias[:, None, None].exp(), v)


def with_bias_of_pairs(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    added = torch.arange(q.shape[-2] * k.shape[-2]).reshape(q.shape[-2], -1).sin()
    rows = (torch.einsum("bhid,bjd->bhij", q, k) + added * bias[:, None, None]).softmax(-1)
    return rows, torch.einsum("bhij,bjd->bhid", rows, v)


def in_one_axis(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    rows = (q.flatten(1, 2) @ k.mT).softmax(-1)
    return rows.unflatten(1, (HEADS, -1)), (rows @ v).unflatten(1, (HEADS, -1))


def broadcast(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    rows = (q @ k[:, None].mT).softmax(-1)
    return rows, rows @ v[:, None]


def fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    rows = (q @ k[:, None].mT * 0.5).softmax(-1)
    y = torch.nn.functional.scaled_dot_product_attention(q, k[:, None], v[:, None], scale=0.5)
    return rows, y


class SharedKeysAttention(nn.Module):
    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.to_q, self.to_kv = nn.Linear(WIDTH, HEADS * 4), nn.Linear(WIDTH, 8)
        self.bias = nn.Parameter(torch.randn(HEADS))
        self.rows: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        q = self.to_q(x).unflatten(-1, (HEADS, 4)).transpose(1, 2)
        k, v = self.to_kv(x).chunk(2, -1)
        self.rows, y = self.form(q, k, v, self.bias)
        return y.transpose(1, 2).flatten(2)


@pytest.mark.parametrize(
    "form", [by_einsum, with_bias_of_heads, with_bias_of_pairs, in_one_axis, broadcast, fused]
)
def test_heads_among_the_rows_are_heads(form: Form) -> None:
    torch.manual_seed(0)
    net, clip = SharedKeysAttention(form).eval(), noise_clip(2, 24, 40)
    kept: list[Tensor] = []
    net.register_forward_hook(lambda module, args, y: kept.append(net.rows.detach()))  # type: ignore[union-attr]
    (found,) = nlviz.capture(net, clip, input_spec=SPEC).affinities.values()
    rows = kept[0]
    assert (found.heads, found.queries.shape, found.token_names) == (3, (2, 3, 5), ("cls", "cls"))
    if form is with_bias_of_heads:
        rows = rows * net.bias.detach()[:, None, None].exp()  # what values are summed with
    for frame in range(2):
        own = found.rows(range(15 * frame, 15 * frame + 15))
        cells = 2 + 15 * frame + torch.arange(15)
        torch.testing.assert_close(own[..., cells], rows[frame, :, 1:, 1:], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(own[..., frame], rows[frame, :, 1:, 0], atol=1e-5, rtol=1e-4)
