"""SlowFast's own checkpoints: C2D, I3D, Slow and SlowFast, with and without non-local blocks.

Feichtenhofer et al., "SlowFast Networks for Video Recognition", arXiv 1812.03982;
https://github.com/facebookresearch/SlowFast (Apache-2.0).

    key of the file                        key of the network
    s1.pathway0_stem.conv.weight           stem.conv.weight
    s4.pathway0_res5.branch2.a_bn.weight   res4.5.a_bn.weight
    s4.pathway0_res0.branch1.weight        res4.0.shortcut.weight
    s4.pathway0_nonlocal5.conv_theta.bias  res4.5.nl.theta.bias
    head.projection.weight                 head.weight

With a pathway1 the network has two: slow. and fast. go before these names, and s1_fuse becomes
fuse1. What the keys do not say stands in the configuration that the training writes next to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.errors import WeightsMismatch
from nlviz.families.family import Family, KeyEndings, TableRow
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.foreign_blocks import ForeignAdapter, Parts, dimension_of, is_called
from nlviz.families.reading.key_map import KeyMap, Row, stripped
from nlviz.families.reading.layout import Origin, Reading
from nlviz.families.reading.resnet import CROPS, Seen, read_resnet
from nlviz.families.reading.resnet_keys import RESNET_FLAGS, Preset, Trunk, spec_of, trunk_of
from nlviz.families.slowfast_config import Config, config_of
from nlviz.networks.video_resnet_spec import VideoResNetSpec

_INSTANTIATIONS: Mapping[str, PairwiseName] = MappingProxyType(
    {"softmax": "embedded_gaussian", "dot_product": "dot_product"}
)
_BLUE_FIRST = (
    "Its training took blue before green and red (DATA.REVERSE_INPUT_CHANNEL); frames are given to "
    "it as red, green, blue."
)
_SAMPLING = re.compile(r"(?<!\d)([1-9]\d{0,2})x([1-9]\d?)(?!\d)")


def _pathway(number: int, ours: str = "") -> list[Row]:
    """Return the rows of one pathway; ``ours`` goes before the names of the network."""
    at = rf"s(?P<stage>[2-5])\.pathway{number}"
    res, nl = rf"{at}_res(?P<i>\d+)\.branch", rf"{at}_nonlocal(?P<i>\d+)\."
    block = ours + "res{stage}.{i}."
    return [
        (rf"s1\.pathway{number}_stem\.(?P<end>conv\.weight|bn\.\w+)", ours + "stem.{end}"),
        (res + r"2\.(?P<part>[abc])\.weight", block + "{part}.weight"),
        (res + r"2\.(?P<part>[abc])_bn\.(?P<kind>\w+)", block + "{part}_bn.{kind}"),
        (res + r"1\.weight", block + "shortcut.weight"),
        (res + r"1_bn\.(?P<kind>\w+)", block + "shortcut_bn.{kind}"),
        (nl + r"conv_(?P<part>theta|phi|g|out)\.(?P<kind>\w+)", block + "nl.{part}.{kind}"),
        (nl + r"(?:bn|norm)\.(?P<kind>\w+)", block + "nl.bn.{kind}"),
    ]


_HEAD = (r"head\.projection\.(?P<kind>weight|bias)", "head.{kind}")
ONE_PATHWAY = KeyMap(_HEAD, *_pathway(0))
TWO_PATHWAYS = KeyMap(
    _HEAD,
    (r"s(?P<stage>[1-4])_fuse\.conv_f2s\.weight", "fuse{stage}.conv.weight"),
    (r"s(?P<stage>[1-4])_fuse\.bn\.(?P<kind>\w+)", "fuse{stage}.bn.{kind}"),
    *_pathway(0, "slow."),
    *_pathway(1, "fast."),
)


class SlowFastLayout:
    """Checkpoints of SlowFast's own training."""

    flags: Mapping[str, str] = MappingProxyType(
        {
            **{k: v for k, v in RESNET_FLAGS.items() if k != "shift"},
            "alpha": "frames of the fast pathway for one of the slow pathway",
        }
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        sign = "s1.pathway0_stem.conv.weight"
        if any(stripped(key) == sign for key in checkpoint.tensors):
            return f"the name {sign}" + (" and its configuration" if config_of(checkpoint) else "")
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network."""
        two = any("pathway1_" in key for key in checkpoint.tensors)
        mapped = (TWO_PATHWAYS if two else ONE_PATHWAY).apply(checkpoint)
        by_name = mapped.by_name
        slow = _of_pathway(by_name, "slow.") if two else by_name
        source = checkpoint.path.name
        trunk = trunk_of(slow, source=source)
        config = config_of(checkpoint)
        config.refuse_what_is_not_computed(source)
        flags = Flags(overrides, known=self.flags)
        alpha = flags.number("alpha", *_alpha(source, config), least=2) if two else 1
        seen = _sampling(source, config, alpha, flags)
        spec = spec_of(trunk, _preset(trunk, config, source, two, seen.frames // alpha), flags)
        build = None
        if two:
            fast = trunk_of(_of_pathway(by_name, "fast."), source=source)
            build = _two(fast, spec, by_name, alpha)
        mean, std = config.colours("MEAN", 0.45), config.colours("STD", 0.225)
        return read_resnet(
            checkpoint,
            mapped,
            trunk,
            spec,
            flags,
            seen,
            colours=(mean, std, f"(value / 255 - {_in_words(mean)}) / {_in_words(std)}"),
            kind="SlowFast" if two else None,
            build=build,
            least=alpha,
            warnings=(_BLUE_FIRST,) if config.at("DATA", "REVERSE_INPUT_CHANNEL") is True else (),
        )


def _of_pathway(by_name: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    own = {n.removeprefix(prefix): t for n, t in by_name.items() if n.startswith(prefix)}
    return own | {n: t for n, t in by_name.items() if n.startswith("head.")}


def _in_words(colours: tuple[float, ...]) -> str:
    r, *others = (f"{c / 255:g}" for c in colours)
    return r if others == [r, r] else f"({', '.join((r, *others))})"


def _sampling(source: str, config: Config, alpha: int, flags: Flags) -> Seen:
    """Settle frames and stride; those of the fast pathway, where there is one."""
    frames, stride, origin = config.number("DATA", "NUM_FRAMES"), 0, "config"
    if frames:
        stride = config.number("DATA", "SAMPLING_RATE") or 8
    elif told := _SAMPLING.search(source):
        # A SlowFast network's name gives the slow pathway's frames.
        frames, stride = int(told[1]) * alpha, max(int(told[2]) // alpha, 1)
        origin = "file name"
    else:
        frames, stride, origin = (8 * alpha, max(8 // alpha, 1), "preset")
    taken: Origin = origin  # type: ignore[assignment]
    frames, stride = flags.number("frames", frames, taken), flags.number("stride", stride, taken)
    return Seen(frames, stride, taken, size_note=CROPS)


def _alpha(source: str, config: Config) -> tuple[int, Origin]:
    if alpha := config.number("SLOWFAST", "ALPHA"):
        return alpha, "config"
    if "4x16" in source:
        return 8, "file name"
    return 4, "preset"


def _preset(trunk: Trunk, config: Config, source: str, two: bool, frames: int) -> Preset:
    """Return what the configuration, the name or the family's habit says; frames are slow ones."""
    slow = two or trunk.architecture.startswith("SlowOnly")
    pool2: tuple[int, Origin] = (1 if slow else 2, "preset")
    arch = config.text("MODEL", "ARCH")
    if arch:
        pool2 = (2 if arch in ("c2d", "i3d") else 1, "config")
    elif "NOPOOL" in source:
        pool2 = (1, "file name")
    said = _INSTANTIATIONS.get(config.text("NONLOCAL", "INSTANTIATION"))
    stages = {stage for stage, _ in trunk.non_local}
    pool = config.key_pool(stages, source)
    cells = frames // pool2[0]
    groups = config.groups(stages - {3})
    if groups != 1:
        raise WeightsMismatch(
            f"{source} groups the frames of its blocks outside res3, which is not computed here; "
            "only res3 can have groups"
        )
    groups = config.groups({3})
    return Preset(
        pairwise=(said, "config")
        if said
        else ("dot_product" if slow else "embedded_gaussian", "preset"),
        key_pool=(pool, "config") if pool else (2, "preset"),
        frames_per_group=(cells // groups if groups > 1 else 0, "config" if config else "preset"),
        pool1_pad=(1, "preset"),
        pool2=pool2,
    )


def _two(
    fast: Trunk, spec: VideoResNetSpec, by_name: Mapping[str, Tensor], alpha: int
) -> Callable[[], nn.Module]:
    """Return what makes a network of two pathways; widths and lateral kernels are in the shapes."""
    lateral = by_name.get("fuse1.conv.weight")
    wide, narrow = (by_name[f"{p}.stem.conv.weight"].shape[:1].numel() for p in ("slow", "fast"))
    if lateral is None or lateral.dim() != 5:
        raise WeightsMismatch(
            "a network with two pathways needs the lateral kernels s1_fuse.conv_f2s.weight, this "
            "file has none; load a complete file"
        )
    if not 0 < narrow <= min(wide, lateral.shape[0]):
        raise WeightsMismatch(
            f"a fast pathway has no more channels than the slow one and the lateral kernels, got "
            f"{narrow} beside {wide} and {lateral.shape[0]}; load a complete file"
        )

    def build() -> nn.Module:
        from nlviz.networks.slowfast import SlowFast, SlowFastSpec

        return SlowFast(
            SlowFastSpec(
                slow=spec,
                fast=VideoResNetSpec(
                    depth=fast.depth,
                    temporal=fast.temporal,
                    stem_kernel=fast.stem_kernel,
                    pool1_pad=spec.pool1_pad,
                    pool2=spec.pool2,
                    classes=fast.classes,
                ),
                alpha=alpha,
                beta_inverse=wide // narrow,
                fusion_kernel=lateral.shape[2],
                fusion_ratio=lateral.shape[0] // narrow,
            )
        )

    return build


class PyTorchVideoAdapter(ForeignAdapter):
    """Reads ``NonLocal`` and ``Nonlocal``."""

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of PyTorchVideo's or SlowFast's is put together, or None."""
        own: Any = block
        mode = getattr(block, "instantiation", None)
        if not is_called(block, "nonlocal") or mode not in ("softmax", "dot_product"):
            return None
        if not all(hasattr(block, f"conv_{n}") for n in ("theta", "phi", "g", "out")):
            return None
        d = own.conv_out.in_channels
        f = Pairwise("embedded_gaussian", d**-0.5) if mode == "softmax" else Pairwise(mode)
        norms = (getattr(block, n, None) for n in ("norm", "bn"))
        return Parts(
            dimension_of(own.conv_g),
            (f,),
            (own.conv_out, *(n for n in norms if isinstance(n, nn.Module))),
            own.conv_theta,
            own.conv_phi,
            own.conv_g,
            getattr(block, "pool", None),
        )


FAMILY = Family(
    name="slowfast",
    row=TableRow(
        source="https://github.com/facebookresearch/SlowFast",
        networks="SlowFast's `.pyth`: C2D, I3D, Slow, SlowFast with its two pathways",
        live="SlowFast's and PyTorchVideo's blocks",
        recognised_by="`s1.pathway0_stem`; `NonLocal` with `instantiation`",
        not_told="f and pooling (its `cfg`, else preset)",
    ),
    blocks=PyTorchVideoAdapter(),
    checkpoint=SlowFastLayout(),
    key_endings=(
        KeyEndings(
            "SlowFast or PyTorchVideo",
            r"conv_g\.weight",
            "conv_out.weight",
            "conv_theta.weight",
        ),
    ),
    last_norm=("bn", "norm"),
    aliases=("pytorchvideo", "pytorchvideo blocks"),
)
