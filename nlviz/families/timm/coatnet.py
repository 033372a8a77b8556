"""CoAtNets of four layouts in files of this project's recipe; the networks are timm's.

Dai et al. 2021, arXiv 2106.04803; see ``nlviz.networks.coatnet``. Names stay timm's. The letters of
the layout follow from the keys: a stage with ``conv2_kxk`` is C, one with ``attn.qkv`` is T. Live
networks are read by ``timm-attention``: content logits and the bias of each offset apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import torch
from torch import nn

from nlviz.errors import WeightsMismatch
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.card import ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.layout import Block, Reading
from nlviz.networks.coatnet import LAYOUTS, SIDE, coatnet, named_layout

PAPER = "arXiv 2106.04803"
TRAINED_FOR = "reading a digit that stands in the upper left quarter of its places"
_LETTERS = {"conv2_kxk.weight": "C", "attn.qkv.weight": "T"}
_WITHOUT = (
    "All four stages are convolutions: each cell adds up its neighbours with kernels that are the "
    "same for every picture, so there is no query, no key and no affinity to show."
)
_SIGNS = ("stem.conv2.weight", "stages.0.blocks.0.conv2_kxk.weight", "head.fc.weight")


class CoAtNetLayout:
    """Keys are timm's."""

    flags: Mapping[str, str] = MappingProxyType({})

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        told = checkpoint.meta.get("layout") in LAYOUTS
        if told and all(sign in checkpoint.tensors for sign in _SIGNS):
            return "a layout of CoAtNet in its metadata, and timm's names of stages"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network; every name stays."""
        flags = Flags(overrides, known=self.flags)
        layout = _layout(checkpoint)
        keys = checkpoint.tensors
        blocks = tuple(
            Block(
                f"stages.{n}.blocks.0.attn",
                keys[f"stages.{n}.blocks.0.attn.qkv.weight"].shape[1],
                keys[f"stages.{n}.blocks.0.attn.qkv.weight"].shape[0] // 3,
                "embedded_gaussian",
            )
            for n, letter in enumerate(layout.split("-"))
            if letter == "T"
        )
        none = " (convolutions alone: no query, no key, no affinity)"
        return Reading(
            architecture=f"CoAtNet {layout} of timm{'' if blocks else none}",
            build=partial(_built, layout),
            names={key: key for key in keys},
            blocks=blocks,
            flags=flags.found,
            input_spec=InputSpec(
                sides=(SIDE, SIDE), mean=(0.0,) * 3, std=(255.0,) * 3, layout="frames"
            ),
            input_note="RGB in [0, 1], 64 x 64 pixels",
            trained_for=f"trained for {TRAINED_FOR}",
            warnings=() if blocks else (_WITHOUT,),
        )


def _layout(checkpoint: Checkpoint) -> str:
    letters = []
    for n in range(4):
        found = [
            letter
            for end, letter in _LETTERS.items()
            if f"stages.{n}.blocks.0.{end}" in checkpoint.tensors
        ]
        letters += found[:1]
    layout = "-".join(letters)
    if layout not in LAYOUTS:
        raise WeightsMismatch(
            f"a layout is one of {', '.join(LAYOUTS)}, the stages of {checkpoint.path.name} make "
            f"{layout or 'none'}; load a file that nlviz.recipes.coatnet_layouts wrote"
        )
    return layout


def _built(layout: str) -> nn.Module:
    """Return a network whose tables of offsets exist, wherever its parameters are made."""
    from timm.layers.pos_embed_rel import RelPosBias, gen_relative_position_index

    net = coatnet(named_layout(layout))
    for module in net.modules():
        if isinstance(module, RelPosBias):  # no file holds them
            with torch.device("cpu"):
                index = gen_relative_position_index(module.window_size).view(-1)
            module.register_buffer("relative_position_index", index, persistent=False)
    return net


def _card(layout: str) -> ModelCard:
    name = f"coatnet.{layout.lower()}"
    return ModelCard(
        name=name,
        family="timm-coatnet",
        weights=f"{name}.safetensors",
        trained_for=TRAINED_FOR,
        licence="Apache-2.0",
        paper=PAPER,
        labels="",
        input="a picture of 64 x 64 pixels; RGB in [0, 1]",
        note="" if "T" in layout else "Convolutions alone: it answers, and has no affinity.",
        has_blocks="T" in layout,
    )


FAMILY = Family(
    name="timm-coatnet",
    row=TableRow(
        source="https://github.com/huggingface/pytorch-image-models",
        networks="bundled CoAtNets of four layouts (arXiv 2106.04803)",
        recognised_by="`layout` in the metadata, `stages.0.blocks.0.conv2_kxk`",
        not_told="–",
        parity="logits, rows",
    ),
    checkpoint=CoAtNetLayout(),
    needs="timm",
    cards=tuple(map(_card, LAYOUTS)),
)
