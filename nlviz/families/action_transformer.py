"""The Video Action Transformer of ``nlviz.networks.action_transformer``, on any trunk.

Girdhar et al. 2019, arXiv 1812.02707: queries are boxes, keys all cells of the trunk's features.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.clips.boxes import middle_box
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import (
    Adapter,
    Branch,
    InputKind,
    InputSpec,
    Prepared,
    place,
    prepare,
)
from nlviz.families.reading.card import ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.layout import Block, Flag, Reading
from nlviz.families.reading.prepared import PICTURE
from nlviz.families.reading.running import edited_output, rows_of
from nlviz.networks.attention.running import Edit, RunningProduct, tokens_product
from nlviz.networks.hooks import Call, block_and_run, replaced
from nlviz.networks.weights import read_weights
from nlviz.resources import asset

if TYPE_CHECKING:
    from nlviz.networks.action_transformer import ActionTransformer

INPUT = InputSpec(size=224, multiple=16, mean=(127.0,) * 3, std=(128.0,) * 3, frames=8)
TRAINED = "trained to find a boxed object in other frames, not to name actions"
TRUNK = "lite-nl.safetensors"


class ActionTransformerAdapter(Adapter[nn.Module]):
    """Reads the attention of every layer of an ``ActionTransformer``."""

    traces = False  # the network finds where its trunk's cells lie, as it pools boxes by that
    answers = (
        "The network says where each boxed object is in every frame, and gives no class scores."
    )

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return ``layer0``, ``layer1`` ..."""
        own = _own(net)
        if own is None:
            return {}
        return {f"layer{i}": layer.attention for i, layer in enumerate(own.head.layers)}

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks, and the network, whose input says where its cells lie."""
        return {**self.blocks(net), "network": net}

    def inputs(self, net: nn.Module) -> tuple[InputKind, ...]:
        """Return that it takes boxes beside a clip."""
        return ("clip", "boxes")

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W) and the boxes; without one, the middle of the middle frame."""
        prepared = prepare(clip, spec or INPUT, net)
        asked = clip.boxes
        if not asked:
            asked = (middle_box(clip),)
            frame, top, left, bottom, right = asked[0]
            told = (
                "No box was given, so the query is the middle of the middle frame: "
                f"{frame:g},{top:g},{left:g},{bottom:g},{right:g} (frame, top, left, bottom, "
                "right)."
            )
            prepared = replace(prepared, notes=(*prepared.notes, told))
        boxes = torch.tensor([prepared.box_in_input(box) for box in asked])
        return replace(prepared, args=(PICTURE, boxes), boxes=TokenBoxes.of(asked))

    def read(
        self, name: str, block: Any, calls: Mapping[str, Call], prepared: Prepared
    ) -> EmbeddedAffinity:
        """Return the affinity of a layer from what entered it."""
        call = calls[name]
        with torch.no_grad():
            q, k, v = (x[0] for x in block.embed(*call.args))
        boxes = prepared.boxes
        if boxes is None or boxes.size != q.shape[1]:
            known = boxes.size if boxes else 0
            raise NlvizError(
                f"the queries of {name} are {q.shape[1]} boxes, of which {known} are known; say "
                "them with capture(clip, boxes=...)"
            )
        return EmbeddedAffinity(
            name=name,
            pairwise=Pairwise("embedded_gaussian", q.shape[-1] ** -0.5),
            theta=q,
            phi=k,
            queries=boxes,
            keys=_keys(calls["network"], prepared),
            values=v,
            output=rearrange(call.output[0], "n (heads d) -> heads n d", heads=len(q)),
            clip_shape=prepared.clip_shape,
        )

    def features(
        self, name: str, block: nn.Module, calls: Mapping[str, Call]
    ) -> Float[Tensor, "channels t h w"] | None:
        """Return None: what enters a block are boxes' queries, on no grid of the keys."""
        return None

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which a layer's attention adds nothing to its queries."""
        block, run = block_and_run(name)
        return replaced(
            self.blocks(net)[block], lambda args, output: torch.zeros_like(output), run=run
        )

    def running(
        self, net: nn.Module, name: str, affinity: Affinity, edit: Edit
    ) -> AbstractContextManager[None]:
        """Return a context in which the product of a layer is edited."""
        block, run = block_and_run(name)
        module: Any = self.blocks(net)[block]

        def product(args: tuple[Any, ...], output: Tensor) -> RunningProduct:
            embedded = cache(lambda: module.embed(*args))  # the layer itself has no keys, no values

            def rows(index: Tensor) -> Tensor:
                q, k, _ = embedded()
                return rows_of(q, k, affinity.pairwise)(index)

            laid = output.view(*output.shape[:2], module.heads, -1).transpose(1, 2)
            keys = args[1].shape[2:].numel()
            return tokens_product(rows, lambda: embedded()[2], laid, output.shape[1], keys)

        return edited_output(module, product, edit, run=run)

    def branch(self, net: nn.Module, name: str) -> Branch | None:
        """Return where to see what a layer's attention adds to its queries."""
        block = block_and_run(name)[0]
        own = _own(net)
        assert own is not None  # for the type checker: ``blocks`` found it
        layer = own.head.layers[int(block.removeprefix("layer"))]
        return Branch(layer, self.blocks(net)[block], with_input=False)


def _own(net: nn.Module) -> ActionTransformer | None:
    from nlviz.networks.action_transformer import ActionTransformer

    return net if isinstance(net, ActionTransformer) else None


def _keys(call: Call, prepared: Prepared) -> TokenGrid:
    """Return the grid of the trunk's cells in the clip."""
    cells = call.module.cells(call.args[0])  # type: ignore[union-attr, operator]
    axes = prepared.t, prepared.y, prepared.x
    t, y, x = (
        place(axis, where) for axis, where in zip((cells.t, cells.y, cells.x), axes, strict=True)
    )
    off = [o * abs(where.stride) for o, where in zip(cells.off, axes, strict=True)]
    return TokenGrid.of_axes(cells.shape, t, y, x, off=(off[0], off[1], off[2]))


_SIGNS = ("head.layers.0.attention.query.weight", "head.location.out.weight")
_TRUNK_SIGN = "trunk.conv_stem.weight"


class ActionTransformerLayout:
    """Keys are those of ``networks.action_transformer``; the trunk may lie in lite-nl's file."""

    flags: Mapping[str, str] = MappingProxyType({})

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        if all(sign in checkpoint.tensors for sign in _SIGNS):
            return "the layers and the location embedding of an action transformer"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network; what it does not hold is lite-nl's backbone."""
        keys = checkpoint.tensors
        layers = sum(k.endswith("attention.query.weight") for k in keys)
        width = len(keys[_SIGNS[0]])
        channels = len(keys["head.mean"]) if "head.mean" in keys else 0
        filled = {} if _TRUNK_SIGN in keys else _trunk_of_lite_nl()
        return Reading(
            architecture=f"EfficientNet-Lite0 with an action transformer of {layers} layers",
            build=_build,
            names={key: key for key in keys},
            blocks=tuple(
                Block(f"layer{i}", channels, width, "embedded_gaussian") for i in range(layers)
            ),
            flags={"heads": Flag(2, "preset", "of each layer")},
            filled=filled,
            input_spec=INPUT,
            input_note="RGB, (value - 127) / 128, shorter side 224; boxes beside the clip",
            trained_for=TRAINED,
        )


def _trunk_of_lite_nl() -> dict[str, tuple[Tensor, str]]:
    from nlviz.networks.lite_nl import LiteNLTrunk

    stored = read_weights(asset(f"weights/{TRUNK}"))
    with torch.device("meta"):
        own = LiteNLTrunk().state_dict()
    why = f"the trunk is lite-nl's backbone, {TRUNK}"
    return {
        f"trunk.{key}": (stored[f"backbone.{key}"], why)
        for key in own
        if f"backbone.{key}" in stored
    }


def _build() -> nn.Module:
    from nlviz.networks.action_transformer import ActionTransformer, ActionTransformerHead
    from nlviz.networks.lite_nl import AXES, CHANNELS, LiteNLTrunk

    head = ActionTransformerHead(CHANNELS["stage4"])
    return ActionTransformer(LiteNLTrunk(), head, cells=(Axis(), AXES["stage4"], AXES["stage4"]))


FAMILY = Family(
    name="action-transformer",
    row=TableRow(
        source="`nlviz.networks.action_transformer`",
        networks="the bundled network of boxes",
        live="every `ActionTransformer`, on any trunk",
        recognised_by="`head.layers.0.attention.query`, `head.location.out`",
        parity="rows, output",
    ),
    blocks=ActionTransformerAdapter(),
    checkpoint=ActionTransformerLayout(),
    needs="nlviz.networks.action_transformer",
    cards=(
        ModelCard(
            name="action-transformer.composed",
            family="action-transformer",
            weights="action-transformer.safetensors",
            trained_for=TRAINED,
            licence="Apache-2.0",
            paper="arXiv 1812.02707 (head), arXiv 1905.11946 (trunk)",
            labels="",
            input="4 to 8 frames and boxes; RGB, (value - 127) / 128",
            takes=("clip", "boxes"),
        ),
    ),
)
