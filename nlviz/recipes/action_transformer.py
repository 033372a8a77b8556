"""Trains a Video Action Transformer to find a boxed object in the other frames of composed clips.

    python -m nlviz.recipes.action_transformer --photos DIR

The trunk is lite-nl's backbone, frozen, one frame at a time, so that the head's attention is the
only path between frames; its features are computed once (`boxed_clips`). **The attention itself is
not supervised.** What is asked for is where the boxed object's middle is in every other frame, its
size there, and whether it shows; the readout sees the query and location embeddings, no feature of
any cell, so the answer can only have come through the attention's weighted sums.

Queries and keys start as one random orthogonal projection of the features, as in `matching`, and
values as one of the location embedding, which the readout starts to read by: before the first step
the attention is that of raw features, and everything is learned from there. It takes photographs
from folders, or fetches some from public Debian packages. Half an hour to an hour on one core.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.errors import NlvizError
from nlviz.networks.action_transformer import ActionTransformerHead, Found, PlaceReadout
from nlviz.networks.lite_nl import LiteNL
from nlviz.networks.weights import read_weights
from nlviz.recipes.box_scores import report
from nlviz.recipes.boxed_batches import Batch, draw
from nlviz.recipes.boxed_clips import BoxedClip, bank
from nlviz.recipes.footage import fetch_debian, read_photos
from nlviz.recipes.lite_nl import imagenet_backbone
from nlviz.recipes.training import halved

VERSION = 1
CHANNELS = 112
SPREAD = 0.7  # cells: deviation of the target around an object's middle
OWN = 0.25  # weight of the query's own frame, where the answer is known
SIZE, SHOWS = 1.0, 0.1  # weights of size and of whether it shows
DROPOUT = 0.1
SHARP = 2.0  # factor of the queries at the start
WARM = 100  # steps over which the learning rate rises
EVERY = 100  # steps between checkpoints


@dataclass(frozen=True)
class Plan:
    """How much to train on, and how long.

    Attributes:
        seed: of everything that is drawn.
        steps: of the optimiser.
        clips: composed clips.
        held_out: composed clips of held-out photographs, to validate on.
        batch: clips of a step.
        boxes: queries per clip.
        rate: largest learning rate of AdamW; it falls to zero along a cosine.
    """

    seed: int = 0
    steps: int = 7000
    clips: int = 1500
    held_out: int = 100
    batch: int = 8
    boxes: int = 6
    rate: float = 1e-3


@torch.no_grad()
def initialise(head: ActionTransformerHead, clips: Sequence[BoxedClip]) -> None:
    """Start queries and keys as one projection of the features, values as one of the places.

    Everything else keeps a third of its usual random start, so that it does not drown these.
    """
    some = torch.cat([c.features[::3].float().transpose(0, 1).flatten(1) for c in clips[::20]], 1)
    head.mean.copy_(some.mean(1))
    head.deviation.copy_(some.std(1))
    assert isinstance(head.readout, PlaceReadout)
    width = head.query.out.out_features
    content = nn.init.orthogonal_(torch.empty(width, CHANNELS)) * math.sqrt(width / CHANNELS)
    places = nn.init.orthogonal_(torch.empty(width, head.readout.straight.out_features))
    for linear in (head.query.out, *(part for layer in head.layers for part in _parts(layer))):
        linear.weight.mul_(0.3)
        linear.bias.zero_()
    head.query.out.weight[:, :CHANNELS] = content
    for layer in head.layers:
        layer.attention.query.weight.copy_(SHARP * torch.eye(width))
        layer.attention.key.weight[:, :CHANNELS] = content
        layer.attention.value.weight[:, CHANNELS:] = places
    head.readout.straight.weight.copy_(places.T)
    bent: Any = head.readout.bent[-1]
    bent.weight.mul_(0.1)


def _parts(layer: nn.Module) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    attention: Any = layer.attention
    return attention.query, attention.key, attention.value


def loss_of(found: Found, batch: Batch) -> Tensor:
    """Return how far the answers are from the truth, over the frames where the object shows.

    The cross-entropy of the cells of each frame against a bump around the object's middle, plus
    size and whether it shows; the query's own frame counts a quarter.
    """
    counts = batch.seen * torch.where(batch.own, OWN, 1.0)
    h, w = found.places.shape[-2:]
    y, x = (batch.truth[..., i, None, None] - 0.5 for i in range(2))
    away = (torch.arange(h)[:, None] - y) ** 2 + (torch.arange(w) - x) ** 2
    bump = (-away / (2 * SPREAD**2)).flatten(-2).softmax(-1)
    places = -(bump * found.places.flatten(-2).log_softmax(-1)).sum(-1)
    size = F.smooth_l1_loss(found.size, batch.truth[..., 2:], reduction="none", beta=0.05).sum(-1)
    shows = F.binary_cross_entropy_with_logits(found.seen, batch.seen.float())
    return ((places + SIZE * size) * counts).sum() / counts.sum() + SHOWS * shows


class Training:
    """One run of the recipe, with its checkpoint.

    Args:
        plan: how much and how long.
        clips: to train on.
        work: folder of the checkpoint.
        told: called with the number of steps done and the mean loss of the last hundred.
    """

    def __init__(
        self,
        plan: Plan,
        clips: Sequence[BoxedClip],
        work: Path,
        *,
        told: Callable[[int, float], None] = lambda step, loss: None,
    ) -> None:
        """Build the head and read the checkpoint, if there is one."""
        self.plan, self.clips, self.work, self.told = plan, clips, work, told
        torch.manual_seed(plan.seed)
        self.head = ActionTransformerHead(CHANNELS, dropout=DROPOUT)
        initialise(self.head, clips)
        self.start = {k: v.clone() for k, v in self.head.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.head.parameters(), plan.rate, weight_decay=1e-2)
        self.step = 0
        if self._checkpoint.exists():
            self._resume()

    def run(self, *, until: int | None = None) -> None:
        """Train to the end, or to a step."""
        plan, losses = self.plan, []
        self.head.train()
        for step in range(self.step, min(until or plan.steps, plan.steps)):
            warm = min(1.0, (step + 1) / WARM)
            rate = plan.rate * warm * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
            self.optimiser.param_groups[0]["lr"] = rate
            rng = np.random.default_rng([plan.seed, step])
            torch.manual_seed(plan.seed * 1_000_003 + step)  # of dropout
            chosen = [self.clips[i] for i in rng.integers(0, len(self.clips), plan.batch)]
            batch = draw(chosen, rng, boxes=plan.boxes, frames=int(rng.integers(4, 9)))
            loss = loss_of(self.head(batch.features, batch.boxes), batch)
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.head.parameters(), 1.0)
            self.optimiser.step()
            losses.append(float(loss.detach()))
            self.step = step + 1
            if self.step % EVERY == 0:
                self._save()
                self.told(self.step, float(np.mean(losses[-EVERY:])))
        self._save()
        self.head.eval()

    @property
    def _checkpoint(self) -> Path:
        return self.work / "checkpoint.pt"

    def _save(self) -> None:
        state = {
            "plan": json.dumps(asdict(self.plan)),
            "head": self.head.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        partial = self._checkpoint.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(self._checkpoint)

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, map_location="cpu", weights_only=True)
        if state["plan"] != json.dumps(asdict(self.plan)):
            raise NlvizError(
                f"the checkpoint in {self.work} belongs to another plan ({state['plan']}); give "
                "the same options or another --work folder"
            )
        self.head.load_state_dict(state["head"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def material(photos: Sequence[Path], work: Path) -> tuple[list[Any], list[Any]]:
    """Return photographs to train on and held-out ones, every sixth by name.

    Args:
        photos: folders; without any, public Debian packages are fetched.
        work: where they are kept.

    Raises:
        NlvizError: when there are fewer than seven photographs.
    """
    named = read_photos(photos or [fetch_debian(work / "fetched")[0]])
    if len(named) < 7:
        raise NlvizError(f"training needs at least seven photographs, there are {len(named)}")
    pictures = list(named.values())
    return [p for i, p in enumerate(pictures) if i % 6], pictures[::6]


def trunk_of(state: dict[str, Tensor]) -> LiteNL:
    """Return a network whose backbone is the trunk."""
    net = LiteNL().eval().requires_grad_(False)
    net.backbone.load_state_dict(halved(state))
    return net


def write(head: ActionTransformerHead, path: Path, plan: Plan) -> None:
    """Write the head's weights in half precision; the trunk's lie in lite-nl's own file."""
    about = {
        "recipe": f"nlviz.recipes.action_transformer {VERSION}",
        "seed": str(plan.seed),
        "steps": str(plan.steps),
        "clips": str(plan.clips),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"head.{k}": v.half().contiguous() for k, v in head.state_dict().items()}
    save_file(tensors, path, metadata=about)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m nlviz.recipes.action_transformer", description=__doc__
    )
    parser.add_argument("--photos", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("action-transformer.safetensors"))
    parser.add_argument("--work", type=Path, default=Path("action-transformer-training"))
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    for name in ("seed", "steps", "clips", "held_out", "batch", "boxes"):
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=getattr(Plan, name))
    given = parser.parse_args(arguments)
    torch.set_flush_denormal(True)
    torch.set_num_threads(given.threads)
    numbers = ("seed", "steps", "clips", "held_out", "batch", "boxes")
    plan = replace(Plan(), **{name: getattr(given, name) for name in numbers})
    given.work.mkdir(parents=True, exist_ok=True)
    kept, held_out = material(given.photos, given.work)
    net = trunk_of(imagenet_backbone())
    with Progress() as bars, torch.no_grad():
        clips = []
        for kind, photos, count, seed in (
            ("training", kept, plan.clips, plan.seed),
            ("validation", held_out, plan.held_out, plan.seed + 7919),
        ):
            task = bars.add_task(f"{kind} clips", total=count)
            told = lambda done, task=task: bars.update(task, completed=done)  # noqa: E731
            clips.append(bank(net, given.work / kind, photos, count, seed=seed, told=told))
    training = Training(
        plan, clips[0], given.work, told=lambda s, x: print(f"{s} steps: {x:.3f}", flush=True)
    )
    training.run()
    write(training.head, given.out, plan)
    stored = read_weights(given.out)  # the figures are of what is in the file, in half precision
    training.head.load_state_dict({k.removeprefix("head."): v.float() for k, v in stored.items()})
    told_of = report(training.head, training.start, clips[1])
    given.out.with_suffix(".report.json").write_text(json.dumps(told_of, indent=1))
    print(json.dumps(told_of, indent=1))


if __name__ == "__main__":
    main()
