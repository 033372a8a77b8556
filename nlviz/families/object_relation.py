"""Object relation modules of this project: ``networks.object_relation``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import Axis
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.position_terms import PairBias
from nlviz.affinity.support import ALL_KEYS
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.clips.clip import Clip
from nlviz.clips.plain_boxes import plain_boxes
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import Adapter, InputSpec, Prepared, prepare_for
from nlviz.families.reading.card import ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.layout import Block, Flag, Reading
from nlviz.families.reading.prepared import PICTURE
from nlviz.families.reading.running import edited_output
from nlviz.networks.attention.running import Edit, RunningProduct, precise, tokens_product
from nlviz.networks.hooks import Call, block_and_run
from nlviz.networks.object_relation import ObjectRelation, gate_logits
from nlviz.networks.tile_relations import HEADS, KEY, TileRelations, tile_pixels

REACH = "A box sees the boxes of its own frame."
CLOSED = (
    "Weights are shared out among what one box sees: those of different boxes are not comparable. "
    "Content is appearance alone, position is geometry alone; where geometry's gate is closed, a "
    "box is not attended at all."
)


class ObjectRelationAdapter(Adapter[ObjectRelation]):
    """Reads every ``ObjectRelation``; queries and keys are boxes."""

    traces = False  # boxes lie where they are
    scores_of = "box"

    def blocks(self, net: nn.Module) -> dict[str, ObjectRelation]:
        """Return the modules by their dotted names."""
        return {
            name or "relation": module
            for name, module in net.named_modules()
            if isinstance(module, ObjectRelation)
        }

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the modules, whose input are features and boxes, and their ``attend``."""
        found: dict[str, nn.Module] = {}
        for name, block in self.blocks(net).items():
            found |= {name: block, f"{name}.attend": block.attend}
        return found

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return the tiles of a drawing with their boxes; of another network, the whole clip.

        Raises:
            NlvizError: when the clip is no drawing on a ground of one colour.
        """
        if not isinstance(net, TileRelations):
            return prepare_for(net, clip, spec, self.blocks(net).values())
        found = [plain_boxes(frame, name=clip.name) for frame in clip.frames]
        tiles = [tile_pixels(f, boxes) for f, boxes in zip(clip.frames, found, strict=True)]
        boxes = torch.from_numpy(np.concatenate(found))
        frame = torch.repeat_interleave(torch.tensor([len(b) for b in found]))
        own = (PICTURE, boxes, frame)
        return Prepared(torch.cat(tiles), Axis(), Axis(), clip.shape, args=own)

    def read(
        self, name: str, block: ObjectRelation, calls: Mapping[str, Call], prepared: Prepared
    ) -> EmbeddedAffinity:
        """Return the affinity: appearance from theta and phi, geometry as what is added."""
        attend = calls[f"{name}.attend"]
        theta, phi, gates, g = attend.args
        theta, phi, g, y = (_flat(t) for t in (theta, phi, g, attend.output))
        gate = _apart(gates)
        boxes, frame = _boxes(calls[name])
        grid = _tokens(boxes, frame, prepared)
        every = torch.arange(grid.size)
        same = frame[:, None] == frame[None]
        return EmbeddedAffinity(
            name=name,
            pairwise=Pairwise("embedded_gaussian", theta.shape[-1] ** -0.5),
            theta=theta,
            phi=phi,
            queries=grid,
            keys=grid,
            support=ALL_KEYS if bool(same.all()) else KeySets.of(every, same, REACH),
            bias=PairBias(gate_logits(gate), every, every),
            values=g,
            output=y,
            clip_shape=prepared.clip_shape,
            note=CLOSED,
        )

    def running(
        self, net: nn.Module, name: str, affinity: Affinity, edit: Edit
    ) -> AbstractContextManager[None]:
        """Return a context in which a module's product is edited, gates and all."""
        block, run = block_and_run(name)

        def product(args: tuple[Any, ...], output: Tensor) -> RunningProduct:
            theta, phi, gate, g = args
            bias, content = gate_logits(_entries(gate)), Pairwise("gaussian")
            q, k = _entries(theta) * theta.shape[-1] ** -0.5, _entries(phi)

            def rows(index: Tensor) -> Tensor:
                index = index.to(q.device)
                return content.normalise(content.logits(q[:, index], k) + bias[:, index])

            return tokens_product(rows, g, output, theta.shape[-2])

        return edited_output(self.blocks(net)[block].attend, product, edit, run=run)

    def features(
        self, name: str, block: ObjectRelation, calls: Mapping[str, Call]
    ) -> Float[Tensor, "channels 1 1 boxes"]:
        """Return the features of the boxes that entered the module."""
        x: Tensor = calls[name].args[0]
        return x.flatten(0, -2).mT[:, None, None]


def _flat(x: Float[Tensor, "*batch heads boxes d"]) -> Float[Tensor, "heads all_boxes d"]:
    """Return the boxes of a batch of pictures one after another, heads first."""
    return x[None].flatten(0, -4).transpose(0, 1).flatten(1, 2).contiguous()


def _entries(x: Tensor) -> Float[Tensor, "entries boxes d"]:
    """Return (*batch, heads, boxes, d) with one axis for pictures and heads, in full precision."""
    x = x.detach().flatten(0, -3)
    return x.to(precise(x))


def _apart(gate: Float[Tensor, "*batch heads boxes boxes"]) -> Float[Tensor, "heads all all"]:
    """Return gates between all boxes of a batch; those of different pictures are closed."""
    parts = gate[None].flatten(0, -4)
    pictures, heads, n, _ = parts.shape
    apart = parts.new_zeros(heads, pictures, n, pictures, n)
    every = torch.arange(pictures)
    apart[:, every, :, every] = parts  # advanced indices come first: pictures, heads, n, n
    return apart.reshape(heads, pictures * n, pictures * n)


def _boxes(call: Call) -> tuple[Float[Tensor, "boxes 4"], Int[Tensor, " boxes"]]:
    """Return the boxes of a call, in pixels of the network's input, and the frame of each."""
    _, boxes, *more = call.args
    picture = more[0] if more else None
    if picture is None:
        count = boxes.shape[-2]
        pictures = boxes.numel() // (4 * count)
        picture = torch.arange(pictures).repeat_interleave(count)
    return boxes.reshape(-1, 4).float().cpu(), picture.reshape(-1).cpu()


def _tokens(boxes: Tensor, frame: Tensor, prepared: Prepared) -> TokenBoxes:
    """Return boxes as tokens, in pixels of the clip; each frame's are numbered from 0."""
    y, x = prepared.y, prepared.x
    # Edges lie between pixels: edge e is the place e - 0.5.
    at = boxes.double().sub(0.5)
    at[:, 0::2] = at[:, 0::2] * y.stride + y.origin
    at[:, 1::2] = at[:, 1::2] * x.stride + x.origin
    at = at.add(0.5)
    t = prepared.t
    placed = [
        (t.origin + t.stride * int(f), *box) for f, box in zip(frame, at.tolist(), strict=True)
    ]
    return TokenBoxes.of(placed)


_SIGNS = ("relation.gate.weight", "relation.theta.weight", "embed.1.weight")


class TileRelationsLayout:
    """Keys are those of ``networks.tile_relations``."""

    flags: Mapping[str, str] = MappingProxyType({})

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        if all(sign in checkpoint.tensors for sign in _SIGNS):
            return "an object relation module over tiles, relation.gate"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network; every name stays."""
        return Reading(
            architecture=f"an object relation module of {HEADS} relations over tiles",
            build=TileRelations,
            names={key: key for key in checkpoint.tensors},
            blocks=(Block("relation", HEADS * KEY, KEY, "embedded_gaussian"),),
            flags={"gate": Flag(True, "key", "geometry multiplies appearance, 0 is not attended")},
            input_spec=InputSpec(),
            input_note="a drawing of tiles on a ground of one colour",
        )


FAMILY = Family(
    name="object-relation",
    row=TableRow(
        source="`nlviz.networks.object_relation`",
        networks="`object-relation.tiles`",
        live="nlviz's own object relation modules",
        recognised_by="`relation.gate`, `relation.theta`",
        parity="rows",
        health="–",
    ),
    blocks=ObjectRelationAdapter(),
    checkpoint=TileRelationsLayout(),
    cards=(
        ModelCard(
            name="object-relation.tiles",
            family="object-relation",
            weights="object-relation.tiles.safetensors",
            trained_for="finding the other tile of a colour, and of a stack",
            licence="Apache-2.0",
            paper="arXiv 1711.11575",
            labels="",
            input="a drawing of tiles on a ground of one colour, such as the bundled tiles.png",
        ),
    ),
)
