"""GluonCV's I3D networks for torch, with 0, 5 and 10 blocks.

https://github.com/dmlc/gluon-cv (Apache-2.0).

    key of the file                                 key of the network
    first_stage.0.weight, first_stage.1.bias        stem.conv.weight, stem.bn.bias
    res_layers.1.0.downsample.1.bias                res3.0.shortcut_bn.bias
    res_layers.1.1.nonlocal_block.theta.weight      res3.1.nl.theta.weight
    res_layers.1.1.nonlocal_block.W.weight          res3.1.nl.out.weight
    res_layers.1.1.nonlocal_block.W_bn.0.weight     the same tensor as W.weight, and not needed
    fc.weight                                       head.weight

Its code calls the blocks "gaussian" and gives them theta and phi: they compute the embedded
Gaussian, with the logits scaled, over all keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from nlviz.affinity.pairwise import Pairwise
from nlviz.families.family import Family, KeyEndings, TableRow
from nlviz.families.reading.card import KINETICS, NON_LOCAL, ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.foreign_blocks import ForeignAdapter, Parts, dimension_of, is_called
from nlviz.families.reading.input_note import sampled
from nlviz.families.reading.key_map import KeyMap, behind, stripped
from nlviz.families.reading.layout import Reading
from nlviz.families.reading.resnet import IMAGENET, Seen, read_resnet
from nlviz.families.reading.resnet_keys import RESNET_FLAGS, Preset, spec_of, trunk_of
from nlviz.networks.torchvision_names import torchvision_name

KEYS = KeyMap(
    (r"first_stage\.0\.(?P<kind>\w+)", "stem.conv.{kind}"),
    (r"first_stage\.1\.(?P<kind>\w+)", "stem.bn.{kind}"),
    *behind(
        r"res_layers\.(?P<stage>[0-3])\.(?P<i>\d+)\.nonlocal_block\.",
        "res{stage:+2}.{i}.nl.",
        (
            (r"(?P<part>theta|phi|g|bn)\.(?P<kind>\w+)", "{part}.{kind}"),
            (r"W\.(?P<kind>\w+)", "out.{kind}"),
        ),
    ),
    (r"res_layers\.(?P<stage>[0-3])\.(?P<rest>.+)", "layer{stage:+1}.{rest}", torchvision_name),
    (r"fc\.(?P<kind>.+)", "fc.{kind}", torchvision_name),
    dropped=(
        (r".*nonlocal_block\.W_bn\.[01]\.\w+", "a second name of W and bn"),
        (r"(?:module\.)?head\.1\.\w+", "a second name of fc"),
    ),
)


class GluonCVLayout:
    """Checkpoints of GluonCV's torch networks."""

    flags: Mapping[str, str] = MappingProxyType(
        {k: v for k, v in RESNET_FLAGS.items() if k not in ("shift", "frames_per_group")}
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        bare = {stripped(key) for key in checkpoint.tensors}
        if {"first_stage.0.weight", "res_layers.0.0.conv1.weight"} <= bare:
            return "the names first_stage.0.weight and res_layers.0.0.conv1.weight"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network."""
        mapped = KEYS.apply(checkpoint)
        trunk = trunk_of(mapped.by_name, source=checkpoint.path.name)
        flags = Flags(overrides, known=self.flags)
        dense = trunk.stem_kernel > 1
        preset = Preset(
            scale=(True, "preset"),
            key_pool=(1, "preset"),
            stem_stride=(2 if dense else 1, "preset"),
            pool1_stride=(2 if dense else 1, "preset"),
            pool2=(2 if dense else 1, "preset"),
        )
        spec = spec_of(trunk, preset, flags)
        warnings = (
            (
                "GluonCV calls these blocks gaussian; they have a theta and a phi and compute the "
                "embedded Gaussian, scaled, over all keys.",
            )
            if trunk.non_local
            else ()
        )
        return read_resnet(
            checkpoint,
            mapped,
            trunk,
            spec,
            flags,
            Seen(32, 2, "preset", size=256),
            colours=IMAGENET,
            warnings=warnings,
        )


class GluonCVBlockAdapter(ForeignAdapter):
    """Reads ``NonLocal`` of GluonCV."""

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of GluonCV's is put together, or None."""
        own: Any = block
        if not is_called(block, "nonlocal") or not hasattr(block, "nonlocal_type"):
            return None
        if not all(hasattr(block, n) for n in ("W", "embed", "embed_dim")):
            return None
        behind = (own.W, own.bn) if hasattr(block, "bn") else (own.W,)
        scale = own.embed_dim**-0.5
        if not own.embed:
            return Parts(dimension_of(own.W), (Pairwise("gaussian", scale),), behind)
        pooled = getattr(block, "sub_sample", False)
        return Parts(
            dimension_of(own.W),
            (Pairwise("embedded_gaussian", scale),),
            behind,
            own.theta,
            own.sub_phi if pooled else own.phi,
            own.sub_g if pooled else own.g,
            own.max_pool if pooled else None,
        )


def _card(blocks: int, depth: int, sha1: str, top1: str) -> ModelCard:
    stem = f"i3d_nl{blocks}_resnet{depth}_v1_kinetics400"
    return ModelCard(
        name=f"i3d-nl{blocks}-r{depth}.k400-gluoncv",
        family="gluoncv",
        trained_for=KINETICS,
        licence="Apache-2.0",
        paper=NON_LOCAL,
        labels="kinetics400",
        source="https://github.com/dmlc/gluon-cv",
        url="https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/torch/models/"
        f"{stem}-{sha1[:8]}.pth",
        file_name=f"{stem}-{sha1[:8]}.pth",
        digest=f"sha1:{sha1}",
        accuracy=f"top-1 {top1}, 10 clips x 3 crops",
        input=f"{sampled(32, 2)}; RGB, {IMAGENET[2]}",
        note="Its code calls the blocks gaussian; they compute the embedded Gaussian, on all keys.",
    )


FAMILY = Family(
    name="gluoncv",
    row=TableRow(
        source="https://github.com/dmlc/gluon-cv",
        networks="I3D R50, R101 with 5 and 10 blocks",
        live="its blocks in 2 and 3 dimensions",
        recognised_by="`first_stage`, `res_layers`; `NonLocal` with `nonlocal_type`",
        not_told='scale; "gaussian" means embedded',
    ),
    blocks=GluonCVBlockAdapter(),
    checkpoint=GluonCVLayout(),
    key_endings=(KeyEndings("GluonCV", r"g\.weight", "W_bn.0.weight", "theta.weight"),),
    last_norm=("bn",),
    cards=(
        _card(5, 50, "9df1e103d54bc1227da58d19347e1371cf98a9fb", "75.17"),
        _card(10, 50, "281e1e8a8ef78ada7e095b43caf0cd3f75e7a6a4", "75.93"),
        _card(5, 101, "2cea8edd07e5565b9c1eb66ca862ade3127ce523", "75.81"),
        _card(10, 101, "526a2ed07cffeab6d827ab28c979b537100cd2b3", "75.93"),
    ),
    aliases=("gluoncv blocks",),
)
