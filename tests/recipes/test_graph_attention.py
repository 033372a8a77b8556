"""The tasks of graphs, their truth, and what the bundled networks learned of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.files.local import digest_of
from nlviz.networks.weights import load_into, read_weights
from nlviz.recipes.graph_attention import (
    MARKS,
    MODELS,
    NONE,
    RANKS,
    WORDS,
    Plan,
    described,
    drawn,
    lookup_graph,
    main,
    measure,
    network,
    priority_graph,
    train,
)
from nlviz.resources import asset


def test_the_giver_of_a_priority_graph_is_the_neighbour_of_highest_rank() -> None:
    for seed in range(20):
        graph = priority_graph(np.random.default_rng(seed))
        rank, mark = graph.x[:, 0], graph.x[:, 1:].argmax(1)
        for node in range(len(graph.x)):
            near = {node, *graph.edges[0][graph.edges[1] == node].tolist()}
            best = max(near, key=lambda j: float(rank[j]))
            assert int(graph.giver[node]) == best
            assert int(graph.answer[node]) == int(mark[best])
        assert len(rank.unique()) == len(rank) <= RANKS


def test_the_giver_of_a_lookup_has_the_word_that_is_asked_for() -> None:
    for seed in range(20):
        graph = lookup_graph(np.random.default_rng(seed))
        half = len(graph.x) // 2
        words = graph.x[:, 1 : 1 + WORDS].argmax(1)
        assert graph.x[:half, 0].sum() == 0
        assert graph.x[half:, 1 + WORDS :].sum() == 0  # who asks has no mark
        for node in range(half, 2 * half):
            giver = int(graph.giver[node])
            assert giver < half
            assert int(words[giver]) == int(words[node])
            assert int(graph.answer[node]) == int(graph.x[giver, 1 + WORDS :].argmax())
        assert sorted(words[:half].tolist()) == sorted(words[half:].tolist())


def test_graphs_side_by_side_stay_apart() -> None:
    found = drawn("lookup", 3, np.random.default_rng(0))
    asked = found.answer != NONE
    words = found.x[:, 1 : 1 + WORDS].argmax(1)
    assert torch.equal(words[found.giver[asked]], words[asked])
    own = found.x[found.giver[asked]][:, -MARKS:].argmax(1)
    assert torch.equal(own, found.answer[asked])


@pytest.mark.parametrize("name", MODELS)
def test_bundled_networks_do_what_their_cards_say(name: str) -> None:
    path = asset(f"weights/{name}.safetensors")
    card = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert card["sha256"] == digest_of(path)
    net = network(name).eval()
    load_into(net, read_weights(path), source=path.name)
    found = measure(net, MODELS[name][1], graphs=100, seed=5)
    for what in ("accuracy", "weight on the giver", "giver first"):
        assert found[what] == pytest.approx(card["validation"][what], abs=0.06), what
    if name.startswith("gat."):
        assert found["one ranking"] == [1.0, 1.0]
    else:
        assert max(found["one ranking"]) < 0.8
    assert (found["accuracy"] > 0.99) == (name != "gat.lookup")


@pytest.mark.parametrize("name", MODELS)
def test_the_bundled_graph_shows_it(name: str) -> None:
    task = MODELS[name][1]
    graph = nlviz.read_graph(asset(f"graphs/{task}.json"))
    assert graph.features.tolist() == np.float32(described(task)["features"]).tolist()
    affinity = nlviz.load_model(name, device="cpu").capture(graph).affinities["attention"]
    truth = (priority_graph if task == "priority" else lookup_graph)(
        np.random.default_rng([0, 4]), **({"nodes": 12} if task == "priority" else {"entries": 7})
    )
    asked = [i for i in range(graph.size) if int(truth.giver[i]) != NONE]
    found = [affinity.map(token=graph.names[i]).top(1)[0].index for i in asked]
    right = np.mean([a == int(truth.giver[i]) for a, i in zip(found, asked, strict=True)])
    assert right < 0.5 if name == "gat.lookup" else right == 1


def test_training_is_the_same_again_and_learns(tmp_path: Path) -> None:
    plan = Plan(steps=60, batch=8)
    first, again = (train("gatv2.lookup", plan).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    torch.manual_seed(0)
    fresh = measure(network("gat.priority").eval(), "priority", graphs=30)
    main(["--out", str(tmp_path), "--models", "gat.priority", "--steps", "120"])
    card = json.loads((tmp_path / "gat.priority.json").read_text("utf-8"))
    assert card["validation"]["accuracy"] > fresh["accuracy"] + 0.2
    model = nlviz.load_model(tmp_path / "gat.priority.safetensors", device="cpu")
    assert model.blocks == ("attention",)
