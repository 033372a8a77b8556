"""What a capture of every layer of a transformer costs beside its plain, fused forward pass.

``python -m tests.benchmarks.attention``
"""

from __future__ import annotations

import sys
import time
from typing import Any

import timm
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.families.reading.input_spec import InputSpec
from nlviz.families.timm.vit import TimmViTAdapter
from tests.benchmarks.measuring import Figure, alternate, at_most, processor, ratio, save, table
from tests.nets import noise_clip

LAYERS, WIDTH = 12, 768


class TubeletNet(nn.Module):
    """VideoMAE-B's shape: 16 x 224 x 224 in tubelets of 2 x 16 x 16, so 1568 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tubelets = nn.Conv3d(3, WIDTH, (2, 16, 16), (2, 16, 16))
        make = timm.models.vision_transformer.Block
        self.blocks = nn.Sequential(*(make(WIDTH, 12, qkv_bias=True) for _ in range(LAYERS)))
        self.head = nn.Linear(WIDTH, 400)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.tubelets(x).flatten(2).mT)
        found: Tensor = self.head(x.mean(1))
        return found


def kept(capture: Capture) -> float:
    """Return the memory of all that affinities keep, relative to their queries and keys."""
    q_and_k = total = 0
    seen: set[int] = set()
    for affinity in capture.affinities.values():
        assert isinstance(affinity, EmbeddedAffinity)
        q_and_k += affinity.theta.nbytes + affinity.phi.nbytes
        for value in vars(affinity).values():
            held = value if isinstance(value, Tensor) else getattr(value, "tensor", None)
            if isinstance(held, Tensor):
                storage = held.untyped_storage()
                total += storage.nbytes() if storage.data_ptr() not in seen else 0
                seen.add(storage.data_ptr())
    return total / q_and_k


def measured(
    name: str,
    net: nn.Module,
    clip: Clip,
    spec: InputSpec,
    rounds: int,
    *,
    adapter: AttentionAdapter | None = None,
) -> list[Figure]:
    """Return the figures of one network, read by the engine alone or by its family's adapter."""
    model = Model(net, adapter=adapter or AttentionAdapter(), input_spec=spec)
    begin = time.process_time()
    capture = model.capture(clip)
    first = time.process_time() - begin

    def plain() -> Any:
        prepared = model.prepared(clip)
        with torch.no_grad():
            return net(prepared.tensor)

    runs = {"capture": lambda: model.capture(clip), "plain": plain}
    seconds = alternate(runs, rounds=rounds)
    added = ratio(seconds, "capture", "plain")
    if adapter is not None:
        return [Figure(f"{name}: capture of {LAYERS} layers / plain forward", f"{added:.3g}x")]
    return [
        at_most(f"{name}: capture of {LAYERS} layers / plain forward", added, 1.10, "x"),
        Figure(
            f"{name}: the first capture of a shape / plain forward",
            f"{first / min(seconds['plain']):.3g}x",
        ),
        at_most(f"{name}: memory kept / queries and keys", kept(capture), 1.05, "x"),
    ]


CONDITIONS = (
    "processor time at one thread, medians over alternating rounds, random weights; the first "
    "capture of a shape runs the network on positions, too, which is remembered"
)


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = 2 if quick else 7
    vit = timm.create_model("vit_small_patch16_224").eval()
    frame = InputSpec(sides=(224, 224), layout="frames")
    picture = noise_clip(1, 224, 224)
    figures = measured("ViT-S/16 at 224", vit, picture, frame, 4 * rounds)
    figures += measured(
        "ViT-S/16 at 224, with values, sums and features kept as timm's family keeps them",
        vit,
        picture,
        frame,
        4 * rounds,
        adapter=TimmViTAdapter(),
    )
    film = nlviz.InputSpec(sides=(224, 224), layout="clip")
    clip = noise_clip(16, 224, 224)
    return figures + measured("1568 tokens, as VideoMAE-B", TubeletNet().eval(), clip, film, rounds)


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("attention", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### Attention\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
