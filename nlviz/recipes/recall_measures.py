"""What recall networks answer, whole and changed, and where their rows lie.

Only queries of the last frame count, for the head reads no other: all of it is counted in the rows
of these 64 cells, as the same change by ``nlviz.interventions`` would have it, many clips at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.attention_map import effective_number
from nlviz.affinity.pairwise import Pairwise
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.recall import FRAMES, SIDE, STRIDE, RecallNL, RecallTask
from nlviz.recipes.recall import pixels
from nlviz.recipes.recall_clips import RecallClips, recall_clips

CELLS = (SIDE // STRIDE) ** 2  # of a frame
SEED = 987  # of the held-out clips, those of ``recall.accuracy``
ORDERED, KEYS = 12, 40  # queries of a clip whose orders of keys are compared, and of how many
Rows = Float[Tensor, "clips 64 320"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Held-out clips behind a trunk.

    Attributes:
        x: (clips, 48, 5, 8, 8) features of the trunk.
        clips: the clips.
    """

    x: Float[Tensor, "clips channels 5 8 8"]
    clips: RecallClips

    @property
    def asked(self) -> Int[Tensor, " clips"]:
        """The frame that shows the grey digit in colour."""
        return torch.from_numpy(self.clips.asked)

    def in_frame(self, frames: Int[Tensor, " clips"]) -> Bool[Tensor, "clips 320"]:
        """Return the keys in a frame of each clip."""
        return torch.arange(FRAMES).repeat_interleave(CELLS)[None] == frames[:, None]

    def digits(self) -> Bool[Tensor, "clips 4 320"]:
        """Return the keys that the digit of each context frame covers: their middles lie in it."""
        found = np.zeros((len(self.x), FRAMES - 1, FRAMES, CELLS), dtype=bool)
        for n in range(len(self.x)):
            for t in range(FRAMES - 1):
                found[n, t, t] = self.clips.covered(n, t).ravel()
        return torch.from_numpy(found).flatten(2)

    def digit(self, frames: Int[Tensor, " clips"]) -> Bool[Tensor, "clips 320"]:
        """Return the keys that the digit of one context frame of each clip covers."""
        return self.digits()[torch.arange(len(self.x)), frames]


def batches(net: RecallNL, task: RecallTask, *, clips: int = 1000) -> Iterator[Batch]:
    """Yield held-out clips of a task behind the trunk of a network, 100 at a time."""
    for start in range(0, clips, 100):
        drawn = recall_clips(min(100, clips - start), seed=SEED + start, task=task)
        with torch.no_grad():
            yield Batch(net.cells(pixels(drawn)), drawn)


def logits_and_rows(net: RecallNL, batch: Batch) -> tuple[Rows, Rows]:
    """Return the logits of f and the rows of the queries of the last frame."""
    block = net.nl
    assert isinstance(block, NonLocalBlock)
    theta, phi, _ = block.embed(batch.x)
    f = Pairwise(block.pairwise)
    logits = f.logits(theta[:, 0, -CELLS:], phi[:, 0])
    return logits, f.normalise(logits.clone())


def answers(
    net: RecallNL, batch: Batch, rows: Rows | None = None, *, logits: bool = False
) -> Tensor:
    """Return the colours that a network tells, (clips,), or their logits, (clips, 5).

    Args:
        net: the network.
        batch: the clips.
        rows: of the queries of the last frame, in the place of its own; None leaves the block out.
        logits: of all five.
    """
    last = batch.x[:, :, -1]
    z = last.flatten(2).mT
    if rows is not None:
        block = net.nl
        assert isinstance(block, NonLocalBlock)
        out = block.out
        y = rows @ block.embed(batch.x)[2][:, 0]
        z = z + F.linear(y, out.get_parameter("weight").flatten(1), out.get_parameter("bias"))
    pooled = (net.pooling(last).flatten(1)[:, None] @ z)[:, 0]
    found: Tensor = net.head(pooled)
    return found if logits else found.argmax(dim=1)


def cut(net: RecallNL, rows: Rows, keys: Bool[Tensor, "clips 320"]) -> Rows:
    """Return rows without edges to some keys, as ``interventions.CutEdges`` has it.

    Rows of a softmax are shared out anew among the rest, others lose the terms.
    """
    left = rows.masked_fill(keys[:, None], 0.0)
    block = net.nl
    assert isinstance(block, NonLocalBlock)
    if not Pairwise(block.pairwise).softmax:
        return left
    return left / left.sum(-1, keepdim=True).clamp(min=1e-30)


@torch.no_grad()
def measured(net: RecallNL, task: RecallTask, *, clips: int = 1000) -> dict[str, Any]:
    """Return what a network answers, whole and with parts left out, and where its rows lie.

    ``right`` holds shares of right answers of the clips: ``whole``; ``bypassed``, the block changes
    nothing; with all edges cut to the frame that was asked for (``asked frame``), to the cells that
    its digit covers (``asked digit``), to the frame after it (``other frame``), to all four
    (``all frames``); and with ``uniform`` rows, 1/320 each. ``rows`` holds means over clips and,
    weighted with what the head reads, over queries: the share of the row's absolute weight on the
    cells of the digit that was asked for, on those of all four, the effective number of keys, and
    the share of clips where the asked digit has the most of the four, the first of these with the
    signs of the weights, and the share of keys whose weight is above 0; ``same order`` says
    how far two queries of a clip's last frame order keys alike, from -1 to 1 (see ``_orders``).

    Args:
        net: the network, in eval mode.
        task: what it is to tell.
        clips: how many.

    >>> from nlviz.networks.recall import RecallNL
    >>> found = measured(RecallNL("gaussian").eval(), "recall", clips=2)
    >>> sorted(found["right"])[:3], found["clips"]
    (['all frames', 'asked digit', 'asked frame'], 2)
    """
    right: dict[str, int] = {}
    sums: dict[str, float] = {}
    orders: list[float] = []
    for batch in batches(net, task, clips=clips):
        labels = torch.from_numpy(batch.clips.labels(task))

        def count(name: str, fits: Tensor) -> None:
            right[name] = right.get(name, 0) + int(fits.sum())

        if not isinstance(net.nl, NonLocalBlock):
            count("whole", net.answer(batch.x).argmax(1) == labels)
            count("bypassed", answers(net, batch) == labels)
            continue
        logits, rows = logits_and_rows(net, batch)
        for name, keys in _cuts(batch).items():
            count(name, answers(net, batch, cut(net, rows, keys)) == labels)
        count("whole", answers(net, batch, rows) == labels)
        count("bypassed", answers(net, batch) == labels)
        count("uniform", answers(net, batch, torch.full_like(rows, 1 / rows.shape[-1])) == labels)
        if task == "missing":
            told = answers(net, batch, cut(net, rows, _cuts(batch)["asked frame"]))
            tint = torch.from_numpy(batch.clips.answers)
            count("asked frame, its colour told", told == tint)
        for name, value in of_rows(net, batch, rows).items():
            sums[name] = sums.get(name, 0.0) + value
        if len(orders) < 200:
            orders += _orders(net, logits)
    found: dict[str, Any] = {
        "clips": clips,
        "right": {name: round(n / clips, 4) for name, n in right.items()},
    }
    if sums:
        found["rows"] = {name: round(value / clips, 4) for name, value in sums.items()}
        found["rows"]["same order"] = round(float(np.mean(orders)), 4) if orders else None
    return found


@torch.no_grad()
def swapped(
    nets: Mapping[str, RecallNL], task: RecallTask, *, clips: int = 1000
) -> dict[str, dict[str, dict[str, float]]]:
    """Return shares of right answers where the rows of one network sum the values of another.

    ``as they are`` holds them by giver and taker; in ``to scale`` rows are multiplied by one number
    for each pair, so that their absolute weights sum to what they do in the taker. The networks
    have the same trunk.

    Args:
        nets: by name.
        task: what they are to tell.
        clips: how many.
    """
    first = next(iter(nets.values()))
    kinds = ("as they are", "to scale")
    right = {kind: {a: dict.fromkeys(nets, 0) for a in nets} for kind in kinds}
    for batch in batches(first, task, clips=clips):
        labels = torch.from_numpy(batch.clips.labels(task))
        rows = {name: logits_and_rows(net, batch)[1] for name, net in nets.items()}
        size = {name: float(r.abs().sum(-1).mean()) for name, r in rows.items()}
        for a in nets:
            for b, net in nets.items():
                for kind, factor in zip(kinds, (1.0, size[b] / max(size[a], 1e-30)), strict=True):
                    fits = answers(net, batch, rows[a] * factor) == labels
                    right[kind][a][b] += int(fits.sum())
    return {
        kind: {a: {b: round(n / clips, 4) for b, n in of.items()} for a, of in given.items()}
        for kind, given in right.items()
    }


def _cuts(batch: Batch) -> dict[str, Bool[Tensor, "clips 320"]]:
    own = batch.in_frame(torch.full_like(batch.asked, FRAMES - 1))
    return {
        "asked frame": batch.in_frame(batch.asked),
        "asked digit": batch.digit(batch.asked),
        "other frame": batch.in_frame((batch.asked + 1) % (FRAMES - 1)),
        "all frames": ~own,
    }


@torch.no_grad()
def of_rows(net: RecallNL, batch: Batch, rows: Rows) -> dict[str, float]:
    """Return sums over clips of means over queries, weighted with what the head reads of each."""
    reads = net.pooling(batch.x[:, :, -1]).flatten(1)
    shares = rows.abs() / rows.abs().sum(-1, keepdim=True).clamp(min=1e-30)
    read = (reads[:, None] @ shares)[:, 0]  # (clips, keys)
    on = (batch.digits() * read[:, None]).sum(-1)  # (clips, 4)
    signed = rows / rows.abs().sum(-1, keepdim=True).clamp(min=1e-30)
    net_on = (batch.digit(batch.asked) * (reads[:, None] @ signed)[:, 0]).sum(-1)
    asked = on.gather(1, batch.asked[:, None])[:, 0]
    return {
        "on the asked digit": float(asked.sum()),
        "on the asked digit, signed": float(net_on.sum()),
        "above 0": float(((rows > 0).float().mean(-1) * reads).sum()),
        "on all four digits": float(on.sum()),
        "asked digit first": float((on.argmax(1) == batch.asked).sum()),
        "effective keys": float((effective_number(shares) * reads).sum()),
    }


def _orders(net: RecallNL, logits: Rows) -> list[float]:
    """Return for each clip how far its queries order keys alike, from -1 to 1.

    Of pairs of keys that neither of two queries ties, the share that both order alike less the
    share that they order oppositely (Goodman and Kruskal's gamma), over pairs of queries. Queries
    that tie everything, as a concatenation whose f is 0, say nothing.
    """
    block = net.nl
    assert isinstance(block, NonLocalBlock)
    f = logits.relu() if block.pairwise == "concatenation" else logits
    queries = torch.linspace(0, CELLS - 1, ORDERED).long()
    few = f[:, queries][..., :: f.shape[-1] // KEYS]
    one, other = torch.triu_indices(few.shape[-1], few.shape[-1], 1)
    signs = (few[..., one] - few[..., other]).sign()  # (clips, queries, pairs of keys)
    alike, known = signs @ signs.mT, signs.abs() @ signs.abs().mT
    up = torch.triu_indices(ORDERED, ORDERED, 1)
    alike, known = alike[:, up[0], up[1]].sum(1), known[:, up[0], up[1]].sum(1)
    return [float(a / k) for a, k in zip(alike, known, strict=True) if k > 0]
