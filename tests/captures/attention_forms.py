"""Attention as people write it, each form beside its rows in double precision.

A form takes q, k and v of (1, heads, tokens, d) and returns y of the same axes. Its reference is
written from the formula alone, without the form: rows of (1, heads, tokens, tokens).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import flex_attention
from torch.utils.checkpoint import checkpoint

T, H, W, HEADS, D = 2, 3, 5, 4, 7
N = T * H * W
SCALE = D**-0.5

_random = torch.Generator().manual_seed(3)
BIAS = torch.randn(HEADS, N, N, generator=_random)
TEMPERATURE = torch.rand(HEADS, 1, 1, generator=_random) + 0.5
MASK = (torch.rand(N, N, generator=_random) > 0.3) | (torch.eye(N) > 0)
KEYS = torch.rand(N, generator=_random) > 0.3
CAUSAL = torch.ones(N, N).tril() > 0
MIX = torch.randn(HEADS, HEADS, generator=_random)
GATE = torch.rand(HEADS, N, N, generator=_random)
SINK = torch.randn(1, HEADS, 1, 1, generator=_random)
AWAY = (torch.arange(N)[None] - torch.arange(N)[:, None]).abs()
SLOPES = -AWAY * torch.tensor([0.5, 0.25, 0.125, 0.0625])[:, None, None]
IN_VIEW = torch.zeros(HEADS, N, N)
IN_VIEW[:, 1:, 2:] = BIAS[:, 1:, 2:]

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
Rows = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Form:
    """A way to write attention, its rows, and what stands in the note of its affinity."""

    attend: Attend
    rows: Rows
    note: str = ""


FORMS: dict[str, Form] = {}
REFUSED: dict[str, tuple[Attend, str]] = {}


def rows(
    q: Tensor,
    k: Tensor,
    *,
    scale: float | Tensor = SCALE,
    bias: Tensor | float = 0.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Return softmax(scale q k^T + bias) over the keys that a mask keeps."""
    logits = q @ k.mT * scale + (bias.double() if isinstance(bias, Tensor) else bias)
    return (logits if mask is None else logits.masked_fill(~mask, -math.inf)).softmax(-1)


def form(reference: Rows = rows, *, note: str = "") -> Callable[[Attend], Attend]:
    def added(attend: Attend) -> Attend:
        FORMS[attend.__name__] = Form(attend, reference, note)
        return attend

    return added


def refused(why: str) -> Callable[[Attend], Attend]:
    def added(attend: Attend) -> Attend:
        REFUSED[attend.__name__] = (attend, why)
        return attend

    return added


def biased(q: Tensor, k: Tensor) -> Tensor:
    return rows(q, k, bias=BIAS)


def masked(q: Tensor, k: Tensor) -> Tensor:
    return rows(q, k, mask=MASK)


# Which function multiplies, and where the axes stand.


@form()
def at_sign(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT * SCALE).softmax(-1) @ v


@form()
def keywords(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = torch.matmul(other=k.mT, input=q * SCALE)
    return torch.matmul(other=v, input=torch.softmax(dim=-1, input=logits))


@form()
def heads_before_items(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    one, two, three = (x.transpose(0, 1).reshape(-1, N, D) for x in (q, k, v))
    y = torch.bmm(F.softmax(torch.bmm(one, two.transpose(1, 2)) / D**0.5, dim=-1), three)
    return y.reshape(HEADS, -1, N, D).transpose(0, 1)


@form(biased)
def baddbmm(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    one, two, three = (x.flatten(0, 1) for x in (q, k, v))
    logits = torch.baddbmm(BIAS, one, two.transpose(1, 2), beta=1, alpha=SCALE)
    return torch.bmm(logits.softmax(-1), three).reshape(q.shape)


@form()
def baddbmm_of_nothing(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    one, two, three = (x.flatten(0, 1) for x in (q, k, v))
    nothing = torch.empty(HEADS, N, N)
    logits = torch.baddbmm(nothing, one, two.transpose(1, 2), beta=0, alpha=SCALE)
    return torch.bmm(logits.softmax(-1), three).reshape(q.shape)


@form()
def einsum_with_keys_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = torch.einsum("zmpe,zmse->zsmp", q * SCALE, k).softmax(1)
    return torch.einsum("zsmp,zmse->zmpe", a, v)


@form()
def einsum_over_two_axes(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (x.unflatten(2, (T * H, W)) for x in (q, k, v))
    logits = torch.einsum("bhxyd,bhuvd->bhxyuv", q, k) * SCALE
    a = logits.flatten(4).softmax(-1).reshape(logits.shape)
    return torch.einsum("bhxyuv,bhuvd->bhxyd", a, v).flatten(2, 3)


@form()
def einsum_with_dots(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = torch.einsum("...id,...jd->...ij", q, k).mul(SCALE).softmax(dim=-1)
    return torch.einsum("...ij,...jd->...id", a, v)


@form()
def softmax_over_rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (k @ q.mT * SCALE).softmax(-2).mT @ v


@form()
def values_on_the_left(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (v.mT @ (q @ k.mT * SCALE).softmax(-1).mT).mT


@form()
def written_into_a_tensor(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = torch.empty(1, HEADS, N, N)
    torch.softmax(q @ k.mT * SCALE, -1, out=a)
    return a @ v


@form()
def aten(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.ops.aten.scaled_dot_product_attention(q, k, v)


# Scales, biases and masks.


@form()
def scaled_in_place(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = q @ k.mT
    logits *= SCALE
    return logits.softmax(-1) @ v


@form(masked)
def masked_in_place(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = (q @ k.mT).mul_(SCALE).masked_fill_(~MASK, -1e9)
    return logits.softmax(-1) @ v


@form(masked)
def masked_by_keyword(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT * SCALE).masked_fill(mask=~MASK, value=-math.inf).softmax(-1) @ v


@form(masked)
def masked_by_index(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = q @ k.mT * SCALE
    logits[~MASK.expand(logits.shape)] = -math.inf
    return logits.softmax(-1) @ v


@form(masked)
def where_kept(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.where(MASK, q @ k.mT * SCALE, -math.inf).softmax(-1) @ v


@form(masked)
def where_dropped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.where(~MASK, torch.tensor(-1e9), q @ k.mT * SCALE).softmax(-1) @ v


@form(masked)
def where_of_a_tensor(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT * SCALE).where(MASK, torch.tensor(-1e9)).softmax(-1) @ v


@form(lambda q, k: rows(q, k, bias=BIAS, mask=MASK))
def added_in_place(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = q @ k.mT
    logits *= SCALE
    logits += BIAS
    logits += torch.where(MASK, 0.0, -1e9)
    return logits.softmax(-1) @ v


@form(biased)
def added_to(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.add(input=BIAS, other=q @ k.mT, alpha=SCALE).softmax(-1) @ v


@form(biased)
def taken_from(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (BIAS - q @ (k.mT * -SCALE)).softmax(-1) @ v


@form(lambda q, k: rows(q, k, scale=SCALE * TEMPERATURE, bias=BIAS * TEMPERATURE))
def bias_before_temperature(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return ((q @ k.mT * SCALE + BIAS) * TEMPERATURE).softmax(-1) @ v


@form(lambda q, k: rows(q, k, bias=IN_VIEW))
def bias_through_a_view(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = q @ k.mT * SCALE
    logits[:, :, 1:, 2:] += BIAS[:, 1:, 2:]
    return logits.softmax(-1) @ v


@form(lambda q, k: rows(q, k, bias=SLOPES))
def slopes(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT * SCALE + SLOPES).softmax(-1) @ v


@form(lambda q, k: rows(F.normalize(q, dim=-1), F.normalize(k, dim=-1), scale=TEMPERATURE))
def cosine(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT * TEMPERATURE).softmax(-1) @ v


@form(lambda q, k: (-SCALE * (q[..., None, :] - k[..., None, :, :]).square().sum(-1)).softmax(-1))
def distance(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    apart = 2 * (q @ k.mT) - q.square().sum(-1, keepdim=True) - k.square().sum(-1)[..., None, :]
    return (apart * SCALE).softmax(-1) @ v


# Fused.


@form(masked)
def fused_with_booleans(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=MASK)


@form(biased)
def fused_with_numbers(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, BIAS, 0.0)


@form(lambda q, k: rows(q, k, mask=CAUSAL))
def fused_causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query=q, key=k, value=v, is_causal=True)


@form(lambda q, k: rows(q, k, scale=0.3, mask=KEYS))
def fused_with_padding(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, KEYS.expand(1, 1, N, N), scale=0.3)


@form(lambda q, k: rows(q, k[:, :2].repeat_interleave(2, 1)))
def fused_in_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k[:, :2], v[:, :2], enable_gqa=True)


@form(lambda q, k: rows(q, k[:, :2].repeat_interleave(2, 1)))
def written_in_groups(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = q.unflatten(1, (2, 2)), k[:, :2, None], v[:, :2, None]
    return ((q @ k.mT * SCALE).softmax(-1) @ v).flatten(1, 2)


# Around it.


class OwnFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.mT * SCALE).softmax(-1) @ v


@form()
def own_function(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return OwnFunction.apply(q, k, v)


@form()
def in_a_checkpoint(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return checkpoint(at_sign, q, k, v, use_reentrant=False)


@form()
def changed_afterwards(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = q @ k.mT
    k.fill_(2.0)
    a = (logits * SCALE).softmax(-1)
    y = a @ v
    for x in (q, v, a):
        x.fill_(9.0)
    return y


@form()
@torch.inference_mode()
def without_a_version(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT).mul_(SCALE).softmax(-1) @ v


# Weights that follow from no q and k alone are kept as they are.


@form(lambda q, k: torch.einsum("bhij,hg->bgij", rows(q, k), MIX.double()), note="heads are mixed")
def talking_heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("bhij,hg->bgij", (q @ k.mT * SCALE).softmax(-1), MIX) @ v


@form(
    lambda q, k: torch.einsum("bhij,hg->bgij", q @ k.mT * SCALE, MIX.double()).softmax(-1),
    note="heads are mixed",
)
def talking_before(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = (q @ k.mT * SCALE).permute(0, 2, 3, 1) @ MIX
    return logits.permute(0, 3, 1, 2).softmax(-1) @ v


@form(lambda q, k: rows(q, k) * GATE.double(), note="mul came behind the softmax")
def gated(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return ((q @ k.mT * SCALE).softmax(-1) * GATE) @ v


@form(note="need not sum to 1")
def exponential_over_sum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    e = (q @ k.mT * SCALE).exp()
    return (e / e.sum(-1, keepdim=True)) @ v


@form(lambda q, k: (q @ k.mT * SCALE).sigmoid(), note="sigmoid came between")
def sigmoid(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT * SCALE).sigmoid() @ v


@form(lambda q, k: (2 * torch.tanh(q @ k.mT * SCALE / 2)).softmax(-1), note="tanh came between")
def capped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (2 * torch.tanh(q @ k.mT * SCALE / 2)).softmax(-1) @ v


@form(
    lambda q, k: torch.cat([q @ k.mT * SCALE, SINK.double().expand(1, -1, N, 1)], -1).softmax(-1)[
        ..., :-1
    ],
    note="more logits than those of its keys",
)
def sink(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    logits = torch.cat([q @ k.mT * SCALE, SINK.expand(1, -1, N, 1)], -1)
    return logits.softmax(-1)[..., :-1] @ v


@form(lambda q, k: rows(q, k) * (torch.arange(N) != 17)[:, None], note="was written in place")
def a_row_cleared(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = (q @ k.mT * SCALE).softmax(-1)
    a[:, :, 17] = 0
    return a @ v


@form(lambda q, k: rows(q, k) * (torch.arange(N) != 17)[:, None], note="was written in place")
@torch.inference_mode()
def a_row_cleared_without_a_version(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = (q @ k.mT * SCALE).softmax(-1)
    a[:, :, 17].zero_()
    return a @ v


@form(lambda q, k: rows(q, k).softmax(-1), note="a second softmax")
def softmax_twice(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT * SCALE).softmax(-1).softmax(-1) @ v


def near(q: Tensor, k: Tensor) -> Tensor:
    return (-torch.cdist(q, k) * SCALE).softmax(-1)


@form(near, note="Effective operator")
def of_distances(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return near(q, k) @ v


@form()
def summed_by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = (q @ k.mT * SCALE).softmax(-1)
    return (a[..., None] * v[..., None, :, :]).sum(-2)


# What cannot be shown, and why.


@refused("sums no values with it in a known form")
def key_by_key(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a, y = (q @ k.mT * SCALE).softmax(-1), torch.zeros_like(v)
    for j in range(N):
        y = y + a[..., j : j + 1] * v[..., j : j + 1, :]
    return y


@refused("between channels")
def linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = F.elu(q) + 1, F.elu(k) + 1
    return q @ (k.mT @ v) / (q @ k.sum(-2)[..., None])


@refused("between channels")
def channels(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return ((q.mT @ k * SCALE).softmax(-1) @ v.mT).mT


@refused("its values lie at other places than its keys")
def values_turned_round(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT * SCALE).softmax(-1).flip(-1) @ v.flip(-2)


@refused("attends to them in parts")
def some_queries_at_a_time(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.cat([(c @ k.mT * SCALE).softmax(-1) @ v for c in q.split(13, -2)[:2]], -2).repeat(
        1, 1, 2, 1
    )[:, :, :N]


@refused("in one operation that cannot be seen into")
def flex(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return flex_attention(q, k, v)


@refused("in one operation that cannot be seen into")
def a_kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v)[0]


class Attends(nn.Module):
    """A block of one of the forms."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend
        self.qkv, self.proj = nn.Linear(HEADS * D, 3 * HEADS * D), nn.Linear(HEADS * D, HEADS * D)
        nn.init.normal_(self.qkv.weight, std=0.35)

    def split(self, x: Tensor) -> Tensor:
        return self.qkv(x).unflatten(-1, (3, HEADS, D)).permute(2, 0, 3, 1, 4)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        return self.proj(self.attend(q, k, v).transpose(1, 2).reshape(x.shape))


class FormNet(nn.Module):
    """Patches of 4 x 4 pixels, one block of a form, and class scores."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.patch = nn.Conv3d(3, HEADS * D, (1, 4, 4), (1, 4, 4))
        self.block = Attends(attend)
        self.head = nn.Linear(HEADS * D, 3)

    def tokens(self, x: Tensor) -> Tensor:
        return self.patch(x).flatten(2).mT

    def forward(self, x: Tensor) -> Tensor:
        x = self.tokens(x)
        return self.head((x + self.block(x)).mean(1))
