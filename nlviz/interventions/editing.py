"""Puts changes of rows into a running pass: at the place where each row multiplies the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.interventions.change import PassChange, RowChange
from nlviz.interventions.editor import BlockEditor
from nlviz.networks.attention.running import RunningProduct
from nlviz.networks.attention.watch import WatchAttention, watched
from nlviz.networks.calls import RUN, block_and_run, run_name
from nlviz.networks.resumed import Prefix

OFF = {torch.float64: 1e-4, torch.float32: 1e-3}  # of the largest weight; 3e-2 in half precision
OFF_IN_HALF = 3e-2


@contextmanager
def editing(
    capture: Capture,
    model: Model,
    changes: Sequence[PassChange],
    *,
    editors: Mapping[str, BlockEditor],
    prefix: Prefix | None = None,
) -> Iterator[None]:
    """Put changes into the pass that runs inside the ``with`` block, in this thread.

    Args:
        capture: of the blocks as they are.
        model: whose network runs.
        changes: those that leave whole blocks out; rows are changed by the editors.
        editors: of rows, by the name of the block.
        prefix: of a pass that is kept or resumed; it is told how products are numbered.

    Raises:
        NlvizError: when rows of a block are not seen where they multiply the values.
    """
    net, adapter = model.net, model.adapter
    with ExitStack() as stack:
        for change in changes:
            if not isinstance(change, RowChange):
                stack.enter_context(change.acting(model))
        if editors and adapter.watches:
            by_product = {
                one: e for e in editors.values() for one in (e.site.products if e.site else ())
            }

            left = set(by_product)

            def edit(product: RunningProduct) -> None:
                which = product.number, product.turn
                if which in by_product:
                    by_product[which].edit(product)
                    left.discard(which)
                    if not left:
                        watch.finish()  # what comes behind runs as it does alone

            def shared(parts: Sequence[RunningProduct]) -> None:
                editor = by_product.get((parts[0].number, 0))
                if editor is not None:
                    editor.edit_shared(parts)

            sites = [e.site for e in editors.values() if e.site is not None]
            keep = {block_and_run(site.module)[0] for site in sites}
            began = prefix.end if prefix is not None else None
            watch = WatchAttention(keep=keep, edit=edit, shared=shared, began=began)
            stack.enter_context(watched(net, watch=watch))
            if prefix is not None:
                prefix.order, prefix.counts = watch.numbering
        elif adapter.watches:
            stack.enter_context(watched(net, keep=()))  # in the form of the capture
        elif editors:
            several = {*capture.affinities, *capture.refused}
            for name, editor in editors.items():
                one = f"{name}{RUN}1" if run_name(name, 2) in several else name
                stack.enter_context(adapter.running(net, one, editor.affinity, editor.edit))
        yield


def editors_of(
    capture: Capture, model: Model, changes: Sequence[PassChange], *, keep: bool = True
) -> dict[str, BlockEditor]:
    """Return an editor for each block whose rows change, in forward order.

    Raises:
        UnknownBlock: when there is no such block.
        NlvizError: when there is no such query, rows are not seen where they are used, or another
            change moves the numbers of tokens.
    """
    found: dict[str, list[RowChange]] = {}
    for change in changes:
        if isinstance(change, RowChange):
            _ = capture.affinities[change.block]  # raises where there is none
            found.setdefault(change.block, []).append(change)
    if found and any(change.around for change in changes):
        raise NlvizError(
            "rows are changed by the numbers of their tokens, which a token more moves; change one "
            "of both at a time"
        )
    assert capture.source is not None
    sites = capture.source.sites
    editors = {}
    for name in [n for n in capture.affinities if n in found]:
        if model.adapter.watches and name not in sites:
            raise NlvizError(
                f"rows must be seen where they multiply the values to be changed, those of {name} "
                "are not; bypass the block instead"
            )
        site = sites.get(name)
        if site is not None and site.why:
            raise NlvizError(
                f"rows of {name} cannot be changed: {site.why}; bypass the block instead"
            )
        if site is not None and site.entries:
            others = [c.block for c in changes if not getattr(sites.get(c.block), "entries", 0)]
            if others:
                raise NlvizError(
                    "objects are those of the capture while nothing changes before they are "
                    f"found; change {name} or {others[0]}, not both"
                )
        editors[name] = BlockEditor(capture.affinities[name], found[name], site, keep=keep)
    return editors


def tolerance(affinity: Affinity) -> float:
    """Return how far rows as they ran may be from rows as they are shown, of their largest."""
    held = getattr(affinity, "theta", None)
    return OFF.get(held.dtype, OFF_IN_HALF) if isinstance(held, Tensor) else OFF_IN_HALF
