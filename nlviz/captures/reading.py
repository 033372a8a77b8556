"""What a forward pass left: every run of every block, read, checked and named.

A block is shown when its rows give what it computed (its receipt); else it is refused, with the
reason, and the others are shown.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.receipt import Receipt, receipt
from nlviz.affinity.stored import StoredAffinity
from nlviz.errors import BlockRefused, NlvizError
from nlviz.families.reading.adapter import AnyAdapter, Detector, Prepared
from nlviz.networks.as_written import graphs
from nlviz.networks.attention.sites import Site
from nlviz.networks.calls import Call, Calls, run_name
from nlviz.sentences import listed


@dataclass
class Readings:
    """What could be read of the blocks, by the name of the run, in the order in which they ran.

    Attributes:
        affinities: their rows give what the block computed.
        features: what entered each.
        blocks: the modules.
        receipts: what was checked of each; of a family that keeps no output there is none.
        refused: why others are not shown.
        sites: where in the pass the rows of each are computed, where that was seen.
    """

    affinities: dict[str, Affinity] = field(default_factory=dict)
    features: dict[str, Tensor] = field(default_factory=dict)
    blocks: dict[str, nn.Module] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One run of a block.

    Attributes:
        name: of the run, ``layer3#2`` for the second.
        block: name of the block.
        calls: all that belongs to the run.
        note: what a reader must know of it, or empty.
    """

    name: str
    block: str
    calls: Calls
    note: str = ""


def runs_of(
    blocks: Mapping[str, nn.Module], calls: Calls, walked: Container[str] = ()
) -> Iterator[Run]:
    """Yield the runs of all blocks in the order in which they began.

    Args:
        blocks: by name.
        calls: of the forward pass.
        walked: the blocks whose runs saw the parts of the clip one after another; the runs of each
            are one run on all of them.
    """
    found: list[tuple[int, Run]] = []
    for name in blocks:
        runs = calls.runs(name)
        whole = calls.together(name) if name in walked else None
        if whole is not None:
            note = f"The block ran {len(runs)} times, each time on another part of the clip."
            found.append((runs[0].began, Run(name, name, whole, note)))
            continue
        for i, run in enumerate(runs, 1):
            note = ""
            if len(runs) > 1:
                note = f"The block ran {len(runs)} times in this forward pass; this is run {i}."
            found.append((run.began, Run(run_name(name, i), name, calls.of(run), note)))
    yield from (run for _, run in sorted(found, key=lambda item: item[0]))


def read(
    adapter: AnyAdapter,
    net: nn.Module,
    calls: Calls,
    prepared: Prepared,
    walked: Container[str] = (),
) -> Readings:
    """Read every run of every block.

    Args:
        adapter: of the network's family.
        net: the network.
        calls: of the forward pass.
        prepared: the network's input.
        walked: the blocks whose runs saw the parts of the clip one after another.

    Raises:
        NlvizError: when no block ran.
        BlockRefused: when none can be shown.
    """
    found = Readings()
    blocks = distinct(adapter.blocks(net))
    missing = [name for name in blocks if not calls.runs(name)]
    for name in missing:
        found.refused[name] = f"{name} was not called in this forward pass"
    if len(missing) == len(blocks):
        raise NlvizError(
            f"the forward pass did not reach the blocks {', '.join(missing)}; a block must be "
            "called as a module in the network's forward, in the thread that captures it, to have "
            "an affinity"
        )
    names = adapter.token_names(net)
    for run in runs_of(blocks, calls, walked):
        named = {run.name: blocks[run.block]}
        if isinstance(adapter, Detector):
            named = adapter.readings(named, run.calls)
        for name, block in named.items():
            own = run.block if run.name in named else name
            try:
                affinity = adapter.read(own, block, run.calls, prepared)
                affinity = _with_token_names(affinity, names)
                _read_one(found, name, affinity, run, prepared, adapter.traces)
                if name in found.affinities:
                    features = adapter.features(own, block, run.calls)
                    if features is not None:
                        found.features[name] = features
                    found.blocks[name] = block
                    site = adapter.site(own, block, run.calls)
                    if site is not None:
                        found.sites[name] = site
            except NlvizError as error:
                found.affinities.pop(name, None)
                found.receipts.pop(name, None)
                found.refused[name] = str(error)
    for name in graphs(net):
        found.refused[name] = (
            f"{name} is a graph (torch.jit, torch.fx or torch.export), inside which no hook runs: "
            "if it holds blocks, they are not shown"
        )
    if found.refused and not found.affinities:
        raise BlockRefused(_reasons(found.refused))
    return found


def _read_one(
    found: Readings, name: str, affinity: Affinity, run: Run, prepared: Prepared, traces: bool
) -> None:
    """Check one affinity and keep it."""
    last = affinity.queries.centre(affinity.queries.size - 1)[0]
    frames = prepared.clip_shape[0]
    if affinity.clip_shape is not None and last > frames - 0.5:
        raise NlvizError(
            f"cells must lie in the clip, {name} has some on frame {last:g} of {frames}; give the "
            "network the frames of one clip, and no more"
        )
    if isinstance(affinity, StoredAffinity):
        note = " ".join(part for part in (affinity.note, run.note) if part)
        affinity = replace(affinity, name=name, note=note)
        _check(found, name, affinity)
    if isinstance(affinity, EmbeddedAffinity):
        call = run.calls[run.block]
        few = "" if call.cells else _few(affinity, frames)
        doubt = _doubt(affinity, call) if traces else ""
        note = " ".join(part for part in (affinity.note, run.note or few, doubt) if part)
        affinity = replace(affinity, name=name, note=note)
        _check(found, name, affinity)
        affinity = affinity.in_full()
    found.affinities[name] = affinity


def _check(found: Readings, name: str, affinity: EmbeddedAffinity | StoredAffinity) -> None:
    checked = receipt(affinity)
    if checked is not None and not checked.holds:
        raise BlockRefused(checked.refusal)
    if checked is not None:
        found.receipts[name] = checked


def _with_token_names(affinity: Affinity, names: tuple[str, ...]) -> Affinity:
    """Return an affinity whose queries without a place have names, each frame's the same."""
    prefix, support = affinity.queries.prefix, affinity.support
    if not (names and prefix and isinstance(affinity, EmbeddedAffinity)):
        return affinity
    groups = affinity.queries.shape[0] if support.own_prefix else 1
    each = prefix // groups
    of_one = [names[i] if i < len(names) else f"token.{i}" for i in range(each)]
    return replace(affinity, token_names=tuple(of_one) * groups)


def _few(affinity: Affinity, frames: int) -> str:
    """Return what to tell where a block saw fewer frames than the clip has, and none knows which.

    Where strides in time are known, cells lie more than a frame apart.
    """
    cells = affinity.queries
    if cells.kind != "grid" or affinity.clip_shape is None:
        return ""
    if cells.shape[0] >= frames or cells.stride[0] != 1:
        return ""
    return (
        f"The block saw {cells.shape[0]} frame{'s' if cells.shape[0] > 1 else ''} where the clip "
        f"has {frames}, and which is not known: its cells are drawn on the first."
    )


def _doubt(affinity: EmbeddedAffinity, call: Call) -> str:
    """Return how far cells may lie from where they are drawn, or an empty text."""
    if call.cells is None and call.places is None:
        return (
            "Where its cells lie could be neither followed nor measured: they are drawn evenly "
            "spread over the picture."
        )
    if call.cells is None and call.places is not None and call.places.y.ndim == 3:
        return (
            "What enters the block lies on no grid of the picture, as where channels come last or "
            "each cell sees all others: its cells are drawn evenly spread, which is not where they "
            "are."
        )
    frames, y, x = affinity.queries.off
    told = [f"{math.ceil(max(y, x))} px"] if max(y, x) > 0.05 else []
    told += [f"{math.ceil(frames)} frames"] if frames > 0.05 else []
    return f"Its cells may lie up to {listed(told, 'and')} beside their place here." if told else ""


def distinct(blocks: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Return blocks without those that are there already under another name (tied ones).

    >>> one = nn.Identity()
    >>> list(distinct({"a": one, "b": nn.Identity(), "c": one}))
    ['a', 'b']
    """
    first: dict[int, str] = {}
    for name, block in blocks.items():
        first.setdefault(id(block), name)
    return {name: blocks[name] for name in first.values()}


def _reasons(refused: Mapping[str, str]) -> str:
    """Return why no block is shown: the first reason, and how many more there are."""
    first = next(iter(refused.values()))
    more = len(refused) - 1
    return first + (f" (and {more} more block{'s' if more > 1 else ''})" if more else "")
