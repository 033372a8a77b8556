"""The bundled network, ``networks.lite_nl``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType

from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.clips.clip import Clip
from nlviz.families.reading.adapter import (
    InputSpec,
    Prepared,
    block_affinity,
    bypassed,
    features_of,
    place,
    prepare,
)
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.layout import Block, Flag, Reading
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.hooks import Call
from nlviz.networks.lite_nl import LiteNL

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


_SIGNS = ("backbone.conv_stem.weight", "stage3.theta.weight", "stage4.theta.weight")


class LiteNLLayout:
    """Keys are those of ``networks.lite_nl``."""

    family = "lite-nl"
    flags: Mapping[str, str] = MappingProxyType({})

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        if all(sign in checkpoint.tensors for sign in _SIGNS):
            return "an EfficientNet-Lite0 with the blocks stage3 and stage4"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network; every name stays."""
        return Reading(
            architecture="EfficientNet-Lite0 with 2 non-local blocks",
            build=_build,
            names={key: key for key in checkpoint.tensors},
            blocks=(
                Block("stage3", 40, 40, "embedded_gaussian"),
                Block("stage4", 112, 112, "embedded_gaussian"),
            ),
            flags={
                "unit_length": Flag(True, "key", "embeddings of length 1, a learned temperature"),
            },
            input_spec=INPUT,
            input_note="RGB, (value - 127) / 128, shorter side 224",
            labels="imagenet",
            trained_for="correspondence between frames, not a recognition task",
        )


def _build() -> nn.Module:
    from nlviz.networks.lite_nl import LiteNL

    return LiteNL()
