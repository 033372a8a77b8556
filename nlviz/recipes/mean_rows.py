"""Makes the bundled mean rows of each position of ``lite-nl``: what position alone does there.

    python -m nlviz.recipes.mean_rows --out assets/positions

The mean over 32 clips (parts of the bundled films and photos) of the row of each query is a matrix
of queries x keys. It is kept as an affinity of its own, softmax(theta_i . phi_j + b_(j - i)), with
a few dimensions and a number for each offset, all in half precision: what it misses is measured, as
the mass that its rows have in common with the exact ones, and stands in the file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors.torch import save_file
from torch import Tensor

import nlviz
from nlviz.affinity.grid import TokenGrid
from nlviz.clips.others import other_clips
from nlviz.resources import bundled_inputs

MODEL, CLIP, FRAMES, CLIPS = "lite-nl", "composed-twins.mp4", 8, 32
RANK = {"stage3": 2, "stage4": 20}  # dimensions that a file of 300 KB has room for
STEPS, ROWS, CHUNK = 600, 128, 256


def mean_rows(mean: nlviz.Affinity) -> Float[Tensor, "queries keys"]:
    """Return the mean rows of all queries, a chunk at a time."""
    found = torch.empty(mean.queries.size, mean.keys.size)
    for first in range(0, mean.queries.size, CHUNK):
        part = range(first, min(first + CHUNK, mean.queries.size))
        found[first : part.stop] = mean.rows(part)[0]
    return found


def offsets(
    grid: TokenGrid, queries: Int[Tensor, " n"]
) -> tuple[Int[Tensor, "n keys"], tuple[int, int, int]]:
    """Return the number of the offset from each of some queries to every key, and of how many."""
    sizes = tuple(2 * n - 1 for n in grid.shape)
    index = torch.zeros(len(queries), grid.size, dtype=torch.long)
    every = torch.unravel_index(torch.arange(grid.size), grid.shape)
    for axis, (n, size) in enumerate(zip(grid.shape, sizes, strict=True)):
        own = torch.unravel_index(queries, grid.shape)[axis]
        index = index * size + (every[axis][None] - own[:, None] + n - 1)
    return index, (sizes[0], sizes[1], sizes[2])


def fitted(
    mean: Float[Tensor, "queries keys"], grid: TokenGrid, rank: int, steps: int = STEPS
) -> dict[str, Tensor]:
    """Return theta, phi and the table of offsets whose softmax is nearest to these rows.

    The sum of Kullback-Leibler divergences is minimised, some rows at a time.
    """
    torch.manual_seed(0)
    _, sizes = offsets(grid, torch.arange(1))
    count = sizes[0] * sizes[1] * sizes[2]
    total, weight = torch.zeros(count), torch.zeros(count)
    for part in torch.split(torch.arange(grid.size), CHUNK):
        index = offsets(grid, part)[0].flatten()
        total.index_add_(0, index, mean[part].flatten())
        weight.index_add_(0, index, torch.ones(len(index)))
    table = (total / weight.clamp(min=1)).clamp(min=1e-9).log()
    table = (table - table.mean()).requires_grad_()
    theta, phi = (torch.randn(grid.size, rank).mul_(0.1).requires_grad_() for _ in range(2))
    learned = [theta, phi, table]
    optimiser = torch.optim.Adam(learned, lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        some = torch.randperm(grid.size)[:ROWS]
        index, _ = offsets(grid, some)
        logits = theta[some] @ phi.T + table[index]
        loss = -(mean[some] * logits.log_softmax(-1)).sum(-1).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: {float(loss.detach()):.4f}", flush=True)
    return {
        "theta": theta.detach().half(),
        "phi": phi.detach().half(),
        "table": table.detach().reshape(sizes).half(),
    }


def kept_in_common(
    mean: Float[Tensor, "queries keys"], kept: dict[str, Tensor], grid: TokenGrid
) -> float:
    """Return the mean mass that rows of what is kept have in common with exact ones."""
    found = []
    for part in torch.split(torch.arange(grid.size), CHUNK):
        index, _ = offsets(grid, part)
        logits = kept["theta"][part].float() @ kept["phi"].float().T
        rows = (logits + kept["table"].flatten().float()[index]).softmax(-1)
        found.append(torch.minimum(rows, mean[part]).sum(-1))
    return float(torch.cat(found).mean())


def main() -> None:
    """Write a file for each block."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("assets/positions"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = nlviz.load_model(MODEL, device="cpu")
    like = nlviz.read_clip(bundled_inputs()[CLIP], frames=FRAMES)
    clips = list(other_clips(like, CLIPS))
    capture = model.capture(like)
    for block, rank in RANK.items():
        mean = nlviz.mean_position(model, capture, block, clips=clips)
        grid = mean.rows.queries
        exact = mean_rows(mean.rows)
        kept = fitted(exact, grid, rank)
        common = kept_in_common(exact, kept, grid)
        told = {
            "model": capture.about.digest,
            "block": block,
            "shape": list(grid.shape),
            "clip_shape": list(like.shape),
            "clips": len(clips),
            "common": round(common, 4),
        }
        path = arguments.out / f"{MODEL}.{block}.safetensors"
        save_file(kept, path, {"mean_rows": json.dumps(told)})
        print(f"{path}: {path.stat().st_size:,} bytes, {common:.3f} in common", flush=True)


if __name__ == "__main__":
    main()
