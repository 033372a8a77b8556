"""Trains CoAtNet's layouts: ``python -m nlviz.recipes.coatnet_layouts --out DIR``.

Four networks of equal size learn to read a digit that stands in the upper left quarter of its
places. Stem and first stage are convolutions in all of them: they learn first, once for a seed, to
tell cell by cell which digit is there, and are frozen. What follows is trained for all four layouts
at once, on the same pictures. An interrupted run goes on from its checkpoint and ends at the same
weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from timm.models.maxxvit import MaxxVit
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.networks.coatnet import (
    CLASSES,
    LAYOUTS,
    WIDTHS,
    Layout,
    cells_of,
    coatnet,
    named_layout,
    scores_of,
    trunk_of,
)
from nlviz.recipes.descent import Descent, Pace
from nlviz.recipes.placed_digits import DIGIT, as_input, corners_of, covered, planes

VERSION = 1
TRUNK_STEPS, STEPS, BATCH, RATE, WARM_UP, DECAY = 600, 800, 32, 2e-3, 50, 0.05
SEEDS = (0, 1, 2)
NOTHING = CLASSES  # the class of a cell that shows no digit
Nets = Mapping[Layout, MaxxVit]


def _pace(steps: int) -> Pace:
    return Pace(steps, RATE, warm_up=WARM_UP, decay=DECAY)


def batch_at(seed: int, part: int, step: int, size: int = BATCH) -> tuple[Tensor, Tensor, Tensor]:
    """Return pictures (size, 3, 64, 64), digits (size,) and corners (size, 2) of a step.

    >>> [x.shape for x in batch_at(0, 1, 7, size=5)]
    [torch.Size([5, 3, 64, 64]), torch.Size([5]), torch.Size([5, 2])]
    """
    at = (seed << 40) + (part << 32) + step
    drawn, corners = planes(size, seed=at, split="training"), corners_of(size, seed=at)
    pictures = as_input(drawn.window(corners)).contiguous(memory_format=torch.channels_last)
    return pictures, torch.from_numpy(drawn.digits), torch.from_numpy(corners)


def train_trunk(
    net: MaxxVit,
    *,
    seed: int,
    checkpoint: Path,
    report: Callable[[str], None] = print,
    steps: int = TRUNK_STEPS,
    until: int | None = None,
) -> None:
    """Train stem and first stage to tell which digit every cell shows; the rest is as it was.

    Args:
        net: its stem and first stage are changed.
        seed: of the pictures.
        checkpoint: where the state is kept; a run goes on from there.
        report: called with a line now and then.
        steps: of AdamW.
        until: stop after this many steps in all, as an interruption would.
    """
    torch.manual_seed(seed)
    # It reads 5 x 5 cells around each, as a digit is wider than what one cell sees; it is dropped.
    reader = nn.Sequential(
        nn.Conv2d(WIDTHS[0], 48, 5, padding=2), nn.GELU(), nn.Conv2d(48, NOTHING + 1, 1)
    )
    trunk = trunk_of(net).requires_grad_(True)
    weight = torch.ones(NOTHING + 1)
    weight[NOTHING] = 0.15  # most cells show nothing

    def loss_at(step: int) -> Tensor:
        pictures, digits, corners = batch_at(seed, 0, step)
        shown = covered(corners)
        wanted = torch.where(shown, digits[:, None, None], NOTHING)
        return F.cross_entropy(reader(cells_of(net, pictures)), wanted, weight=weight)

    both = nn.ModuleDict({"trunk": trunk, "reader": reader})
    both.to(memory_format=torch.channels_last)  # faster on a processor
    descent = Descent(both, _pace(steps), checkpoint, name="trunk", report=report)
    last = descent.last(until)
    for step in range(descent.done, last):
        descent.step(loss_at(step), last)
    trunk.eval().requires_grad_(False)


def train(
    nets: Nets,
    *,
    seed: int,
    checkpoint: Path,
    report: Callable[[str], None] = print,
    steps: int = STEPS,
    until: int | None = None,
) -> None:
    """Train what follows the first stage, of all layouts at once; they share a frozen trunk.

    Args:
        nets: by layout; they are changed.
        seed: of the pictures.
        checkpoint: where the states are kept, the layout's letters before its suffix; a run goes
            on from there.
        report: called with a line now and then.
        steps: of AdamW.
        until: stop after this many steps in all, as an interruption would.
    """
    first = next(iter(nets.values()))
    descents = {}
    for layout, net in nets.items():
        learning = nn.ModuleDict({"stages": net.stages[1:], "norm": net.norm, "head": net.head})
        learning.to(memory_format=torch.channels_last)
        kept = checkpoint.with_name(f"{checkpoint.stem}.{layout.lower()}{checkpoint.suffix}")
        descents[layout] = Descent(learning, _pace(steps), kept, name=layout, report=report)
    last = descents[next(iter(nets))].last(until)
    for step in range(min(descent.done for descent in descents.values()), last):
        pictures, digits, _ = batch_at(seed, 1, step)
        with torch.no_grad():
            cells = cells_of(first, pictures)  # the same for all
        for layout, descent in descents.items():
            if descent.done == step:
                descent.step(F.cross_entropy(scores_of(nets[layout], cells), digits), last)
    for net in nets.values():
        net.eval()


def with_trunk_of(net: MaxxVit, other: MaxxVit) -> MaxxVit:
    """Return a network with stem and first stage of another, frozen."""
    trunk_of(net).load_state_dict(trunk_of(other).state_dict())
    trunk_of(net).eval().requires_grad_(False)
    return net


def file_name(layout: Layout, seed: int) -> str:
    """Return the name of a file of weights.

    >>> file_name("C-C-T-T", 2)
    'coatnet.c-c-t-t-2.safetensors'
    """
    return f"coatnet.{layout.lower()}-{seed}.safetensors"


def write(net: nn.Module, path: Path, *, layout: Layout, seed: int) -> None:
    """Write weights in half precision, with what made them."""
    about = {
        "recipe": f"nlviz.recipes.coatnet_layouts {VERSION}",
        "layout": layout,
        "seed": str(seed),
        "digit": str(DIGIT),
    }
    half = {
        k: v.half().contiguous()
        for k, v in net.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    save_file(half, path, about)


def read(path: Path) -> tuple[MaxxVit, Layout]:
    """Return a trained network from a file of this recipe, in single precision, and its layout."""
    with safe_open(path, "pt") as stored:
        layout = named_layout(stored.metadata()["layout"])
    net = coatnet(layout)
    net.load_state_dict({k: v.float() for k, v in load_file(path).items()}, strict=False)
    return net.eval(), layout


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    prog = "python -m nlviz.recipes.coatnet_layouts"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--trunk-steps", type=int, default=TRUNK_STEPS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=Path("coatnet-training"), metavar="DIR")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    for seed in given.seeds:
        torch.manual_seed(seed)
        first = coatnet("C-C-C-C")
        kept = given.out / f"trunk-{seed}.pt"
        train_trunk(first, seed=seed, checkpoint=kept, steps=given.trunk_steps)
        nets: dict[Layout, MaxxVit] = {}
        for layout in LAYOUTS:
            torch.manual_seed(seed)
            nets[layout] = with_trunk_of(coatnet(layout), first)
        train(nets, seed=seed, checkpoint=given.out / f"layouts-{seed}.pt", steps=given.steps)
        for layout, net in nets.items():
            write(net, given.out / file_name(layout, seed), layout=layout, seed=seed)


if __name__ == "__main__":
    torch.set_flush_denormal(True)
    main()
