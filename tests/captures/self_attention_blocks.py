"""Blocks that people mean by self-attention, written from their papers, each beside its formula.

A block takes features (items, C, h, w) and returns as many. What its rows must be is computed from
its layers by sums over labelled axes alone, in double precision, (items, h w, h w) or other keys.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

C, INNER = 12, 3  # channels, and those of queries and keys


class SaganAttention(nn.Module):
    """Zhang et al. 2019 (arXiv 1805.08318): all places, y added times a learned gamma."""

    def __init__(self) -> None:
        super().__init__()
        self.query_conv, self.key_conv = nn.Conv2d(C, INNER, 1), nn.Conv2d(C, INNER, 1)
        self.value_conv, self.gamma = nn.Conv2d(C, C, 1), nn.Parameter(torch.tensor([0.7]))

    def forward(self, x: Tensor) -> Tensor:
        items, _, h, w = x.shape
        queries = self.query_conv(x).view(items, -1, h * w).permute(0, 2, 1)
        attention = F.softmax(torch.bmm(queries, self.key_conv(x).view(items, -1, h * w)), dim=-1)
        y = torch.bmm(self.value_conv(x).view(items, -1, h * w), attention.permute(0, 2, 1))
        return self.gamma * y.view(items, C, h, w) + x

    def wanted(self, x: Tensor) -> Tensor:
        q, k = self.query_conv(x).double(), self.key_conv(x).double()
        return torch.einsum("nchw,ncab->nhwab", q, k).flatten(3).softmax(-1).flatten(1, 2)


class SaganPooled(SaganAttention):
    """The authors' own: keys and values are pooled 2 x 2 before the product."""

    def forward(self, x: Tensor) -> Tensor:
        k, v = (F.max_pool2d(layer(x), 2).flatten(2) for layer in (self.key_conv, self.value_conv))
        attention = torch.matmul(self.query_conv(x).flatten(2).transpose(1, 2), k).softmax(-1)
        return self.gamma * torch.matmul(v, attention.transpose(1, 2)).view(x.shape) + x

    def wanted(self, x: Tensor) -> Tensor:
        q, k = self.query_conv(x).double(), F.max_pool2d(self.key_conv(x), 2).double()
        return torch.einsum("nchw,ncab->nhwab", q, k).flatten(3).softmax(-1).flatten(1, 2)


class PositionAttention(SaganAttention):
    """Fu et al. 2019 (arXiv 1809.02983): the first half of dual attention, between places."""


class ChannelAttention(nn.Module):
    """The second half: between channels, the largest energy minus each; no map of places."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.tensor([0.4]))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        energy = torch.bmm(flat, flat.permute(0, 2, 1))
        energy = torch.max(energy, -1, keepdim=True)[0].expand_as(energy) - energy
        return self.gamma * torch.bmm(energy.softmax(-1), flat).view(x.shape) + x


class CrissCross(nn.Module):
    """Huang et al. 2019 (arXiv 1811.11721), columns and rows folded into the batch, as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.query_conv, self.key_conv = nn.Conv2d(C, INNER, 1), nn.Conv2d(C, INNER, 1)
        self.value_conv, self.gamma = nn.Conv2d(C, C, 1), nn.Parameter(torch.tensor([0.7]))

    def forward(self, x: Tensor) -> Tensor:
        items, _, h, w = x.shape
        q, k, v = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        columns = [t.permute(0, 3, 1, 2).contiguous().view(items * w, -1, h) for t in (q, k, v)]
        rows = [t.permute(0, 2, 1, 3).contiguous().view(items * h, -1, w) for t in (q, k, v)]
        never = -torch.diag(torch.tensor(float("inf")).repeat(h), 0).unsqueeze(0)
        along_y = torch.bmm(columns[0].permute(0, 2, 1), columns[1]) + never.repeat(items * w, 1, 1)
        along_y = along_y.view(items, w, h, h).permute(0, 2, 1, 3)
        along_x = torch.bmm(rows[0].permute(0, 2, 1), rows[1]).view(items, h, w, w)
        both = F.softmax(torch.cat([along_y, along_x], 3), dim=3)
        of_y = both[:, :, :, 0:h].permute(0, 2, 1, 3).contiguous().view(items * w, h, h)
        of_x = both[:, :, :, h : h + w].contiguous().view(items * h, w, w)
        y = torch.bmm(columns[2], of_y.permute(0, 2, 1)).view(items, w, -1, h).permute(0, 2, 3, 1)
        z = torch.bmm(rows[2], of_x.permute(0, 2, 1)).view(items, h, -1, w).permute(0, 2, 1, 3)
        return self.gamma * (y + z) + x

    def wanted(self, x: Tensor) -> Tensor:
        q, k = self.query_conv(x).double(), self.key_conv(x).double()
        logits = torch.einsum("nchw,ncab->nhwab", q, k)
        h, w = x.shape[2:]
        same_y = (torch.arange(h)[:, None] == torch.arange(h))[:, None, :, None]
        same_x = (torch.arange(w)[:, None] == torch.arange(w))[None, :, None, :]
        logits = logits.masked_fill(~(same_y | same_x), -torch.inf)
        return logits.flatten(3).softmax(-1).flatten(1, 2)


class Recurrent(nn.Module):
    """The same module twice, so that every place hears of every other."""

    def __init__(self) -> None:
        super().__init__()
        self.cca = CrissCross()

    def forward(self, x: Tensor) -> Tensor:
        return self.cca(self.cca(x))


class GlobalContext(nn.Module):
    """Cao et al. 2019 (arXiv 1904.11492): one softmax over all places, the same for all queries."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_mask = nn.Conv2d(C, 1, 1)
        self.transform = nn.Sequential(nn.Conv2d(C, 5, 1), nn.LayerNorm([5, 1, 1]), nn.ReLU())
        self.back = nn.Conv2d(5, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        items, channels, h, w = x.shape
        values = x.view(items, channels, h * w).unsqueeze(1)
        mask = F.softmax(self.conv_mask(x).view(items, 1, h * w), dim=2).unsqueeze(-1)
        context = torch.matmul(values, mask).view(items, channels, 1, 1)
        return x + self.back(self.transform(context))

    def wanted(self, x: Tensor) -> Tensor:
        return self.conv_mask(x).double().flatten(2).softmax(-1)


class DoubleAttention(nn.Module):
    """Chen et al. 2018 (arXiv 1810.11579): gather over places, then distribute to places."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.v = nn.Conv2d(C, 5, 1), nn.Conv2d(C, 4, 1), nn.Conv2d(C, 4, 1)
        self.out = nn.Conv2d(5, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        items, _, h, w = x.shape
        gather = self.b(x).view(items, -1, h * w).softmax(-1)
        distribute = self.v(x).view(items, -1, h * w).softmax(1)
        descriptors = torch.bmm(self.a(x).view(items, -1, h * w), gather.permute(0, 2, 1))
        return x + self.out(descriptors.matmul(distribute).view(items, -1, h, w))

    def wanted(self, x: Tensor) -> Tensor:
        return self.b(x).double().flatten(2).softmax(-1)


class ExpectationMaximisation(nn.Module):
    """Li et al. 2019 (arXiv 1907.13426): bases gather from places, places are made of bases."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mu", F.normalize(torch.randn(1, C, 4), dim=1))
        self.conv1, self.conv2 = nn.Conv2d(C, C, 1), nn.Conv2d(C, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        items, c, h, w = x.shape
        flat = self.conv1(x).view(items, c, h * w)
        mu = self.mu.repeat(items, 1, 1)
        for _ in range(2):
            z = F.softmax(torch.bmm(flat.permute(0, 2, 1), mu), dim=2)
            z_ = z / (1e-6 + z.sum(dim=1, keepdim=True))
            mu = F.normalize(torch.bmm(flat, z_), dim=1)
        made = F.relu(mu.matmul(z.permute(0, 2, 1)).view(items, c, h, w))
        return F.relu(self.conv2(made) + x)


class Axial(nn.Module):
    """Ho et al. 2019 (arXiv 1912.12180): attention along the rows, then along the columns."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv_x, self.qkv_y = nn.Linear(C, 3 * C), nn.Linear(C, 3 * C)

    @staticmethod
    def attend(x: Tensor, layer: nn.Linear) -> Tensor:
        q, k, v = layer(x).unflatten(-1, (3, 2, C // 2)).permute(2, 0, 3, 1, 4)
        y = (q @ k.transpose(-2, -1) * (C // 2) ** -0.5).softmax(-1) @ v
        return x + y.transpose(1, 2).flatten(2)

    def forward(self, x: Tensor) -> Tensor:
        items, _, h, w = x.shape
        along_x = self.attend(x.permute(0, 2, 3, 1).reshape(items * h, w, C), self.qkv_x)
        turned = along_x.view(items, h, w, C).transpose(1, 2).reshape(items * w, h, C)
        along_y = self.attend(turned, self.qkv_y)
        return along_y.view(items, w, h, C).permute(0, 3, 2, 1)


class Encoder(nn.Module):
    """Vaswani et al. 2017 (arXiv 1706.03762) on places, in torch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(C, 4, 17, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x.flatten(2).mT)
        return y.mT.reshape(x.shape)
