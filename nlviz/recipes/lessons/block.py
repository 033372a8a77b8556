"""The data of the lesson *The block*: W_z scaled, a block inserted, started from zero, timed.

- Clips of the recall task as the trunk of ``recall.embedded-gaussian`` sees them, with the weights
  of its block and head: the browser runs both, with W_z times any factor.
- A fresh block at its usual start, with W_z = 0: the browser trains it for a few steps.
- What insertion does: a fresh block with W_z times a factor behind a stage of a network that was
  trained without one (the bare backbone of lite-nl), on 16 pictures.
- Seconds of a block and of a 3 x 3 x 3 convolution on the machine that ran this.

    python -m nlviz.recipes.lessons block
"""

from __future__ import annotations

import copy
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import nlviz
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.recall import CHANNELS, COLOURS, RecallNL
from nlviz.recipes.feature_bank import normalised
from nlviz.recipes.recall import pixels
from nlviz.recipes.recall_clips import RecallClips, recall_clips
from nlviz.resources import asset
from nlviz.web.payloads.container import pack

NETWORK = "recall.embedded-gaussian"
CLIPS, MANY, SEED = 16, 1000, 12_345
STAGE = "blocks.4"  # of the backbone: 112 channels at stride 16
FACTORS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75, 2.0)
STARTS = 5  # fresh blocks
PHOTOS = ("astronaut", "cat", "coffee", "rocket")
FILMS = ("bunny", "composed-space", "composed-twins")
SHAPE = (64, 4, 14, 14)  # channels and grid that are timed
REPEATS = 15

Arrays = dict[str, npt.NDArray[Any]]


def make() -> bytes:
    """Return the bytes of the lesson's data."""
    net = recall_network()
    clips = recall_clips(CLIPS, seed=SEED, split="held-out")
    with torch.no_grad():
        x = net.cells(pixels(clips))
    arrays: Arrays = {
        "frames": clips.frames,
        "x": _tokens(x).numpy().astype(np.float16),
        "answers": clips.answers.astype(np.int32),
        "asked": clips.asked.astype(np.int32),
        "places": _places(clips),
        **trained_weights(net),
        **fresh_weights(),
    }
    kept, nearness = insertion()
    arrays["insert.factors"] = np.array(FACTORS, np.float32)
    arrays["insert.kept"] = kept.astype(np.float32)
    arrays["insert.correlation"] = nearness.astype(np.float32)
    found = numbers(net, kept)
    head = {
        "colours": list(COLOURS),
        "grid": list(x.shape[2:]),
        "channels": CHANNELS,
        "pictures": len(PHOTOS) + 4 * len(FILMS),
        "timed": timed(),
        "numbers": found,
    }
    return pack(head, arrays)


def recall_network() -> RecallNL:
    """Return the trained recall network in single precision, on the CPU."""
    net: Any = nlviz.load_model(NETWORK, device="cpu").net
    found: RecallNL = copy.deepcopy(net).float().eval()
    return found


def trained_weights(net: RecallNL) -> Arrays:
    """Return the weights of block and head, in single precision, matrices without trailing 1s."""
    block: Any = net.nl
    found = {}
    for name in ("theta", "phi", "g", "out"):
        conv = getattr(block, name)
        found[f"{name}.weight"] = conv.weight.detach().flatten(1).numpy()
        found[f"{name}.bias"] = conv.bias.detach().numpy()
    found["where.weight"] = net.where.weight.detach().flatten().numpy()
    found["head.weight"] = net.head.weight.detach().numpy()
    found["head.bias"] = net.head.bias.detach().numpy()
    return {k: np.asarray(v, np.float32) for k, v in found.items()}


def fresh_block() -> NonLocalBlock:
    """Return a block at its usual start; its W_z is zero."""
    torch.manual_seed(0)
    return NonLocalBlock(CHANNELS, inner=CHANNELS // 2, norm=False)


def fresh_weights() -> Arrays:
    """Return theta, phi and g of a fresh block; W_z and its bias are zero."""
    block: Any = fresh_block()
    return {
        f"fresh.{name}.{kind}": np.asarray(
            getattr(getattr(block, name), kind).detach().reshape(CHANNELS // 2, -1).squeeze(-1)
            if kind == "bias"
            else getattr(getattr(block, name), kind).detach().flatten(1),
            np.float32,
        )
        for name in ("theta", "phi", "g")
        for kind in ("weight", "bias")
    }


@torch.no_grad()
def scaled_answers(net: RecallNL, x: Tensor, factor: float) -> tuple[Tensor, float]:
    """Return logits with W_z times a factor, and ||z - x|| / ||x|| over the last frame.

    Args:
        net: the recall network.
        x: (batch, channels, t, rows, columns) cells.
        factor: of W_z and its bias.
    """
    block: Any = net.nl
    added = factor * block.branch(x)[:, :, -1]
    last = x[:, :, -1]
    pooled = torch.einsum("bchw,bhw->bc", last + added, net.pooling(last))
    ratio = float((added.flatten(1).norm(dim=1) / last.flatten(1).norm(dim=1)).mean())
    return net.head(pooled), ratio


def numbers(net: RecallNL, kept: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return the figures that texts quote."""
    right = {0.0: 0, 1.0: 0}
    for start in range(0, MANY, 100):
        clips = recall_clips(100, seed=SEED + 1 + start, split="held-out")
        with torch.no_grad():
            x = net.cells(pixels(clips))
        for factor in right:
            found = scaled_answers(net, x, factor)[0].argmax(1)
            right[factor] += int((found == torch.from_numpy(clips.answers)).sum())
    return {
        "clips": CLIPS,
        "many": MANY,
        "colours": len(COLOURS),
        "right_without": right[0.0] / MANY,
        "right_with": right[1.0] / MANY,
        "pictures": kept.shape[1],
        "starts": STARTS,
        "kept_zero": float(kept[:, :, 0].sum(1).mean()),
        "kept_one": float(kept[:, :, FACTORS.index(1.0)].sum(1).mean()),
    }


def insertion() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Insert fresh blocks into a network trained without them, with W_z times each factor.

    Returns:
        kept: (starts, pictures, factors) 1 where the most likely class stays.
        nearness: (starts, pictures, factors) correlation of the 1000 logits with those without the
            block.

    Raises:
        AssertionError: when the logits at factor 0 are not those without the block, bit for bit.
    """
    lite: Any = nlviz.load_model("lite-nl", device="cpu").net
    backbone: nn.Module = lite.backbone.eval()
    inputs = [normalised(picture[None]) for picture in pictures()]
    with torch.no_grad():
        before = [backbone(x)[0] for x in inputs]
    kept = np.zeros((STARTS, len(inputs), len(FACTORS)))
    nearness = np.zeros_like(kept)
    for start in range(STARTS):
        net = copy.deepcopy(backbone)
        torch.manual_seed(start)
        block: Any = nlviz.insert(
            net, after=STAGE, pairwise="embedded_gaussian", channels=112, norm=False
        )
        usual = torch.empty_like(block.out.weight)
        nn.init.kaiming_uniform_(usual, a=5**0.5)  # PyTorch's own start of a convolution
        for n, factor in enumerate(FACTORS):
            with torch.no_grad():
                block.out.weight.copy_(factor * usual)
                after = [net(x)[0] for x in inputs]
            if factor == 0:
                assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
            for m, (a, b) in enumerate(zip(after, before, strict=True)):
                kept[start, m, n] = float(a.argmax() == b.argmax())
                nearness[start, m, n] = float(np.corrcoef(a, b)[0, 1])
    return kept, nearness


def pictures() -> list[npt.NDArray[np.uint8]]:
    """Return the pictures of ``insertion``: four photos and four frames of each of three films."""
    found = [nlviz.read_clip(asset(f"photos/{n}.jpg"), size=224).frames[0] for n in PHOTOS]
    for name in FILMS:
        found += list(nlviz.read_clip(asset(f"clips/{name}.mp4"), frames=4, size=224).frames)
    return [np.array(f[: f.shape[0] // 32 * 32, : f.shape[1] // 32 * 32]) for f in found]


@torch.no_grad()
def timed() -> dict[str, Any]:
    """Return milliseconds of a block, with keys pooled and not, and of a 3 x 3 x 3 convolution.

    Medians of alternating runs on one thread, with the shape and the machine that they are of.
    """
    channels, *grid = SHAPE
    torch.manual_seed(0)
    x = torch.randn(1, *SHAPE)
    runs: dict[str, Callable[[Tensor], Tensor]] = {
        "block": NonLocalBlock(channels, norm=False).eval(),
        "pooled": NonLocalBlock(channels, norm=False, pool=2).eval(),
        "convolution": nn.Conv3d(channels, channels, 3, padding=1).eval(),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found: dict[str, list[float]] = {name: [] for name in runs}
    try:
        for _ in range(REPEATS):
            for name, run in runs.items():
                start = time.perf_counter()
                run(x)
                found[name].append(1000 * (time.perf_counter() - start))
    finally:
        torch.set_num_threads(threads)
    return {
        "channels": channels,
        "grid": grid,
        "threads": 1,
        "machine": platform.machine(),
        "milliseconds": {name: round(statistics.median(t), 3) for name, t in found.items()},
    }


def _tokens(x: Tensor) -> Tensor:
    """(batch, channels, t, h, w) as (batch, cells, channels)."""
    return x.flatten(2).mT.contiguous()


def _places(clips: RecallClips) -> npt.NDArray[np.int32]:
    """Return (clips, frames, 2): row and column of the cell in the middle of every digit."""
    count, frames = clips.digits.shape
    found = [[clips.centre(n, t) for t in range(frames)] for n in range(count)]
    return (np.array(found) // 4).astype(np.int32)
