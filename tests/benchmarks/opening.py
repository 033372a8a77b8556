"""Opening a saved capture in the app: how long the first map takes, and what the browser is sent.

``python -m tests.benchmarks.opening [--quick]`` compares a capture of 12 layers with 12 heads with
one of its last layer alone, alternately: reading the file, the block's variants, and the bytes of
its live view, which is what stands before the first map.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

import nlviz
from nlviz.web.payloads.container import unpack
from tests.benchmarks.measuring import Figure, alternate, at_most, processor, ratio, save, table

LAYERS, HEADS, FRAMES = 12, 12, 8


def captured(folder: Path) -> dict[str, Path]:
    """Return files of a capture of all layers of a ViT-S/16, and of its last one alone."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    net = VisionTransformer(
        embed_dim=768, depth=LAYERS, num_heads=HEADS, mlp_ratio=0.25, num_classes=3
    )
    clip = nlviz.read_clip(nlviz.bundled_inputs()["composed-twins.mp4"], frames=FRAMES, size=224)
    last = f"blocks.{LAYERS - 1}"
    whole = nlviz.capture(net.eval(), clip)
    one = nlviz.capture(net, clip, blocks=[next(n for n in whole.affinities if last in n)])
    return {
        "12 layers": whole.save(folder / "whole.nlviz"),
        "one layer": one.save(folder / "one.nlviz"),
    }


def first_map(path: Path) -> bytes:
    """Return the bytes from which the browser draws the first map of a saved capture."""
    capture = nlviz.read_capture(path)
    block = list(capture.affinities)[-1]
    affinities = nlviz.controls(capture, block)
    return nlviz.web.live_view(capture, block, affinities=affinities, served=True)


def main() -> None:
    """Measure; print the figures and leave them with the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = captured(Path(folder))
        rounds = 4 if options.quick else 12
        seconds = alternate(
            {name: lambda path=path: first_map(path) for name, path in files.items()},
            rounds=rounds,
            clock=time.process_time,
        )
        sent = {name: len(first_map(path)) for name, path in files.items()}
        blocks = {unpack(first_map(path))[0]["block"]["name"] for path in files.values()}
        sizes = {name: path.stat().st_size for name, path in files.items()}
    assert len(blocks) == 1, blocks
    found = [
        at_most(
            "first map of 12 layers x 12 heads, x that of one layer",
            ratio(seconds, "12 layers", "one layer"),
            1.3,
        ),
        at_most(
            "bytes sent to the browser, x those of one layer",
            sent["12 layers"] / sent["one layer"],
            1.01,
        ),
        Figure("bytes sent", f"{sent['12 layers'] / 1e6:.3g} MB"),
        Figure("size of the capture", f"{sizes['12 layers'] / 1e6:.3g} MB"),
    ]
    print(table(found))
    save(
        "opening",
        found,
        f"{FRAMES} frames of 14 x 14 cells, {rounds} rounds in turn, processor time; {processor()}",
    )


if __name__ == "__main__":
    main()
