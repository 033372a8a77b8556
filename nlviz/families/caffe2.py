"""Caffe2's video networks: video-nonlocal-net, and the .pkl files of SlowFast's model zoo.

Wang et al., "Non-local Neural Networks", arXiv 1711.07971;
https://github.com/facebookresearch/video-nonlocal-net (CC-BY-NC 4.0) and
https://github.com/facebookresearch/SlowFast (Apache-2.0), whose files share the names.

    blob                        key of the network
    conv1_w                     stem.conv.weight
    res_conv1_bn_{s,b,rm,riv}   stem.bn.{weight,bias,running_mean,running_var}
    res4_5_branch2{a,b,c}_w     res4.5.{a,b,c}.weight
    res4_0_branch1_w            res4.0.shortcut.weight
    nonlocal_conv4_5_theta_w    res4.5.nl.theta.weight
    pred_w                      head.weight

``riv`` is the variance although its name says inverse. A file without any ``rm`` has its
normalisation folded into s and b ("affine"): mean 0 and variance 1 - epsilon give just that.

The temporal strides are in no key. The code has two trunks for 8 cells of time and less: 32 frames,
every 2nd (or 128, every one) go through strides 2, 2, 2; 8 frames, every 8th (or 32, every 4th)
through the last of these alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from nlviz.families.family import Family, KeyEndings, TableRow
from nlviz.families.reading.card import KINETICS, NON_LOCAL, TEN_BY_THREE, ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.input_note import sampled
from nlviz.families.reading.key_map import KeyMap, Row
from nlviz.families.reading.layout import Flag, Origin, Reading, as_matrix
from nlviz.families.reading.resnet import CROPS, GREY, Seen, read_resnet, with_time
from nlviz.families.reading.resnet_keys import RESNET_FLAGS, Preset, Trunk, spec_of, trunk_of
from nlviz.sentences import ordinal

EPSILON = 1e-5
_TRAINING = r".*_momentum|lr|model_iter|iteration\w*|optimizer_iteration\w*"
_SAMPLING = re.compile(r"(?<!\d)([1-9]\d{0,2})x([1-9]\d?)(?!\d)")
_SLOWFAST = re.compile(r"(?:C2D|I3D|SLOW|SLOWONLY)(?:_NLN|_NOPOOL)*_\d+x\d+_R\d+")


def _norm(theirs: str, ours: str) -> list[Row]:
    """Return the rows of a normalisation."""
    parts = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
    return [(f"{theirs}_{part}", f"{ours}.{name}") for part, name in parts.items()]


_RES, _OUR_RES = r"res(?P<stage>[2-5])_(?P<i>\d+)_branch", "res{stage}.{i}"
_NL, _OUR_NL = r"nonlocal_conv(?P<stage>[2-5])_(?P<i>\d+)_", "res{stage}.{i}.nl"
KEYS = KeyMap(
    ("conv1_w", "stem.conv.weight"),
    *_norm("res_conv1_bn", "stem.bn"),
    (_RES + r"2(?P<part>[abc])_w", _OUR_RES + ".{part}.weight"),
    *_norm(_RES + r"2(?P<part>[abc])_bn", _OUR_RES + ".{part}_bn"),
    (_RES + "1_w", _OUR_RES + ".shortcut.weight"),
    *_norm(_RES + "1_bn", _OUR_RES + ".shortcut_bn"),
    (_NL + "(?P<part>theta|phi|g|out)_w", _OUR_NL + ".{part}.weight"),
    (_NL + "(?P<part>theta|phi|g|out)_b", _OUR_NL + ".{part}.bias"),
    *_norm(_NL + "bn", _OUR_NL + ".bn"),
    ("pred_w", "head.weight"),
    ("pred_b", "head.bias"),
    dropped=((_TRAINING, "state of the optimiser"),),
    wrappers=(),
)


class Caffe2Layout:
    """Blobs of video-nonlocal-net and of SlowFast's converted zoo."""

    flags: Mapping[str, str] = MappingProxyType(
        {k: v for k, v in RESNET_FLAGS.items() if k != "shift"}
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        signs = ("conv1_w", "res2_0_branch2a_w")
        if all(sign in checkpoint.tensors for sign in signs):
            where = " in blobs" if checkpoint.wrapper == "blobs" else ""
            return f"the names {' and '.join(signs)}{where}"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network."""
        mapped = KEYS.apply(checkpoint, shaped=_shaped)
        by_name = mapped.by_name
        trunk = trunk_of(by_name, source=checkpoint.path.name)
        affine = not any(n.endswith(("running_mean", "running_var")) for n in by_name)
        flags = Flags(overrides, known=self.flags)
        seen = _Sampling.of(checkpoint.path.name, trunk, affine, flags)
        flags.found["affine"] = Flag(
            affine, "key", "normalisation of the trunk is folded into a scale and an offset"
        )
        spec = spec_of(trunk, seen.preset(trunk, affine), flags)
        groups = (b.frames_per_group or 1 for b in spec.non_local.values())
        return read_resnet(
            checkpoint,
            mapped,
            trunk,
            spec,
            flags,
            Seen(seen.frames, seen.stride, seen.origin, size_note=CROPS),
            colours=GREY,
            least=max(groups, default=1),
            filled=_statistics(by_name) if affine else {},
            warnings=seen.warnings,
        )


@dataclass(frozen=True)
class _Sampling:
    """How the network saw a video, which decides its temporal strides.

    Attributes:
        frames, stride: every stride-th frame of the video, frames in all.
        origin: where that is known from.
        code: ``video-nonlocal-net`` or ``slowfast``, whose first pooling is padded.
        code_origin: where that is known from.
        pool2: temporal stride behind res2.
        warnings: where it had to be assumed.
    """

    frames: int
    stride: int
    origin: Origin
    code: str
    code_origin: Origin
    pool2: int
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, name: str, trunk: Trunk, affine: bool, flags: Flags) -> _Sampling:
        slow = trunk.architecture.startswith("SlowOnly")
        named = bool(_SLOWFAST.search(name))
        told = _SAMPLING.search(name)
        if told:
            frames, stride, origin = int(told[1]), int(told[2]), "file name"
        elif slow or named:
            frames, stride, origin = 8, 8, "preset"
        elif affine:
            frames, stride, origin = 32, 4, "preset"
        else:
            frames, stride, origin = 32, 2, "preset"
        frames = flags.number("frames", frames, origin)  # type: ignore[arg-type]
        stride = flags.number("stride", stride, origin)  # type: ignore[arg-type]
        origin = flags.found["stride"].origin
        warnings: tuple[str, ...] = ()
        if origin == "preset" and not slow:
            warnings = (
                f"Neither the keys nor the name {name} tell the temporal strides; those for "
                f"{frames} frames, every {ordinal(stride)}, are taken. Say stride=8 for a network "
                "of 8 frames, stride=2 for one of 32, stride=4 or stride=1 for one of long clips.",
            )
        return cls(
            frames,
            stride,
            origin,
            "slowfast" if named or slow else "video-nonlocal-net",
            "key" if slow and not named else "file name" if named else "preset",
            1 if slow or "NOPOOL" in name else 2,
            warnings,
        )

    def preset(self, trunk: Trunk, affine: bool) -> Preset:
        """Return the flags of the trunk and the blocks."""
        dense = self.stride <= 2 and self.code == "video-nonlocal-net"
        slow_origin: Origin = self.code_origin if self.pool2 == 1 else "preset"
        long = affine and self.code == "video-nonlocal-net"
        return Preset(
            frames_per_group=(4 if long else 0, "key" if long else "preset"),
            stem_stride=(2 if dense else 1, self.origin),
            pool1_kernel=(2 if dense else 1, self.origin),
            pool1_stride=(2 if dense else 1, self.origin),
            pool1_pad=(1 if self.code == "slowfast" else 0, self.code_origin),
            pool2=(self.pool2, slow_origin),
            norm_eps=EPSILON,
        )


def _statistics(by_name: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, str]]:
    """Return mean 0 and variance 1 - epsilon for each normalisation, so that it is s x + b."""
    filled: dict[str, tuple[Tensor, str]] = {}
    for name, scale in by_name.items():
        if re.search(r"(?:_|\.)bn\.weight$", name):
            prefix = name.removesuffix("weight")
            why = "folded into the scale and the offset"
            filled[f"{prefix}running_mean"] = torch.zeros_like(scale), f"0, {why}"
            variance = torch.full_like(scale, 1 - EPSILON)
            filled[f"{prefix}running_var"] = variance, f"1 - {EPSILON:g}, {why}"
    return filled


def _shaped(tensor: Tensor, name: str) -> Tensor:
    """Return a kernel with an axis of time, a classifier as a matrix."""
    if name == "head.weight" and tensor.dim() > 2:
        return as_matrix(tensor)
    return with_time(tensor, name)


def _card(arch: str, frames: int, stride: int, top: str, *, base: str = "IN") -> ModelCard:
    sampling = f"{frames}x{stride}"
    file_name = f"{arch}_nonlocal_{sampling}_{base}_pretrain_400k.pkl"
    long = base == "I3D"
    return ModelCard(
        name=f"{arch}-nl-r50.k400-caffe2-{sampling}",
        family="caffe2",
        trained_for=KINETICS,
        licence="CC-BY-NC 4.0",
        non_commercial=True,
        paper=NON_LOCAL,
        labels="kinetics400",
        source="https://github.com/facebookresearch/video-nonlocal-net",
        url=f"https://dl.fbaipublicfiles.com/video-nonlocal/{file_name}",
        file_name=file_name,
        accuracy=f"top-1 / top-5 {top}, {TEN_BY_THREE}",
        input=f"{sampled(frames, stride)}; RGB, {GREY[2]}",
        note="Frames see only groups of four of each other in res3." if long else "",
    )


FAMILY = Family(
    name="caffe2",
    row=TableRow(
        source="https://github.com/facebookresearch/video-nonlocal-net",
        networks="video-nonlocal-net, SlowFast's `.pkl`: C2D, I3D, also affine and with groups of "
        "4 frames in res3",
        recognised_by="`conv1_w`, `res2_0_branch2a_w`",
        not_told="temporal strides (file name), padding of pool1",
    ),
    checkpoint=Caffe2Layout(),
    key_endings=(KeyEndings("Caffe2", "g_w", "out_w", "theta_w", between="_"),),
    cards=(
        _card("c2d", 32, 2, "73.9 / 91.0"),
        _card("c2d", 8, 8, "74.4 / 91.4"),
        _card("i3d", 32, 2, "74.9 / 91.6"),
        _card("i3d", 8, 8, "74.7 / 91.6"),
        _card("i3d", 32, 4, "76.5 / 92.6", base="I3D"),
        _card("i3d", 128, 1, "76.5 / 92.7", base="I3D"),
        ModelCard(
            name="i3d-nl-r50.k400-slowfast",
            family="caffe2",
            trained_for=KINETICS,
            licence="Apache-2.0",
            paper=NON_LOCAL,
            labels="kinetics400",
            source="https://github.com/facebookresearch/SlowFast/blob/main/MODEL_ZOO.md",
            url="https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/kinetics400/"
            "I3D_NLN_8x8_R50.pkl",
            file_name="I3D_NLN_8x8_R50.pkl",
            accuracy=f"top-1 / top-5 74.0 / 91.1, {TEN_BY_THREE}",
            input=f"{sampled(8, 8)}; RGB, (value / 255 - 0.45) / 0.225",
            flags=MappingProxyType({"pool1_pad": 1, "frames": 8, "stride": 8}),
        ),
    ),
)
