"""TSM's own non-local network: R50 with AlexHex7's blocks around every second residual block.

Lin, Gan and Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019, arXiv
1811.08383; https://github.com/mit-han-lab/temporal-shift-module (MIT).

    key of the file                                         key of the network
    module.base_model.conv1.weight                          stem.conv.weight
    module.base_model.layer2.0.block.conv1.net.weight       res3.0.a.weight
    module.base_model.layer2.1.conv1.net.weight             res3.1.a.weight
    module.base_model.layer2.0.nl.phi.0.weight              res3.0.nl.phi.weight
    module.base_model.layer2.0.nl.W.1.running_mean          res3.0.nl.bn.running_mean
    module.new_fc.weight                                    head.weight

The shift has no weights; the ``net`` of the first convolutions shows that it is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from nlviz.families.family import Family, TableRow
from nlviz.families.reading.alexhex7_keys import ALEXHEX7_BLOCK
from nlviz.families.reading.card import KINETICS, TEN_BY_THREE, ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.input_note import sampled
from nlviz.families.reading.key_map import KeyMap, behind
from nlviz.families.reading.layout import Reading
from nlviz.families.reading.resnet import IMAGENET, Seen, read_resnet, with_time
from nlviz.families.reading.resnet_keys import (
    RESNET_FLAGS,
    TSM_TRUNK_ROWS,
    Preset,
    spec_of,
    trunk_of,
)

_SIGN = re.compile(r"(?:^|.*\.)base_model\.layer[1-4]\.\d+\.(?:block\.)?conv1\.net\.weight")


KEYS = KeyMap(
    (r"new_fc\.(?P<kind>weight|bias)", "head.{kind}"),
    *behind(r"layer(?P<stage>[1-4])\.(?P<i>\d+)\.nl\.", "res{stage:+1}.{i}.nl.", ALEXHEX7_BLOCK),
    *TSM_TRUNK_ROWS,
)


class MitTSMLayout:
    """Checkpoints of the temporal shift module's own code."""

    flags: Mapping[str, str] = MappingProxyType(
        {k: v for k, v in RESNET_FLAGS.items() if k != "frames_per_group"}
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        for key in checkpoint.tensors:
            if _SIGN.fullmatch(key):
                return f"the name {key}"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network."""
        mapped = KEYS.apply(checkpoint, shaped=with_time)
        trunk = trunk_of(mapped.by_name, source=checkpoint.path.name)
        flags = Flags(overrides, known=self.flags)
        preset = Preset(scale=(False, "preset"), pool_first=(False, "preset"), shift=(True, "key"))
        spec = spec_of(trunk, preset, flags)
        dense = "dense" in checkpoint.path.name.lower()
        return read_resnet(
            checkpoint,
            mapped,
            trunk,
            spec,
            flags,
            Seen(8, 8, "file name" if dense else "preset", size=256, spread=not dense),
            colours=IMAGENET,
            kind="TSM",
        )


_PUBLISHED = "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense_nl.pth"

FAMILY = Family(
    name="mit-tsm",
    row=TableRow(
        source="https://github.com/mit-han-lab/temporal-shift-module",
        networks="TSM R50 with five blocks",
        recognised_by="`base_model…conv1.net`",
        not_told="scale, pooling after the 1×1",
    ),
    checkpoint=MitTSMLayout(),
    cards=(
        ModelCard(
            name="tsm-nl-r50.k400-mit",
            family="mit-tsm",
            trained_for=KINETICS,
            licence="MIT",
            paper="arXiv 1811.08383",
            labels="kinetics400",
            source="https://github.com/mit-han-lab/temporal-shift-module",
            url=f"https://file.lzhu.me/projects/tsm/models/{_PUBLISHED}",
            file_name=_PUBLISHED,
            accuracy=f"top-1 75.6, {TEN_BY_THREE}",
            input=f"{sampled(8, 8)}; RGB, {IMAGENET[2]}",
        ),
    ),
)
