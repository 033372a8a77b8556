"""One knock-out of one query: the block's output alone, and with the rest of the network.

``python -m tests.benchmarks.knock_out``: 6272 queries (8 x 28 x 28) x 1568 pooled keys, d = 256.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.analysis.knock_out import knock_out
from nlviz.captures.capture import About, Affinities, Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.families.reading.adapter import InputSpec
from nlviz.interventions import CutEdges, Rerun
from nlviz.networks.block import NonLocalBlock
from tests.benchmarks.measuring import (
    Figure,
    alternate,
    at_most,
    processor,
    ratio,
    save,
    table,
)

GRID, D = (8, 28, 28), 256
CONDITIONS = "medians over rounds at one thread, by the clock"


class Net(nn.Module):
    """A network with a block in its middle and as much again behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 2 * D, (1, 8, 8), stride=(1, 8, 8))
        self.before = nn.Conv3d(2 * D, 2 * D, (1, 3, 3), padding=(0, 1, 1))
        self.nl = NonLocalBlock(2 * D, inner=D, pool=2)
        self.after = nn.Conv3d(2 * D, D, (1, 3, 3), padding=(0, 1, 1))
        self.head = nn.Linear(D, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.before(self.stem(x)))

    def rest(self, x: Tensor) -> Tensor:
        """Return the logits from what enters the block."""
        return self.head(self.after(self.nl(x)).mean((2, 3, 4)))


def clip() -> Clip:
    """Return 8 frames of noise, 224 x 224."""
    rng = np.random.default_rng(0)
    return Clip.from_frames(rng.integers(0, 256, (GRID[0], 224, 224, 3), np.uint8))


def of_embeddings() -> Capture:
    """Return a capture whose only block is its embeddings and values."""
    torch.manual_seed(0)
    queries = TokenGrid(GRID, (1, 8, 8), (0, 3.5, 3.5))
    keys = queries.pooled((1, 2, 2))
    theta, phi, values = (torch.randn(1, n, D) for n in (queries.size, keys.size, keys.size))
    f = Pairwise("embedded_gaussian", 2 * D**-0.5)
    affinity = EmbeddedAffinity("block", f, theta, phi, queries, keys, values=values)
    return Capture(clip(), None, Affinities({"block": affinity}), {}, {}, About("embeddings"))


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    torch.set_num_threads(1)
    capture = of_embeddings()
    rounds = 5 if quick else 25
    seconds: dict[str, list[float]] = {"random": [], "all": []}
    _ = capture.affinities["block"].mean_rows  # computed once for a block, as its panel does
    for n in range(rounds):
        for against in ("random", "all"):
            start = time.perf_counter()
            knock_out(capture, "block", 100 + 200 * n, against=against, logits=False)
            seconds[against].append(1000 * (time.perf_counter() - start))
    name = "6272 x 1568, d = 256"
    return [
        at_most(f"{name}: 20 links and 8 x 20 random ones, the block's output",
                statistics.median(seconds["random"]), 50, " ms"),
        at_most(f"{name}: with all controls, the mean row known",
                statistics.median(seconds["all"]), 50, " ms"),
        _with_the_network(quick),
    ]  # fmt: skip


def _with_the_network(quick: bool) -> Figure:
    torch.manual_seed(0)
    net = Net().eval()
    nn.init.normal_(net.nl.bn.weight, std=0.1)
    model = Model(net, input_spec=InputSpec(size=224, multiple=8, layout="clip"))
    capture = model.capture(clip())
    affinity = capture.affinities["nl"]
    mask = torch.zeros(affinity.keys.size, dtype=torch.bool)
    mask[:20] = True
    x = net.before(net.stem(model.prepared(capture.clip).tensor)).detach()
    with torch.no_grad(), Rerun(capture) as rerun:
        change = CutEdges("nl", (5,), mask)
        rerun.run(change, keep=False)
        found = alternate(
            {"cut": lambda: rerun.run(change, keep=False), "rest": lambda: net.rest(x)},
            rounds=3 if quick else 9,
            clock=time.perf_counter,
        )
    what = "6272 x 1568: one cut with the rest of the network / the block and the rest alone"
    return at_most(what, ratio(found, "cut", "rest"), 1.1, "x")


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("knock_out", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### A knock-out\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
