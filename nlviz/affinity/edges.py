"""Weights of edges as an affinity: what a graph attention layer gave, or what a user hands over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.clips.graph import Graph
from nlviz.errors import NlvizError

COMPARED = (
    "Weights are shared out among the edges into one node: those into different nodes are not "
    "comparable."
)
NEIGHBOURS = "A query reaches the nodes from which an edge runs to it."


def edges_affinity(
    edges: Tensor | npt.ArrayLike,
    weights: Tensor | npt.ArrayLike,
    graph: Graph,
    *,
    name: str = "edges",
    pairwise: PairwiseName = "graph_attention",
    values: Tensor | None = None,
    output: Tensor | None = None,
    note: str = "",
) -> StoredAffinity:
    """Return an affinity of weights that stand on the edges of a graph.

    Rows are of targets: what each node took from the sources of the edges into it. Of a layer of
    PyTorch Geometric (``GATConv``, ``GATv2Conv``, ``TransformerConv``) both are what it returns
    with ``return_attention_weights=True``::

        _, (edges, alpha) = conv(x, edge_index, return_attention_weights=True)
        affinity = nlviz.edges_affinity(edges, alpha, graph)

    Args:
        edges: (2, E) source and target of each edge, numbered from 0; loops are edges like others,
            and the weights of an edge that stands twice are added.
        weights: (E,) or (E, heads) of each edge.
        graph: whose nodes they join, and where these are drawn.
        name: what to call it.
        pairwise: f of equation (1), for the page that says it.
        values: (heads, nodes, d) g, where they are known.
        output: (heads, nodes, d) y as the layer computed it, to check rows against.
        note: a sentence on what a reader must know of it.

    Raises:
        NlvizError: when edges, weights and nodes do not fit together.

    >>> graph = Graph.of([[0, 2], [1, 2]], names=["a", "b", "c"])
    >>> found = edges_affinity(graph.edges, [0.25, 0.75], graph)
    >>> found.map(token="c").weights
    array([[[0.25, 0.75, 0.  ]]], dtype=float32)
    """
    pairs = torch.as_tensor(np.array(edges) if not isinstance(edges, Tensor) else edges)
    each = torch.as_tensor(np.array(weights) if not isinstance(weights, Tensor) else weights)
    pairs, each = pairs.detach().cpu().long(), each.detach().cpu().float()
    each = each[:, None] if each.dim() == 1 else each
    count = pairs.shape[-1]
    if pairs.dim() != 2 or len(pairs) != 2 or each.dim() != 2 or len(each) != count:
        raise NlvizError(
            "edges are (2, E), source and target of each, with weights (E,) or (E, heads); got "
            f"{tuple(pairs.shape)} and {tuple(each.shape)}"
        )
    n = graph.size
    if count and not (0 <= int(pairs.min()) and int(pairs.max()) < n):
        raise NlvizError(
            f"edges join nodes of {graph.name}, numbered from 0 to {n - 1}; got "
            f"{int(pairs.min())} to {int(pairs.max())}"
        )
    if not bool(each.isfinite().all()):
        raise NlvizError(f"weights of edges are finite numbers, some of {name}'s are not")
    grid = TokenNodes.of([(float(y), float(x)) for y, x in graph.places], graph.names)
    reach = torch.zeros(n, n, dtype=torch.bool)
    reach[pairs[1], pairs[0]] = True
    kept, key_of = _by_target(pairs, each, n)
    return StoredAffinity(
        name,
        Pairwise(pairwise),
        kept,
        torch.arange(n),
        torch.zeros(n, dtype=torch.long),
        key_of,
        grid,
        grid,
        support=KeySets.of(torch.arange(n), reach, NEIGHBOURS),
        clip_shape=graph.shape,
        note=" ".join(filter(None, (note, COMPARED))),
        values=values,
        output=output,
    )


def _by_target(
    edges: Int[Tensor, "2 edges"], weights: Tensor, nodes: int
) -> tuple[Tensor, Int[Tensor, "nodes most"]]:
    """Return weights (nodes, heads, 1, most) and sources (nodes, most) by target, -1 for none."""
    order = edges[1].argsort(stable=True)
    source, target = edges[:, order]
    degree = torch.bincount(edges[1], minlength=nodes)
    most = max(int(degree.max()) if len(degree) else 0, 1)
    place = torch.arange(len(order)) - (degree.cumsum(0) - degree)[target]
    key_of = torch.full((nodes, most), -1)
    key_of[target, place] = source
    kept = weights.new_zeros(nodes, most, weights.shape[1])
    kept[target, place] = weights[order]
    # A node into which no edge runs has an empty row; its whole weight stands on no key.
    kept[degree == 0, 0] = 1.0
    return kept.permute(0, 2, 1)[:, :, None].contiguous(), key_of
