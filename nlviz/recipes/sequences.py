"""Trains the networks over sequences: ``python -m nlviz.recipes.sequences``.

For every seed, task and kind one network: MUSE, its plain twin of as many parameters, and non-local
blocks of dimension 1. Everything that is drawn comes from the seed and the step, so both twins see
the same sequences in the same order; an interrupted run goes on from its checkpoint and ends at the
same weights. ``nlviz.recipes.sequence_measures`` then measures them, ``sequence_cards`` bundles
those of one seed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.networks.sequence.non_local_1d import NonLocal1d, TowerSize
from nlviz.networks.sequence.positions import LONGEST
from nlviz.networks.sequence.tasks import TASKS, Batch, Task, TaskName, drawn
from nlviz.networks.sequence.transduction import Transduction

VERSION = 1
Kind = Literal["muse", "transformer", "non-local-1d"]
SequenceNet = Transduction | NonLocal1d


@dataclass(frozen=True)
class Plan:
    """How long and on what a network is trained.

    Attributes:
        steps: of AdamW.
        batch: sequences of a step, all of one length.
        rate: highest learning rate; it rises over ``warm_up`` steps and falls along a cosine.
        warm_up: steps.
        shortest, longest: lengths of sources. Short ones are drawn more often: the length is
            ``shortest`` plus the square of a uniform number times the rest, rounded to even.

    >>> plan = Plan(steps=100, warm_up=10)
    >>> [round(plan.rate_at(step), 5) for step in (0, 9, 50, 99)]
    [0.0003, 0.00294, 0.00153, 6e-05]
    """

    steps: int = 1000
    batch: int = 32
    rate: float = 3e-3
    warm_up: int = 100
    shortest: int = 8
    longest: int = 64

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        wave = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * (0.02 + 0.98 * wave) * min(1.0, (step + 1) / self.warm_up)

    def batch_at(self, task: Task, seed: int, step: int) -> tuple[Batch, Float[Tensor, " batch"]]:
        """Return the sequences of a step, and by how many places each is moved on."""
        generator = torch.Generator().manual_seed((seed << 32) + step)
        share = float(torch.rand((), generator=generator)) ** 2
        length = self.shortest + 2 * round(share * (self.longest - self.shortest) / 2)
        batch = drawn(task, self.batch, length, generator)
        room = LONGEST - max(batch.source.shape[1], batch.given.shape[1])
        moved = (torch.rand(self.batch, generator=generator) * (room + 1)).floor()
        return batch, moved


_STEPS = {"copy": 1200, "reverse": 1200, "shift": 3000, "sort": 2000, "recall": 2500}


def plan_of(kind: Kind, task: TaskName) -> Plan:
    """Return the plan of the bundled networks.

    >>> plan_of("muse", "copy") == plan_of("transformer", "copy")
    True
    """
    if kind == "non-local-1d":
        return Plan(steps=_STEPS[task], batch=16, rate=5e-3)
    return Plan(steps=_STEPS[task])


def built(kind: Kind, task: TaskName) -> SequenceNet:
    """Return a network that has learned nothing yet.

    >>> type(built("non-local-1d", "sort")).__name__
    'NonLocal1d'
    """
    if kind == "non-local-1d":
        # Recall takes two steps: which digit stands behind which letter, then which is asked for.
        return NonLocal1d(task, TowerSize(blocks=2 if task == "recall" else 1))
    return Transduction(task, kind)


def answers(
    net: SequenceNet, batch: Batch, moved: Float[Tensor, " batch"] | None = None
) -> tuple[dict[str, Float[Tensor, "batch asked symbols"]], Int[Tensor, "batch asked"]]:
    """Return the logits of what the network is asked for, by head, and the true symbols.

    An encoder and decoder are given the true symbols before each; so all answers to a sequence are
    right exactly where the network, writing on its own, would write that sequence.

    Args:
        net: the network.
        batch: the sequences.
        moved: by how many places each is moved on.
    """
    if isinstance(net, NonLocal1d):
        counts = batch.counts[:-1]  # how many symbols there are is told by the blanks
        asked, wanted = batch.given[:, :-1][:, counts], batch.wanted[:, :-1][:, counts]
        blanks = torch.full_like(asked, net.task.blank)
        return net.logits(batch.source, asked if net.task.asks else blanks, moved), wanted
    found = net.logits(batch.source, batch.given, moved)
    return {net.kind: found[:, batch.counts]}, batch.wanted[:, batch.counts]


def train(
    net: SequenceNet,
    plan: Plan,
    *,
    seed: int,
    checkpoint: Path,
    report: Callable[[int, float], None] = lambda step, loss: None,
    every: int = 200,
    until: int | None = None,
) -> float:
    """Train a network and return its mean loss at the end.

    Args:
        net: the network; it is changed.
        plan: how long and on what.
        seed: of the sequences.
        checkpoint: where the state is kept, every ``every`` steps; a run goes on from there.
        report: called with the number of steps done and the mean loss.
        every: steps between checkpoints.
        until: stop after this many steps in all, as an interruption would.
    """
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=plan.rate, weight_decay=0.01, betas=(0.9, 0.98)
    )
    done, mean = 0, 0.0
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
        net.load_state_dict(kept["net"])
        optimiser.load_state_dict(kept["optimiser"])
        done, mean = kept["steps"], kept["mean"]
    net.train()
    last = plan.steps if until is None else min(until, plan.steps)
    for step in range(done, last):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate_at(step)
        batch, moved = plan.batch_at(net.task, seed, step)
        found, wanted = answers(net, batch, moved)
        # Heads share the embedding alone; the sum trains each on its own task.
        losses = [F.cross_entropy(x.flatten(0, 1), wanted.flatten()) for x in found.values()]
        loss = torch.stack(losses).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        now = float(loss.detach()) / len(losses)
        mean = now if step == 0 else 0.98 * mean + 0.02 * now
        if (step + 1) % every == 0 or step + 1 == last:
            state = {"net": net.state_dict(), "optimiser": optimiser.state_dict()}
            beside = checkpoint.with_suffix(".new")
            torch.save({**state, "steps": step + 1, "mean": mean}, beside)
            beside.replace(checkpoint)
            report(step + 1, mean)
    net.eval()
    return mean


def write(net: SequenceNet, path: Path, *, kind: Kind, seed: int, plan: Plan) -> None:
    """Write weights in half precision, with what made them."""
    about = {
        "recipe": f"nlviz.recipes.sequences {VERSION}",
        "kind": kind,
        "task": net.task.name,
        "seed": str(seed),
        "steps": str(plan.steps),
        "batch": str(plan.batch),
    }
    save_file({k: v.half().contiguous() for k, v in net.state_dict().items()}, path, about)


def read(path: Path, *, kind: Kind, task: TaskName) -> SequenceNet:
    """Return a trained network from a file that ``write`` wrote, in single precision."""
    net = built(kind, task)
    net.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return net.eval()


def file_name(kind: Kind, task: TaskName, seed: int) -> str:
    """Return what the weights of a run are called.

    >>> file_name("muse", "sort", 1)
    'muse.sort-1.safetensors'
    """
    return f"{kind}.{task}-{seed}.safetensors"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    parser = argparse.ArgumentParser(prog="python -m nlviz.recipes.sequences", description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--kinds", nargs="+", choices=get_args(Kind), default=list(get_args(Kind)))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, help="of each network; by default as its task needs")
    parser.add_argument("--batch", type=int, help="sequences of a step")
    parser.add_argument("--out", type=Path, default=Path("sequence-training"), metavar="DIR")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves the default")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    with Progress() as bars:
        for seed in given.seeds:
            for task in given.tasks:
                for kind in given.kinds:
                    plan = plan_of(kind, task)
                    plan = replace(
                        plan, steps=given.steps or plan.steps, batch=given.batch or plan.batch
                    )
                    path = given.out / file_name(kind, task, seed)
                    if path.exists():
                        continue
                    torch.manual_seed(seed)
                    net = built(kind, task)
                    report = _listener(bars, path.stem, plan.steps)
                    kept = path.with_suffix(".pt")
                    train(net, plan, seed=seed, checkpoint=kept, report=report)
                    write(net, path, kind=kind, seed=seed, plan=plan)
                    kept.unlink()


def _listener(bars: Progress, what: str, steps: int) -> Callable[[int, float], None]:
    task = bars.add_task(what, total=steps)

    def report(done: int, loss: float) -> None:
        bars.update(task, completed=done)
        bars.console.print(f"{what}: {done} steps, loss {loss:.4f}")

    return report


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main()
