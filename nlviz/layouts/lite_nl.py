"""The bundled network's own files, as ``nlviz.recipes.lite_nl`` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from nlviz.containers.checkpoint import Checkpoint
from nlviz.families.lite_nl import INPUT
from nlviz.layouts.layout import Block, Flag, Reading

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
