"""Graphs as inputs: read, laid out, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlviz.clips.graph import MOST_NODES, PLANE, Graph, is_graph, read_graph
from nlviz.clips.graph_layout import MOST_SPRINGS, laid_out
from nlviz.clips.inputs import read_input
from nlviz.errors import UnreadableClip
from nlviz.files.local import digest_of
from nlviz.resources import asset, bundled_graphs

TOLD: dict[str, Any] = {
    "nodes": ["a", "b", "c"],
    "edges": [["a", "b"], [2, 1]],
    "features": [[0.5, 1], [2, 3], [4, 5]],
}


def test_a_file_is_a_graph_with_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(TOLD), "utf-8")
    graph = read_input(path)
    assert isinstance(graph, Graph)
    assert (graph.name, graph.digest) == ("own.json", digest_of(path))
    assert graph.names == ("a", "b", "c")
    assert graph.edges.tolist() == [[0, 2], [1, 1]]
    assert graph.features.tolist() == [[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert graph.shape == (1, *PLANE)
    assert not graph.features.flags.writeable
    assert read_graph(path.read_bytes()).digest == graph.digest


def test_edges_run_both_ways_where_they_are_not_directed() -> None:
    graph = read_graph({**TOLD, "directed": False, "edges": [["a", "b"], ["c", "c"]]})
    assert sorted(map(tuple, graph.edges.T.tolist())) == [(0, 1), (1, 0), (2, 2)]


def test_places_keep_their_aspect_and_lie_in_the_plane() -> None:
    graph = read_graph({**TOLD, "places": [[0, 0], [0, 40], [10, 20]]})
    y, x = graph.places.T
    assert y[1] == y[0]
    assert x[1] - x[0] == pytest.approx(4 * (y[2] - y[0]))
    assert (graph.places > 0).all()
    assert (graph.places < PLANE).all()
    alone = read_graph({"edges": [], "nodes": 1})
    assert alone.places.tolist() == [[(n - 1) / 2 for n in PLANE]]


@pytest.mark.parametrize("nodes", [1, 2, 3, 40, MOST_SPRINGS + 1])
def test_a_layout_is_the_same_again_and_keeps_nodes_apart(nodes: int) -> None:
    rng = np.random.default_rng(0)
    edges = np.stack([rng.integers(nodes, size=2 * nodes), rng.integers(nodes, size=2 * nodes)])
    places = laid_out(nodes, edges)
    assert np.array_equal(places, laid_out(nodes, edges))
    assert places.shape == (nodes, 2)
    assert np.isfinite(places).all()
    if nodes > 1:
        away = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
        assert away[~np.eye(nodes, dtype=bool)].min() > 0.02 * away.max() / nodes**0.5


def test_parts_that_no_edge_joins_do_not_drive_the_rest_together() -> None:
    ring = np.stack([np.arange(40), (np.arange(40) + 1) % 40])
    places = laid_out(60, ring)  # and twenty nodes without an edge
    sizes = [np.ptp(part, axis=0).max() for part in (places[:40], places)]
    assert sizes[0] > 0.3 * sizes[1]


def test_neighbours_lie_closer_than_others() -> None:
    ring = np.stack([np.arange(12), (np.arange(12) + 1) % 12])
    places = laid_out(12, ring)
    away = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    joined = away[ring[0], ring[1]]
    across = away[np.arange(12), (np.arange(12) + 6) % 12]
    assert joined.max() < 0.5 * across.min()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"edges": [["a", "z"]]}, "'z', a name that no node has; say the node's number"),
        ({"nodes": ["a", "a", "c"], "edges": [["a", "c"]]}, "'a', a name that several nodes have"),
        ({"edges": [[0, 3]]}, "an edge joins two of 3 nodes, numbered from 0; got 0 to 3"),
        ({"features": [[1], [2]]}, "features are finite numbers, one row for each of 3 nodes"),
        ({"features": [[1], [2], [3, 4]]}, "as many features, got 1 to 2"),
        ({"features": [[1], [2], [float("nan")]]}, "must be a finite number"),
        ({"places": [[0, 0]]}, "places are 3 pairs"),
        (
            {"nodes": [], "features": None, "edges": []},
            f"a graph has 1 to {MOST_NODES} nodes, got 0",
        ),
        ({"weights": 3}, "weights"),
    ],
)
def test_what_makes_no_graph_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnreadableClip, match=sentence):
        read_graph({**TOLD, **change})


def test_other_json_is_no_graph_and_text_is_refused_in_a_sentence(tmp_path: Path) -> None:
    view = tmp_path / "view.json"
    view.write_text('{"clip": {}, "block": "edges"}', "utf-8")
    assert not is_graph(view)
    assert not is_graph(b"{ no json")
    with pytest.raises(UnreadableClip, match="must be JSON text"):
        read_graph(b"{ no json")
    with pytest.raises(UnreadableClip, match="cannot be read"):
        read_graph(tmp_path / "none.json")


@pytest.mark.parametrize("name", bundled_graphs())
def test_bundled_graphs_open(name: str) -> None:
    graph = read_graph(asset(f"graphs/{name}"))
    assert len(set(graph.names)) == graph.size
