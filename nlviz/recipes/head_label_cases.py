"""Surveys whose labels are known: networks that were written by hand, or trained and then cut.

group        what a head does
planted      what its name says: ``planted_heads``; of one whose branch is zero, dead
recall       content: no position enters the network; with theta at zero the same for all, or even;
             with W_z at zero, dead
lite-nl      matching or semantic: it learned to find the same point, and has no position to go by;
             with W_z at zero, dead
pictures     a vision transformer that learned nothing: uniform; with its patches taken away and
             its queries and keys made loud: positional

Cases of even seeds are for choosing the rules, those of odd seeds are held out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from nlviz.captures.model import Model
from nlviz.clips.clip import Clip, read_clip
from nlviz.recipes.composed import compose
from nlviz.recipes.planted_heads import HEADS, clip_of_cells, planted_heads
from nlviz.recipes.recall_clips import recall_clips
from nlviz.resources import asset
from nlviz.surveys.measuring.measurer import Measurer
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.report.head_labels import HeadLabel
from nlviz.surveys.report.survey_report import SurveyReport
from nlviz.surveys.schema import CLIPS
from nlviz.zoo.load import load_model

SEEDS = 10
QUERIES = 24

Truth = tuple[str, ...]
Made = tuple[Model, Sequence[Clip], dict[str, Truth]]


@dataclass(frozen=True)
class LabelCase:
    """A network and clips whose labels are known.

    Attributes:
        group: as in the table above.
        name: what tells it from others.
        seed: even for choosing rules, odd for measuring.
        make: returns the network, the clips, and which labels are right by block.
    """

    group: str
    name: str
    seed: int
    make: Callable[[], Made]

    def run(self) -> list[tuple[Truth, HeadLabel]]:
        """Return what is right and what was found, of every head whose truth is known."""
        model, clips, truths = self.make()
        report = report_of(model, clips)
        return [
            (truths[block], label)
            for (block, _), label in zip(report.heads, report.labels[0], strict=True)
            if block in truths
        ]


def report_of(model: Model, clips: Sequence[Clip], queries: int = QUERIES) -> SurveyReport:
    """Return the report of a network over clips that are in memory.

    Args:
        model: the network.
        clips: to survey.
        queries: of each clip.
    """
    measurer = Measurer(model, SurveyOptions(queries=queries))
    rows = pa.concat_tables([measurer.measure(clip).rows for clip in clips])
    lines = [
        {"uri": f"{n}", "name": clip.name, "label": "", "status": "done", "run": "1"}
        | {"digest": clip.digest}
        for n, clip in enumerate(clips)
    ]
    return SurveyReport.of(rows, pa.Table.from_pylist(lines, schema=CLIPS))


def label_cases(seeds: Iterable[int] = range(SEEDS)) -> Iterator[LabelCase]:
    """Yield all cases of these seeds.

    >>> len(list(label_cases([0, 1])))
    16
    """
    for seed in seeds:
        yield LabelCase("planted", "heads", seed, _planted(seed))
        yield LabelCase("planted", "branch zero", seed, _planted(seed, dead=True))
        for cut in ("", "theta", "out"):
            yield LabelCase("recall", cut or "as trained", seed, _recall(seed, cut))
        yield LabelCase("lite-nl", "as trained", seed, _lite(seed))
        yield LabelCase("lite-nl", "out", seed, _lite(seed, cut=True))
        yield LabelCase("pictures", "fresh" if seed % 4 < 2 else "no patches", seed, _picture(seed))


def _planted(seed: int, dead: bool = False) -> Callable[[], Made]:
    def make() -> Made:
        model = planted_heads(seed, dead=dead)
        order = np.random.default_rng(seed).permutation(HEADS).tolist()
        clips = [clip_of_cells(1000 * seed + n) for n in range(4 if dead else 14)]
        truths: dict[str, Truth] = {
            f"blocks.{n}": ("dead",) if dead else (name,) for n, name in enumerate(order)
        }
        return model, clips, truths

    return make


def _recall(seed: int, cut: str) -> Callable[[], Made]:
    def make() -> Made:
        model = load_model("recall.embedded-gaussian", device="cpu")
        block = model.net.nl
        assert isinstance(block, nn.Module)
        if cut:
            for part in ("weight", "bias"):
                nn.init.zeros_(block.get_parameter(f"{cut}.{part}"))
        drawn = recall_clips(12, seed=4100 + seed)
        truth: Truth = {"theta": ("same for all", "uniform"), "out": ("dead",)}.get(
            cut, ("content", "semantic", "matching")
        )
        return model, [drawn.clip(n) for n in range(12)], {"nl": truth}

    return make


def _lite(seed: int, cut: bool = False) -> Callable[[], Made]:
    def make() -> Made:
        model = load_model("lite-nl", device="cpu")
        truth: Truth = ("dead",) if cut else ("matching", "semantic")
        if cut:
            for block in ("stage3", "stage4"):
                for layer in ("out", "bn"):
                    for parameter in model.net.get_submodule(f"{block}.{layer}").parameters():
                        nn.init.zeros_(parameter)
        clips = [_composed(100 * seed + n) for n in range(3 if cut else 12)]
        return model, clips, {"stage3": truth, "stage4": truth}

    return make


def _composed(seed: int) -> Clip:
    photos = [
        read_clip(asset(f"photos/{name}.jpg")).frames[0]
        for name in ("cat", "coffee", "rocket", "astronaut")
    ]
    made = compose(photos, seed=seed, frames=4, size=(96, 128), objects=3)
    return Clip.from_frames(made.frames, name=f"composed {seed}")


def _picture(seed: int) -> Callable[[], Made]:
    def make() -> Made:
        import timm

        blind = seed % 4 >= 2
        torch.manual_seed(seed)
        net = timm.create_model(
            "vit_tiny_patch16_224", num_classes=7, img_size=(96, 128), depth=2
        ).eval()
        if blind:
            with torch.no_grad():
                # Patches say nothing, places much, and queries and keys are loud enough.
                net.get_parameter("patch_embed.proj.weight").zero_()
                net.get_parameter("pos_embed").normal_()
                loud = net.get_parameter("blocks.0.attn.qkv.weight")
                loud[: 2 * len(loud) // 3].normal_(std=0.1)
        clips = [_composed(100 * seed + n).part(0, 1) for n in range(12)]
        return Model(net), clips, {"blocks.0": ("positional" if blind else "uniform",)}

    return make
