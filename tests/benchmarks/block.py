"""The block's forward pass against blocks that build the matrix: ``tests.benchmarks.block``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nlviz.networks.block import NonLocalBlock
from nlviz.networks.products import concatenation_product, dot_product_product
from tests.benchmarks.measuring import (
    Figure,
    alternate,
    at_least,
    at_most,
    extra_memory,
    processor,
    ratio,
    save,
    table,
)
from tests.benchmarks.peers import MatrixBlock

LONG = (16, 28, 28)  # 12544 positions
SHORT = (8, 28, 28)  # 6272


def pair(pairwise: Any) -> tuple[NonLocalBlock, MatrixBlock]:
    """Return our block and its peer, of the same weights, 512 channels, 256 inside."""
    torch.manual_seed(0)
    peer = MatrixBlock(512, softmax=pairwise == "embedded_gaussian").eval()
    ours = NonLocalBlock(512, pairwise=pairwise, norm=False).eval()
    ours.load_state_dict(dict(peer.state_dict()))
    return ours, peer


def features(grid: tuple[int, int, int]) -> Tensor:
    """Return (1, 512, *grid) of moderate size."""
    return torch.randn(1, 512, *grid, generator=torch.Generator().manual_seed(1)) * 0.5


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    torch.set_num_threads(1)
    with torch.no_grad():
        return [
            *_softmax(1 if quick else 4),
            *_dot_product(3 if quick else 9),
            *_concatenation(quick),
        ]


def _softmax(rounds: int) -> list[Figure]:
    ours, peer = pair("embedded_gaussian")
    x = features(LONG)
    want, got = peer(x)[0], ours(x)
    error = float((got - want).abs().max() / want.abs().max())
    del want, got
    seconds = alternate({"ours": lambda: ours(x), "peer": lambda: peer(x)}, rounds=rounds)
    memory = {name: extra_memory("block", name) for name in ("softmax ours", "softmax peer")}
    name = "embedded Gaussian, 12544 squared, d = 256"
    return [
        at_most(f"{name}: time / matrix block", ratio(seconds, "ours", "peer"), 1, "x"),
        at_most(
            f"{name}: extra memory / matrix block ({memory['softmax ours']:.0f} of "
            f"{memory['softmax peer']:.0f} MiB)",
            memory["softmax ours"] / memory["softmax peer"],
            1 / 8,
            "x",
        ),
        at_most(f"{name}: outputs differ by, relative", error, 1e-5),
    ]


def _dot_product(rounds: int) -> list[Figure]:
    ours, peer = pair("dot_product")
    x = features(SHORT)
    theta, phi, g = (t.contiguous() for t in ours.embed(x))
    core = alternate(
        {
            "ours": lambda: dot_product_product(theta, phi, g, scale=1.0),
            "peer": lambda: (theta @ phi.mT / phi.shape[-2]) @ g,
        },
        rounds=rounds,
    )
    whole = alternate({"ours": lambda: ours(x), "peer": lambda: peer(x)}, rounds=rounds)
    want = peer(x)[0]
    error = float((ours(x) - want).abs().max() / want.abs().max())
    name = "dot product, 6272 squared, d = 256"
    return [
        at_least(
            f"{name}: core, times faster than the matrix", 1 / ratio(core, "ours", "peer"), 25, "x"
        ),
        at_least(f"{name}: whole block, times faster", 1 / ratio(whole, "ours", "peer"), 3, "x"),
        at_most(f"{name}: outputs differ by, relative", error, 1e-5),
    ]


def _concatenation(quick: bool) -> list[Figure]:
    generator = torch.Generator().manual_seed(2)
    a, b = (torch.randn(1, 1, 6272, 1, generator=generator) for _ in range(2))
    g = torch.randn(1, 1, 6272, 256, generator=generator)

    def chunked() -> Tensor:
        return torch.cat([(c + b.mT).relu() @ g / 6272 for c in a.split(256, 2)], 2)

    seconds = alternate(
        {"ours": lambda: concatenation_product(a, b, g), "peer": chunked}, rounds=3 if quick else 9
    )
    want = (a.double() + b.double().mT).relu() @ g.double() / 6272
    error = float((concatenation_product(a, b, g) - want).abs().max() / want.abs().max())
    far = 5000.0
    want = ((a + far).double() + (b - far).double().mT).relu() @ g.double() / 6272
    shifted = concatenation_product(a + far, b - far, g)
    name = "concatenation, 6272 squared, d = 256"
    return [
        at_least(
            f"{name}: core, times faster than chunks of the matrix",
            1 / ratio(seconds, "ours", "peer"),
            8,
            "x",
        ),
        at_most(f"{name}: error against float64, relative", error, 1e-6),
        at_most(
            f"{name}: the same with offsets of 5000",
            float((shifted - want).abs().max() / want.abs().max()),
            1e-6,
        ),
    ]


def _case(which: int) -> Callable[[], Callable[[], Any]]:
    def prepare() -> Callable[[], Any]:
        torch.set_grad_enabled(False)  # a process of its own
        block = pair("embedded_gaussian")[which]
        block(features((1, 4, 4)))
        x = features(LONG)
        return lambda: block(x)

    return prepare


MEMORY = {"softmax ours": _case(0), "softmax peer": _case(1)}
CONDITIONS = "processor time at one thread, medians over alternating rounds"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("block", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### The block without its matrix\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
