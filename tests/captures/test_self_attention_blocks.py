"""Blocks that people mean by self-attention: rows of their formulas, or why there are none."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.words.blocks import kind_text
from tests.captures.self_attention_blocks import (
    Axial,
    C,
    ChannelAttention,
    CrissCross,
    DoubleAttention,
    Encoder,
    ExpectationMaximisation,
    GlobalContext,
    PositionAttention,
    Recurrent,
    SaganAttention,
    SaganPooled,
)
from tests.nets import noise_clip

H, W = 5, 7
SPEC = nlviz.InputSpec(sides=(4 * H, 4 * W), layout="frames")
each_size = pytest.mark.parametrize("frames", [1, 3])


def net_of(*blocks: nn.Module) -> nn.Sequential:
    torch.manual_seed(2)
    stem = nn.Conv2d(3, C, 4, 4)
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def made(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    return kind()


def captured(net: nn.Sequential, frames: int) -> nlviz.Capture:
    """Capture a clip; the output is that of the network, that of torch's encoder up to rounding."""
    clip = noise_clip(frames, 4 * H, 4 * W)
    model = nlviz.Model(net, input_spec=SPEC)
    found = nlviz.capture(net, clip, input_spec=SPEC)
    with torch.no_grad():
        assert found.logits is not None
        off = (found.logits - net(model.prepared(clip).tensor).mean(0)).abs().max()
        assert off <= (1e-6 if isinstance(net[1], Encoder) else 0)
    return found


def entering(net: nn.Sequential, frames: int, position: int) -> Tensor:
    x = nlviz.Model(net, input_spec=SPEC).prepared(noise_clip(frames, 4 * H, 4 * W)).tensor
    with torch.no_grad():
        return net[:position](x)


def by_frame(rows: Tensor) -> Tensor:
    """Return (queries, keys) over all frames from (frames, queries, keys) of each."""
    return torch.block_diag(*rows)


@each_size
@pytest.mark.parametrize("kind", [SaganAttention, SaganPooled, PositionAttention, CrissCross])
def test_rows_are_those_of_the_formula(kind: type[nn.Module], frames: int) -> None:
    net = net_of(made(kind))
    capture = captured(net, frames)
    (affinity,) = capture.affinities.values()
    wanted = by_frame(net[1].wanted(entering(net, frames, 1)))  # type: ignore[operator]
    assert (affinity.dense()[0] - wanted).abs().max() < 1e-5
    assert affinity.distributes
    assert not affinity.note
    assert not capture.refused
    assert capture.receipts[affinity.name].holds


@each_size
@pytest.mark.parametrize("kind", [SaganAttention, CrissCross])
def test_a_block_whose_gamma_is_zero_is_dead(kind: type[nn.Module], frames: int) -> None:
    net = net_of(made(kind))
    net[1].gamma.data.zero_()  # type: ignore[union-attr, operator]
    capture = captured(net, frames)
    (name,) = capture.affinities
    health = nlviz.block_health(nlviz.Model(net, input_spec=SPEC), capture, name)
    assert health.state == "dead"


@each_size
def test_criss_cross_that_runs_twice_is_two_blocks(frames: int) -> None:
    net = net_of(made(Recurrent))
    capture = captured(net, frames)
    assert [*capture.affinities] == ["1.cca", "1.cca#2"]
    cca, x = net[1].cca, entering(net, frames, 1)  # type: ignore[union-attr]
    for affinity in capture.affinities.values():
        assert (affinity.dense()[0] - by_frame(cca.wanted(x))).abs().max() < 1e-5  # type: ignore[operator]
        with torch.no_grad():
            x = cca(x)  # type: ignore[operator]
    shown = capture.affinities["1.cca#2"].map(frame=frames - 1, y=9, x=13)
    cross = torch.zeros(H, W)
    cross[2], cross[:, 3] = 1, 1
    assert shown.reachable is not None
    assert torch.equal(torch.from_numpy(shown.reachable[-1]), cross > 0)
    assert int(shown.reachable.sum()) == H + W - 1


@each_size
def test_a_softmax_over_all_places_is_one_map_for_each_frame(frames: int) -> None:
    for kind, heads in ((GlobalContext, 1), (DoubleAttention, 4)):
        net = net_of(made(kind))
        affinity = captured(net, frames).affinities["1"]
        wanted = net[1].wanted(entering(net, frames, 1)).detach()  # type: ignore[operator]
        assert (affinity.heads, affinity.queries.shape) == (heads, (frames, 1, 1))
        for t in range(frames):
            rows = affinity.map(frame=t, y=3, x=19, head=heads - 1).weights
            assert abs(rows[t].ravel() - wanted[t, -1].numpy()).max() < 1e-6
            assert abs(rows.sum() - 1) < 1e-6
        assert "a global context" in affinity.note
        assert kind_text(affinity) == "global context"
        assert affinity.map(token="context", frame=0).weights.shape == (frames, H, W)


def test_what_is_no_map_of_places_is_said() -> None:
    with pytest.raises(nlviz.NlvizError, match="attention between channels"):
        captured(net_of(made(ChannelAttention)), 3)
    capture = captured(net_of(made(ExpectationMaximisation)), 3)
    assert [*capture.affinities] == ["1", "1/2", "1/3"] and not capture.refused
    assert [a.queries.kind for a in capture.affinities.values()] == ["line", "line", "grid"]
    assert capture.affinities["1/3"].keys.kind == "line"  # what each place takes of the bases
    assert [*captured(net_of(made(DoubleAttention)), 1).refused] == ["1/2"]


def test_bases_gather_from_places_each_once() -> None:
    net = net_of(made(ExpectationMaximisation))
    block, x = net[1], entering(net, 1, 1)
    capture = captured(net, 1)
    flat = block.conv1(x).flatten(2).double()  # type: ignore[union-attr, operator]
    mu = block.mu.double()  # type: ignore[union-attr, operator]
    for name in ("1", "1/2"):
        z = torch.einsum("ncp,nck->npk", flat, mu).softmax(-1)
        wanted = (z / (1e-6 + z.sum(1, keepdim=True)))[0].mT
        affinity = capture.affinities[name]
        rows = affinity.rows(range(affinity.queries.size))[0]
        assert (rows - wanted).abs().max() < 1e-5
        mu = nn.functional.normalize(torch.einsum("ncp,npk->nck", flat, wanted.mT[None]), dim=1)


@each_size
def test_axial_attention_is_rows_and_columns(frames: int) -> None:
    net = net_of(made(Axial))
    capture = captured(net, frames)
    along_x, along_y = capture.affinities.values()
    assert re.match(r"A query reaches its row of 7 keys", along_x.support.sentence(along_x.keys))
    assert re.match(r"A query reaches its column of 5 keys", along_y.support.sentence(along_y.keys))
    x = entering(net, frames, 1).permute(0, 2, 3, 1)
    qkv = net[1].qkv_x(x).double().unflatten(-1, (3, 2, C // 2))  # type: ignore[union-attr, operator]
    q, k, _ = qkv.unbind(3)
    logits = torch.einsum("nywhd,nyvhd->hnywv", q, k) * (C // 2) ** -0.5
    rows = along_x.dense().view(2, frames, H, W, frames, H, W)
    for t in range(frames):
        for y in range(H):
            assert (rows[:, t, y, :, t, y] - logits[:, t, y].softmax(-1)).abs().max() < 1e-5


@each_size
def test_an_encoder_of_torch_on_places(frames: int) -> None:
    net = net_of(made(Encoder))
    capture = captured(net, frames)
    first = capture.affinities["1.layers.layers.0.self_attn"]
    layer = net[1].layers.layers[0].self_attn  # type: ignore[union-attr]
    x = entering(net, frames, 1).flatten(2).mT
    with torch.no_grad():
        _, rows = layer(x, x, x, average_attn_weights=False)  # type: ignore[operator]
    assert len(capture.affinities) == 2
    wanted = torch.stack([by_frame(head) for head in rows.transpose(0, 1)])
    assert (first.dense() - wanted).abs().max() < 1e-5


@pytest.mark.parametrize(
    "kind", [CrissCross, GlobalContext, DoubleAttention, ExpectationMaximisation, Axial]
)
def test_what_comes_behind_a_block_lies_where_it_lay(kind: type[nn.Module]) -> None:
    net = net_of(made(kind), made(SaganAttention))
    behind = captured(net, 3).affinities["2"]
    assert behind.queries.shape == (3, H, W)
    assert behind.queries.stride == (1.0, 4.0, 4.0)
    assert behind.queries.origin == (0.0, 1.5, 1.5)


class ClassAttention(nn.Module):
    """Touvron et al. 2021 (arXiv 2103.17239): one token asks all places, with a number for each."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, C))
        self.qkv, self.bias = nn.Linear(C, 3 * C), nn.Parameter(3 * torch.randn(2, 1, H * W))

    def rows(self, x: Tensor) -> Tensor:
        q, k, _ = self.split(x)
        return (q @ k.mT * (C // 2) ** -0.5 + self.bias).softmax(-1)

    def split(self, x: Tensor) -> Tensor:
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(2).mT], 1)
        q, k, v = self.qkv(tokens).unflatten(-1, (3, 2, C // 2)).permute(2, 0, 3, 1, 4)
        return q[:, :, :1], k[:, :, 1:], v[:, :, 1:]  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        weights = (q @ k.mT * (C // 2) ** -0.5 + self.bias).softmax(-1)
        return x + (weights @ v).transpose(1, 2).flatten(2).mT[..., None]


@each_size
def test_a_class_token_of_each_frame_is_shown_in_its_frame(frames: int) -> None:
    net = net_of(made(ClassAttention))
    (affinity,) = captured(net, frames).affinities.values()
    wanted = net[1].rows(entering(net, frames, 1)).detach()  # type: ignore[operator]
    for t in range(frames):
        for head in range(2):
            shown = affinity.map(frame=t, y=9, x=13, head=head)
            assert abs(shown.weights[t].ravel() - wanted[t, head, 0].numpy()).max() < 1e-5
            own = affinity.map(token="cls", frame=t, head=head)
            assert abs(own.weights[t].ravel() - wanted[t, head, 0].numpy()).max() < 1e-5
    assert "the row is that of" in affinity.note
