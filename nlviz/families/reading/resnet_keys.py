"""Names and shapes of residual video networks, for every layout that holds one.

The names of ``networks.video_resnet`` are the common ground: a layout says for each key of its file
which of these it is, and the architecture is read off the shapes here, once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn

from nlviz.affinity.pairwise import PairwiseName
from nlviz.errors import WeightsMismatch
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.key_map import Row
from nlviz.families.reading.layout import Block, Origin
from nlviz.networks.torchvision_names import torchvision_name
from nlviz.networks.video_resnet_spec import STAGE_SIZES, NonLocalSpec, Place, VideoResNetSpec

# torchvision's and mmcv's names of a trunk, and the same with TSM's wrappers inside.
TRUNK_ROWS: tuple[Row, ...] = ((r"(?P<key>.+)", "{key}", torchvision_name),)
TSM_TRUNK_ROWS: tuple[Row, ...] = (
    (
        r"(?P<at>layer\d\.\d+)(?:\.block)?\.(?P<conv>conv1(?:\.conv)?)\.net\.weight",
        "{at}.{conv}.weight",
        torchvision_name,
    ),
    (r"(?P<at>layer\d\.\d+)\.block\.(?P<rest>.+)", "{at}.{rest}", torchvision_name),
    *TRUNK_ROWS,
)

RESNET_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "pairwise": "f: embedded_gaussian, dot_product, gaussian or concatenation",
        "scale": "logits are multiplied by d^-1/2",
        "pool_first": "keys are max-pooled before their 1x1 convolutions, not after them",
        "key_pool": "side of the max-pooling of keys in space, 1 for none",
        "frames_per_group": "in res3, groups of this many frames see only each other; 0 for all",
        "stem_stride": "temporal stride of the first convolution",
        "pool1_kernel": "temporal kernel of the max-pooling behind the stem",
        "pool1_stride": "temporal stride of the max-pooling behind the stem",
        "pool1_pad": "spatial padding of the max-pooling behind the stem, 0 or 1",
        "pool2": "temporal kernel and stride of the max-pooling behind res2, 1 for none",
        "shift": "a part of the channels is shifted in time before each block (TSM)",
        "frames": "frames of a clip in training",
        "stride": "every how many-th frame of the video was taken in training",
        "size": "shorter side of the frames in pixels",
    }
)


@dataclass(frozen=True)
class FoundBlock:
    """One non-local block as its keys show it.

    Attributes:
        channels, inner: of its input, and of g.
        keys: what stands behind ``nl.``.
    """

    channels: int
    inner: int
    keys: frozenset[str]

    @property
    def pairwise(self) -> PairwiseName | None:
        """The name of f, where the keys say it: embedded and dot product have the same ones."""
        if "w_f" in self.keys:
            return "concatenation"
        return None if "theta.weight" in self.keys else "gaussian"

    @property
    def norm(self) -> bool:
        """Whether a batch normalisation stands behind W_z."""
        return any(k.startswith("bn.") for k in self.keys)


@dataclass(frozen=True)
class Trunk:
    """The architecture of a residual video network, as the shapes of its tensors show it.

    Attributes:
        depth: 18, 34, 50 or 101.
        temporal: as in ``VideoResNetSpec``; stages of 1 everywhere are left out.
        stem_kernel: temporal.
        classes: of the head.
        non_local: the blocks by place, in forward order.
    """

    depth: int
    temporal: Mapping[int, tuple[int, ...]]
    stem_kernel: int
    classes: int
    non_local: Mapping[Place, FoundBlock]

    @property
    def architecture(self) -> str:
        """C2D, I3D or SlowOnly with the depth."""
        if not self.temporal and self.stem_kernel == 1:
            kind = "C2D"
        elif self.stem_kernel == 1 and set(self.temporal) == {4, 5}:
            kind = "SlowOnly"
        else:
            kind = "I3D"
        return f"{kind} R{self.depth}"


def trunk_of(tensors: Mapping[str, Tensor], *, source: str, headless: bool = False) -> Trunk:
    """Read the architecture of a network off the shapes of its tensors.

    Args:
        tensors: by the names of ``networks.video_resnet``; kernels have 5 axes, or 4 without time.
        source: name of the file, for the error.
        headless: the network has no classifier; it has 0 classes then.

    Raises:
        WeightsMismatch: when these are no residual network of a known depth.
    """
    convs: dict[int, dict[int, Tensor]] = {}
    blocks: dict[Place, set[str]] = {}
    bottleneck = False
    for name, tensor in tensors.items():
        if not (m := re.fullmatch(r"res([2-5])\.(\d+)\.(\w+)\.(.+)", name)):
            continue
        stage, index, part = int(m[1]), int(m[2]), m[3]
        bottleneck |= part == "c"
        if part == "a" and m[4] == "weight":
            convs.setdefault(stage, {})[index] = tensor
        elif part == "nl":
            blocks.setdefault((stage, index), set()).add(m[4])
    sizes = tuple(max(convs.get(s, {-1: None})) + 1 for s in (2, 3, 4, 5))
    depths = [d for d, s in STAGE_SIZES.items() if s == sizes and (d >= 50) == bottleneck]
    if not depths:
        raise WeightsMismatch(
            f"{source} has stages of {', '.join(map(str, sizes))} residual blocks, which is no "
            f"ResNet of {', '.join(map(str, STAGE_SIZES))} layers; load a complete file"
        )
    for needed in ("stem.conv.weight", *(() if headless else ("head.weight",))):
        if needed not in tensors:
            raise WeightsMismatch(f"{source} has no key for {needed}; load a complete file")
        if tensors[needed].dim() < 2:
            raise WeightsMismatch(
                f"{needed} must be a kernel, {source} holds {tuple(tensors[needed].shape)} for it; "
                "load a complete file"
            )
    # A block that lost one kernel still loads as far as the report that names it.
    kernels = {
        s: tuple(_temporal(convs[s].get(i)) for i in range(n))
        for s, n in zip((2, 3, 4, 5), sizes, strict=True)
    }
    return Trunk(
        depth=depths[0],
        temporal={s: k for s, k in kernels.items() if set(k) != {1}},
        stem_kernel=_temporal(tensors["stem.conv.weight"]),
        classes=0 if headless else tensors["head.weight"].shape[0],
        non_local={
            place: _block(place, keys, tensors, source) for place, keys in sorted(blocks.items())
        },
    )


def _temporal(kernel: Tensor | None) -> int:
    return kernel.shape[2] if kernel is not None and kernel.dim() == 5 else 1


def _block(place: Place, keys: set[str], tensors: Mapping[str, Tensor], source: str) -> FoundBlock:
    prefix = f"res{place[0]}.{place[1]}.nl."
    g = tensors.get(f"{prefix}g.weight")
    if g is None or g.dim() < 2:
        raise WeightsMismatch(
            f"the block behind residual block {place[1]} of res{place[0]} in {source} has no "
            "weight of g; load a complete file"
        )
    return FoundBlock(g.shape[1], g.shape[0], frozenset(keys))


Taken = tuple[bool, Origin]
Counted = tuple[int, Origin]


@dataclass(frozen=True)
class Preset:
    """What a family's code does where the user says nothing; each a value and where it is from.

    Attributes:
        pairwise, scale, pool_first, key_pool: of the blocks; the keys' own word on f goes first.
        frames_per_group: of the blocks in res3 with 0 for all frames; None where the family has no
            groups.
        stem_stride, pool1_kernel, pool1_stride, pool1_pad, pool2: of the trunk, see
            ``RESNET_FLAGS``.
        shift: of TSM; None where the family has no shift.
        norm_eps: of the trunk's batch normalisation.
    """

    pairwise: tuple[PairwiseName, Origin] = ("embedded_gaussian", "preset")
    scale: Taken = (True, "preset")
    pool_first: Taken = (True, "preset")
    key_pool: Counted = (2, "preset")
    frames_per_group: Counted | None = None
    stem_stride: Counted = (1, "preset")
    pool1_kernel: Counted = (1, "preset")
    pool1_stride: Counted = (1, "preset")
    pool1_pad: Counted = (1, "preset")
    pool2: Counted = (1, "preset")
    shift: Taken | None = None
    norm_eps: float = 1e-5


def spec_of(trunk: Trunk, preset: Preset, flags: Flags) -> VideoResNetSpec:
    """Settle the flags of a residual video network and return how it is put together.

    Args:
        trunk: what the shapes say.
        preset: what the family's code does.
        flags: settles each value; the flags of blocks are asked for only where there are blocks.

    >>> flags = Flags({"pool1_pad": 0}, known=RESNET_FLAGS)
    >>> spec_of(Trunk(50, {}, 1, 400, {}), Preset(pool2=(2, "preset")), flags).pool2
    (2, 2)
    """
    places: dict[Place, NonLocalSpec] = {}
    if trunk.non_local:
        told = {b.pairwise for b in trunk.non_local.values()} - {None}
        if len(told) == 1 and all(b.pairwise for b in trunk.non_local.values()):
            f = flags.pairwise(next(n for n in told if n is not None), "key")
        else:
            f = flags.pairwise(*preset.pairwise)
        scaled = f == "embedded_gaussian" and flags.truth("scale", *preset.scale)
        pool = flags.number("key_pool", *preset.key_pool)
        first = flags.truth("pool_first", *preset.pool_first) if pool > 1 else True
        group = 0
        if preset.frames_per_group is not None:
            group = flags.number("frames_per_group", *preset.frames_per_group, least=0)
        places = {
            (stage, index): NonLocalSpec(
                pairwise=f,
                inner=block.inner,
                pool=pool,
                pool_first=first,
                scale=scaled,
                norm=block.norm,
                frames_per_group=(group or None) if stage == 3 else None,
            )
            for (stage, index), block in trunk.non_local.items()
        }
    stride = flags.number("stem_stride", *preset.stem_stride)
    first_pool = (
        flags.number("pool1_kernel", *preset.pool1_kernel),
        flags.number("pool1_stride", *preset.pool1_stride),
    )
    pad = flags.number("pool1_pad", *preset.pool1_pad, choices=(0, 1))
    second = flags.number("pool2", *preset.pool2)
    return VideoResNetSpec(
        depth=trunk.depth,
        temporal=trunk.temporal,
        stem_kernel=trunk.stem_kernel,
        stem_stride=stride,
        pool1=first_pool,
        pool1_pad=pad,
        pool2=None if second == 1 else (second, second),
        shift=preset.shift is not None and flags.truth("shift", *preset.shift),
        non_local=places,
        classes=trunk.classes,
        norm_eps=preset.norm_eps,
    )


def blocks_of(trunk: Trunk, spec: VideoResNetSpec) -> tuple[Block, ...]:
    """Return the blocks of a network in forward order, for a ``Reading``."""
    return tuple(
        Block(
            f"res{stage}.{index}",
            block.channels,
            block.inner,
            spec.non_local[stage, index].pairwise,
        )
        for (stage, index), block in trunk.non_local.items()
    )


def in_words(trunk: Trunk, *, kind: str | None = None) -> str:
    """Return an architecture in words.

    >>> in_words(Trunk(50, {}, 1, 400, {}), kind="TSM")
    'TSM R50 without non-local blocks'
    """
    name = trunk.architecture if kind is None else f"{kind} R{trunk.depth}"
    n = len(trunk.non_local)
    if not n:
        return f"{name} without non-local blocks"
    return f"{name} with {n} non-local block{'' if n == 1 else 's'}"


def network_of(spec: VideoResNetSpec) -> nn.Module:
    """Make a network; a layout's ``build``."""
    from nlviz.networks.video_resnet import VideoResNet  # not above: no report needs it

    return VideoResNet(spec)
