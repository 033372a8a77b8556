"""Weights on edges as an affinity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity.edges import edges_affinity
from nlviz.errors import NlvizError

EDGES = torch.tensor([[0, 1, 2, 4, 0, 0], [3, 3, 3, 1, 1, 1]])  # 0 -> 1 twice
WEIGHTS = torch.tensor([[0.5, 0.1], [0.3, 0.2], [0.2, 0.7], [0.4, 1.0], [0.35, 0.0], [0.25, 0.0]])
GRAPH = nlviz.Graph.of(EDGES.T.numpy(), names=list("abcde"))


def test_rows_are_of_targets_and_hold_what_their_edges_weigh() -> None:
    affinity = edges_affinity(EDGES, WEIGHTS, GRAPH)
    rows = affinity.dense()
    expected = torch.zeros(2, 5, 5)
    for (source, target), weight in zip(EDGES.T.tolist(), WEIGHTS, strict=True):
        expected[:, target, source] += weight
    torch.testing.assert_close(rows, expected)
    for key in range(5):
        torch.testing.assert_close(affinity.column(key), expected[..., key])


def test_a_node_sees_its_neighbours_alone() -> None:
    affinity = edges_affinity(EDGES, WEIGHTS, GRAPH)
    reached = affinity.map(token="b", head=0).reachable
    assert reached is not None
    assert reached[0, 0].tolist() == [True, False, False, False, True]
    assert affinity.map(token="d").uniform == pytest.approx(1 / 3)
    found = affinity.map(token="d", head=1)
    assert [link.name for link in found.top(3)] == ["c", "b", "a"]
    assert found.normalised


def test_nodes_without_edges_have_empty_rows_and_all_others_are_shares() -> None:
    affinity = edges_affinity(EDGES, WEIGHTS, GRAPH)
    assert affinity.distributes
    empty = affinity.map(token="e")
    assert empty.weights.sum() == 0
    assert empty.reachable is not None
    assert not empty.reachable.any()


def test_weights_that_are_no_shares_are_not_taken_for_such() -> None:
    affinity = edges_affinity(EDGES, 3 * WEIGHTS, GRAPH)
    assert not affinity.distributes
    assert not affinity.map(token="d").normalised


def test_a_hub_of_many_edges_is_kept_exactly() -> None:
    n = 300
    edges = np.stack([np.arange(1, n), np.zeros(n - 1, np.int64)])
    weights = np.random.default_rng(0).dirichlet(np.ones(n - 1)).astype(np.float32)
    row = edges_affinity(edges, weights, nlviz.Graph.of(edges.T)).rows([0])[0, 0]
    np.testing.assert_allclose(row[1:].numpy(), weights, rtol=1e-6)


@pytest.mark.parametrize(
    ("edges", "weights", "sentence"),
    [
        (EDGES[0], WEIGHTS, r"edges are \(2, E\)"),
        (EDGES, WEIGHTS[:3], r"with weights \(E,\) or \(E, heads\)"),
        (EDGES + 1, WEIGHTS, "numbered from 0 to 4; got 1 to 5"),
        (EDGES, WEIGHTS * float("nan"), "finite"),
    ],
)
def test_what_does_not_fit_is_refused(
    edges: torch.Tensor, weights: torch.Tensor, sentence: str
) -> None:
    with pytest.raises(NlvizError, match=sentence):
        edges_affinity(edges, weights, GRAPH)


@pytest.mark.parametrize("conv", ["GATConv", "GATv2Conv", "TransformerConv"])
def test_what_layers_of_pytorch_geometric_return_gives_their_output(conv: str) -> None:
    geometric = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(0)
    more = {"root_weight": False} if conv == "TransformerConv" else {"bias": False}
    layer = getattr(geometric, conv)(4, 6, heads=3, **more).eval()
    x = torch.randn(5, 4)
    with torch.no_grad():
        y, (edges, alpha) = layer(x, EDGES[:, :5], return_attention_weights=True)
        source = {"GATConv": "lin", "GATv2Conv": "lin_l", "TransformerConv": "lin_value"}[conv]
        values = getattr(layer, source)(x).unflatten(1, (3, 6)).transpose(0, 1)
    affinity = edges_affinity(
        edges, alpha, GRAPH, values=values, output=y.unflatten(1, (3, 6)).transpose(0, 1)
    )
    error = affinity.parity_error()
    assert error is not None
    assert error < 1e-5


def test_a_capture_file_keeps_them(tmp_path: Path) -> None:
    model = nlviz.load_model("gat.priority", device="cpu")
    graph = nlviz.read_graph(nlviz.bundled_graphs()["priority.json"])
    capture = model.capture(graph)
    again = nlviz.read_capture(capture.save(tmp_path / "c.nlviz"))
    own, kept = (c.affinities["attention"] for c in (capture, again))
    torch.testing.assert_close(kept.dense(), own.dense(), rtol=0, atol=0)
    assert kept.keys.names == graph.names
