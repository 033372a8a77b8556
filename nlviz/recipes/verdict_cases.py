"""Cases whose verdict is known, and how often ``nlviz.verdict`` is right about them.

``python -m nlviz.recipes.verdict_results`` runs all of them. A case is a network, an input, a block
and a query; its truth follows from how the network was written, or trained and then cut:

group          what a row follows from            whether it matters
planted        the rule of ``planted.Plan``       its path: the only one; closed, elsewhere, three
recall         content: no position enters        the cell that the head reads, of a right answer:
               the network                        it does; a cell of another frame: it cannot
recall, cut    the same for all, or even: the     W_z is zero: it does not
               weights of theta are zero
symbols        position: the embedding of the     -
               symbols is zero
tasks          as they were trained: position     -
               where the task moves symbols by
               their places, content where it
               sorts them or looks them up
matching       content: lite-nl has no position   W_z is zero: it does not
pictures       a vision transformer that learned  the projection behind attention is zero: it does
               nothing: near uniform; with its    not
               patches taken away: position

Cases of even seeds are for choosing the rules, those of odd seeds are held out. "Cannot be told"
counts as half right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import nn

from nlviz.affinity.asked import Query
from nlviz.analysis.verdict import Matters, Source, Verdict, verdict
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip, read_clip
from nlviz.clips.text import read_text
from nlviz.families.reading.adapter import InputSpec
from nlviz.networks.recall import RecallNL
from nlviz.recipes import planted
from nlviz.recipes.composed import compose
from nlviz.recipes.recall_clips import RecallClips, recall_clips
from nlviz.resources import asset
from nlviz.zoo.load import load_model

SEEDS = 6


@dataclass(frozen=True)
class Case:
    """A query whose verdict is known.

    Attributes:
        group: as in the table above.
        name: what tells it from others.
        seed: even for choosing rules, odd for measuring.
        sources: what the row may rightly be said to follow from; empty where that is not known.
        matters: whether it matters; None where that is not known.
        make: returns the network, the input, the block and the query.
        untrained: whether the block learned nothing, which the verdict may say instead.
    """

    group: str
    name: str
    seed: int
    sources: tuple[Source, ...]
    matters: Matters | None
    make: Callable[[], tuple[Model, Clip, str, Query]]
    untrained: bool = False

    @property
    def held_out(self) -> bool:
        """Whether the case had no part in choosing the rules."""
        return self.seed % 2 == 1

    def run(self) -> Verdict:
        """Return the verdict."""
        model, clip, block, query = self.make()
        return verdict(model.capture(clip), block, query)


def cases(seeds: Iterable[int] = range(SEEDS)) -> Iterator[Case]:
    """Yield all cases of these seeds.

    >>> len(list(cases())) > 200
    True
    """
    for seed in seeds:
        yield from _planted(seed)
        yield from _recall(seed)
        yield from _symbols(seed)
        yield from _tasks(seed)
        yield from _matching(seed)
        yield from _pictures(seed)


_SHAPES = ((3, 6, 7), (1, 9, 8), (5, 4, 6), (2, 7, 5), (1, 8, 11), (4, 5, 7))
_OF_RULE: dict[planted.Rule, tuple[Source, ...]] = {
    "content": ("content",),
    "position": ("position",),
    "same": ("same",),
    "sink": ("sink",),
    "uniform": ("near uniform",),
    "fresh": ("near uniform",),
}


def _planted(seed: int) -> Iterator[Case]:
    builds: tuple[planted.Build, ...] = ("block", "attention")
    paths: tuple[planted.Path, ...] = ("only", "closed", "elsewhere", "three")
    for rule, build, path in product(_OF_RULE, builds, paths):
        if path == "three" and (build != "block" or rule in ("same", "uniform")):
            continue
        if rule == "fresh" and path != "only":  # its output is zero whatever the head reads
            continue
        yield _of_plan(planted.Plan(rule, path, build, seed=seed))
    rules: tuple[planted.Rule, ...] = ("content", "position", "same")
    for rule, path in product(rules, paths[:2]):
        yield _of_plan(planted.Plan(rule, path, seed=seed, pairwise="dot_product"))
    for build in builds:
        yield _of_plan(planted.Plan("sink", "only", build, seed=seed, gives=False))


def _of_plan(plan: planted.Plan) -> Case:
    shape = _SHAPES[plan.seed % len(_SHAPES)]
    if plan.pairwise == "dot_product" and shape[0] == 1:
        shape = _SHAPES[0]  # the code of a place would be half a constant, so its sizes all alike
    rng = np.random.default_rng([plan.seed, len(plan.rule), len(plan.path), len(plan.build)])
    strong = plan.rule in ("content", "position", "sink")
    plan = replace(
        plan,
        shape=shape,
        query=int(rng.integers(0, math.prod(shape))),
        gain=float(rng.uniform(5, 12) if strong else rng.uniform(7, 12)),
        nuisance=float(rng.uniform(0.1, 0.8 if strong else 0.4)),
    )
    matters: Matters | None = None
    if plan.path != "only" or plan.rule == "fresh":
        matters = "does not matter"
    elif plan.rule in ("content", "position") or (plan.rule == "sink" and plan.gives):
        matters = "matters"

    def make() -> tuple[Model, Clip, str, Query]:
        frames = planted.painted(plan)
        sides = (frames.shape[1], frames.shape[2])
        spec = InputSpec(sides=sides, mean=(0.0,) * 3, std=(255.0,) * 3, white=255)
        model, clip = Model(planted.Planted(plan), input_spec=spec), Clip.from_frames(frames)
        # A register stands before the cells of attention, with a place or without one.
        before = model.capture(clip).affinities["nl"].queries.size - math.prod(plan.shape)
        return model, clip, "nl", plan.query + before

    kind = "" if plan.pairwise == "embedded_gaussian" else ", dot product"
    gives = "" if plan.gives else ", no value"
    return Case(
        "planted",
        f"{plan.rule}{gives}, {plan.path}, {plan.build}{kind}",
        plan.seed,
        _OF_RULE[plan.rule],
        matters,
        make,
        untrained=plan.rule == "fresh",
    )


RECALL = ("recall.embedded-gaussian", "recall.dot-product")


@cache
def _recall_clips(seed: int) -> RecallClips:
    return recall_clips(16, seed=4000 + seed)


def _recall_net(name: str, cut: str = "") -> Model:
    model = load_model(name, device="cpu")
    block = model.net.nl
    assert isinstance(block, nn.Module)
    with torch.no_grad():
        if cut == "theta":
            block.get_parameter("theta.weight").zero_()
        elif cut == "out":
            for parameter in ("out.weight", "out.bias"):
                block.get_parameter(parameter).zero_()
    return model


def _recall(seed: int) -> Iterator[Case]:
    for name, n in product(RECALL, range(3)):
        for cell in ("read", "another frame"):
            reads = cell == "read"
            yield Case(
                "recall",
                f"{name}, {cell}, {n}",
                seed,
                ("content",) if reads else (),
                "matters" if reads else "does not matter",
                _recall_case(name, seed, n, cell),
            )
    for name in RECALL:
        one, other = (
            _recall_case(name, seed, 3, "read", "theta"),
            _recall_case(name, seed, 4, "read", "out"),
        )
        yield Case("recall, cut", f"{name}, theta", seed, ("same", "near uniform"), None, one)
        yield Case("recall, cut", f"{name}, W_z", seed, ("content",), "does not matter", other)


def _recall_case(
    name: str, seed: int, n: int, cell: str, cut: str = ""
) -> Callable[[], tuple[Model, Clip, str, Query]]:
    def make() -> tuple[Model, Clip, str, Query]:
        model, drawn = _recall_net(name), _recall_clips(seed)
        right = [
            i for i in range(16)
            if int(model.logits(drawn.clip(i)).argmax()) == int(drawn.answers[i])
        ]  # fmt: skip
        at = right[n]
        frame = 4 if cell == "read" else int(drawn.asked[at])
        y, x = drawn.centre(at, frame)
        clip = drawn.clip(at)
        if cell == "read":
            # The cell that the head reads most; it lies on the grey digit.
            values = torch.tensor(clip.frames.copy()).permute(3, 0, 1, 2)[None].float() / 255
            assert isinstance(model.net, RecallNL)
            with torch.no_grad():
                weights = model.net.pooling(model.net.cells(values)[:, :, -1])[0]
            at_most = int(weights.argmax())
            return _recall_net(name, cut), clip, "nl", 4 * weights.numel() + at_most
        return _recall_net(name, cut), clip, "nl", (float(frame), float(y), float(x))

    return make


_CROSS = "decoder.0.cross"
_SYMBOLS = {
    "transformer.copy": ("decoder.0.cross", 3),
    "transformer.reverse": ("decoder.0.cross", 2),
    "transformer.shift": ("decoder.0.cross", 4),
    "non-local-1d.shift": ("embedded_gaussian.0", 12),
}


def _symbols(seed: int) -> Iterator[Case]:
    for name, (block, query) in _SYMBOLS.items():
        yield Case(
            "symbols", name, seed, ("position",), None, _symbol_case(name, block, query, seed)
        )


def _symbol_case(
    name: str, block: str, query: int, seed: int
) -> Callable[[], tuple[Model, Clip, str, Query]]:
    def make() -> tuple[Model, Clip, str, Query]:
        model = load_model(name, device="cpu")
        with torch.no_grad():
            model.net.get_parameter("symbols.weight").zero_()
        rng = np.random.default_rng(seed)
        letters = rng.permutation(list("abcdefgh"))
        # What is to be written is given: without its symbols the network writes nothing.
        text = " ".join(letters) + ("" if "1d" in name else " | " + " ".join(letters))
        return model, read_text(text), block, query

    return make


_TASKS: dict[str, Source] = {
    "transformer.copy": "position",
    "transformer.reverse": "position",
    "transformer.shift": "position",
    "transformer.sort": "content",
    "muse.copy": "position",
    "muse.reverse": "position",
    "muse.shift": "position",
    "muse.sort": "content",
    "muse.recall": "content",
}


def _tasks(seed: int) -> Iterator[Case]:
    for name, source in _TASKS.items():
        yield Case("tasks", name, seed, (source,), None, _task_case(name, seed))


def _task_case(name: str, seed: int) -> Callable[[], tuple[Model, Clip, str, Query]]:
    def make() -> tuple[Model, Clip, str, Query]:
        rng = np.random.default_rng(100 + seed)
        letters = rng.choice(list("abcdefgh"), 8, replace=False).tolist()
        text, query = " ".join(letters), int(rng.integers(1, 8))
        if name.endswith("recall"):
            pairs = [f"{a} {b}" for a, b in zip(letters, rng.permutation(8), strict=True)]
            text = f"{' '.join(pairs)} | {' '.join(letters[2:5])}"
            query = int(rng.choice([1, 3, 5]))  # at a letter that is asked for
        return load_model(name, device="cpu"), read_text(text), _CROSS, query

    return make


@cache
def _composed(seed: int) -> Clip:
    photos = [
        read_clip(asset(f"photos/{name}.jpg")).frames[0]
        for name in ("cat", "coffee", "rocket", "astronaut")
    ]
    made = compose(photos, seed=seed, frames=3, size=(96, 128), objects=3)
    return Clip.from_frames(made.frames, name=f"composed {seed}")


def _matching(seed: int) -> Iterator[Case]:
    for block, closed in product(("stage3", "stage4"), (False, True)):
        yield Case(
            "matching",
            f"lite-nl, {block}{', W_z is zero' * closed}",
            seed,
            ("content",),
            "does not matter" if closed else None,
            _matching_case(block, seed, closed),
        )


def _matching_case(
    block: str, seed: int, closed: bool
) -> Callable[[], tuple[Model, Clip, str, Query]]:
    def make() -> tuple[Model, Clip, str, Query]:
        model = load_model("lite-nl", device="cpu")
        if closed:
            stage = model.net.get_submodule(block)
            for layer in ("out", "bn"):
                for parameter in stage.get_submodule(layer).parameters():
                    nn.init.zeros_(parameter)
        rng = np.random.default_rng(seed)
        point = (1.0, float(rng.uniform(20, 76)), float(rng.uniform(20, 108)))
        return model, _composed(seed), block, point

    return make


def _pictures(seed: int) -> Iterator[Case]:
    yield Case(
        "pictures", "fresh", seed, ("near uniform",), None, _picture_case(seed), untrained=True
    )
    yield Case("pictures", "no patches", seed, ("position",), None, _picture_case(seed, blind=True))
    yield Case(
        "pictures",
        "fresh, projection zero",
        seed,
        ("near uniform",),
        "does not matter",
        _picture_case(seed, closed=True),
        untrained=True,
    )


def _picture_case(
    seed: int, *, blind: bool = False, closed: bool = False
) -> Callable[[], tuple[Model, Clip, str, Query]]:
    def make() -> tuple[Model, Clip, str, Query]:
        import timm

        torch.manual_seed(seed)
        net = timm.create_model(
            "vit_tiny_patch16_224", num_classes=7, img_size=(96, 128), depth=3
        ).eval()
        with torch.no_grad():
            if blind:
                # Patches say nothing, places much, and queries and keys are loud enough.
                net.get_parameter("patch_embed.proj.weight").zero_()
                net.get_parameter("pos_embed").normal_()
                loud = net.get_parameter("blocks.0.attn.qkv.weight")
                loud[: 2 * len(loud) // 3].normal_(std=0.1)
            if closed:
                for name in ("weight", "bias"):
                    net.get_parameter(f"blocks.0.attn.proj.{name}").zero_()
        model = Model(net)
        clip = _composed(seed).part(0, 1)
        return model, clip, next(iter(model.capture(clip).affinities)), 11 + seed

    return make
