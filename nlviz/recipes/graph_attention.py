"""Trains the bundled graph attention networks: ``python -m nlviz.recipes.graph_attention``.

Two tasks on small graphs whose answer, and the one neighbour that gives it, are known:

* ``priority``: every node has a rank and a mark; the answer is the mark of the neighbour with the
  highest rank. One list of ranks serves all nodes, so GAT can do it.
* ``lookup``: the dictionary of Brody et al. 2022 (arXiv 2105.14491): asking nodes see all entries,
  each with a word and a mark; the answer is the mark of the entry with the asker's own word. Every
  asker needs another entry first, so GAT, which ranks entries alike for all, cannot; GATv2 can.

A minute each on one CPU core. Weights and their cards go to the folder that is named.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from nlviz.files.local import digest_of
from nlviz.networks.graph_attention import Form, GraphNetwork, edge_softmax, with_loops

Task = Literal["priority", "lookup"]

VERSION = 1
MARKS = 8  # what a node may carry
WORDS = 10  # entries of a dictionary at most
RANKS = 16  # nodes of a graph at most
NONE = -1  # a node that is not asked
CHANNELS: dict[Task, int] = {"priority": 1 + MARKS, "lookup": 1 + WORDS + MARKS}
MODELS: dict[str, tuple[Form, Task]] = {
    "gat.priority": ("gat", "priority"),
    "gat.lookup": ("gat", "lookup"),
    "gatv2.lookup": ("gatv2", "lookup"),
}


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Attributes:
        seed: of weights and graphs.
        steps: of the optimiser.
        batch: graphs of a step.
        rate: learning rate of Adam at the start; a cosine takes it to 0.
    """

    seed: int = 0
    steps: int = 2000
    batch: int = 48
    rate: float = 4e-3


class Graphs(NamedTuple):
    """Graphs side by side, with what is asked of them.

    Attributes:
        x: features of all nodes.
        edges: source and target of every edge.
        answer: the mark that each node is asked for; ``NONE`` where it is not asked.
        giver: the node that has it, ``NONE`` likewise.
    """

    x: Float[Tensor, "nodes channels"]
    edges: Int[Tensor, "2 edges"]
    answer: Int[Tensor, " nodes"]
    giver: Int[Tensor, " nodes"]


def priority_graph(rng: np.random.Generator, *, nodes: int | None = None) -> Graphs:
    """Return a graph whose nodes are asked for the mark of the neighbour of highest rank.

    Edges run both ways; a node is a neighbour of its own, as everywhere in graph attention.

    >>> graph = priority_graph(np.random.default_rng(0), nodes=7)
    >>> graph.x.shape, int((graph.answer == NONE).sum())
    (torch.Size([7, 9]), 0)
    """
    n = int(rng.integers(8, RANKS + 1)) if nodes is None else nodes
    rank = rng.permutation(RANKS)[:n] / (RANKS - 1)
    mark = rng.integers(MARKS, size=n)
    # A tree holds the graph together; as many edges again make neighbourhoods differ.
    pairs = {(int(rng.integers(i)), i) for i in range(1, n)}
    while len(pairs) < 2 * n - 2:
        a, b = sorted(rng.choice(n, 2, replace=False).tolist())
        pairs.add((a, b))
    one_way = np.array(sorted(pairs)).T
    reach = np.eye(n, dtype=bool)
    reach[one_way[0], one_way[1]] = reach[one_way[1], one_way[0]] = True
    giver = np.where(reach, rank, -1.0).argmax(1)
    x = np.concatenate([rank[:, None], np.eye(MARKS)[mark]], 1)
    edges = np.concatenate([one_way, one_way[::-1]], 1)
    return _graphs(x, edges, mark[giver], giver)


def lookup_graph(rng: np.random.Generator, *, entries: int | None = None) -> Graphs:
    """Return a dictionary: entries first, then as many nodes that ask, each for another word.

    >>> graph = lookup_graph(np.random.default_rng(0), entries=3)
    >>> graph.x.shape, graph.edges.shape, graph.answer[:3].tolist()
    (torch.Size([6, 19]), torch.Size([2, 9]), [-1, -1, -1])
    """
    m = int(rng.integers(4, WORDS + 1)) if entries is None else entries
    words = rng.permutation(WORDS)[:m]
    asked = words[rng.permutation(m)]
    mark = rng.integers(MARKS, size=m)
    giver = (words[None] == asked[:, None]).argmax(1)
    asks = np.repeat([0.0, 1.0], m)[:, None]
    word = np.eye(WORDS)[np.concatenate([words, asked])]
    marks = np.concatenate([np.eye(MARKS)[mark], np.zeros((m, MARKS))])
    edges = np.stack([np.tile(np.arange(m), m), np.repeat(np.arange(m, 2 * m), m)])
    silent = np.full(m, NONE)
    return _graphs(
        np.concatenate([asks, word, marks], 1),
        edges,
        np.concatenate([silent, mark[giver]]),
        np.concatenate([silent, giver]),
    )


def _graphs(x: Any, edges: Any, answer: Any, giver: Any) -> Graphs:
    whole = (torch.from_numpy(np.ascontiguousarray(a)).long() for a in (edges, answer, giver))
    return Graphs(torch.from_numpy(x).float(), *whole)


def drawn(task: Task, count: int, rng: np.random.Generator) -> Graphs:
    """Return random graphs of a task side by side, as one graph of many parts."""
    make = priority_graph if task == "priority" else lookup_graph
    parts = [make(rng) for _ in range(count)]
    first = np.cumsum([0, *(len(part.x) for part in parts[:-1])]).tolist()
    givers = [
        part.giver.where(part.giver == NONE, part.giver + at)
        for part, at in zip(parts, first, strict=True)
    ]
    return Graphs(
        torch.cat([part.x for part in parts]),
        torch.cat([part.edges + at for part, at in zip(parts, first, strict=True)], 1),
        torch.cat([part.answer for part in parts]),
        torch.cat(givers),
    )


def described(task: Task, seed: int = 0) -> dict[str, Any]:
    """Return one graph of a task as ``nlviz.read_graph`` takes it, its nodes named and placed.

    Nodes are named by what they carry: ``rank 7, mark c``; ``word 2, mark c``; ``asks 2``. Without
    loops, which the network adds itself.

    >>> described("lookup")["nodes"][-1][:4]
    'asks'
    """
    rng = np.random.default_rng([seed, 4])
    if task == "priority":
        graph = priority_graph(rng, nodes=12)
    else:
        graph = lookup_graph(rng, entries=7)
    names = []
    for row in graph.x:
        mark = f", mark {chr(97 + int(row[-MARKS:].argmax()))}" if row[-MARKS:].any() else ""
        if task == "priority":
            names.append(f"rank {round(float(row[0]) * (RANKS - 1))}{mark}")
        else:
            names.append(f"{'asks' if row[0] else 'word'} {int(row[1 : 1 + WORDS].argmax())}{mark}")
    told: dict[str, Any] = {
        "nodes": names,
        "edges": graph.edges.T.tolist(),
        "features": graph.x.double().round(decimals=4).tolist(),
    }
    if task == "lookup":
        half = len(names) // 2
        told["places"] = [[i % half, 0.0 if i < half else 0.7 * half] for i in range(len(names))]
    return told


def network(name: str) -> GraphNetwork:
    """Return the network of one of ``MODELS``, fresh."""
    form, task = MODELS[name]
    return GraphNetwork(CHANNELS[task], MARKS, form=form)


def train(name: str, plan: Plan) -> GraphNetwork:
    """Return a trained network."""
    task = MODELS[name][1]
    torch.manual_seed(plan.seed)
    net = network(name)
    rng = np.random.default_rng([plan.seed, 1])
    optimiser = torch.optim.Adam(net.parameters(), plan.rate)
    wave = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
    for _ in range(plan.steps):
        graphs = drawn(task, plan.batch, rng)
        asked = graphs.answer != NONE
        loss = F.cross_entropy(net(graphs.x, graphs.edges)[asked], graphs.answer[asked])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        wave.step()
    return net.eval()


@torch.no_grad()
def measure(
    net: GraphNetwork, task: Task, *, graphs: int = 500, seed: int = 1000
) -> dict[str, Any]:
    """Return how a network does on graphs that it never saw.

    Returns:
        ``accuracy`` of the marks; ``of a guess``, that of the mark of a random neighbour;
        ``weight on the giver``, what the mean over heads gives to the one neighbour that has the
        answer; ``giver first``, how often no neighbour has more; ``one ranking``, of each head, how
        often two nodes rank two neighbours that they share alike.
    """
    found = drawn(task, graphs, np.random.default_rng([seed, 2]))
    n, asked = len(found.x), found.answer != NONE
    edges = with_loops(found.edges, n)
    source, target = edges
    logits, _ = net.attention.scores(net.embed(found.x), edges)
    weight = edge_softmax(logits, target, n).mean(1)
    gives = source == found.giver[target]
    most = torch.zeros(n).scatter_reduce(0, target, weight, "amax")
    of_giver = torch.zeros(n).index_add(0, target[gives], weight[gives])
    marked = found.x[:, -MARKS:]
    hit = marked[source].gather(1, found.answer.clamp(min=0)[target, None])[:, 0]
    neighbours = torch.zeros(n).index_add(0, target, torch.ones(len(target)))
    guessed = torch.zeros(n).index_add(0, target, hit) / neighbours
    right = net(found.x, found.edges).argmax(1) == found.answer
    told = {
        "accuracy": right,
        "of a guess": guessed,
        "weight on the giver": of_giver,
        "giver first": of_giver >= most,
    }
    shares = {what: round(float(of[asked].float().mean()), 4) for what, of in told.items()}
    return {"graphs": graphs, **shares, "one ranking": ranked_alike(net, task, seed=seed)}


@torch.no_grad()
def ranked_alike(
    net: GraphNetwork, task: Task, *, graphs: int = 50, seed: int = 1000
) -> list[float]:
    """Return, for each head, how often two nodes rank two neighbours that they share alike."""
    rng = np.random.default_rng([seed, 3])
    alike, counted = torch.zeros(net.attention.heads), 0
    for _ in range(graphs):
        graph = drawn(task, 1, rng)
        edges = with_loops(graph.edges, len(graph.x))
        logits, _ = net.attention.scores(net.embed(graph.x), edges)
        table = logits.new_full((len(graph.x), len(graph.x), logits.shape[1]), torch.nan)
        table[edges[1], edges[0]] = logits
        higher = (table[:, :, None] - table[:, None, :]).sign()  # target, two of its sources
        for one in range(len(higher)):
            both = higher[one] * higher[one + 1 :]
            shared = both.isfinite().all(-1) & (both != 0).all(-1)
            alike += (both[shared] > 0).sum(0)
            counted += int(shared.sum())
    return [round(float(share), 4) for share in alike / counted]


def card(name: str, weights: Path, plan: Plan, figures: dict[str, Any]) -> dict[str, Any]:
    """Return what is to be known of a weights file."""
    form, task = MODELS[name]
    inputs = {
        "priority": f"a rank from 0 to 1, and one of {MARKS} marks, one-hot",
        "lookup": f"1 for a node that asks, one of {WORDS} words and one of {MARKS} marks, one-hot "
        "(nodes that ask have no mark)",
    }
    learned = {
        "gat.priority": "to take the mark of the neighbour with the highest rank: its list of "
        "neighbours is the same for every node, and that is all this task needs",
        "gat.lookup": "next to nothing, as it must: its entries have one order for all nodes that "
        "ask, so at most one entry of a head can come first. What it is above a guess comes from "
        "counting which mark is frequent in the dictionary",
        "gatv2.lookup": "to find the entry with the asking node's own word, another one for every "
        "node that asks",
    }
    return {
        "name": name,
        "file": weights.name,
        "sha256": digest_of(weights),
        "recipe": f"nlviz.recipes.graph_attention {VERSION}",
        "seed": plan.seed,
        "steps": plan.steps,
        "command": "python -m nlviz.recipes.graph_attention --out DIR",
        "architecture": f"a linear layer with ReLU, one layer of {form} attention of 2 heads with "
        "loops, and a perceptron of one hidden layer for each node",
        "input": f"of each node {inputs[task]}",
        "objective": "cross-entropy of the answer at every node that is asked",
        "saw": f"graphs made by the recipe: {plan.steps} steps of {plan.batch}; no data",
        "validation": figures,
        "learned": learned[name],
        "limits": f"graphs as the recipe makes them, {RANKS} ranks and {WORDS} words at most; "
        "features of any other meaning give answers that mean nothing",
        "meant for": "showing attention over edges whose truth is known; the pair gat.lookup and "
        "gatv2.lookup shows what one ranking for all nodes costs (Brody et al. 2022)",
        "licence": "Apache-2.0",
    }


def write(name: str, net: GraphNetwork, plan: Plan, out: Path) -> dict[str, Any]:
    """Write the weights of a network and its card; return the card."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.safetensors"
    about = {"recipe": f"nlviz.recipes.graph_attention {VERSION}", "seed": str(plan.seed)}
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path, about)
    told = card(name, path, plan, measure(net, MODELS[name][1]))
    path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    return told


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m nlviz.recipes.graph_attention", description=__doc__
    )
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR")
    parser.add_argument("--graphs", type=Path, metavar="DIR", help="write examples and stop")
    parser.add_argument("--models", choices=list(MODELS), nargs="+", default=list(MODELS))
    for name in ("seed", "steps"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Plan, name))
    given = parser.parse_args(arguments)
    if given.graphs is not None:
        for task in CHANNELS:
            lines = (f" {json.dumps(k)}: {json.dumps(v)}" for k, v in described(task).items())
            text = "{\n" + ",\n".join(lines) + "\n}\n"
            (given.graphs / f"{task}.json").write_text(text, "utf-8")
        return
    plan = Plan(seed=given.seed, steps=given.steps)
    for name in given.models:
        told = write(name, train(name, plan), plan, given.out)
        print(f"{name}: {json.dumps(told['validation'])}")


if __name__ == "__main__":
    main()
