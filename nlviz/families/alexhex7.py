"""AlexHex7's blocks, and the many copies of them, TSM's among them, in any network.

https://github.com/AlexHex7/Non-local_pytorch (Apache-2.0): ``NONLocalBlock1D``, ``2D`` and ``3D``,
one file for each f. Keys are pooled behind their convolutions; logits have no scale.

code                     paper
``theta, phi, g``        theta, phi, g, the latter two with the pooling in one ``Sequential``
``W``                    W_z, with its normalisation in one ``Sequential``
``concat_project``       w_f

The embedded Gaussian's file and the dot product's have the same modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.errors import WeightsMismatch
from nlviz.families.family import Family, KeyEndings, TableRow
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.alexhex7_keys import ALEXHEX7_BLOCK
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.foreign_blocks import (
    ForeignAdapter,
    Parts,
    dimension_of,
    is_called,
    last_of,
)
from nlviz.families.reading.key_map import KeyMap, behind, stripped
from nlviz.families.reading.layout import Block, Origin, Reading


class AlexHex7Adapter(ForeignAdapter):
    """Reads ``_NonLocalBlockND`` and what derives from it."""

    def parts(self, block: nn.Module) -> Parts | None:
        """Return how a block of AlexHex7's is put together, or None."""
        own: Any = block
        if not is_called(block, "nonlocal") or hasattr(block, "nonlocal_type"):
            return None
        if not all(isinstance(getattr(block, n, None), nn.Module) for n in ("g", "W")):
            return None
        behind = tuple(own.W) if isinstance(own.W, nn.Sequential) else (own.W,)
        dimension = dimension_of(own.g)
        phi = getattr(block, "phi", None)
        if getattr(block, "theta", None) is None:
            return Parts(dimension, (Pairwise("gaussian"),), behind, g=own.g, pool=phi)
        concat = getattr(block, "concat_project", None)
        w_f = None if concat is None else concat[0].weight
        f: tuple[Pairwise, ...] = (Pairwise("concatenation"),)
        if concat is None:
            scaled = Pairwise("embedded_gaussian", channels_of(own.theta) ** -0.5)  # some copies
            f = (Pairwise("embedded_gaussian"), Pairwise("dot_product"), scaled)
        return Parts(dimension, f, behind, own.theta, phi, own.g, last_of(phi), w_f)


def channels_of(theta: nn.Module) -> int:
    """Return d, the channels of theta.

    >>> channels_of(nn.Conv2d(6, 3, 1))
    3
    """
    return int(next(theta.parameters()).shape[0])


SIDE = 28
CONCAT = "concat_project.0.weight"


KEYS = KeyMap(
    (r"conv_(?P<stage>[123])\.(?P<i>[01])\.(?P<kind>\w+)", "stage{stage}.{i}.{kind}"),
    *behind(r"nl_(?P<i>[12])\.", "nl{i}.", ALEXHEX7_BLOCK),
    (r"fc\.(?P<i>[03])\.(?P<kind>weight|bias)", "fc.{i}.{kind}"),
)


class AlexHex7Layout:
    """The classifier of digits with two blocks."""

    flags: Mapping[str, str] = MappingProxyType(
        {
            "pairwise": "f: embedded_gaussian, dot_product, gaussian or concatenation",
            "scale": "logits are multiplied by d^-1/2",
            "pool_first": "keys are max-pooled before their 1x1 convolutions, not after them",
            "key_pool": "side of the max-pooling of keys, 1 for none",
        }
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        bare = {stripped(key) for key in checkpoint.tensors}
        if {"conv_1.0.weight", "conv_3.0.weight", "fc.3.weight"} <= bare:
            return "the names conv_1.0.weight, conv_3.0.weight and fc.3.weight"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network."""
        mapped = KEYS.apply(checkpoint)
        names, by_name = mapped.names, mapped.by_name
        own = {stripped(key) for key in checkpoint.tensors}
        g1, g2 = (by_name.get(f"nl{i}.g.weight") for i in (1, 2))
        inner = (0 if g1 is None else g1.shape[0], 0 if g2 is None else g2.shape[0])
        if not any(inner):
            raise WeightsMismatch(
                f"{checkpoint.path.name} has no block nl_1 or nl_2; load a file of the network "
                "with blocks"
            )
        flags = Flags(overrides, known=self.flags)
        first = f"nl{1 if inner[0] else 2}"
        options = block_options(
            by_name, first, flags, pooled=f"{first[:2]}_{first[2]}.g.0.weight" in own
        )
        blocks = tuple(
            Block(f"nl{i}", g.shape[1], g.shape[0], str(options["pairwise"]))
            for i, g in ((1, g1), (2, g2))
            if g is not None
        )
        return Reading(
            architecture=f"classifier of digits with {len(blocks)} non-local blocks",
            build=partial(_build, options, inner),
            names=names,
            change={key: Tensor.flatten for key, name in names.items() if name.endswith(".w_f")},
            blocks=blocks,
            flags=flags.found,
            input_spec=InputSpec(
                sides=(SIDE, SIDE), mean=(0.0,) * 3, std=(255.0,) * 3, layout="frames", grey=True
            ),
            input_note="luminance in [0, 1], 28 x 28, light digits on a dark ground",
            trained_for="recognition of digits on MNIST",
        )


def block_options(
    by_name: Mapping[str, Tensor], block: str, flags: Flags, *, pooled: bool
) -> dict[str, Any]:
    """Settle the flags of AlexHex7's block, and return the options of this project's.

    Args:
        by_name: tensors by this project's names.
        block: name of one of the blocks.
        flags: settles each value.
        pooled: whether the keys say that keys are max-pooled.
    """
    mode: tuple[PairwiseName, Origin] = ("embedded_gaussian", "preset")
    if f"{block}.w_f" in by_name:
        mode = ("concatenation", "key")
    elif f"{block}.theta.weight" not in by_name:
        mode = ("gaussian", "key")
    f = flags.pairwise(*mode)
    scale = f == "embedded_gaussian" and flags.truth("scale", False, "preset")
    pool = flags.number("key_pool", 2 if pooled else 1, "key")
    first = flags.truth("pool_first", False, "preset") if pool > 1 else True
    return {
        "pairwise": f,
        "pool": pool,
        "pool_first": first,
        "scale": scale,
        "norm": f"{block}.bn.weight" in by_name,
    }


def _build(options: Mapping[str, Any], inner: tuple[int, int]) -> nn.Module:
    from nlviz.networks.mnist_nl import MnistNL

    return MnistNL(options, inner=inner)


FAMILY = Family(
    name="alexhex7",
    row=TableRow(
        source="https://github.com/AlexHex7/Non-local_pytorch",
        networks="its classifier of digits, four f",
        live="its blocks and their copies, TSM's among them, in 1, 2 and 3 dimensions",
        recognised_by="`conv_1`, `nl_1`; `NONLocalBlock`",
        not_told="embedded or dot product",
    ),
    blocks=AlexHex7Adapter(),
    checkpoint=AlexHex7Layout(),
    key_endings=(
        KeyEndings("AlexHex7", r"g(?:\.0)?\.weight", "W.0.weight", "theta.weight", CONCAT),
        KeyEndings(
            "AlexHex7 without normalisation",
            r"g(?:\.0)?\.weight",
            "W.weight",
            "theta.weight",
            CONCAT,
        ),
    ),
    last_norm=("W.1",),
    aliases=("alexhex7 blocks",),
)
