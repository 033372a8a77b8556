"""Affinities of this project's own ``NonLocalBlock``, wherever it stands."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

from einops import rearrange
from torch import nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support
from nlviz.clips.point import Shape
from nlviz.families.reading.adapter import Adapter, Prepared
from nlviz.families.reading.running import edited_sums
from nlviz.networks.attention.running import Edit
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.hooks import Call, block_and_run


class OwnBlockAdapter(Adapter[NonLocalBlock]):
    """Reads every ``NonLocalBlock`` that ``blocks`` finds; ``queries`` places their cells."""

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks, whose input gives the grid, and their ``attend`` modules."""
        found: dict[str, nn.Module] = {}
        for name, block in self.blocks(net).items():
            found |= {name: block, f"{name}.attend": block.attend}
        return found

    @abstractmethod
    def queries(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call], prepared: Prepared
    ) -> TokenGrid:
        """Return the grid of the block's queries in the clip."""

    def read(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call], prepared: Prepared
    ) -> EmbeddedAffinity:
        """Return the affinity from the embeddings that entered the block's product."""
        return block_affinity(
            name,
            block,
            calls[f"{name}.attend"],
            queries=self.queries(name, block, calls, prepared),
            clip_shape=prepared.clip_shape,
        )

    def running(
        self, net: nn.Module, name: str, affinity: Affinity, edit: Edit
    ) -> AbstractContextManager[None]:
        """Return a context in which the product of a block is edited.

        Raises:
            NlvizError: when the name is of a part of a block, which is not seen by itself.
        """
        block, run = block_and_run(name)
        own = self.blocks(net).get(block)
        if own is None:
            return super().running(net, name, affinity, edit)

        def pairwise(args: tuple[Any, ...]) -> Pairwise:
            return Pairwise(own.pairwise, float(args[3]))

        return edited_sums(own.attend, pairwise, edit, run=run)


def block_affinity(
    name: str,
    block: NonLocalBlock,
    attend: Call,
    *,
    queries: TokenGrid,
    clip_shape: Shape | None = None,
) -> EmbeddedAffinity:
    """Return the affinity of a ``NonLocalBlock`` from a call of its ``attend``.

    Frames that went through the block as a batch, one by one, become groups that see only
    themselves; ``queries`` covers them all.
    """
    *embedded, scale = attend.args
    theta, phi, g, y = (
        rearrange(t, "frames heads tokens d -> heads (frames tokens) d")
        for t in (*embedded, attend.output)
    )
    frames = embedded[0].shape[0]
    k = block.key_kernel
    kernel = (k[0], 1, 1) if block.dimension == 1 else (k if len(k) == 3 else (1, *k))
    return EmbeddedAffinity(
        name=name,
        pairwise=Pairwise(block.pairwise, float(scale)),
        theta=theta.contiguous(),
        phi=phi.contiguous(),
        queries=queries,
        keys=queries if block.pool == 1 else queries.pooled(cast(Shape, kernel)),
        support=Support(queries.shape[0] // frames if frames > 1 else None),
        values=g,
        output=y,
        clip_shape=clip_shape,
    )
