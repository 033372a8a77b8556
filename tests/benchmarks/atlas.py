"""One query in every layer and head: from the pin to the picture.

``python -m tests.benchmarks.atlas``: 12 layers of 12 heads over 1568 keys (8 x 14 x 14), d = 64:
the shape of VideoMAE-B, with a class token.
"""

from __future__ import annotations

import statistics
import sys
import time
from types import MappingProxyType

import numpy as np
import torch

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.captures.capture import About, Affinities, Capture
from nlviz.clips.clip import Clip
from tests.benchmarks.measuring import Figure, alternate, at_most, processor, save, table

LAYERS, HEADS, D = 12, 12, 64
GRID = TokenGrid((8, 14, 14), (2, 16, 16), (0.5, 7.5, 7.5), prefix=1)


def captured() -> Capture:
    """Return a capture of that shape, of random numbers."""
    torch.manual_seed(0)
    seed = np.random.default_rng(0)
    clip = Clip.from_frames(seed.integers(0, 256, (16, 224, 224, 3), np.uint8), name="noise")
    layers = {}
    for n in range(LAYERS):
        theta, phi = torch.randn(2, HEADS, GRID.size + GRID.prefix, D)
        f = Pairwise("embedded_gaussian", (1 + n / 4) * D**-0.5)
        layers[f"blocks.{n}"] = EmbeddedAffinity(f"blocks.{n}", f, theta, phi, GRID, GRID)
    return Capture(
        clip=clip,
        logits=None,
        affinities=Affinities(layers),
        features=MappingProxyType({}),
        blocks=MappingProxyType({}),
        about=About("VideoMAE-B's shape", "not trained"),
    )


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    capture = captured()
    seed = np.random.default_rng(1)

    def pinned() -> None:
        frame, y, x = seed.uniform(0, (16, 224, 224)) - 0.01
        nlviz.atlas(capture, (max(frame, 0), max(y, 0), max(x, 0))).pictures()

    rounds = 5 if quick else 25
    found = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        seconds = alternate({"pin": pinned}, rounds=rounds, clock=time.perf_counter)["pin"]
        found[threads] = 1000 * statistics.median(seconds)
    name = "12 x 12 heads x 1568 keys, pin to picture, by the clock"
    return [
        at_most(f"{name}: one thread", found[1], 300, " ms"),
        at_most(f"{name}: two threads", found[2], 300, " ms"),
    ]


CONDITIONS = "medians; every pin at another place, seven figures of each head among it"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("atlas", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### One query in every head\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
