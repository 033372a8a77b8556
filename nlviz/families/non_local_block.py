"""Any network that holds this project's ``NonLocalBlock``, put there by ``insert`` or by hand."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.clips.clip import Clip
from nlviz.families.reading.adapter import (
    InputSpec,
    Prepared,
    block_affinity,
    bypassed,
    features_of,
    grid_of,
    prepare_for,
)
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.hooks import Call


class NonLocalBlockAdapter:
    """Reads every ``NonLocalBlock``; its place is followed through the convolutions before it."""

    family = "non-local block"
    traces = True
    products = False

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks by the layer they were put behind, or their dotted names."""
        return {
            module.place or name or "block": module
            for name, module in net.named_modules()
            if isinstance(module, NonLocalBlock)
        }

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks, whose input tells the grid, and their ``attend`` modules."""
        found: dict[str, nn.Module] = {}
        for name, block in self.blocks(net).items():
            assert isinstance(block, NonLocalBlock)  # for the type checker: blocks() saw to it
            found[name] = block
            found[f"{name}.attend"] = block.attend
        return found

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W) for a network of 3-D convolutions, (T, 3, H, W) else."""
        return prepare_for(net, clip, spec, self.blocks(net).values())

    def read(
        self, name: str, block: nn.Module, calls: Mapping[str, Call], prepared: Prepared
    ) -> Affinity:
        """Return the affinity; cells lie where the convolutions before the block put them."""
        assert isinstance(block, NonLocalBlock)
        return block_affinity(
            name,
            block,
            calls[f"{name}.attend"],
            queries=grid_of(calls[name], block.dimension, prepared),
            clip_shape=prepared.clip_shape,
        )

    def features(self, name: str, block: nn.Module, calls: Mapping[str, Call]) -> Tensor:
        """Return what entered the block."""
        return features_of(calls[name].args[0])

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which the block returns what it was given."""
        return bypassed(self.blocks(net)[name])
