"""Trains the recall networks: ``python -m nlviz.recipes.recall --out DIR``.

The trunk learns first to tell digit and colour, cell by cell, and is frozen; it is the same in all
networks. Then for every pairwise function a block and a head learn to recall. An interrupted run
goes on from its checkpoint and ends at the same weights.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import get_args

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.networks.block import NonLocalBlock
from nlviz.networks.recall import CHANNELS, COLOURS, RecallNL, RecallPairwise
from nlviz.recipes.recall_clips import RecallClips, recall_clips

VERSION = 1
TRUNK_STEPS, STEPS, BATCH, RATE = 900, 1500, 32, 3e-3
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

    _descend(both, steps, loss_at, checkpoint, report, "trunk", until)
    net.trunk.eval().requires_grad_(False)


def train(
    net: RecallNL,
    *,
    seed: int,
    name: str,
    checkpoint: Path,
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
        report: called with a line now and then.
        steps: of AdamW.
        until: stop after this many steps in all, as an interruption would.
    """
    learning = nn.ModuleDict({"nl": net.nl, "where": net.where, "head": net.head})

    def loss_at(step: int) -> Tensor:
        clips = recall_clips(BATCH, seed=_seed(seed, 1, step), split="training")
        with torch.no_grad():
            x = net.cells(pixels(clips))
        return F.cross_entropy(net.answer(x), torch.from_numpy(clips.answers))

    _descend(learning, steps, loss_at, checkpoint, report, name, until)
    net.eval()


@torch.no_grad()
def accuracy(net: RecallNL, *, clips: int = 1000, seed: int = 987) -> float:
    """Return the share of right answers over clips of digits that training never drew."""
    right = 0
    for start in range(0, clips, 100):
        drawn = recall_clips(min(100, clips - start), seed=seed + start, split="held-out")
        found = net(pixels(drawn)).argmax(dim=1)
        right += int((found == torch.from_numpy(drawn.answers)).sum())
    return right / clips


def read(path: Path, pairwise: RecallPairwise | None) -> RecallNL:
    """Return a trained network from a file of this recipe, in single precision."""
    net = RecallNL(pairwise)
    net.load_state_dict({k: v.float() if v.is_floating_point() else v
                         for k, v in load_file(path).items()})  # fmt: skip
    return net.eval()


def write(net: RecallNL, path: Path, *, seed: int, found: float) -> None:
    """Write weights in half precision, with what made them and their held-out accuracy."""
    about = {"recipe": f"nlviz.recipes.recall {VERSION}", "seed": str(seed)}
    about |= {"accuracy": f"{found:.3f}"}
    if isinstance(net.nl, NonLocalBlock):
        about["pairwise"] = net.nl.pairwise
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


def _descend(
    net: nn.Module,
    steps: int,
    loss_at: Callable[[int], Tensor],
    checkpoint: Path,
    report: Callable[[str], None],
    name: str,
    until: int | None,
    every: int = 100,
) -> None:
    optimiser = torch.optim.AdamW(_trainable(net.parameters()), lr=RATE, weight_decay=0.01)
    done = 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
        net.load_state_dict(kept["net"])
        optimiser.load_state_dict(kept["optimiser"])
        done = kept["steps"]
    net.train()
    mean = math.nan
    last = steps if until is None else min(until, steps)
    for step in range(done, last):
        for group in optimiser.param_groups:
            wave = 0.5 * (1 + math.cos(math.pi * step / steps))
            group["lr"] = RATE * (0.02 + 0.98 * wave) * min(1.0, (step + 1) / 100)
        loss = loss_at(step)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        now = float(loss.detach())
        mean = now if math.isnan(mean) else 0.97 * mean + 0.03 * now
        if (step + 1) % every == 0 or step + 1 == last:
            beside = checkpoint.with_suffix(".new")
            torch.save(
                {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "steps": step + 1},
                beside,
            )
            beside.replace(checkpoint)
            report(f"{name}: {step + 1} of {steps} steps, loss {mean:.4f}")
    net.eval()


def _trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [p for p in parameters if p.requires_grad]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    parser = argparse.ArgumentParser(prog="python -m nlviz.recipes.recall", description=__doc__)
    kinds = [*get_args(RecallPairwise), "none"]
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("recall-training"), metavar="DIR")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(given.seed)
    first = RecallNL(None)
    train_trunk(first, seed=given.seed, checkpoint=given.out / f"trunk-{given.seed}.pt")
    for kind in given.kinds:
        torch.manual_seed(given.seed)
        net = RecallNL(None if kind == "none" else kind)
        net.trunk.load_state_dict(first.trunk.state_dict())
        net.trunk.eval().requires_grad_(False)
        name = f"recall.{kind}-{given.seed}"
        train(net, seed=given.seed, name=name, checkpoint=given.out / f"{name}.pt")
        found = accuracy(net)
        print(f"{name}: {found:.3f} of 1000 held-out clips are answered rightly")
        write(net, given.out / f"{name}.safetensors", seed=given.seed, found=found)


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main()
