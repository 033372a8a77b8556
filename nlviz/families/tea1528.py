"""tea1528's blocks in any network.

https://github.com/tea1528/Non-Local-NN-Pytorch (MIT), ``NLBlockND``: four modes, no pooling of
keys, no scale; ``W_z`` is the output projection with its normalisation, ``W_f`` has a bias.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.errors import WeightsMismatch
from nlviz.families.family import Family, KeyEndings, TableRow
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.foreign_blocks import ForeignAdapter, Parts, dimension_of, is_called
from nlviz.families.reading.key_map import KeyMap, behind, stripped
from nlviz.families.reading.layout import Block, Origin, Reading

_MODES: dict[str, PairwiseName] = {
    "gaussian": "gaussian",
    "embedded": "embedded_gaussian",
    "dot": "dot_product",
    "concatenate": "concatenation",
}


class Tea1528Adapter(ForeignAdapter):
    """Reads ``NLBlockND``."""

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of tea1528's is put together, or None."""
        own: Any = block
        if not is_called(block, "nlblock") or not hasattr(block, "W_z"):
            return None
        if not hasattr(block, "g") or getattr(block, "mode", None) not in _MODES:
            return None
        behind = tuple(own.W_z) if isinstance(own.W_z, nn.Sequential) else (own.W_z,)
        f = Pairwise(_MODES[own.mode])
        if f.name == "gaussian":
            return Parts(dimension_of(own.g), (f,), behind, g=own.g)
        concat = own.W_f[0] if f.name == "concatenation" else None
        return Parts(
            dimension_of(own.g),
            (f,),
            behind,
            own.theta,
            own.phi,
            own.g,
            w_f=None if concat is None else concat.weight,
            w_f_bias=None if concat is None else concat.bias,
        )


KEYS = KeyMap(
    *behind(
        r"layer(?P<stage>[123])\.(?P<i>\d+)\.",
        "layer{stage}.{i}.",
        (
            (r"(?P<part>theta|phi|g)\.(?P<kind>weight|bias)", "{part}.{kind}"),
            (r"W_z(?:\.0)?\.(?P<kind>weight|bias)", "out.{kind}"),
            (r"W_z\.1\.(?P<kind>\w+)", "bn.{kind}"),
            (r"W_f\.0\.weight", "w_f"),
            (r"W_f\.0\.bias", "w_f_bias"),
            (r"(?P<part>(?:conv|bn)[12])\.(?P<kind>\w+)", "{part}.{kind}"),
        ),
    ),
    (r"(?P<key>conv1\.weight|bn1\.\w+|linear\.(?:weight|bias))", "{key}"),
)


class Tea1528Layout:
    """The residual network for pictures of 32 x 32 with a block in its second stage."""

    flags: Mapping[str, str] = MappingProxyType(
        {
            "pairwise": "f: embedded_gaussian, dot_product, gaussian or concatenation",
            "scale": "logits are multiplied by d^-1/2",
            "key_pool": "side of the max-pooling of keys, 1 for none",
            "size": "shorter side of the pictures in pixels",
        }
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        bare = {stripped(key) for key in checkpoint.tensors}
        if "linear.weight" in bare and any(
            re.fullmatch(r"layer[123]\.\d+\.W_z(\.0)?\.weight", key) for key in bare
        ):
            return "the names linear.weight and W_z"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network."""
        mapped = KEYS.apply(checkpoint)
        names, by_name = mapped.names, mapped.by_name
        sizes = _sizes(by_name, checkpoint.path.name)
        prefixes = sorted(n.removesuffix(".g.weight") for n in by_name if n.endswith(".g.weight"))
        if not prefixes:
            raise WeightsMismatch(
                f"{checkpoint.path.name} has a block without a weight of g; load a complete file"
            )
        flags = Flags(overrides, known=self.flags)
        options = _options(by_name, prefixes[0], flags)
        size = flags.number("size", 32, "preset", least=8)
        stages = tuple(
            tuple(options if f"layer{stage}.{i}" in prefixes else None for i in range(sizes[stage]))
            for stage in (1, 2, 3)
        )
        change: dict[str, Callable[[Tensor], Tensor]] = {}
        for key, name in names.items():
            if name.endswith((".w_f", ".w_f_bias")):
                change[key] = _flat if name.endswith("w_f") else _scalar
        residual = sum(o is None for inside in stages for o in inside)
        classes = by_name["linear.weight"].shape[0]
        return Reading(
            architecture=f"ResNet-{2 * residual + 2} for small pictures with {len(prefixes)} "
            f"non-local block{'' if len(prefixes) == 1 else 's'}",
            build=partial(_build, stages, classes),
            names=names,
            change=change,
            blocks=tuple(
                Block(p, g.shape[1], g.shape[0], str(options["pairwise"]))
                for p in prefixes
                if (g := by_name[f"{p}.g.weight"]) is not None
            ),
            flags=flags.found,
            input_spec=InputSpec(
                size=size,
                multiple=4,
                mean=(125.307, 122.961, 113.8575),
                std=(51.5865, 50.847, 51.255),
                layout="frames",
            ),
            input_note=f"RGB, CIFAR-10's mean and deviation, shorter side {size}",
            trained_for="recognition of small pictures on CIFAR-10"
            if classes == 10
            else f"recognition of {classes} classes",
        )


def _sizes(by_name: Mapping[str, Tensor], source: str) -> dict[int, int]:
    """Return how many layers each stage has."""
    sizes: dict[int, int] = {}
    for name in by_name:
        if m := re.match(r"layer([123])\.(\d+)\.", name):
            sizes[int(m[1])] = max(sizes.get(int(m[1]), 0), int(m[2]) + 1)
    if set(sizes) != {1, 2, 3} or "conv1.weight" not in by_name:
        raise WeightsMismatch(
            f"{source} needs conv1 and the stages layer1, layer2 and layer3; load a complete file"
        )
    return sizes


def _options(by_name: Mapping[str, Tensor], block: str, flags: Flags) -> dict[str, Any]:
    mode: tuple[PairwiseName, Origin] = ("embedded_gaussian", "preset")
    if f"{block}.w_f" in by_name:
        mode = ("concatenation", "key")
    elif f"{block}.theta.weight" not in by_name:
        mode = ("gaussian", "key")
    f = flags.pairwise(*mode)
    return {
        "pairwise": f,
        "inner": by_name[f"{block}.g.weight"].shape[0],
        "scale": f == "embedded_gaussian" and flags.truth("scale", False, "preset"),
        "pool": flags.number("key_pool", 1, "preset"),
        "norm": f"{block}.bn.weight" in by_name,
        "concat_bias": f"{block}.w_f_bias" in by_name,
    }


def _flat(tensor: Tensor) -> Tensor:
    return tensor.flatten()


def _scalar(tensor: Tensor) -> Tensor:
    return tensor.reshape(())


def _build(stages: tuple[tuple[Mapping[str, Any] | None, ...], ...], classes: int) -> nn.Module:
    from nlviz.networks.cifar_resnet import CifarResNet

    return CifarResNet(stages, classes=classes)


FAMILY = Family(
    name="tea1528",
    row=TableRow(
        source="https://github.com/tea1528/Non-Local-NN-Pytorch",
        networks="its ResNet for small pictures (`ckpt.t7`), four f",
        live="its blocks in 1, 2 and 3 dimensions",
        recognised_by="`W_z`, `linear`; `NLBlock`",
        not_told="embedded or dot product",
    ),
    blocks=Tea1528Adapter(),
    checkpoint=Tea1528Layout(),
    key_endings=(
        KeyEndings("tea1528", r"g\.weight", "W_z.0.weight", "theta.weight", "W_f.0.weight"),
        KeyEndings(
            "tea1528 without normalisation",
            r"g\.weight",
            "W_z.weight",
            "theta.weight",
            "W_f.0.weight",
        ),
    ),
    last_norm=("W_z.1",),
    aliases=("tea1528 blocks",),
)
