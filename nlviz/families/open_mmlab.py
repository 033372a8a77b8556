"""mmaction2's video networks with mmcv's blocks: I3D, SlowOnly and TSM.

https://github.com/open-mmlab/mmaction2 (Apache-2.0), blocks of https://github.com/open-mmlab/mmcv.

    key of the file                                   key of the network
    backbone.conv1.conv.weight                        stem.conv.weight
    backbone.layer2.1.conv3.bn.bias                   res3.1.c_bn.bias
    backbone.layer2.0.block.conv1.conv.net.weight     res3.0.a.weight        (TSM)
    backbone.layer2.1.non_local_block.g.0.conv.bias   res3.1.nl.g.bias
    backbone.layer2.1.non_local_block.conv_out.bn.*   res3.1.nl.bn.*
    cls_head.fc_cls.weight                            head.weight

Convolutions with a normalisation behind them have no bias, so W_z's is taken as zeros. Which f it
was stands in the name of the file, but for the Gaussian, which has no theta. Keys are pooled behind
their convolutions; I3D and TSM do not scale the logits, SlowOnly does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.families.family import Family, KeyEndings, TableRow
from nlviz.families.reading.card import KINETICS, NON_LOCAL, TEN_BY_THREE, ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.foreign_blocks import (
    ForeignAdapter,
    Parts,
    dimension_of,
    is_called,
    last_of,
)
from nlviz.families.reading.input_note import sampled
from nlviz.families.reading.key_map import KeyMap, behind
from nlviz.families.reading.layout import Origin, Reading
from nlviz.families.reading.resnet import IMAGENET, Seen, read_resnet, with_time
from nlviz.families.reading.resnet_keys import (
    RESNET_FLAGS,
    TSM_TRUNK_ROWS,
    Preset,
    spec_of,
    trunk_of,
)

_MODES: tuple[tuple[str, PairwiseName], ...] = (
    ("embedded-gaussian", "embedded_gaussian"),
    ("dot-product", "dot_product"),
    ("gaussian", "gaussian"),
)
_SAMPLING = re.compile(r"(?<!\d)(\d{1,3})x(\d{1,2})x\d{1,2}(?!\d)")


KEYS = KeyMap(
    (r"cls_head\.(?:new_)?fc(?:_cls)?\.(?P<kind>weight|bias)", "head.{kind}"),
    *behind(
        r"layer(?P<stage>[1-4])\.(?P<i>\d+)\.non_local_block\.",
        "res{stage:+1}.{i}.nl.",
        (
            (r"(?P<part>theta|phi|g)(?:\.0)?\.conv\.(?P<kind>weight|bias)", "{part}.{kind}"),
            (r"conv_out\.conv\.(?P<kind>weight|bias)", "out.{kind}"),
            (r"conv_out\.bn\.(?P<kind>\w+)", "bn.{kind}"),
        ),
    ),
    *TSM_TRUNK_ROWS,
    dropped=((r".*roi_head\..*", "the head sees boxes of persons, which a whole clip has not"),),
)


class MMAction2Layout:
    """Checkpoints of mmaction2, of its model zoo and of its training."""

    flags: Mapping[str, str] = MappingProxyType(
        {k: v for k, v in RESNET_FLAGS.items() if k != "frames_per_group"}
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        for key in checkpoint.tensors:
            if re.search(r"(^|\.)backbone\.conv1\.conv\.weight$", key):
                return f"the name {key}"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network."""
        name = checkpoint.path.name
        mapped = KEYS.apply(checkpoint, shaped=with_time)
        headless = "head.weight" not in mapped.by_name and bool(mapped.dropped)
        trunk = trunk_of(mapped.by_name, source=name, headless=headless)
        tsm = checkpoint.tensors[_stem(checkpoint)].dim() == 4
        slow = not tsm and trunk.stem_kernel == 1
        flags = Flags(overrides, known=self.flags)
        frames, stride, origin = (8, 8, "preset") if tsm or slow else (32, 2, "preset")
        if not tsm and (m := _SAMPLING.search(name)):
            frames, stride, origin = int(m[1]), int(m[2]), "file name"
        f, f_origin = _mode(name)
        dense = not (tsm or slow)
        preset = Preset(
            pairwise=(f, f_origin),
            scale=(slow, "preset"),
            pool_first=(False, "preset"),
            stem_stride=(2 if dense else 1, "preset"),
            pool1_stride=(2 if dense else 1, "preset"),
            pool2=(2 if dense else 1, "preset"),
            shift=(True, "preset") if tsm else None,
        )
        spec = spec_of(trunk, preset, flags)
        return read_resnet(
            checkpoint,
            mapped,
            trunk,
            spec,
            flags,
            Seen(frames, stride, origin, size=224 if tsm else 256, spread=tsm),  # type: ignore[arg-type]
            colours=IMAGENET,
            kind="TSM" if tsm else None,
            filled=zero_biases(mapped.by_name),
            trained_for="action detection on AVA" if headless else None,
        )


def zero_biases(by_name: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, str]]:
    """Return zeros for the bias of W_z in each block without one."""
    filled = {}
    for name, weight in by_name.items():
        bias = name.removesuffix("weight") + "bias"
        if name.endswith(".nl.out.weight") and bias not in by_name:
            why = "zeros: mmcv's convolutions have no bias where a normalisation follows"
            filled[bias] = torch.zeros(weight.shape[0], dtype=weight.dtype), why
    return filled


def _stem(checkpoint: Checkpoint) -> str:
    return next(
        k for k in checkpoint.tensors if k.endswith("conv1.conv.weight") and "layer" not in k
    )


def _mode(name: str) -> tuple[PairwiseName, Origin]:
    """Return f as the name of the file says, dot-product before gaussian."""
    plain = name.lower().replace("_", "-")
    for word, f in _MODES:
        if word in plain:
            return f, "file name"
    return "embedded_gaussian", "preset"


class MMCVAdapter(ForeignAdapter):
    """Reads ``_NonLocalNd`` and what derives from it."""

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of mmcv's is put together, or None."""
        own: Any = block
        if not is_called(block, "nonlocal") or not isinstance(getattr(block, "mode", None), str):
            return None
        if not all(hasattr(block, n) for n in ("g", "conv_out", "use_scale")):
            return None
        dimension = dimension_of(own.g)
        conv = own.conv_out.conv
        norm = own.conv_out.norm if own.conv_out.with_norm else None
        behind = (conv,) if norm is None else (conv, norm)
        phi = getattr(block, "phi", None)
        if own.mode == "gaussian":
            return Parts(dimension, (Pairwise("gaussian"),), behind, g=own.g, pool=phi)
        f: tuple[Pairwise, ...] = (Pairwise(own.mode),)
        if own.mode == "embedded_gaussian" and own.use_scale:
            d = conv.in_channels
            f = (Pairwise(own.mode, d**-0.5), Pairwise(own.mode, d**0.5))  # the latter: mmdet's bug
        w_f = own.concat_project.conv.weight if own.mode == "concatenation" else None
        return Parts(dimension, f, behind, own.theta, phi, own.g, last_of(phi), w_f)


_ROOT = "https://download.openmmlab.com/mmaction/v1.0"
_I3D = "i3d_imagenet-pretrained-r50-nl-{}_8xb8-32x2x1-100e_kinetics400-rgb"
_SLOW = "slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-{}-steplr-150e_kinetics400-rgb"
_TSM = "tsm_imagenet-pretrained-r50-nl-{}_8xb16-1x1x8-50e_kinetics400-rgb"
_AVA = "slowonly_kinetics400-pretrained-r50-nl_8xb16-{}x1-20e_ava21-rgb"


def _card(
    name: str,
    config: str,
    run: str,
    tail: str,
    accuracy: str,
    clip: str,
    *,
    checked: bool = True,
    note: str = "",
) -> ModelCard:
    """Make a card of mmaction2's model zoo.

    Args:
        name: of the card.
        config: folder of the configuration, ``recognition/i3d`` for instance.
        run: name of the configuration.
        tail: date and beginning of the digest, as they end the file's name.
        accuracy: published.
        clip: frames and stride in words.
        checked: whether the digest in the file's name is the file's.
        note: see ``ModelCard``.
    """
    ava = config.startswith("detection")
    return ModelCard(
        name=name,
        family="open-mmlab",
        trained_for="action detection on AVA 2.1" if ava else KINETICS,
        licence="Apache-2.0",
        paper=NON_LOCAL,
        labels="" if ava else "kinetics400",
        source=f"https://github.com/open-mmlab/mmaction2/tree/main/configs/{config}",
        url=f"{_ROOT}/{config}/{run}/{run}_{tail}.pth",
        file_name=f"{run}_{tail}.pth",
        accuracy=accuracy,
        input=f"{clip}; RGB, {IMAGENET[2]}",
        digest=tail.rsplit("-", 1)[1] if checked else "",
        note=note,
    )


FAMILY = Family(
    name="open-mmlab",
    row=TableRow(
        source="https://github.com/open-mmlab/mmaction2",
        networks="I3D, SlowOnly, TSM; AVA's detectors without their head",
        live="mmcv's blocks in 1, 2 and 3 dimensions",
        recognised_by="`backbone.conv1.conv`; `NonLocal` with `mode`",
        not_told="f (file name), scale, pooling after the 1×1",
    ),
    blocks=MMCVAdapter(),
    checkpoint=MMAction2Layout(),
    key_endings=(
        KeyEndings(
            "mmcv",
            r"g(?:\.0)?\.conv\.weight",
            "conv_out.conv.weight",
            "theta.conv.weight",
            "concat_project.conv.weight",
        ),
    ),
    last_norm=("conv_out.bn",),
    cards=(
        *(
            _card(
                f"i3d-nl-r50.k400-mmaction2-{short}",
                "recognition/i3d",
                _I3D.format(mode),
                f"20220812-{tail}",
                f"top-1 / top-5 {top}, {TEN_BY_THREE}",
                sampled(32, 2),
            )
            for short, mode, tail, top in (
                ("dot", "dot-product", "8e1f2148", "74.80 / 92.07"),
                ("embedded", "embedded-gaussian", "afd8f562", "74.73 / 91.80"),
                ("gaussian", "gaussian", "0c5cbf5a", "73.97 / 91.33"),
            )
        ),
        _card(
            "slowonly-nl-r50.k400-mmaction2-4x16",
            "recognition/slowonly",
            _SLOW.format("4x16x1"),
            "20220901-cf739c75",
            f"top-1 / top-5 75.07 / 91.69, {TEN_BY_THREE}",
            sampled(4, 16),
        ),
        _card(
            "slowonly-nl-r50.k400-mmaction2-8x8",
            "recognition/slowonly",
            _SLOW.format("8x8x1"),
            "20220901-df42dc84",
            f"top-1 / top-5 76.65 / 92.47, {TEN_BY_THREE}",
            sampled(8, 8),
            checked=False,
            note="The table gives the same digest to the network without blocks, so it is not "
            "checked.",
        ),
        *(
            _card(
                f"tsm-nl-r50.k400-mmaction2-{short}",
                "recognition/tsm",
                _TSM.format(mode),
                f"20220831-{tail}",
                f"top-1 / top-5 {top}, 8 clips x 10 crops",
                "8 frames, spread evenly",
            )
            for short, mode, tail, top in (
                ("dot", "dot-product", "108bfde5", "74.49 / 91.15"),
                ("embedded", "embedded-gaussian", "35eddb57", "74.34 / 91.23"),
                ("gaussian", "gaussian", "7e54dacf", "73.66 / 90.99"),
            )
        ),
        *(
            _card(
                f"slowonly-nl-r50.ava-mmaction2-{frames}x{stride}",
                "detection/slowonly",
                _AVA.format(f"{frames}x{stride}"),
                f"20220906-{tail}",
                f"{mean} mAP on AVA 2.1",
                sampled(frames, stride),
                note="Its head sees boxes of persons, which are not drawn here; the blocks are "
                "those of a clip.",
            )
            for frames, stride, tail, mean in (
                (4, 16, "5ae3f91b", "21.55"),
                (8, 8, "9760eadb", "23.77"),
            )
        ),
    ),
    aliases=("mmaction2", "mmcv", "mmcv blocks"),
)
