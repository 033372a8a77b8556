"""A whole video network with five blocks against plain and matrix-building ones.

``python -m tests.benchmarks.video_network``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.networks.block import NonLocalBlock
from nlviz.networks.presets import c2d, five_blocks
from nlviz.networks.video_resnet import VideoResNet
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
from tests.benchmarks.peers import MatrixNonLocal

CLIP = (1, 3, 8, 224, 224)
FEATURES = {3: (1, 512, 4, 28, 28), 4: (1, 1024, 4, 14, 14)}
NAME = "C2D R50, 8x224x224, five blocks"


def network(*, blocks: bool = True) -> VideoResNet:
    """Return C2D R50, with five blocks that do something or with none."""
    torch.manual_seed(0)
    net = VideoResNet(c2d(50, places=five_blocks(50) if blocks else ()))
    for block in net.non_local_blocks().values():
        nn.init.normal_(block.bn.weight, std=0.1)
    return net.eval()


def with_matrices(net: VideoResNet) -> VideoResNet:
    """Put blocks of the same weights that build their matrix in place of the network's own."""
    for module in list(net.modules()):
        block = getattr(module, "nl", None)
        if isinstance(block, NonLocalBlock):
            peer = MatrixNonLocal(block.channels).eval()
            peer.load_state_dict(block.state_dict())
            module.nl = peer
    return net


def noise(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    """Return standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def products() -> Callable[[], None]:
    """Return what runs the bare matrix products of the five blocks, and nothing around them."""
    prepared = []
    for stage, _ in five_blocks(50):
        _, c, t, h, w = FEATURES[stage]
        n, m, d = t * h * w, t * (h // 2) * (w // 2), c // 2
        factors = {
            "x": noise((c, n)),
            "keys": noise((c, m)),
            "w": noise((d, c)),
            "theta": noise((n, d)),
            "phi": noise((d, m)),
            "f": noise((n, m)),
            "g": noise((m, d)),
            "out": noise((c, d)),
            "y": noise((d, n)),
        }
        prepared.append(factors)

    def run() -> None:
        for p in prepared:
            for a, b in (
                ("w", "x"),
                ("w", "keys"),
                ("w", "keys"),
                ("theta", "phi"),
                ("f", "g"),
                ("out", "y"),
            ):
                p[a] @ p[b]

    return run


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    torch.set_num_threads(1)
    with torch.no_grad():
        ours, plain, matrix = network(), network(blocks=False), with_matrices(network())
        clip, bare = noise(CLIP), products()

        def least() -> None:
            plain(clip)
            bare()

        runs = {
            "ours": lambda: ours(clip),
            "matrix": lambda: matrix(clip),
            "plain": lambda: plain(clip),
            "least": least,
        }
        seconds = alternate(runs, rounds=3 if quick else 11)
        want, got = matrix(clip), ours(clip)
        error = float((got - want).abs().max() / want.abs().max())
        moved = float((got - plain(clip)).abs().max() / want.abs().max())
    memory = {case: extra_memory("video_network", case) for case in MEMORY}
    blocks = memory["blocks ours"] / memory["blocks matrix"]
    return [
        at_most(f"{NAME}: time / with matrices", ratio(seconds, "ours", "matrix"), 1, "x"),
        at_most(
            f"{NAME}: time / plain network and the blocks' bare products",
            ratio(seconds, "ours", "least"),
            1.15,
            "x",
        ),
        Figure(f"{NAME}: time / plain network", f"{ratio(seconds, 'ours', 'plain'):.3g}x"),
        at_most(
            f"its blocks: extra memory / with matrices ({memory['blocks ours']:.1f} of "
            f"{memory['blocks matrix']:.1f} MiB)",
            blocks,
            0.5,
            "x",
        ),
        Figure(
            "the whole forward pass: extra memory",
            f"{memory['network ours']:.0f} MiB, {memory['network matrix']:.0f} with matrices",
        ),
        at_most(f"{NAME}: logits differ by, relative", error, 1e-5),
        Figure("the same with blocks and without, relative", f"{moved:.2g}"),
        *on_cuda(quick=quick),
    ]


def on_cuda(*, quick: bool = False) -> list[Figure]:
    """Return figures of 32x224x224 on a GPU, or a line that says that there is none."""
    if not torch.cuda.is_available():
        return [Figure("32x224x224 on a GPU", "no CUDA device was there")]
    import nlviz

    device = torch.device("cuda")
    net = network().to(device)
    clip = noise((1, 3, 32, 224, 224)).to(device)
    frames = (clip[0].permute(1, 2, 3, 0).sigmoid() * 255).byte().cpu().numpy()
    model = nlviz.Model(net, input_spec=nlviz.InputSpec(size=224))
    shot = model.capture(nlviz.Clip.from_frames(frames))
    affinity = shot.affinities["res3.3"]
    rows = torch.arange(64) * (affinity.queries.size // 64)
    found = [
        Figure("device", torch.cuda.get_device_name(device)),
        Figure("64 rows of res3.3, 12544 queries", _on_device(lambda: affinity.rows(rows), 20)),
    ]
    for name, which in (("ours", net), ("with matrices", with_matrices(network()).to(device))):
        for kind in (torch.float32, torch.bfloat16):

            def run(which: VideoResNet = which, kind: torch.dtype = kind) -> Any:
                with torch.no_grad(), torch.autocast("cuda", kind, kind != torch.float32):
                    return which(clip)

            told = _on_device(run, 5 if quick else 20)
            found.append(Figure(f"forward of 32x224x224, {name}, {str(kind)[6:]}", told))
    return found


def _on_device(run: Callable[[], Any], rounds: int) -> str:
    """Return milliseconds and the peak of memory that a run adds, in words."""
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before, start = torch.cuda.memory_allocated(), time.perf_counter()
    for _ in range(rounds):
        run()
    torch.cuda.synchronize()
    passed = (time.perf_counter() - start) / rounds
    peak = (torch.cuda.max_memory_allocated() - before) / 2**20
    return f"{passed * 1e3:.3g} ms, {peak:.0f} MiB"


def _blocks(matrix: bool) -> Callable[[], Callable[[], Any]]:
    def prepare() -> Callable[[], Any]:
        torch.set_grad_enabled(False)  # a process of its own
        net = network()
        if matrix:
            with_matrices(net)
        blocks = [getattr(net, f"res{s}")[i].nl for s, i in five_blocks(50)]
        inputs = [noise(FEATURES[s]) for s, _ in five_blocks(50)]
        for block in blocks:
            block(noise((1, *block.theta.weight.shape[1:2], 1, 4, 4)))

        def run() -> None:
            for block, x in zip(blocks, inputs, strict=True):
                block(x)

        return run

    return prepare


def _network(matrix: bool) -> Callable[[], Callable[[], Any]]:
    def prepare() -> Callable[[], Any]:
        torch.set_grad_enabled(False)  # a process of its own
        net = network()
        if matrix:
            with_matrices(net)
        net(noise((1, 3, 8, 32, 32)))
        clip = noise(CLIP)
        return lambda: net(clip)

    return prepare


MEMORY = {
    "blocks ours": _blocks(False),
    "blocks matrix": _blocks(True),
    "network ours": _network(False),
    "network matrix": _network(True),
}
CONDITIONS = "processor time at one thread, medians over alternating rounds"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("video_network", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### A video network with non-local blocks\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
