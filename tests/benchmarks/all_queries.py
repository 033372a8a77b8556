"""Statistics of all queries against the full matrix and the same numbers read off it.

``python -m tests.benchmarks.all_queries``: 12544 x 3136 (16 x 28 x 28, pooled keys), d = 256.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.analysis.all_queries import query_statistics
from tests.benchmarks.measuring import (
    Figure,
    alternate,
    at_most,
    extra_memory,
    processor,
    ratio,
    save,
    table,
)

GRID, D = (16, 28, 28), 256


def made() -> EmbeddedAffinity:
    """Return an affinity whose rows have a few hundred effective keys."""
    torch.manual_seed(0)
    queries = TokenGrid(GRID, (1, 8, 8), (0, 3.5, 3.5))
    keys = queries.pooled((1, 2, 2))
    theta, phi = torch.randn(1, queries.size, D), torch.randn(1, keys.size, D)
    f = Pairwise("embedded_gaussian", 2 * D**-0.5)
    return EmbeddedAffinity("block", f, theta, phi, queries, keys)


def from_the_matrix(a: EmbeddedAffinity) -> dict[str, Tensor]:
    """Return the same numbers from softmax(theta phi^T), written out."""
    rows = torch.softmax(a.theta[0] @ a.phi[0].T * a.pairwise.scale, -1)
    t, h, w = a.keys.shape
    by_frame = rows.view(len(rows), t, h * w)
    _, qy, qx = (torch.from_numpy(c).float() for c in a.queries.centres())
    _, ky, kx = (torch.from_numpy(c).float() for c in a.keys.centres())
    down = qy.expand(a.queries.shape).reshape(-1, 1) - ky.expand(1, h, w).reshape(1, -1)
    across = qx.expand(a.queries.shape).reshape(-1, 1) - kx.expand(1, h, w).reshape(1, -1)
    per_frame = by_frame.sum(-1)
    own = torch.arange(len(rows)) // (a.queries.shape[1] * a.queries.shape[2])
    return {
        "entropy": torch.special.entr(rows).sum(-1),
        "pixels": (by_frame * torch.hypot(down, across)[:, None]).sum((1, 2)),
        "per_frame": per_frame,
        "own_frame": per_frame.gather(1, own[:, None])[:, 0],
        "peak": rows.amax(-1),
        "columns": rows.sum(0),
    }


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    torch.set_num_threads(1)
    affinity = made()
    wanted, found = from_the_matrix(affinity), query_statistics(affinity)
    errors = {
        name: float(((getattr(found, name)[0] - of).abs() / of.abs().max()).max())
        for name, of in wanted.items()
    }
    seconds = alternate(
        {
            "ours": lambda: query_statistics(affinity),
            "matrix": lambda: from_the_matrix(affinity),
            "softmax": lambda: torch.softmax(affinity.theta[0] @ affinity.phi[0].T, -1),
        },
        rounds=3 if quick else 9,
    )
    name = "12544 x 3136, d = 256"
    return [
        at_most(
            f"{name}: all statistics / the full matrix and the same",
            ratio(seconds, "ours", "matrix"),
            0.45,
            "x",
        ),
        Figure(
            f"{name}: all statistics / the full matrix alone",
            f"{ratio(seconds, 'ours', 'softmax'):.2g}x",
        ),
        at_most(f"{name}: extra memory", extra_memory("all_queries", "statistics"), 20, " MiB"),
        at_most(f"{name}: largest relative error ({max(errors, key=errors.__getitem__)})",
                max(errors.values()), 1e-5),
    ]  # fmt: skip


def _case() -> Callable[[], object]:
    affinity = made()
    small = TokenGrid((1, 3, 4))
    query_statistics(  # what is loaded the first time is no memory of the statistics
        EmbeddedAffinity("small", affinity.pairwise, *torch.randn(2, 1, 12, 5), small, small)
    )
    return lambda: query_statistics(affinity)


MEMORY = {"statistics": _case}
CONDITIONS = "processor time at one thread, medians over alternating rounds"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("all_queries", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### Statistics of all queries\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
