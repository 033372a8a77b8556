"""Any network that holds this project's ``NonLocalBlock``, put there by ``insert`` or by hand."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from nlviz.affinity.grid import TokenGrid
from nlviz.clips.clip import Clip
from nlviz.families.family import Family, KeyEndings, TableRow
from nlviz.families.reading.adapter import InputSpec, Prepared, grid_of, prepare_for
from nlviz.families.reading.own_blocks import OwnBlockAdapter
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.hooks import Call


class NonLocalBlockAdapter(OwnBlockAdapter):
    """Reads every ``NonLocalBlock``; its place is followed through the convolutions before it."""

    def blocks(self, net: nn.Module) -> dict[str, NonLocalBlock]:
        """Return the blocks by the layer they were put behind, or their dotted names."""
        return {
            module.place or name or "block": module
            for name, module in net.named_modules()
            if isinstance(module, NonLocalBlock)
        }

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W) for a network of 3-D convolutions, (T, 3, H, W) else."""
        return prepare_for(net, clip, spec, self.blocks(net).values())

    def queries(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call], prepared: Prepared
    ) -> TokenGrid:
        """Return the grid; cells lie where the convolutions before the block put them."""
        return grid_of(calls[name], block.dimension, prepared)


FAMILY = Family(
    name="non-local-block",
    row=TableRow(
        source="`nlviz.networks.block`",
        live="nlviz's own blocks, put in by `nlviz.insert` or by hand",
        recognised_by="`NonLocalBlock`",
        not_told="–",
        parity="rows",
    ),
    blocks=NonLocalBlockAdapter(),
    key_endings=(KeyEndings("nlviz", r"g\.weight", "out.weight", "theta.weight", "w_f"),),
    last_norm=("bn",),
    aliases=("non-local block",),
)
