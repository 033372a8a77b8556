"""Rows on demand against a block that returns the whole map, and against the bare formula.

``python -m tests.benchmarks.rows``: 64 rows of 6272 queries (8 x 28 x 28) x 1568 pooled keys.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.networks.block import NonLocalBlock
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
from tests.benchmarks.peers import MatrixBlock

GRID = (8, 28, 28)
ROWS = 64


def both(d: int) -> tuple[MatrixBlock, EmbeddedAffinity, Tensor]:
    """Return the peer, our affinity of the same weights, and features of 2 d channels."""
    torch.manual_seed(0)
    peer = MatrixBlock(2 * d, pool=2).eval()
    ours = NonLocalBlock(2 * d, pool=2, norm=False).eval()
    ours.load_state_dict({k: v for k, v in peer.state_dict().items()})
    x = torch.randn(1, 2 * d, *GRID)
    with torch.no_grad():
        theta, phi, _ = (t[0].contiguous() for t in ours.embed(x))
    queries = TokenGrid(GRID)
    keys = queries.pooled((1, 2, 2))
    return (
        peer,
        EmbeddedAffinity("peer", Pairwise("embedded_gaussian"), theta, phi, queries, keys),
        x,
    )


def chosen(n: int) -> Tensor:
    """Return queries spread over the grid."""
    return torch.linspace(0, TokenGrid(GRID).size - 1, n).long()


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    torch.set_num_threads(1)
    figures = []
    for d in (256, 512):
        peer, affinity, x = both(d)
        index = chosen(ROWS)
        theta, phi = affinity.theta[0], affinity.phi[0]
        with torch.no_grad():
            _, full = peer(x)
            rows = affinity.rows(index)
            error = float((rows[0] - full[0, index]).abs().max() / full.max())
            small = alternate(
                {
                    "rows": lambda a=affinity, i=index: a.rows(i),
                    "bare": lambda t=theta, p=phi, i=index: torch.softmax(t[i] @ p.T, -1),
                    "one": lambda a=affinity: a.rows([777]),
                },
                rounds=40 if quick else 200,
            )
            block = alternate(
                {
                    "block": lambda p=peer, x=x: p(x),
                    "rows": lambda a=affinity, i=index: a.rows(i),
                    "one": lambda a=affinity: a.rows([777]),
                },
                rounds=3 if quick else 9,
            )
        name = f"6272 x 1568, d = {d}"
        figures += [
            at_most(
                f"{name}: {ROWS} rows / block with the map",
                100 * ratio(block, "rows", "block"),
                2,
                " %",
            ),
            Figure(
                f"{name}: one row / block with the map",
                f"{100 * ratio(block, 'one', 'block'):.2g} %",
            ),
            at_most(
                f"{name}: {ROWS} rows / bare softmax(theta[i] @ phi.T)",
                ratio(small, "rows", "bare"),
                1.2,
                "x",
            ),
            at_most(f"{name}: rows against the map, relative", error, 1e-6),
            at_most(
                f"{name}: extra memory per row", extra_memory("rows", f"rows {d}") / ROWS, 1, " MiB"
            ),
        ]
    held = {n: _held(n) for n in (6272, 12544)}
    figures.append(
        at_most(
            "memory held, 12544 / 6272 queries (N, not N squared)",
            held[12544] / held[6272],
            2.01,
            "x",
        )
    )
    return figures


def _held(n: int) -> float:
    frames = n // (28 * 28)
    block = NonLocalBlock(512, pool=2, norm=False)
    with torch.no_grad():
        theta, phi, _ = block.embed(torch.zeros(1, 512, frames, 28, 28))
    return float(theta.nbytes + phi.nbytes)


def _rows_case(d: int) -> Callable[[], Callable[[], Tensor]]:
    def prepare() -> Callable[[], Tensor]:
        _, affinity, _ = both(d)
        affinity.rows([0])
        return lambda: affinity.rows(chosen(ROWS))

    return prepare


MEMORY = {f"rows {d}": _rows_case(d) for d in (256, 512)}
CONDITIONS = "processor time at one thread, medians over alternating rounds"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("rows", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### Rows on demand\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
