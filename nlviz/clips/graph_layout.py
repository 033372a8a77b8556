"""Places for the nodes of a graph: neighbours close, all others apart; the same on every machine.

Springs along edges and repulsion between all nodes, after Fruchterman and Reingold 1991, "Graph
drawing by force-directed placement", from a spiral as the start. Larger graphs keep the spiral,
in which nodes lie in the order of a walk through the graph.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOST_SPRINGS = 600  # nodes that are laid out by springs
STEPS = 160
PULL = 0.3  # to the middle, for each unit of distance from it
GOLDEN = np.pi * (3 - 5**0.5)

Places = npt.NDArray[np.float64]


def laid_out(nodes: int, edges: npt.NDArray[np.int64]) -> Places:
    """Return (nodes, 2) places (y, x) for the nodes of a graph.

    Args:
        nodes: how many.
        edges: (2, E) source and target.

    >>> places = laid_out(5, np.array([[0, 1, 2, 3], [1, 2, 3, 4]]))
    >>> away = np.hypot(*(places[0] - places[1:]).T)
    >>> bool((away[0] < away[1:]).all())
    True
    """
    order = _walk(nodes, edges)
    at = np.empty((nodes, 2))
    turn = GOLDEN * np.arange(nodes)
    at[order] = np.sqrt(np.arange(nodes) + 0.5)[:, None] * np.stack([np.sin(turn), np.cos(turn)], 1)
    if nodes > MOST_SPRINGS or nodes < 3:
        return at if nodes > 2 else np.stack([np.zeros(nodes), np.arange(nodes, dtype=float)], 1)
    joined = np.zeros((nodes, nodes))
    between = edges[:, edges[0] != edges[1]]
    joined[between[0], between[1]] = joined[between[1], between[0]] = 1.0
    at *= np.array([0.8, 1.2])  # planes are wider than high
    for heat in np.linspace(1.0, 0.02, STEPS) * np.sqrt(nodes) * 0.25:
        away = at[:, None] - at[None]
        far = np.sqrt((away**2).sum(-1)) + 1e-9
        # A pull to the middle keeps parts that no edge joins on the page.
        force = (away * (1 / far**2 - joined * far / 2)[..., None]).sum(1) - PULL * at
        size = np.sqrt((force**2).sum(1, keepdims=True)) + 1e-9
        at = at + force / size * np.minimum(size, heat)
    # Its longest extent lies across, as pages are wider than high.
    axes = np.linalg.svd(at - at.mean(0), full_matrices=False)[2]
    turned: Places = (at - at.mean(0)) @ axes[::-1].T
    signs = np.sign(turned[np.abs(turned).argmax(0), [0, 1]])
    return turned * signs


def _walk(nodes: int, edges: npt.NDArray[np.int64]) -> list[int]:
    """Return the nodes breadth first, those with most neighbours as beginnings."""
    near: list[list[int]] = [[] for _ in range(nodes)]
    for a, b in edges.T.tolist():
        if a != b:
            near[a].append(b)
            near[b].append(a)
    seen = [False] * nodes
    order: list[int] = []
    for start in sorted(range(nodes), key=lambda i: -len(near[i])):
        if seen[start]:
            continue
        seen[start] = True
        queue = [start]
        for node in queue:  # grows while it is walked
            order.append(node)
            for other in near[node]:
                if not seen[other]:
                    seen[other] = True
                    queue.append(other)
    return order
