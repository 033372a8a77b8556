"""Attention of a network of unknown code: names, runs, notes, threads, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nlviz
from tests.nets import noise_clip

SPEC = nlviz.InputSpec(sides=(24, 40), layout="frames")
CLIP = noise_clip(2, 24, 40)


class Tokens(nn.Module):
    """A class token and 3 x 5 patches of 8 pixels, through one layer twice."""

    def __init__(self, layer: nn.Module, times: int = 1) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 12, 8, 8), nn.Linear(12, 7)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 12))
        self.layer, self.times = layer, times

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        for _ in range(self.times):
            x = x + self.layer(x)
        return self.head(x[:, 0])  # type: ignore[no-any-return]


class Written(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(12, 36)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4)
        rows = (q * 0.5 @ k.mT).softmax(-1)
        self.seen.append(rows)
        return (rows @ v).transpose(1, 2).flatten(2)


def stirred(net: Any) -> Any:
    torch.manual_seed(3)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn_like(p) * 0.4)
    return net.eval()


def test_a_layer_that_runs_twice_has_two_names_and_its_own_rows() -> None:
    layer = Written()
    net = stirred(Tokens(layer, times=2))
    capture = nlviz.capture(net, CLIP, input_spec=SPEC)
    assert list(capture.affinities) == ["layer", "layer#2"]
    for affinity, rows in zip(capture.affinities.values(), layer.seen[-2:], strict=True):
        assert affinity.token_names == ("cls", "cls")
        for frame in range(2):
            ours = affinity.map(frame=frame, y=12, x=28, head=2)
            wanted = rows[frame, 2, 1 + 1 * 5 + 3]
            np.testing.assert_allclose(ours.weights[frame].ravel(), wanted[1:], atol=1e-6)
            assert ours.off_grid == pytest.approx(float(wanted[0]), abs=1e-6)
            cls = affinity.map(token="cls", frame=frame, head=1)
            np.testing.assert_allclose(cls.weights[frame].ravel(), rows[frame, 1, 0, 1:], atol=1e-6)


def test_torchs_own_attention_is_seen_and_its_plain_form_told() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.MultiheadAttention(12, 3, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x, x, x, need_weights=False)[0]  # type: ignore[no-any-return]

    net = stirred(Tokens(Packed()))
    model = nlviz.Model(net, input_spec=SPEC)
    capture = model.capture(CLIP)
    assert any("fused encoder" in note for note in capture.notes)
    taken: list[Tensor] = []
    handle = net.layer.register_forward_pre_hook(lambda m, args: taken.append(args[0]))
    model.logits(CLIP)
    handle.remove()
    inner = net.layer.inner
    with torch.no_grad():
        rows = inner(*taken * 3, need_weights=True, average_attn_weights=False)[1]
    ours = capture.affinities["layer.inner"].map(frame=1, y=4, x=36, head=0)
    np.testing.assert_allclose(ours.weights[1].ravel(), rows[1, 0, 1 + 4, 1:], atol=1e-6)


def test_threads_on_one_network_never_mix() -> None:
    net = stirred(Tokens(Written()))
    model = nlviz.Model(net, input_spec=SPEC)
    clips = [noise_clip(2, 24, 40, seed=seed) for seed in range(6)]
    alone = [model.capture(clip).affinities["layer"].dense() for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda c: model.capture(c).affinities["layer"].dense(), clips * 3))
    for i, rows in enumerate(together):
        assert torch.equal(rows, alone[i % 6])


def test_a_network_without_attention_says_so() -> None:
    class Mixer(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.roll(1, 1)

    with pytest.raises(nlviz.NlvizError, match="no product of queries and keys was seen"):
        nlviz.capture(stirred(Tokens(Mixer())), CLIP, input_spec=SPEC, family="attention")


class OneHead(nn.Module):
    """One head, written with products that know no batch, for one picture."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.qkv, self.kind = nn.Linear(12, 18), kind
        self.rows = torch.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x[0]).chunk(3, -1)
        if self.kind == "inner":
            logits = torch.inner(q, k)
        else:
            logits = torch.tensordot(q, k, dims=([1], [1]))
        if self.kind == "largest":
            logits = logits.masked_fill(logits < logits.topk(3, -1).values[:, -1:], -torch.inf)
        self.rows = logits.softmax(-1).detach()
        y = torch.tensordot(self.rows, v, dims=1)
        return torch.cat([y, y], -1)[None]


@pytest.mark.parametrize("kind", ["inner", "tensordot", "largest"])
def test_one_head_by_products_without_a_batch(kind: str) -> None:
    layer = OneHead(kind)
    net = stirred(Tokens(layer))
    found = nlviz.capture(net, noise_clip(1, 24, 40), input_spec=SPEC).affinities["layer"]
    rows = layer.rows
    torch.testing.assert_close(found.dense()[0], rows[1:])
    if kind == "largest":  # no window and no grid, whatever some rows look like
        assert found.support.sentence(found.keys) == "A query reaches 3 of 16 keys."
