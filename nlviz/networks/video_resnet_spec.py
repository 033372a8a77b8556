"""How a residual network over clips is built: depth, kernels in time, and where blocks stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nlviz.affinity.pairwise import PairwiseName

Place = tuple[int, int]  # (stage 2..5, index of the residual block from 0)
STAGE_SIZES: Mapping[int, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
}


@dataclass(frozen=True)
class NonLocalSpec:
    """One non-local block, behind the last ReLU of a residual block.

    Attributes:
        pairwise: the name of f.
        inner: channels of theta, phi and g; half of the features' by default.
        pool: side of the max-pooling of keys in space; 1 for no pooling.
        pool_first: pool before the 1x1 convolutions, or after them.
        scale: whether logits are multiplied by d^-1/2.
        norm: batch normalisation behind W_z.
        frames_per_group: groups of this many frames see only each other; None for all.
    """

    pairwise: PairwiseName = "embedded_gaussian"
    inner: int | None = None
    pool: int = 2
    pool_first: bool = True
    scale: bool = True
    norm: bool = True
    frames_per_group: int | None = None


@dataclass(frozen=True)
class VideoResNetSpec:
    """A ResNet over clips: C2D, I3D, SlowOnly or TSM, with or without non-local blocks.

    Attributes:
        depth: 18, 34, 50 or 101.
        temporal: stage -> temporal kernel of the first convolution of each of its residual blocks;
            a stage that is left out has 1 everywhere.
        stem_kernel, stem_stride: temporal, of the 7x7 convolution.
        pool1: temporal kernel and stride of the 3x3 max-pooling behind the stem.
        pool1_pad: spatial padding of that pooling; 0 in the Caffe2 code.
        pool2: temporal kernel and stride of the max-pooling behind res2, or None.
        shift: temporal shift of an eighth of the channels each way before every first convolution
            (TSM, "blockres").
        non_local: where blocks stand.
        classes: of the head; 0 for a network without one.
        norm_eps: of the trunk's batch normalisation.
    """

    depth: int = 50
    temporal: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    stem_kernel: int = 1
    stem_stride: int = 1
    pool1: tuple[int, int] = (1, 1)
    pool1_pad: int = 1
    pool2: tuple[int, int] | None = None
    shift: bool = False
    non_local: Mapping[Place, NonLocalSpec] = field(default_factory=dict)
    classes: int = 400
    norm_eps: float = 1e-5
