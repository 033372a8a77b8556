"""Trains the bundled denoisers: ``python -m nlviz.recipes.denoiser``.

First a trunk without either block. Then, for every seed, two copies of it: one gets a non-local
block, the other a bottleneck of as many parameters that looks at its own cell; both blocks are the
identity at first, and everything trains on, on the same patches, for as many steps. An interrupted
run goes on from its checkpoint and ends at the same weights. Kinds and seeds may run side by side
in processes of their own once the trunk is there. ``nlviz.recipes.denoiser_card`` then bundles the
weights of one seed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast, get_args

import torch
from rich.progress import Progress
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nlviz.networks.block import NonLocalBlock
from nlviz.networks.denoising import BlockKind, DenoisingNet
from nlviz.recipes.footage import debian_photographs, photographs
from nlviz.recipes.noisy_patches import PatchBank, read_bank

VERSION = 1
TRUNK_SEED = 0


@dataclass(frozen=True)
class Stage:
    """One stretch of training.

    Attributes:
        steps: of the optimiser.
        batch: patches of a step.
        size: side of a patch in pixels.
        rate: learning rate of AdamW at the start.
        last_rate: share of it at the end; a cosine lies between.
        warm_up: steps over which the rate rises to its start.

    >>> stage = Stage(steps=100, batch=4, size=32, rate=1e-3, last_rate=0.1, warm_up=10)
    >>> [round(stage.rate_at(step), 6) for step in (0, 9, 50, 100)]
    [0.0001, 0.000982, 0.00055, 0.0001]
    """

    steps: int
    batch: int
    size: int
    rate: float
    last_rate: float
    warm_up: int

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        wave = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        share = self.last_rate + (1 - self.last_rate) * wave
        return self.rate * share * min(1.0, (step + 1) / self.warm_up)


TRUNK = Stage(steps=8000, batch=16, size=64, rate=1e-3, last_rate=0.5, warm_up=200)
TWINS = Stage(steps=2000, batch=8, size=96, rate=5e-4, last_rate=0.02, warm_up=100)


def train(
    net: DenoisingNet,
    bank: PatchBank,
    stage: Stage,
    *,
    seed: int,
    checkpoint: Path,
    report: Callable[[int, float], None] = lambda step, loss: None,
    every: int = 250,
) -> dict[str, Tensor]:
    """Train a network and return the moving average of its weights.

    Args:
        net: the network; it is changed.
        bank: what to cut patches from.
        stage: how long and how fast.
        seed: of the patches and their noise.
        checkpoint: where the state is kept, every ``every`` steps; a run goes on from there.
        report: called with the number of steps done and the mean loss.
        every: steps between checkpoints.
    """
    device = next(net.parameters()).device
    net.to(memory_format=torch.channels_last)
    trained = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=stage.rate, weight_decay=1e-4, betas=(0.9, 0.98))
    average = {k: v.clone() for k, v in net.state_dict().items()}
    done, mean = 0, 0.0
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=device, weights_only=True)
        net.load_state_dict(kept["net"])
        optimiser.load_state_dict(kept["optimiser"])
        average, done, mean = kept["average"], kept["steps"], kept["mean"]
    for step in range(done, stage.steps):
        for group in optimiser.param_groups:
            group["lr"] = stage.rate_at(step)
        clean, noisy, sigma = (
            x.to(device) for x in bank.draw(stage.batch, stage.size, seed=seed, step=step)
        )
        found = net(noisy.contiguous(memory_format=torch.channels_last), sigma)
        # The root makes every noise level count alike.
        loss = ((found - clean).square().mean((1, 2, 3)) + 1e-6).sqrt().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        keep = min(0.999, (step + 1) / (step + 10))
        for name, value in net.state_dict().items():
            average[name].lerp_(value, 1 - keep)
        now = float(loss.detach())
        mean = now if step == 0 else 0.99 * mean + 0.01 * now
        if (step + 1) % every == 0 or step + 1 == stage.steps:
            state = {"net": net.state_dict(), "optimiser": optimiser.state_dict()}
            beside = checkpoint.with_suffix(".new")
            torch.save({**state, "average": average, "steps": step + 1, "mean": mean}, beside)
            beside.replace(checkpoint)
            report(step + 1, mean)
    return average


def trunk(
    bank: PatchBank, work: Path, *, device: torch.device, report: Callable[..., None]
) -> Path:
    """Train the network without its block, once; return the file of its weights."""
    path = work / "trunk.safetensors"
    if not path.exists():
        torch.manual_seed(TRUNK_SEED)
        net = DenoisingNet("local").to(device)
        net.block = nn.Identity()
        average = train(
            net, bank, TRUNK, seed=TRUNK_SEED, checkpoint=work / "trunk.pt", report=report
        )
        save_file({k: v.contiguous() for k, v in average.items()}, path)
    return path


def twin(
    trunk_weights: dict[str, Tensor], kind: BlockKind, bank: PatchBank, seed: int
) -> DenoisingNet:
    """Return a network with a trained trunk and a fresh block.

    theta and phi start as one: the leading principal components of the features, whitened, so that
    the affinity looks for alike features from the first step.
    """
    torch.manual_seed(seed)
    net = DenoisingNet(kind)
    net.load_state_dict(trunk_weights, strict=False)
    if isinstance(net.block, NonLocalBlock):
        batch = bank.draw(TWINS.batch, TWINS.size, seed=seed, step=TWINS.steps)
        with torch.no_grad():
            features = net.features(batch.noisy, batch.sigma)[1].transpose(0, 1).flatten(1)
            mean = features.mean(1)
            size, direction = torch.linalg.eigh(torch.cov(features))
            inner = cast(Tensor, net.block.theta.weight).shape[0]
            matrix = (direction[:, -inner:] * size[-inner:].clamp(min=1e-8).rsqrt()).T
            for conv in (net.block.theta, net.block.phi):
                cast(Tensor, conv.weight).copy_(matrix[:, :, None, None])
                cast(Tensor, conv.bias).copy_(-matrix @ mean)
    return net


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    parser = argparse.ArgumentParser(prog="python -m nlviz.recipes.denoiser", description=__doc__)
    parser.add_argument("--photos", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--work", type=Path, default=Path("denoiser-training"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--kinds", choices=get_args(BlockKind), nargs="+", default=["local", "nonlocal"]
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves the default")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    cuda = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(cuda if given.device == "auto" else given.device)
    given.work.mkdir(parents=True, exist_ok=True)
    kept = given.work / "bank.npz"
    found: list[Path] = []
    if not kept.exists():
        found = photographs(given.photos) if given.photos else debian_photographs(given.work)
    bank = read_bank(found, kept=kept)
    given.out.mkdir(parents=True, exist_ok=True)
    with Progress() as bars:
        report = _listener(bars, "trunk", TRUNK.steps)
        start = load_file(trunk(bank, given.work, device=device, report=report))
        for seed in given.seeds:
            for kind in given.kinds:
                name = f"{kind}-{seed}"
                average = train(
                    twin(start, kind, bank, seed).to(device),
                    bank,
                    TWINS,
                    seed=seed + 1,  # the trunk saw seed 0
                    checkpoint=given.work / f"{name}.pt",
                    report=_listener(bars, name, TWINS.steps),
                )
                write(average, given.out / f"denoiser-{name}.safetensors", kind=kind, seed=seed)


def write(average: dict[str, Tensor], path: Path, *, kind: BlockKind, seed: int) -> None:
    """Write weights with what made them."""
    about = {"recipe": f"nlviz.recipes.denoiser {VERSION}", "kind": kind, "seed": str(seed)}
    about |= {f"twins.{k}": str(v) for k, v in asdict(TWINS).items()}
    save_file({k: v.cpu().contiguous() for k, v in average.items()}, path, about)


def _listener(bars: Progress, what: str, steps: int) -> Callable[[int, float], None]:
    task = bars.add_task(what, total=steps)

    def report(done: int, loss: float) -> None:
        bars.update(task, completed=done, description=f"{what} {loss:.5f}")
        bars.console.print(f"{what}: {done} steps, loss {loss:.5f}")

    return report


if __name__ == "__main__":
    torch.set_flush_denormal(True)  # for the whole process: blocks start at zero, where it is slow
    main()
