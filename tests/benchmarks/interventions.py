"""What a knock-out costs with the rest of the network: one forward pass from its block on.

``python -m tests.benchmarks.interventions``: 20 random edges of one query are cut, again and again.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

import nlviz
from nlviz.clips.clip import Clip, read_clip
from nlviz.interventions import CutEdges, CutFrames, Rerun
from nlviz.resources import asset
from tests.benchmarks.measuring import Figure, at_most, processor, save, table

EDGES = 20
Case = tuple[nlviz.Model, Clip, str]


def noise(frames: int) -> Clip:
    rng = np.random.default_rng(0)
    return Clip.from_frames(rng.integers(0, 255, (frames, 224, 224, 3), np.uint8))


def lite_nl() -> Case:
    clip = read_clip(asset("clips/composed-twins.mp4"), frames=8, size=224)
    return nlviz.load_model("lite-nl", device="cpu"), clip, "stage4"


def i3d_nl() -> Case:
    from nlviz.networks.presets import five_blocks, i3d
    from nlviz.networks.video_resnet import VideoResNet

    net = VideoResNet(i3d(50, frames=8, places=five_blocks(50))).eval()
    return nlviz.Model(net), noise(8), "res4.3"


def vit() -> Case:
    import timm

    net = timm.create_model("vit_small_patch16_224", pretrained=False).eval()
    return nlviz.Model(net), noise(1), "blocks.6"


def videomae() -> Case:
    import transformers as tr

    net = tr.VideoMAEForVideoClassification(tr.VideoMAEConfig()).eval()
    return nlviz.Model(net), noise(16), "videomae.encoder.layer.6.attention.attention"


CASES: dict[str, Callable[[], Case]] = {
    "lite-nl, stage4, 8 frames": lite_nl,
    "I3D-NL R50, res4.3, 8 frames": i3d_nl,
    "ViT-S/16, blocks.6": vit,
    "VideoMAE-B, layer 6, 16 frames": videomae,
}


def clocked(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    torch.set_num_threads(1)
    figures = []
    for name, make in CASES.items():
        torch.manual_seed(0)
        model, clip, block = make()
        capture = model.capture(clip, blocks=[block])
        affinity = capture.affinities[block]
        query = affinity.queries.prefix + affinity.queries.size // 2
        keys = torch.zeros(affinity.keys.size + affinity.keys.prefix, dtype=torch.bool)
        keys[torch.randperm(len(keys))[:EDGES]] = True
        prepared, began = model.prepared(clip), [0.0]

        def mark(*_: object, began: list[float] = began, **__: object) -> None:
            began[0] = time.process_time()

        def plain(model: nlviz.Model = model, prepared: object = prepared) -> None:
            with torch.no_grad():
                model.run(prepared)  # type: ignore[arg-type]

        rerun, change = Rerun(capture), CutEdges(block, (query,), keys)
        first = clocked(lambda r=rerun, c=change: r.run(c))
        whole, ratios = [], []
        for _ in range(4 if quick else 10):
            handle = capture.blocks[block].register_forward_pre_hook(mark, with_kwargs=True)
            whole.append(clocked(plain))
            rest = time.process_time() - began[0]
            handle.remove()
            ratios.append(clocked(lambda r=rerun, c=change: r.run(c)) / rest)
        held = rerun._prefixes[block]
        figures += [
            at_most(
                f"{name}: one knock-out / a forward pass from its block on",
                statistics.median(ratios),
                1.1,
                "x",
            ),
            Figure(
                f"{name}: the first one, with checks / a whole forward pass",
                f"{first / statistics.median(whole):.2g}x",
            ),
            Figure(f"{name}: kept between them", f"{held.nbytes / 2**20:.3g} MiB" if held else "–"),
        ]
    model, clip, _ = lite_nl()
    rerun = Rerun(model.capture(clip, blocks=["stage3"]))
    rerun.run(CutFrames("stage3", queries=(3,)))
    seconds = [clocked(lambda: rerun.run(CutFrames("stage3"))) for _ in range(2 if quick else 5)]
    cut = "lite-nl, stage3, 11200 x 11200: all edges between frames cut"
    return [*figures, at_most(cut, statistics.median(seconds), 2.0, " s")]


CONDITIONS = (
    "processor time at one thread, medians over alternating rounds; random weights but for lite-nl"
)


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("interventions", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### Knock-outs with the rest of the network\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
