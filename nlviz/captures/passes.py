"""One forward pass that is looked into, and what was read of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from nlviz.captures.attention import gates_in, read_attention, seen_in
from nlviz.captures.laid_out import factors_of
from nlviz.captures.placing import found_before, placed, settings
from nlviz.captures.reading import Readings, distinct, read
from nlviz.captures.walking import walked
from nlviz.clips.detections import Detection
from nlviz.errors import UnknownBlock, did_you_mean
from nlviz.families.reading.adapter import AnyAdapter, Detector, Prepared
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.networks.acting_hooks import acting_hooks
from nlviz.networks.attention.places import Factors
from nlviz.networks.attention.watch import PART
from nlviz.networks.calls import Calls, block_and_run
from nlviz.networks.hooks import recorded
from nlviz.networks.random_numbers import RandomNumbers

During = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, eq=False)
class Pass:
    """A forward pass.

    Attributes:
        output: what the network returned.
        readings: what was read of its blocks.
        detections: what it detected.
        notes: one sentence for each thing that a user must know of it.
        prepared: the input, with all that is known of it by now; None where that is the one before.
    """

    output: object
    readings: Readings
    detections: tuple[Detection, ...] = ()
    notes: tuple[str, ...] = ()
    prepared: Prepared | None = None


@dataclass(frozen=True, eq=False)
class Runner:
    """How a network is run and looked into.

    Attributes:
        net: the network.
        adapter: of its family.
        run: runs it on an input, or with another picture in it.
        hold: holds it for one thread.
        recording: records the calls that the adapter reads.
    """

    net: nn.Module
    adapter: AnyAdapter
    run: Callable[[Prepared, Tensor | None], object]
    hold: Callable[[], AbstractContextManager[None]]
    recording: Callable[[], AbstractContextManager[Calls]]

    def run_once(
        self,
        prepared: Prepared,
        blocks: Sequence[str] | None = None,
        during: During = nullcontext,
    ) -> Pass:
        """Run the network and read its blocks.

        Args:
            prepared: its input.
            blocks: names of those that are kept; None for all.
            during: a context that is entered around the pass itself, when all that is recorded is
                seen already: what it changes comes behind.

        Raises:
            UnknownBlock: when there is no block of a name that is asked for.
        """
        if self.adapter.watches:
            found = self._watched(prepared, blocks, during)
        else:
            found = self._read(prepared, during)
        if blocks is not None:
            _keep(found.readings, blocks)
        return found

    def _watched(self, prepared: Prepared, blocks: Sequence[str] | None, during: During) -> Pass:
        net, adapter = self.net, cast(AttentionAdapter, self.adapter)
        if blocks is not None:
            shown = [*adapter.blocks(net)]
            known = {*dict(net.named_modules()), *shown}
            for name in blocks:
                if block_and_run(name.partition(PART)[0])[0] not in known:
                    raise UnknownBlock(f"no block is called {name!r}{did_you_mean(name, shown)}")
        with self.hold(), torch.no_grad():
            prepared = adapter.settled(net, prepared)
            if blocks is None:
                blocks = adapter.chosen_blocks(net, prepared)
            choose = adapter.choose(net, prepared)
            numbers = RandomNumbers(next(net.parameters(), prepared.tensor).device)
            with (
                acting_hooks(net) as acting,
                seen_in(adapter, net, blocks, choose=choose) as (seen, calls),
                during(),
            ):
                output = self.run(prepared, None)
            key = settings(net), tuple(seen.order)
            drawn = numbers if numbers.drawn() else None
            factors: Factors | str = "they are known"
            if not seen.products or not all(adapter.knows(net, p.module) for p in seen.products):
                factors = factors_of(net, prepared, acting, key, drawn)
        boxes, told = adapter.boxes(net, output, prepared)
        found = read_attention(adapter, net, seen, factors, prepared, calls, boxes)
        gates = gates_in(factors) if prepared.laid is None else ()
        return Pass(output, found, notes=(*_plain_form(net), *gates, *told), prepared=prepared)

    def _read(self, prepared: Prepared, during: During) -> Pass:
        with self.hold(), torch.no_grad():
            found_before(self.adapter, self.net, prepared)
            with acting_hooks(self.net) as acting, self.recording() as calls, during():
                output = self.run(prepared, None)
            calls = placed(self.adapter, self.net, calls, prepared, acting)
        walks = self._walked(prepared, calls)
        found = read(self.adapter, self.net, calls, prepared, walks)
        if isinstance(self.adapter, Detector):
            return Pass(output, found, self.adapter.detections(output, calls))
        return Pass(output, found)

    def _walked(self, prepared: Prepared, calls: Calls) -> frozenset[str]:
        """Return the blocks that ran on one part of the clip after another."""
        blocks = distinct(self.adapter.blocks(self.net))

        def rerun(picture: Tensor) -> Calls:
            with self.hold(), torch.no_grad(), recorded(self.net, blocks) as again:
                self.run(prepared, picture)
            return again

        return walked(blocks, calls, prepared.tensor, prepared.clip_shape[0], rerun)


def _plain_form(net: nn.Module) -> tuple[str, ...]:
    """Return what to tell where torch would have taken its fused encoder, which has no rows."""
    fused = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
    if not torch.backends.mha.get_fastpath_enabled():
        return ()
    if not any(isinstance(module, fused) for module in net.modules()):
        return ()
    return (
        "torch's fused encoder has no rows, so its plain form ran: the output differs from the "
        "fused one by rounding.",
    )


def _keep(found: Readings, blocks: Sequence[str]) -> None:
    """Drop what was not asked for; a block's own name stands for all of its runs."""
    known = [*found.affinities, *found.refused]
    own = {block_and_run(name)[0] for name in known}
    for name in blocks:
        if name not in known and name not in own:
            raise UnknownBlock(f"no block is called {name!r}{did_you_mean(name, known)}")
    for kept in (
        found.affinities,
        found.features,
        found.blocks,
        found.receipts,
        found.refused,
        found.sites,
    ):
        for name in [n for n in kept if n not in blocks and block_and_run(n)[0] not in blocks]:
            del kept[name]
