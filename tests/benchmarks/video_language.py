"""What rows of eight words over 8192 patches cost beside the plain forward of a model of both.

``python -m tests.benchmarks.video_language``
"""

from __future__ import annotations

import sys
from typing import Any

import torch

import nlviz
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.text import with_prompt
from nlviz.families import family_of
from tests.benchmarks.measuring import (
    Figure,
    alternate,
    at_most,
    processor,
    ratio,
    save,
    table,
)
from tests.families.small_video_language import qwen
from tests.nets import noise_clip

ASKED = "What is the dog doing? What is the dog doing?"
WORDS = 8
FRAMES, SIDE = 16, 256  # 8 x 32 x 32 vision tokens: two frames, and 8 x 8 pixels, make one
# Heads as those of Qwen2.5-VL-3B, 128 numbers each over two sets of keys; two layers of a smaller
# width, behind a small tower, so that a processor of two cores runs it.
LANGUAGE = {
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "max_position_embeddings": 16384,
}
SECTION = [16, 24, 24]


def asked(*, small: bool = False) -> tuple[Model, Any]:
    """Return a model and its input, of the words alone or with the rows of eight of them."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net, made = qwen("Qwen2_5_VL", language=LANGUAGE, section=SECTION)
    adapter = family_of(net).blocks
    model = Model(net.eval(), adapter=adapter.with_processor(made))  # type: ignore[union-attr]
    side = SIDE // 2 if small else SIDE
    clip = with_prompt(noise_clip(FRAMES, side, side), nlviz.read_text(ASKED))
    return model, model.prepared(clip)


def rows_of(model: Model, prepared: Any) -> Any:
    """Return what a forward pass keeps of eight words."""
    clip = Clip.from_frames(torch.zeros(1, 2, 2, 3, dtype=torch.uint8).numpy())
    some = prepared.asking([*range(3, 3 + WORDS)], 0)
    return model._runner(clip).run_once(some).readings.affinities


def plain(model: Model, prepared: Any) -> Any:
    """Return what the network computes."""
    with torch.no_grad():
        return prepared.call(model.net, prepared.tensor)


CONDITIONS = (
    "processor time at one thread, medians over alternating rounds, float32, random weights, "
    "scaled_dot_product_attention; two layers of 8 heads of 128 over two sets of keys, width 1024"
)


def measure(*, quick: bool = False) -> list[Figure]:
    """Return the figures."""
    model, prepared = asked(small=quick)
    found = rows_of(model, prepared)
    affinity = next(iter(found.values()))
    tokens, words = affinity.keys.size, affinity.queries.prefix
    runs = {"rows": lambda: rows_of(model, prepared), "plain": lambda: plain(model, prepared)}
    seconds = alternate(runs, rounds=2 if quick else 3)
    kept = sum(a.theta.nbytes + a.phi.nbytes for a in found.values()) / 2**20
    name = f"rows of {words} words over {tokens} patches"
    return [
        at_most(f"{name} / plain forward", ratio(seconds, "rows", "plain"), 1.05, "x"),
        at_most(f"{name}: memory kept of two layers", kept, 50, " MiB"),
    ]


def main(*, quick: bool = False) -> list[Figure]:
    """Measure, save and print."""
    figures = measure(quick=quick)
    save("video_language", figures, f"{CONDITIONS}; {processor()}; torch {torch.__version__}")
    print(f"### A word over a video\n\n{CONDITIONS}\n\n{table(figures)}\n")
    return figures


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
