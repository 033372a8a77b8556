"""Trains the recall networks: ``python -m nlviz.recipes.recall --out DIR``.

The trunk learns first to tell digit and colour, cell by cell, and is frozen; it is the same in all
networks of a seed. Then for every pairwise function and every task a block and a head learn, all of
them from the same clips. An interrupted run goes on from its checkpoints and ends at the same
weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.networks.block import NonLocalBlock
from nlviz.networks.recall import CHANNELS, COLOURS, RecallNL, RecallPairwise, RecallTask
from nlviz.recipes.descent import Descent, Pace
from nlviz.recipes.recall_clips import RecallClips, recall_clips

VERSION = 1
TRUNK_STEPS, STEPS, BATCH, RATE = 900, 1500, 32, 3e-3
RecallKind = RecallPairwise | Literal["per_position", "none"]
KINDS: tuple[RecallKind, ...] = (*get_args(RecallPairwise), "per_position", "none")
TASKS: tuple[RecallTask, ...] = get_args(RecallTask)
NOTHING = 10  # the class of a cell that shows no digit
_GREY = len(COLOURS)


def pixels(clips: RecallClips) -> Tensor:
    """Return (clips, 3, 5, 32, 32) in [0, 1]."""
    return torch.from_numpy(clips.frames).permute(0, 4, 1, 2, 3).float() / 255


def train_trunk(
    net: RecallNL,
    *,
    seed: int,
    checkpoint: Path,
    report: Callable[[str], None] = print,
    steps: int = TRUNK_STEPS,
    until: int | None = None,
) -> None:
    """Train the trunk to tell which digit of which colour every cell shows; the rest is as it was.

    Args:
        net: its trunk is changed.
        seed: of the clips.
        checkpoint: where the state is kept; a run goes on from there.
        report: called with a line now and then.
        steps: of AdamW.
        until: stop after this many steps in all, as an interruption would.
    """
    torch.manual_seed(seed)
    net.trunk.requires_grad_(True)
    reader = nn.Conv2d(CHANNELS, NOTHING + 1 + len(COLOURS) + 1, 1)
    both = nn.ModuleDict({"trunk": net.trunk, "reader": reader})

    def loss_at(step: int) -> Tensor:
        clips = recall_clips(BATCH, seed=_seed(seed, 0, step), split="training")
        found = reader(net.cells(pixels(clips)).transpose(1, 2).flatten(0, 1))
        digits, colours, shown = _labels(clips)
        what, tint = found[:, : NOTHING + 1], found[:, NOTHING + 1 :]
        # Nine cells in ten show nothing; the rest decide what the trunk must tell.
        weight = torch.ones(NOTHING + 1)
        weight[NOTHING] = 0.15
        loss = F.cross_entropy(what, digits, weight=weight)
        return loss + F.cross_entropy(tint.permute(0, 2, 3, 1)[shown], colours)

    descent = Descent(both, Pace(steps, RATE), checkpoint, name="trunk", report=report)
    last = descent.last(until)
    for step in range(descent.done, last):
        descent.step(loss_at(step), last)
    net.trunk.eval().requires_grad_(False)


def fresh(kind: RecallKind, trunk: RecallNL, *, seed: int) -> RecallNL:
    """Return a network that is to learn: block and head from the seed, the trunk another's.

    Args:
        kind: pairwise function of its block, or which control it is.
        trunk: whose trunk it gets, frozen.
        seed: of the first weights.
    """
    torch.manual_seed(seed)
    net = RecallNL(None if kind == "none" else kind)
    net.trunk.load_state_dict(trunk.trunk.state_dict())
    net.trunk.eval().requires_grad_(False)
    return net


def train(
    net: RecallNL,
    *,
    seed: int,
    name: str,
    checkpoint: Path,
    task: RecallTask = "recall",
    report: Callable[[str], None] = print,
    steps: int = STEPS,
    until: int | None = None,
) -> None:
    """Train block and head behind a frozen trunk.

    Args:
        net: it is changed.
        seed: of the clips.
        name: what the lines call it.
        checkpoint: where the state is kept; a run goes on from there.
        task: which colour the head must tell.
        report: called with a line now and then.
        steps: of AdamW.
        until: stop after this many steps in all, as an interruption would.
    """
    learner = Learner(name, net, task, checkpoint)
    train_together([learner], seed=seed, report=report, steps=steps, until=until)


@dataclass(frozen=True, eq=False)
class Learner:
    """A network that learns beside others.

    Attributes:
        name: what the lines call it.
        net: its block and its head are changed.
        task: which colour the head must tell.
        checkpoint: where the state is kept; a run goes on from there.
    """

    name: str
    net: RecallNL
    task: RecallTask
    checkpoint: Path


def train_together(
    learners: Sequence[Learner],
    *,
    seed: int,
    report: Callable[[str], None] = print,
    steps: int = STEPS,
    until: int | None = None,
) -> None:
    """Train blocks and heads behind one frozen trunk; clips and their features are made once.

    Every network ends at the weights that ``train`` gives it alone.

    Args:
        learners: networks with the same trunk.
        seed: of the clips.
        report: called with a line now and then.
        steps: of AdamW, for each.
        until: stop after this many steps in all, as an interruption would.
    """
    trunk = learners[0].net
    descents = [
        Descent(
            nn.ModuleDict({"nl": one.net.nl, "where": one.net.where, "head": one.net.head}),
            Pace(steps, RATE),
            one.checkpoint,
            name=one.name,
            report=report,
        )
        for one in learners
    ]
    tasks = tuple(dict.fromkeys(one.task for one in learners))
    last = descents[0].last(until)
    for step in range(min(descent.done for descent in descents), last):
        seen = _seen(trunk, tasks, seed=_seed(seed, 1, step))
        for one, descent in zip(learners, descents, strict=True):
            if descent.done == step:
                x, labels = seen[one.task]
                descent.step(F.cross_entropy(one.net.answer(x), labels), last)
    for one in learners:
        one.net.eval()


@torch.no_grad()
def _seen(
    trunk: RecallNL, tasks: Sequence[RecallTask], *, seed: int
) -> dict[RecallTask, tuple[Tensor, Tensor]]:
    """Return features and labels of a batch for each task; tasks over the same clips share them."""
    found: dict[RecallTask, tuple[Tensor, Tensor]] = {}
    for shown in ({"recall", "missing"}, {"single"}):
        these = [task for task in tasks if task in shown]
        if these:
            clips = recall_clips(BATCH, seed=seed, split="training", task=these[0])
            x = trunk.cells(pixels(clips))
            found |= {task: (x, torch.from_numpy(clips.labels(task))) for task in these}
    return found


@torch.no_grad()
def accuracy(
    net: RecallNL, task: RecallTask = "recall", *, clips: int = 1000, seed: int = 987
) -> float:
    """Return the share of right answers over clips of digits that training never drew."""
    right = 0
    for start in range(0, clips, 100):
        drawn = recall_clips(min(100, clips - start), seed=seed + start, task=task)
        found = net(pixels(drawn)).argmax(dim=1)
        right += int((found == torch.from_numpy(drawn.labels(task))).sum())
    return right / clips


def read(path: Path, kind: RecallKind) -> RecallNL:
    """Return a trained network from a file of this recipe, in single precision."""
    net = RecallNL(None if kind == "none" else kind)
    net.load_state_dict({k: v.float() if v.is_floating_point() else v
                         for k, v in load_file(path).items()})  # fmt: skip
    return net.eval()


def write(
    net: RecallNL, path: Path, *, seed: int, found: float, task: RecallTask = "recall"
) -> None:
    """Write weights in half precision, with what made them and their held-out accuracy.

    A file that names no task is one of ``recall``.
    """
    about = {"recipe": f"nlviz.recipes.recall {VERSION}", "seed": str(seed)}
    about |= {"accuracy": f"{found:.3f}"}
    if isinstance(net.nl, NonLocalBlock):
        about["pairwise"] = net.nl.pairwise
    if task != "recall":
        about["task"] = task
    half = {
        k: v.half().contiguous() if v.is_floating_point() else v
        for k, v in net.state_dict().items()
    }
    save_file(half, path, about)


def _labels(clips: RecallClips) -> tuple[Tensor, Tensor, Tensor]:
    """Return digit of every cell (frames, 8, 8), colours of those that show one, and which do."""
    count, frames = clips.digits.shape
    digits, tints, shown = [], [], []
    for n in range(count):
        for t in range(frames):
            cells = torch.from_numpy(clips.covered(n, t))
            tint = _GREY if t == frames - 1 else int(clips.colours[n, t])
            digits.append(torch.where(cells, int(clips.digits[n, t]), NOTHING))
            tints.append(torch.full((int(cells.sum()),), tint))
            shown.append(cells)
    return torch.stack(digits), torch.cat(tints), torch.stack(shown)


def _seed(seed: int, part: int, step: int) -> int:
    return (seed << 40) + (part << 32) + step


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    parser = argparse.ArgumentParser(prog="python -m nlviz.recipes.recall", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("recall-training"), metavar="DIR")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(given.seed)
    first = RecallNL(None)
    train_trunk(first, seed=given.seed, checkpoint=given.out / f"trunk-{given.seed}.pt")
    learners = []
    for task in given.tasks:
        for kind in given.kinds:
            net = fresh(kind, first, seed=given.seed)
            name = f"{task}.{kind}-{given.seed}"
            learners.append(Learner(name, net, task, given.out / f"{name}.pt"))
    train_together(learners, seed=given.seed)
    for one in learners:
        found = accuracy(one.net, one.task)
        print(f"{one.name}: {found:.3f} of 1000 held-out clips are answered rightly")
        path = given.out / f"{one.name}.safetensors"
        write(one.net, path, seed=given.seed, found=found, task=one.task)


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main()
