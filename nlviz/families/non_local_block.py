"""Any network that holds this project's ``NonLocalBlock``, put there by ``insert`` or by hand."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from torch import Tensor, nn

from nlviz.affinity import Affinity
from nlviz.block import NonLocalBlock
from nlviz.clip import Clip
from nlviz.families.adapter import (
    InputSpec,
    Prepared,
    block_affinity,
    bypassed,
    features_of,
    place,
    prepare,
)
from nlviz.geometry import Axis, TokenGrid
from nlviz.recording import Call


class NonLocalBlockAdapter:
    """Reads every ``NonLocalBlock``; its place is followed through the convolutions before it."""

    family = "non-local block"
    traces = True

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
        if spec is None:
            three = any(isinstance(m, nn.Conv3d) for m in _own_convolutions(net))
            spec = InputSpec(layout="clip" if three else "frames")
        return prepare(clip, spec)

    def read(
        self, name: str, block: nn.Module, calls: Mapping[str, Call], prepared: Prepared
    ) -> Affinity:
        """Return the affinity; cells lie where the convolutions before the block put them."""
        assert isinstance(block, NonLocalBlock)
        call = calls[name]
        features: Tensor = call.args[0]
        if block.dimension == 1:  # time alone
            t, h, w = features.shape[2], 1, 1
        elif block.dimension == 2:  # the batch is the frames, each on its own
            t, (h, w) = features.shape[0], features.shape[2:]
        else:
            t, h, w = features.shape[2:]
        shape, size = (t, h, w), prepared.tensor.shape[-2:]
        known = {
            n: axis for n, (_, axis) in zip(("x", "y", "t"), reversed(call.axes), strict=False)
        }
        if tuple(n for n, _ in call.axes) != shape[-len(call.axes) :]:
            known = {}
        y, x = (
            known.get(axis) or Axis(full / cells, (full / cells - 1) / 2)
            for axis, full, cells in (("y", size[0], h), ("x", size[1], w))
        )
        queries = TokenGrid.of_axes(
            shape,
            known.get("t", Axis()),
            place(y, prepared.y),
            place(x, prepared.x),
        )
        return block_affinity(
            name,
            block,
            calls[f"{name}.attend"],
            queries=queries,
            clip_shape=prepared.clip_shape,
        )

    def features(self, name: str, block: nn.Module, calls: Mapping[str, Call]) -> Tensor:
        """Return what entered the block."""
        return features_of(calls[name].args[0])

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which the block returns what it was given."""
        return bypassed(self.blocks(net)[name])


def _own_convolutions(net: nn.Module) -> list[nn.Module]:
    """Return the first convolutions outside the blocks, whose own are 3-D on 2-D networks too."""
    inside = {m for b in net.modules() if isinstance(b, NonLocalBlock) for m in b.modules()}
    return [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d)) and m not in inside]
