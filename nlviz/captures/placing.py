"""Where the cells of every block lie: followed through the network, or measured."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from nlviz.families.reading.adapter import AnyAdapter
from nlviz.families.reading.prepared import Prepared
from nlviz.networks.acting_hooks import has_hooks, with_hooks
from nlviz.networks.calls import Call, Calls
from nlviz.networks.followed import NotFollowed
from nlviz.networks.places import Cells, NoLattice, Places, lattice
from nlviz.networks.where_cells_lie import Walk, measured

_KNOWN: weakref.WeakKeyDictionary[nn.Module, dict[Any, _Found]] = weakref.WeakKeyDictionary()
_MOST = 32  # input shapes of one network that are remembered
_SETTINGS = dict.fromkeys(
    "kernel_size stride padding dilation output_padding scale_factor size output_size "
    "downscale_factor upscale_factor".split()
)


@dataclass(frozen=True)
class _Place:
    places: Places | None
    cells: Cells | None


_Found = Mapping[str, tuple[_Place, ...]]  # of each run of each block


def placed(
    adapter: AnyAdapter,
    net: nn.Module,
    calls: Calls,
    prepared: Prepared,
    acting: set[int] | None = None,
) -> Calls:
    """Return the calls of a forward pass, those of the blocks with the places of their cells.

    The network runs a few times on positions, which costs a small part of a forward pass and is
    remembered for inputs of this shape.

    Args:
        adapter: reads the blocks.
        net: the network; the caller holds it.
        calls: what was recorded.
        prepared: its input.
        acting: the numbers of the hooks that take part in what the network computes.
    """
    if not adapter.traces:
        return calls
    found = _known(adapter, net, prepared, acting or set())

    def with_place(name: str) -> list[Any]:
        runs = calls.runs(name)
        places = found.get(name, ())
        if len(places) != len(runs):
            return list(runs)
        return [
            replace(run, places=p.places, cells=p.cells)
            for run, p in zip(runs, places, strict=True)
        ]

    return Calls({name: with_place(name) for name in calls})


def found_before(adapter: AnyAdapter, net: nn.Module, prepared: Prepared) -> None:
    """Find where the cells of all blocks lie before the forward pass whose values count.

    What a user's code keeps of the last pass is then of that one. A network with hooks must run
    first, as only that shows which of them take part.
    """
    if adapter.traces and not has_hooks(net):
        _known(adapter, net, prepared, set())


def _known(adapter: AnyAdapter, net: nn.Module, prepared: Prepared, acting: set[int]) -> _Found:
    """Return where the cells of all blocks lie, found before or now."""
    blocks = adapter.blocks(net)
    known = _KNOWN.setdefault(net, {})
    key = (
        type(adapter),
        tuple(prepared.tensor.shape),
        prepared.order,
        tuple(blocks),
        settings(net),
        frozenset(acting),
    )
    if key not in known:
        if len(known) >= _MOST:
            known.clear()
        with with_hooks(net, acting):
            known[key] = _found(adapter, net, blocks, prepared)
    return known[key]


def _found(
    adapter: AnyAdapter, net: nn.Module, blocks: Mapping[str, nn.Module], prepared: Prepared
) -> _Found:
    """Follow positions to all blocks, or measure where those of a block lie."""
    tensor = prepared.tensor
    frames = tensor.shape[2] if tensor.dim() == 5 else len(tensor)
    size = (int(frames), int(tensor.shape[-2]), int(tensor.shape[-1]))

    def forward(x: Tensor) -> Any:
        return prepared.call(net, x)

    try:
        walk = Walk(net, forward, tensor, blocks)
    except NotFollowed:
        return {
            name: (_Place(None, _measured(adapter, net, name, block, forward, tensor)),)
            for name, block in blocks.items()
        }
    return {
        name: tuple(
            _placed(adapter, name, block, walk, run, size)
            for run in range(len(walk.passes["mass"].runs(name)))
        )
        for name, block in blocks.items()
    }


def _placed(
    adapter: AnyAdapter,
    name: str,
    block: nn.Module,
    walk: Walk,
    run: int,
    size: tuple[int, int, int],
) -> _Place:
    def pick(calls: Calls) -> Tensor:
        return adapter.positions(name, block, calls.of(calls.runs(name)[run]))

    try:
        places = walk.places(pick)
    except (RuntimeError, TypeError, IndexError, ValueError):  # another kind of input
        return _Place(None, None)
    try:
        return _Place(places, lattice(places, size) if places.y.ndim == 3 else None)
    except NoLattice:
        return _Place(places, None)


def _measured(
    adapter: AnyAdapter,
    net: nn.Module,
    name: str,
    block: nn.Module,
    forward: Any,
    tensor: Tensor,
) -> Cells | None:
    def pick(args: tuple[Any, ...]) -> Tensor:
        return adapter.positions(name, block, Calls({name: [Call(args, None)]}))

    device = next(iter(net.parameters()), tensor).device
    try:
        return measured(net, forward, tensor.to(device), block, pick)
    except Exception:  # any network, any complaint about gradients
        return None


def settings(net: nn.Module) -> int:
    """Return a number that changes with the strides and sizes of a network's layers."""
    return hash(
        tuple(
            (id(m), *(str(m.__dict__[name]) for name in _SETTINGS if name in m.__dict__))
            if m.__dict__.keys() & _SETTINGS
            else id(m)
            for m in net.modules()
        )
    )
