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
from nlviz.families.reading.card import KINETICS, NON_LOCAL, ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.input_note import sampled
from nlviz.families.reading.key_map import KeyMap
from nlviz.families.reading.layout import Reading
from nlviz.families.reading.resnet import GREY, Seen, read_resnet
from nlviz.families.reading.resnet_keys import (
    RESNET_FLAGS,
    TRUNK_ROWS,
    Preset,
    spec_of,
    trunk_of,
)

KEYS = KeyMap(
    (
        r"layer(?P<stage>[1-4])\.(?P<i>\d+)\.nl\.(?P<part>(?:theta|phi|g|out|bn)\.\w+)",
        "res{stage:+1}.{i}.nl.{part}",
    ),
    *TRUNK_ROWS,
)


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
        mapped = KEYS.apply(checkpoint)
        trunk = trunk_of(mapped.by_name, source=checkpoint.path.name)
        flags = Flags(overrides, known=self.flags)
        preset = Preset(
            stem_stride=(2, "preset"),
            pool1_kernel=(2, "preset"),
            pool1_stride=(2, "preset"),
            pool1_pad=(0, "preset"),
            pool2=(2, "preset"),
        )
        spec = spec_of(trunk, preset, flags)
        seen = Seen(32, 2, "preset")
        return read_resnet(checkpoint, mapped, trunk, spec, flags, seen, colours=GREY)


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
            input=f"{sampled(32, 2)}; RGB, {GREY[2]}",
            note="It is not offered for download: its repository makes it from the file of "
            "i3d-nl-r50.k400-caffe2-32x2.",
        ),
    ),
)
