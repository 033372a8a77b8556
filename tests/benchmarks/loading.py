"""Loading a published kind of file against ``torch.load`` of it: ``tests.benchmarks.loading``."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nlviz
from nlviz.networks.presets import five_blocks, i3d
from nlviz.networks.video_resnet import VideoResNet
from nlviz.zoo.checkpoints import load_checkpoint
from tests.benchmarks.measuring import Figure, alternate, at_most, processor, ratio, save, table

FILE = "i3d_imagenet-pretrained-r50-nl-embedded-gaussian_8xb8-32x2x1-100e_kinetics400-rgb.pth"
RENAMED = (
    (r"stem\.conv\.", r"backbone.conv1.conv."),
    (r"stem\.bn\.", r"backbone.conv1.bn."),
    (r"head\.", r"cls_head.fc_cls."),
    (r"nl\.(theta)\.", r"non_local_block.\1.conv."),
    (r"nl\.(phi|g)\.", r"non_local_block.\1.0.conv."),
    (r"nl\.out\.", r"non_local_block.conv_out.conv."),
    (r"nl\.bn\.", r"non_local_block.conv_out.bn."),
    (r"shortcut\.", r"downsample.conv."),
    (r"shortcut_bn\.", r"downsample.bn."),
)


def mmaction2_key(name: str) -> str:
    """Return what mmaction2 calls one of the network's tensors."""
    for pattern, new in RENAMED:
        name = re.sub(pattern, new, name)
    name = re.sub(
        r"\.([abc])(_bn)?\.(\w+)$",
        lambda m: f".conv{'abc'.index(m[1]) + 1}.{'bn' if m[2] else 'conv'}.{m[3]}",
        name,
    )
    return re.sub(r"^res(\d)", lambda m: f"backbone.layer{int(m[1]) - 1}", name)


def write(folder: Path) -> Path:
    """Write I3D R50 with five blocks as mmaction2 would; return the file."""
    torch.manual_seed(0)
    net = VideoResNet(i3d(50, frames=32, places=five_blocks(50)))
    state = {
        mmaction2_key(name): tensor
        for name, tensor in net.state_dict().items()
        if not name.endswith("nl.out.bias")  # no bias before a normalisation
    }
    path = folder / FILE
    torch.save({"meta": {"epoch": 100}, "state_dict": state}, path)
    return path


def touched(tensors: Any) -> float:
    """Read every number once, so that nothing is left on the disk."""
    return sum(float(t.sum()) for t in tensors if isinstance(t, Tensor))


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    torch.set_num_threads(1)
    rounds = 3 if quick else 11
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder))

        def theirs() -> dict[str, Tensor]:
            found: dict[str, Tensor] = torch.load(path, weights_only=True)["state_dict"]
            return found

        def ours() -> nn.Module:
            return load_checkpoint(path)[0]

        def built() -> None:
            VideoResNet(i3d(50, frames=32, places=five_blocks(50)))

        net, state = ours(), theirs()
        own = {mmaction2_key(k): v for k, v in net.state_dict().items()}
        same = all(torch.equal(v, own[k]) for k, v in state.items())
        nlviz.load_model(path)  # now its digest is remembered
        runs = {
            "ours": ours,
            "model": lambda: nlviz.load_model(path),
            "theirs": theirs,
            "ours, read": lambda: touched(ours().state_dict().values()),
            "theirs, read": lambda: touched(theirs().values()),
            "built": built,
        }
        seconds = alternate(runs, rounds=rounds, clock=time.perf_counter)
        size = path.stat().st_size / 2**20
    median = {k: sorted(v)[len(v) // 2] * 1e3 for k, v in seconds.items()}
    name = f"I3D-NL R50, {size:.0f} MiB"
    return [
        Figure(f"{name}: every number is the file's", "yes" if same else "no", "yes", same),
        Figure("torch.load", f"{median['theirs']:.0f} ms"),
        at_most(f"{name}: network / torch.load", ratio(seconds, "ours", "theirs"), 2, "x"),
        at_most(
            f"{name}: network / torch.load, every number read once",
            ratio(seconds, "ours, read", "theirs, read"),
            2,
            "x",
        ),
        at_most(
            f"{name}: load_model, digest remembered / torch.load",
            ratio(seconds, "model", "theirs"),
            2,
            "x",
        ),
        Figure("the same network with random weights alone", f"{median['built']:.0f} ms"),
    ]


CONDITIONS = "wall time at one thread, the file in the page cache, medians over alternating rounds"


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("loading", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### Loading\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
