"""The usual residual video networks as specifications, and where their non-local blocks stand.

Wang et al. 2018, arXiv 1711.07971, table 1 and section 4; Feichtenhofer et al. 2019, arXiv
1812.03982, table 1; placements as in the published codes (video-nonlocal-net, SlowFast, GluonCV,
TSM).
"""

from __future__ import annotations

from nlviz.errors import NlvizError
from nlviz.networks.slowfast import SlowFastSpec
from nlviz.networks.video_resnet_spec import STAGE_SIZES, NonLocalSpec, Place, VideoResNetSpec


def five_blocks(depth: int = 50, *, first: int = 1) -> tuple[Place, ...]:
    """Return the places of two blocks in res3 and three in res4.

    Args:
        depth: 50, 34 or 101.
        first: 1 stands behind residual blocks 1, 3, 5 (the original code), 0 behind 0, 2, 4 (TSM).

    >>> five_blocks(50), five_blocks(101)[2:]
    (((3, 1), (3, 3), (4, 1), (4, 3), (4, 5)), ((4, 6), (4, 13), (4, 20)))
    """
    if STAGE_SIZES.get(depth) is None or STAGE_SIZES[depth][2] < 6:
        raise NlvizError(f"five blocks stand in a ResNet of 34, 50 or 101 layers, got {depth}")
    if STAGE_SIZES[depth][2] == 23:
        return (3, first), (3, first + 2), (4, 6), (4, 13), (4, 20)
    return tuple((s, i) for s, n in ((3, 4), (4, 6)) for i in range(first, n, 2))


def ten_blocks(depth: int = 50) -> tuple[Place, ...]:
    """Return the places of a block behind every residual block of res3 and six of res4.

    >>> ten_blocks(101)[4:]
    ((4, 2), (4, 6), (4, 10), (4, 14), (4, 18), (4, 22))
    """
    five_blocks(depth)  # the same depths have ten
    in_res4 = range(2, 23, 4) if STAGE_SIZES[depth][2] == 23 else range(6)
    return tuple((3, i) for i in range(4)) + tuple((4, i) for i in in_res4)


def c2d(
    depth: int = 50,
    *,
    frames: int = 8,
    places: tuple[Place, ...] = (),
    block: NonLocalSpec | None = None,
    pool2: bool = True,
    caffe2: bool = False,
    classes: int = 400,
) -> VideoResNetSpec:
    """Return a network of convolutions in 2-D: frames meet in poolings and blocks alone.

    Args:
        depth: 18, 34, 50 or 101.
        frames: 8 for strides in time behind res2 alone, 32 for strides in the stem, too.
        places: where blocks stand.
        block: what kind they are.
        pool2: pool pairs of frames behind res2.
        caffe2: poolings as in the original code: without padding, and pairs of frames behind the
            stem of a network for 32 frames.
        classes: of the head.

    >>> c2d(50, places=five_blocks(50)).temporal
    {}
    """
    return VideoResNetSpec(
        depth=depth,
        stem_stride=2 if frames > 8 else 1,
        pool1=_pool1(frames, caffe2),
        pool1_pad=0 if caffe2 else 1,
        pool2=(2, 2) if pool2 else None,
        non_local={place: block or NonLocalSpec() for place in places},
        classes=classes,
    )


def i3d(
    depth: int = 50,
    *,
    frames: int = 8,
    places: tuple[Place, ...] = (),
    block: NonLocalSpec | None = None,
    caffe2: bool = False,
    classes: int = 400,
) -> VideoResNetSpec:
    """Return a network with temporal kernels in every second residual block.

    Args:
        depth: 50 or 101.
        frames: 8 for strides in time behind res2 alone, 32 for strides in the stem, too.
        places: where blocks stand.
        block: what kind they are.
        caffe2: poolings as in the original code: without padding, and pairs of frames behind the
            stem of a network for 32 frames.
        classes: of the head.

    >>> i3d(50).temporal[3], i3d(50, frames=32).stem_stride
    ((3, 1, 3, 1), 2)
    """
    sizes = STAGE_SIZES.get(depth)
    if sizes is None or depth < 50:
        raise NlvizError(f"an I3D network here has 50 or 101 layers, got {depth}")
    return VideoResNetSpec(
        depth=depth,
        temporal={
            2: (3,) * sizes[0],
            3: tuple(3 - 2 * (i % 2) for i in range(sizes[1])),
            4: tuple(3 - 2 * (i % 2) for i in range(sizes[2])),
            5: (1, 3, 1),
        },
        stem_kernel=5,
        stem_stride=2 if frames > 8 else 1,
        pool1=_pool1(frames, caffe2),
        pool1_pad=0 if caffe2 else 1,
        pool2=(2, 2),
        non_local={place: block or NonLocalSpec() for place in places},
        classes=classes,
    )


def slow_only(
    depth: int = 50,
    *,
    places: tuple[Place, ...] = (),
    block: NonLocalSpec | None = None,
    classes: int = 400,
) -> VideoResNetSpec:
    """Return a network without strides in time, with temporal kernels in res4 and res5.

    >>> slow_only(50).temporal[5]
    (3, 3, 3)
    """
    sizes = STAGE_SIZES[depth]
    return VideoResNetSpec(
        depth=depth,
        temporal={4: (3,) * sizes[2], 5: (3,) * sizes[3]},
        non_local={place: block or NonLocalSpec() for place in places},
        classes=classes,
    )


def tsm(
    depth: int = 50,
    *,
    places: tuple[Place, ...] = (),
    block: NonLocalSpec | None = None,
    classes: int = 400,
) -> VideoResNetSpec:
    """Return a network of convolutions in 2-D whose channels are shifted in time.

    >>> tsm(50, places=five_blocks(50, first=0)).shift
    True
    """
    plain = NonLocalSpec(scale=False, pool_first=False)
    return VideoResNetSpec(
        depth=depth,
        shift=True,
        non_local={place: block or plain for place in places},
        classes=classes,
    )


def slow_fast(
    depth: int = 50,
    *,
    alpha: int = 4,
    fusion_kernel: int = 5,
    places: tuple[Place, ...] = (),
    block: NonLocalSpec | None = None,
    classes: int = 400,
) -> SlowFastSpec:
    """Return a slow and a fast pathway, with blocks of dot products in the slow one.

    Args:
        depth: of both.
        alpha: frames of the fast pathway for one of the slow pathway; 4 for 8x8, 8 for 4x16.
        fusion_kernel: temporal kernel of the lateral convolutions.
        places: where blocks stand.
        block: what kind they are.
        classes: of the head.

    >>> slow_fast(50).fast.temporal[2], slow_fast(50).slow.stem_kernel
    ((3, 3, 3), 1)
    """
    sizes = STAGE_SIZES[depth]
    dot = NonLocalSpec(pairwise="dot_product", scale=False)
    return SlowFastSpec(
        slow=slow_only(depth, places=places, block=block or dot, classes=classes),
        fast=VideoResNetSpec(
            depth=depth,
            temporal={stage: (3,) * n for stage, n in zip((2, 3, 4, 5), sizes, strict=True)},
            stem_kernel=5,
            classes=classes,
        ),
        alpha=alpha,
        fusion_kernel=fusion_kernel,
    )


def _pool1(frames: int, caffe2: bool) -> tuple[int, int]:
    if frames <= 8:
        return 1, 1
    return (2, 2) if caffe2 else (1, 2)
