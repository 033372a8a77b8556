"""The bundled network, ``networks.lite_nl``."""

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
from nlviz.networks.lite_nl import LiteNL
from nlviz.recording import Call

INPUT = InputSpec(size=224, multiple=16, mean=(127.0,) * 3, std=(128.0,) * 3)

# Centres of the cells in the network's input. The arithmetic of TensorFlow's asymmetric padding
# says 8m + 7 and 16m + 15, but the trained kernels undo the shift: the centroid of the squared
# gradient, which a test measures, lies within three pixels of the middle of the cell's square.
AXES = {"stage3": Axis(8.0, 3.5), "stage4": Axis(16.0, 7.5)}


class LiteNLAdapter:
    """Reads ``stage3`` and ``stage4`` of the bundled network."""

    family = "lite-nl"
    traces = False  # AXES tells
    products = False

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return both blocks."""
        return {"stage3": net.stage3, "stage4": net.stage4} if isinstance(net, LiteNL) else {}

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks, whose input tells the grid, and their ``attend`` modules."""
        assert isinstance(net, LiteNL)  # for the type checker: blocks() saw to it
        return {
            **self.blocks(net),
            "stage3.attend": net.stage3.attend,
            "stage4.attend": net.stage4.attend,
        }

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W): shorter side 224, the aspect kept up to a multiple of 16."""
        return prepare(clip, spec or INPUT)

    def read(
        self, name: str, block: nn.Module, calls: Mapping[str, Call], prepared: Prepared
    ) -> Affinity:
        """Return the affinity of one of the blocks."""
        assert isinstance(block, NonLocalBlock)
        t, h, w = calls[name].args[0].shape[2:]
        y, x = (place(AXES[name], axis) for axis in (prepared.y, prepared.x))
        queries = TokenGrid.of_axes((t, h, w), Axis(), y, x)
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
