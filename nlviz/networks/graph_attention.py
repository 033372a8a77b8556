"""Graph attention: nodes look at their neighbours, GAT and GATv2.

Veličković et al., "Graph Attention Networks", ICLR 2018, arXiv 1710.10903, equations (1) to (5);
Brody, Alon and Yahav, "How Attentive are Graph Attention Networks?", ICLR 2022, arXiv 2105.14491.
Written from the papers. Node i with its neighbours j:

    y_i  = sum_j a_ij W h_j,  a_ij = softmax_j(e_ij) over the neighbours of i
    e_ij = LeakyReLU(a1 . W h_i + a2 . W h_j)      GAT: monotone in a2 . W h_j, so every node ranks
                                                   its neighbours by one and the same list
    e_ij = a . LeakyReLU(W1 h_i + W2 h_j)          GATv2: the order depends on i

An edge runs from a source j to a target i; target i attends to source j.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.errors import NlvizError

Form = Literal["gat", "gatv2"]
SLOPE = 0.2  # of LeakyReLU below 0, in both papers


class EdgeAttend(nn.Module):
    """Softmax over the edges into each node, times values; without parameters.

    It is a module of its own so that a hook on it sees logits, values and y as they are.
    """

    def forward(
        self,
        logits: Float[Tensor, "edges heads"],
        values: Float[Tensor, "nodes heads d"],
        edges: Int[Tensor, "2 edges"],
    ) -> Float[Tensor, "nodes heads d"]:
        """Return y; a node into which no edge runs gets nothing."""
        weights = edge_softmax(logits, edges[1], len(values))
        carried = weights[..., None] * values[edges[0]]
        return torch.zeros_like(values).index_add(0, edges[1], carried)


class GraphAttention(nn.Module):
    """A layer of graph attention.

    Args:
        channels: of a node's features.
        out: channels of each head.
        heads: number of heads, side by side in what is returned.
        form: ``gat`` or ``gatv2``.
        self_loops: whether every node is a neighbour of its own, as in the papers.

    >>> layer = GraphAttention(3, 5, heads=2)
    >>> layer(torch.randn(4, 3), torch.tensor([[0, 1], [2, 2]])).shape
    torch.Size([4, 10])
    """

    def __init__(
        self,
        channels: int,
        out: int,
        *,
        heads: int = 1,
        form: Form = "gat",
        self_loops: bool = True,
    ) -> None:
        super().__init__()
        if form not in ("gat", "gatv2"):
            raise NlvizError(f"graph attention is of the form gat or gatv2, got {form!r}")
        self.channels, self.heads, self.form, self.self_loops = channels, heads, form, self_loops
        self.of_source = nn.Linear(channels, heads * out, bias=False)
        # GAT has one W for both ends, GATv2 one for each.
        self.of_target = nn.Linear(channels, heads * out, bias=False) if form == "gatv2" else None
        self.a_source = nn.Parameter(torch.empty(heads, out))
        self.a_target = nn.Parameter(torch.empty(heads, out)) if form == "gat" else None
        self.bias = nn.Parameter(torch.zeros(heads * out))
        self.attend = EdgeAttend()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self, x: Float[Tensor, "nodes channels"], edges: Int[Tensor, "2 edges"]
    ) -> Float[Tensor, "nodes heads_x_out"]:
        """Return what each node gets from its neighbours.

        Args:
            x: a node's features.
            edges: source and target of each edge; loops are added where ``self_loops`` says so.
        """
        if self.self_loops:
            edges = with_loops(edges, len(x))
        logits, values = self.scores(x, edges)
        y: Tensor = self.attend(logits, values, edges)
        return y.flatten(1) + self.bias

    def scores(
        self, x: Float[Tensor, "nodes channels"], edges: Int[Tensor, "2 edges"]
    ) -> tuple[Float[Tensor, "edges heads"], Float[Tensor, "nodes heads out"]]:
        """Return the logits e of all edges, and the values W h of all nodes."""
        source, target = edges
        values = self.of_source(x).unflatten(1, (self.heads, -1))
        if self.a_target is not None:
            of_target, of_source = ((values * a).sum(-1) for a in (self.a_target, self.a_source))
            return F.leaky_relu(of_target[target] + of_source[source], SLOPE), values
        assert self.of_target is not None  # one form or the other
        asking = self.of_target(x).unflatten(1, (self.heads, -1))
        both = F.leaky_relu(asking[target] + values[source], SLOPE)
        return (both * self.a_source).sum(-1), values


class GraphNetwork(nn.Module):
    """One layer of graph attention between two maps of single nodes: scores for each node.

    Args:
        channels: of a node's features.
        classes: number of scores.
        hidden: channels inside.
        heads: of the attention.
        form: ``gat`` or ``gatv2``.

    >>> net = GraphNetwork(3, 7, hidden=8, heads=2)
    >>> net(torch.randn(4, 3), torch.tensor([[0, 1], [2, 2]])).shape
    torch.Size([4, 7])
    """

    def __init__(
        self, channels: int, classes: int, *, hidden: int = 32, heads: int = 2, form: Form = "gat"
    ) -> None:
        super().__init__()
        self.channels = channels
        self.embed = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU())
        self.attention = GraphAttention(hidden, hidden // heads, heads=heads, form=form)
        self.classify = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def forward(
        self, x: Float[Tensor, "nodes channels"], edges: Int[Tensor, "2 edges"]
    ) -> Float[Tensor, "nodes classes"]:
        """Return the scores of all nodes."""
        scores: Tensor = self.classify(F.elu(self.attention(self.embed(x), edges)))
        return scores


def edge_softmax(
    logits: Float[Tensor, "edges heads"], target: Int[Tensor, " edges"], nodes: int
) -> Float[Tensor, "edges heads"]:
    """Return the softmax over the edges that run into the same node.

    >>> edge_softmax(torch.zeros(3, 1), torch.tensor([0, 0, 1]), 2)[:, 0]
    tensor([0.5000, 0.5000, 1.0000])
    """
    at = target[:, None].expand_as(logits)
    lowest = logits.new_full((nodes, logits.shape[1]), -torch.inf)
    highest = lowest.scatter_reduce(0, at, logits.detach(), "amax")
    f = (logits - highest[target]).exp()
    total = torch.zeros_like(lowest).scatter_add(0, at, f)
    return f / total[target]


def with_loops(edges: Int[Tensor, "2 edges"], nodes: int) -> Int[Tensor, "2 more_edges"]:
    """Return edges with one loop at every node, in the place of those that are there.

    >>> with_loops(torch.tensor([[0, 1], [1, 1]]), 2)
    tensor([[0, 0, 1],
            [1, 0, 1]])
    """
    between = edges[:, edges[0] != edges[1]]
    every = torch.arange(nodes, device=edges.device)
    return torch.cat([between, every.expand(2, -1)], 1)
