"""Layers of graph attention against their papers' formulas, written out node by node."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.networks.graph_attention import Form, GraphAttention, edge_softmax, with_loops

NODES, CHANNELS, OUT, HEADS = 7, 5, 3, 2


def leaky(x: float) -> float:
    return x if x > 0 else 0.2 * x


@torch.no_grad()
def by_hand(layer: GraphAttention, x: Tensor, edges: Tensor) -> Tensor:
    """Return the layer's output, one node and one head after the other."""
    out = torch.zeros(len(x), layer.heads, OUT, dtype=x.dtype)
    w = layer.of_source.weight.unflatten(0, (layer.heads, OUT))
    for i in range(len(x)):
        near = sorted({int(s) for s, t in edges.T if int(t) == i} | {i})
        for h in range(layer.heads):
            logits = []
            for j in near:
                if layer.a_target is not None:
                    parts = layer.a_target[h] @ (w[h] @ x[i]), layer.a_source[h] @ (w[h] @ x[j])
                    logits.append(leaky(float(sum(parts))))
                else:
                    own = layer.of_target.weight.unflatten(0, (layer.heads, OUT))[h] @ x[i]
                    both = own + w[h] @ x[j]
                    a = layer.a_source[h].tolist()
                    logits.append(sum(a[k] * leaky(float(both[k])) for k in range(OUT)))
            total = sum(math.exp(e) for e in logits)
            for e, j in zip(logits, near, strict=True):
                out[i, h] += math.exp(e) / total * (w[h] @ x[j])
    return out.flatten(1) + layer.bias


@pytest.mark.parametrize("form", ["gat", "gatv2"])
def test_a_layer_is_the_paper_s(form: Form) -> None:
    torch.manual_seed(0)
    layer = GraphAttention(CHANNELS, OUT, heads=HEADS, form=form).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(NODES, CHANNELS, dtype=torch.double)
    edges = torch.tensor([[0, 1, 2, 3, 5, 5, 4], [1, 1, 1, 0, 0, 4, 4]])  # two loops among them
    torch.testing.assert_close(layer(x, edges), by_hand(layer, x, edges))


def test_gat_ranks_the_neighbours_alike_for_every_node_and_gatv2_need_not() -> None:
    torch.manual_seed(1)
    x = torch.randn(NODES, CHANNELS)
    every = torch.cartesian_prod(torch.arange(NODES), torch.arange(NODES)).T
    orders = {}
    for form in ("gat", "gatv2"):
        layer = GraphAttention(CHANNELS, OUT, heads=1, form=form)  # type: ignore[arg-type]
        logits = layer.scores(x, every)[0][:, 0]
        table = torch.zeros(NODES, NODES)
        table[every[1], every[0]] = logits.detach()
        orders[form] = {tuple(row.argsort().tolist()) for row in table}
    assert len(orders["gat"]) == 1
    assert len(orders["gatv2"]) > 1


def test_a_node_without_edges_gets_nothing() -> None:
    layer = GraphAttention(CHANNELS, OUT, self_loops=False)
    y = layer(torch.randn(3, CHANNELS), torch.tensor([[0], [1]]))
    assert torch.equal(y[0], layer.bias)
    assert y.isfinite().all()


def test_softmax_over_edges_does_not_overflow_and_can_be_differentiated() -> None:
    target = torch.tensor([2, 0, 2, 2])
    weights = edge_softmax(torch.tensor([[4000.0], [-4000.0], [3999.0], [0.0]]), target, 3)[:, 0]
    assert weights.tolist() == pytest.approx([1 / (1 + math.exp(-1)), 1, 1 / (1 + math.e), 0])
    logits = torch.randn(4, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e: edge_softmax(e, target, 3), logits)


def test_loops_are_there_once() -> None:
    edges = with_loops(torch.tensor([[0, 1, 1], [0, 1, 2]]), 3)
    assert sorted(map(tuple, edges.T.tolist())) == [(0, 0), (1, 1), (1, 2), (2, 2)]


def test_another_form_is_refused() -> None:
    with pytest.raises(NlvizError, match="gat or gatv2, got 'gcn'"):
        GraphAttention(4, 2, form="gcn")  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["gat", "gatv2"])
def test_the_library_pytorch_geometric_computes_the_same(form: Form) -> None:
    geometric = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(2)
    layer = GraphAttention(CHANNELS, OUT, heads=HEADS, form=form)
    edges = torch.tensor([[0, 1, 2, 3, 5, 6], [1, 0, 1, 0, 0, 4]])
    x = torch.randn(NODES, CHANNELS)
    with torch.no_grad():
        if form == "gat":
            theirs = geometric.GATConv(CHANNELS, OUT, heads=HEADS)
            theirs.lin.weight.copy_(layer.of_source.weight)
            theirs.att_src.copy_(layer.a_source[None])
            theirs.att_dst.copy_(layer.a_target[None])
        else:
            theirs = geometric.GATv2Conv(CHANNELS, OUT, heads=HEADS, bias=False)
            theirs.lin_l.weight.copy_(layer.of_source.weight)
            theirs.lin_r.weight.copy_(layer.of_target.weight)
            theirs.att.copy_(layer.a_source[None])
        torch.testing.assert_close(theirs(x, edges), layer(x, edges))
