"""Recall networks of this project: ``networks.recall``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import cast, get_args

from torch import nn

from nlviz.affinity.grid import TokenGrid
from nlviz.clips.clip import Clip
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputSpec, Prepared, grid_of, prepare
from nlviz.families.reading.card import NON_LOCAL, ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.layout import Block, Origin, Reading
from nlviz.families.reading.own_blocks import OwnBlockAdapter
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.hooks import Call
from nlviz.networks.recall import (
    CHANNELS,
    COLOURS,
    FRAMES,
    SIDE,
    RecallNL,
    RecallPairwise,
    RecallTask,
)

TRAINED_FOR: Mapping[RecallTask, str] = MappingProxyType(
    {
        "recall": "recalling the colour of a digit that an earlier frame showed",
        "missing": "telling which of five colours no frame showed",
        "single": "telling which colour the single coloured digit had",
    }
)
_ORDER: tuple[RecallPairwise, ...] = (
    "embedded_gaussian",
    "dot_product",
    "gaussian",
    "concatenation",
)
INPUT = InputSpec(sides=(SIDE, SIDE), mean=(0.0,) * 3, std=(255.0,) * 3, white=255, frames=FRAMES)


class RecallAdapter(OwnBlockAdapter):
    """Reads the one block, ``nl``; its place is followed through the trunk."""

    def blocks(self, net: nn.Module) -> dict[str, NonLocalBlock]:
        """Return the block; empty of the network without one."""
        if isinstance(net, RecallNL) and isinstance(net.nl, NonLocalBlock):
            return {"nl": net.nl}
        return {}

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, 32, 32) in [0, 1]."""
        return prepare(clip, spec or INPUT, net)

    def input_spec(self, net: nn.Module) -> InputSpec:
        """Return the only one."""
        return INPUT

    def labels(self, net: nn.Module) -> tuple[str, ...]:
        """Return the five colours."""
        return COLOURS

    def queries(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call], prepared: Prepared
    ) -> TokenGrid:
        """Return the grid of cells, 4 pixels apart."""
        return grid_of(calls[name], block.dimension, prepared)


_SIGNS = ("trunk.0.weight", "nl.g.weight", "where.weight", "head.weight")


class RecallLayout:
    """Keys are those of ``networks.recall``."""

    flags: Mapping[str, str] = MappingProxyType(
        {"pairwise": "the pairwise function: " + ", ".join(get_args(RecallPairwise))}
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        if all(sign in checkpoint.tensors for sign in _SIGNS):
            return "a trunk, one non-local block and a head that looks for a place"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network; every name stays."""
        flags = Flags(overrides, known=self.flags)
        keys = checkpoint.tensors
        if "nl.w_f" in keys:
            told: RecallPairwise = "concatenation"
        elif "nl.theta.weight" not in keys:
            told = "gaussian"
        else:
            found = str(checkpoint.meta.get("pairwise", "embedded_gaussian"))
            told = "dot_product" if found == "dot_product" else "embedded_gaussian"
        where: Origin = "config" if "pairwise" in checkpoint.meta else "preset"
        named = str(checkpoint.meta.get("task", "recall"))
        task = cast(RecallTask, named if named in TRAINED_FOR else "recall")
        pairwise = cast(
            RecallPairwise,
            flags.choice("pairwise", told, where, choices=get_args(RecallPairwise)),
        )
        return Reading(
            architecture="a convolutional trunk with a non-local block that recalls",
            build=partial(RecallNL, pairwise),
            names={key: key for key in keys},
            blocks=(Block("nl", CHANNELS, keys["nl.g.weight"].shape[0], pairwise),),
            flags=flags.found,
            input_spec=INPUT,
            input_note="RGB in [0, 1], 32 x 32 pixels, five frames",
            labels="",
            trained_for=f"trained for {TRAINED_FOR[task]}",
        )


def _card(task: RecallTask, pairwise: RecallPairwise) -> ModelCard:
    name = f"{task}.{pairwise.replace('_', '-')}"
    return ModelCard(
        name=name,
        family="recall",
        weights=f"{name}.safetensors",
        trained_for=TRAINED_FOR[task],
        licence="Apache-2.0",
        paper=f"{NON_LOCAL} (block)",
        labels="",
        input="five frames of 32 x 32 pixels; RGB in [0, 1]",
    )


FAMILY = Family(
    name="recall",
    row=TableRow(
        source="`nlviz.networks.recall`",
        networks="bundled networks that recall, and their twins on two other tasks",
        live="`RecallNL`",
        recognised_by="`trunk.0`, `nl.g`, `where`",
        not_told="the pairwise function (in the file's metadata)",
        parity="rows",
    ),
    blocks=RecallAdapter(),
    checkpoint=RecallLayout(),
    cards=tuple(_card(task, kind) for task in TRAINED_FOR for kind in _ORDER),
)
