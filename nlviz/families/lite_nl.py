"""The bundled network, ``networks.lite_nl``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.clips.clip import Clip
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputSpec, Prepared, place, prepare
from nlviz.families.reading.card import ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.layout import Block, Flag, Reading
from nlviz.families.reading.own_blocks import OwnBlockAdapter
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.hooks import Call

INPUT = InputSpec(size=224, multiple=16, mean=(127.0,) * 3, std=(128.0,) * 3)


class LiteNLAdapter(OwnBlockAdapter):
    """Reads ``stage3`` and ``stage4`` of the bundled network."""

    traces = False  # AXES has the geometry

    def blocks(self, net: nn.Module) -> dict[str, NonLocalBlock]:
        """Return both blocks."""
        from nlviz.networks.lite_nl import LiteNL  # brings timm

        return {"stage3": net.stage3, "stage4": net.stage4} if isinstance(net, LiteNL) else {}

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W): shorter side 224, the aspect kept up to a multiple of 16."""
        return prepare(clip, spec or INPUT, net)

    def queries(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call], prepared: Prepared
    ) -> TokenGrid:
        """Return the grid; cells are centred in their squares."""
        from nlviz.networks.lite_nl import AXES  # brings timm

        y, x = (place(AXES[name], axis) for axis in (prepared.y, prepared.x))
        return TokenGrid.of_axes(calls[name].args[0].shape[2:], Axis(), y, x)


_SIGNS = ("backbone.conv_stem.weight", "stage3.theta.weight", "stage4.theta.weight")


class LiteNLLayout:
    """Keys are those of ``networks.lite_nl``."""

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
            trained_for="trained to match points between frames, not to name things",
        )


def _build() -> nn.Module:
    from nlviz.networks.lite_nl import LiteNL

    return LiteNL()


FAMILY = Family(
    name="lite-nl",
    row=TableRow(
        source="`nlviz.networks.lite_nl`",
        networks="the bundled network",
        recognised_by="`backbone.conv_stem`, `stage3.theta`, `stage4.theta`",
        parity="rows",
    ),
    blocks=LiteNLAdapter(),
    checkpoint=LiteNLLayout(),
    needs="nlviz.networks.lite_nl",
    cards=(
        ModelCard(
            name="lite-nl",
            family="lite-nl",
            weights="lite-nl.safetensors",
            trained_for="trained to match points between frames, not to name things",
            licence="Apache-2.0",
            paper="arXiv 1711.07971 (blocks), arXiv 1905.11946 (backbone)",
            labels="imagenet",
            input="any number of frames; RGB, (value - 127) / 128",
        ),
    ),
)
