"""Measures the networks over sequences: ``python -m nlviz.recipes.sequence_measures``.

For each length of sources, those of training and longer ones: the share of symbols that are right,
the share of sequences that are right as a whole, the entropy of the rows of every block, and the
weight that rows put on the source symbol that is to be written, where one symbol is.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlviz.affinity.pairwise import Pairwise
from nlviz.networks.hooks import recorded
from nlviz.networks.sequence.layers import Attend, DynamicConvolution
from nlviz.networks.sequence.non_local_1d import NonLocal1d
from nlviz.networks.sequence.tasks import SHIFT, TASKS, Batch, Task, drawn
from nlviz.recipes.sequences import Kind, SequenceNet, answers, file_name, read

LENGTHS = (8, 16, 32, 64, 96, 128, 192, 256)
SEED = 1 << 20  # of the sequences; no training has it
Measures = dict[str, Any]


def measured(net: SequenceNet, lengths: Sequence[int] = LENGTHS, *, count: int = 32) -> Measures:
    """Return the figures of a network by length.

    Args:
        net: the network, in eval mode.
        lengths: of the sources.
        count: sequences of each; half as many beyond 64 symbols.

    >>> from nlviz.recipes.sequences import built
    >>> found = measured(built("muse", "copy").eval(), (8,), count=2)["8"]
    >>> sorted(found), sorted(found["rows"]["decoder.0.cross"])
    (['right', 'rows', 'whole'], ['entropy', 'of', 'on the source'])
    """
    found: Measures = {}
    for length in lengths:
        generator = torch.Generator().manual_seed(SEED + length)
        batch = drawn(net.task, count if length <= 64 else max(count // 2, 1), length, generator)
        with torch.no_grad(), recorded(net, attending(net)) as calls:
            logits, wanted = answers(net, batch)
        fits = {name: x.argmax(-1) == wanted for name, x in logits.items()}
        rows = {
            name: _of_rows(net, name, block, calls[name].args, batch)
            for name, block in attending(net).items()
        }
        found[str(length)] = {
            "right": {name: _mean(fit) for name, fit in fits.items()},
            "whole": {name: _mean(fit.all(1)) for name, fit in fits.items()},
            "rows": {name: told for name, told in rows.items() if told},
        }
    return found


def attending(net: SequenceNet) -> dict[str, nn.Module]:
    """Return the modules whose arguments give rows, by the names of the blocks."""
    from nlviz.families import adapter_for

    blocks = adapter_for(net).blocks(net)
    if isinstance(net, NonLocal1d):
        return {name: cast(nn.Module, block.attend) for name, block in blocks.items()}
    return blocks


def _of_rows(
    net: SequenceNet, name: str, block: nn.Module, args: tuple[Any, ...], batch: Batch
) -> Measures:
    """Return mean entropy in bits, the largest that is possible, and the weight on the source."""
    rows, reachable = _rows(block, args)
    n = batch.source.shape[1]
    if isinstance(net, NonLocal1d):  # what asks stands behind the separator
        rows, reachable = rows[:, :, n + 1 :], reachable[n + 1 :]
    told: Measures = {}
    if not isinstance(block, DynamicConvolution) and getattr(block, "pairwise", "") not in (
        "dot_product",
        "concatenation",
    ):
        entropy = torch.special.entr(rows).sum(-1) / math.log(2)
        told = {
            "entropy": round(float(entropy.mean()), 4),
            "of": round(float(reachable.float().log2().mean()), 4),
        }
    from_source = isinstance(net, NonLocal1d) or name.endswith(".cross")
    partner = partners(net.task, n) if from_source else None
    if partner is not None:
        on = rows[:, :, : len(partner), :n].gather(
            3, partner.expand(*rows.shape[:2], -1)[..., None]
        )
        told["on the source"] = round(float(on[..., 0].mean((0, 2)).max()), 4)
    return told


def _rows(
    block: nn.Module, args: tuple[Any, ...]
) -> tuple[Float[Tensor, "batch heads n keys"], Int[Tensor, " n"]]:
    """Return rows of every query, and how many keys each reaches."""
    if isinstance(block, DynamicConvolution):
        weights = block.weights(args[0])
        return weights, torch.full((weights.shape[2],), block.kernel)
    theta, phi = args[:2]
    n, keys = theta.shape[2], phi.shape[2]
    if not isinstance(block, Attend):
        pairwise = Pairwise(block.pairwise, float(args[3]))  # type: ignore[arg-type]
        rows = pairwise.normalise(pairwise.logits(theta, phi))
        return rows, torch.full((n,), keys)
    logits = theta @ phi.mT * theta.shape[-1] ** -0.5
    if not block.causal:
        return logits.softmax(-1), torch.full((n,), keys)
    reach = torch.ones(n, keys, dtype=torch.bool).tril()
    return logits.masked_fill(~reach, -torch.inf).softmax(-1), reach.sum(1)


def partners(task: Task, n: int) -> Int[Tensor, " n"] | None:
    """Return the place in the source of each symbol of the target; None where none is the one.

    >>> partners(TASKS["reverse"], 4).tolist(), partners(TASKS["sort"], 4)
    ([3, 2, 1, 0], None)
    """
    places = torch.arange(n)
    if task.name == "copy":
        return places
    if task.name == "reverse":
        return places.flip(0)
    return places.roll(SHIFT) if task.name == "shift" else None


def _mean(fit: Tensor) -> float:
    return round(float(fit.float().mean()), 4)


def files(folder: Path) -> Iterator[tuple[Kind, str, int, Path]]:
    """Yield kind, task and seed of the networks that lie in a folder, and their files."""
    for kind in get_args(Kind):
        for task in TASKS:
            for path in sorted(folder.glob(f"{kind}.{task}-*.safetensors")):
                seed = int(path.stem.rpartition("-")[2])
                if path.name == file_name(kind, task, seed):
                    yield kind, task, seed, path


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all networks of a folder that have not been measured yet."""
    parser = argparse.ArgumentParser(
        prog="python -m nlviz.recipes.sequence_measures", description=__doc__
    )
    parser.add_argument("folder", type=Path, help="that nlviz.recipes.sequences wrote")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--count", type=int, default=32, help="sequences of each length")
    given = parser.parse_args(arguments)
    for kind, task, seed, path in files(given.folder):
        beside = path.with_suffix(".measures.json")
        if beside.exists() and beside.stat().st_mtime > path.stat().st_mtime:
            continue
        net = read(path, kind=kind, task=task)  # type: ignore[arg-type]
        found = measured(net, given.lengths, count=given.count)
        beside.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        told: Mapping[str, Any] = found[str(given.lengths[-1])]["right"]
        print(f"{kind}.{task}, seed {seed}: {told} at {given.lengths[-1]}", flush=True)


if __name__ == "__main__":
    main()
