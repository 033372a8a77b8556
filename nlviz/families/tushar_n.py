"""Tushar-N's conversions of Caffe2's non-local networks.

https://github.com/Tushar-N/pytorch-resnet3d: an I3D R50 of 32 frames in torchvision's names, with
the first pooling unpadded as in Caffe2, and blocks ``layer2.1.nl.{theta,phi,g,out,bn}`` inside the
residual blocks, behind their last ReLU.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.card import KINETICS, NON_LOCAL, ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.data_sets import labels_of, trained_for
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.input_note import input_note, sampled
from nlviz.families.reading.layout import Reading
from nlviz.families.reading.resnet_keys import (
    RESNET_FLAGS,
    Preset,
    blocks_of,
    in_words,
    network_of,
    spec_of,
    stripped,
    trunk_of,
)
from nlviz.networks.torchvision_names import torchvision_name

_GREY = "(value - 114.75) / 57.375"
_NL = re.compile(r"layer([1-4])\.(\d+)\.nl\.((?:theta|phi|g|out)\.(?:weight|bias)|bn\.\w+)")


class TusharNLayout:
    """I3D with the blocks' own names, as in this project's."""

    flags: Mapping[str, str] = MappingProxyType(
        {k: v for k, v in RESNET_FLAGS.items() if k not in ("shift", "frames_per_group")}
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        for key, tensor in checkpoint.tensors.items():
            if re.search(r"layer[1-4]\.\d+\.nl\.out\.weight$", key) and tensor.dim() == 5:
                return f"blocks named as {key}"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network."""
        names: dict[str, str] = {}
        for key in checkpoint.tensors:
            bare = stripped(key)
            if m := _NL.fullmatch(bare):
                names[key] = f"res{int(m[1]) + 1}.{int(m[2])}.nl.{m[3]}"
            elif (name := torchvision_name(bare)) is not None:
                names[key] = name
        by_name = {name: checkpoint.tensors[key] for key, name in names.items()}
        trunk = trunk_of(by_name, source=checkpoint.path.name)
        flags = Flags(overrides, known=self.flags)
        preset = Preset(
            stem_stride=(2, "preset"),
            pool1_kernel=(2, "preset"),
            pool1_stride=(2, "preset"),
            pool1_pad=(0, "preset"),
            pool2=(2, "preset"),
        )
        spec = spec_of(trunk, preset, flags)
        frames = flags.number("frames", 32, "preset")
        stride = flags.number("stride", 2, "preset")
        size = flags.number("size", 256, "preset", least=32)
        return Reading(
            architecture=in_words(trunk),
            build=lambda: network_of(spec),
            names=names,
            blocks=blocks_of(trunk, spec),
            flags=flags.found,
            input_spec=InputSpec(
                size=size,
                mean=(114.75,) * 3,
                std=(57.375,) * 3,
                frames=frames,
                stride=stride,
                least_frames=8,
            ),
            input_note=input_note(_GREY, frames, stride, size),
            labels=labels_of(trunk.classes),
            trained_for=trained_for(trunk.classes),
        )


FAMILY = Family(
    name="tushar-n",
    row=TableRow(
        source="https://github.com/Tushar-N/pytorch-resnet3d",
        networks="I3D R50, converted from Caffe2",
        recognised_by="`layer2.1.nl.out`",
        not_told="strides, padding of pool1",
    ),
    checkpoint=TusharNLayout(),
    cards=(
        ModelCard(
            name="i3d-nl-r50.k400-tushar-n",
            family="tushar-n",
            trained_for=KINETICS,
            licence="CC-BY-NC 4.0",
            non_commercial=True,
            paper=NON_LOCAL,
            labels="kinetics400",
            source="https://github.com/Tushar-N/pytorch-resnet3d",
            file_name="i3d_r50_nl_kinetics.pth",
            accuracy="that of i3d-nl-r50.k400-caffe2-32x2, of which it is a conversion",
            input=f"{sampled(32, 2)}; RGB, {_GREY}",
            note="It is not offered for download: its repository makes it from the file of "
            "i3d-nl-r50.k400-caffe2-32x2.",
        ),
    ),
)
