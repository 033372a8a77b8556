"""Graph attention of this project, GAT and GATv2: ``networks.graph_attention``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.edges import edges_affinity
from nlviz.affinity.grid import Axis
from nlviz.affinity.stored import StoredAffinity
from nlviz.clips.clip import Clip
from nlviz.clips.graph import Graph
from nlviz.errors import NlvizError, WeightsMismatch
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import Adapter, InputKind, InputSpec, Prepared
from nlviz.families.reading.card import ModelCard
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.layout import Block, Flag, Reading
from nlviz.families.reading.prepared import PICTURE
from nlviz.families.reading.running import edited_output
from nlviz.networks.attention.running import Edit, RunningProduct, precise, tokens_product
from nlviz.networks.graph_attention import Form, GraphAttention, GraphNetwork, edge_softmax
from nlviz.networks.hooks import Call, block_and_run

SAME_ORDER = (
    "GAT ranks the nodes alike whoever looks: e = LeakyReLU(a1 of the node + a2 of its neighbour) "
    "grows with the neighbour's part, so a node changes how strongly it prefers, never whom."
)


class GraphAttentionAdapter(Adapter[GraphAttention]):
    """Reads every ``GraphAttention`` layer; the input is a graph."""

    traces = False  # nodes lie where the graph says
    scores_of = "node"

    def blocks(self, net: nn.Module) -> dict[str, GraphAttention]:
        """Return the layers by their dotted names."""
        return {
            name or "attention": module
            for name, module in net.named_modules()
            if isinstance(module, GraphAttention)
        }

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the layers, whose input are the features, and their ``attend`` modules."""
        found: dict[str, nn.Module] = {}
        for name, layer in self.blocks(net).items():
            found |= {name: layer, f"{name}.attend": layer.attend}
        return found

    def inputs(self, net: nn.Module) -> tuple[InputKind, ...]:
        """Return that these networks take graphs."""
        return ("graph",)

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return the features (nodes, channels), with the edges as the second argument.

        Raises:
            NlvizError: when the clip is no graph, or its nodes have other features.
        """
        if not isinstance(clip, Graph):
            raise NlvizError(
                f"{type(net).__name__} takes a graph, {clip.name} is none; read one with "
                "nlviz.read_graph"
            )
        wants = next((m.in_features for m in net.modules() if isinstance(m, nn.Linear)), None)
        if wants is not None and wants != clip.features.shape[1]:
            raise NlvizError(
                f"the nodes of {clip.name} must have as many features as {type(net).__name__} "
                f"takes, {wants}; they have {clip.features.shape[1]}: give one that it was made for"
            )
        x, edges = (torch.from_numpy(np.array(a)) for a in (clip.features, clip.edges))
        return Prepared(x, Axis(), Axis(), clip.shape, args=(PICTURE, edges), graph=clip)

    def read(
        self, name: str, block: GraphAttention, calls: Mapping[str, Call], prepared: Prepared
    ) -> StoredAffinity:
        """Return the softmax over the edges into each node, of the logits that the layer had."""
        attend = calls[f"{name}.attend"]
        logits, values, edges = attend.args
        assert prepared.graph is not None  # prepare saw to it
        return edges_affinity(
            edges,
            edge_softmax(logits.float(), edges[1], len(values)),
            prepared.graph,
            name=name,
            pairwise="graph_attention" if block.form == "gat" else "graph_attention_v2",
            values=values.transpose(0, 1).cpu(),
            output=attend.output.transpose(0, 1).cpu(),
            note=SAME_ORDER if block.form == "gat" else "",
        )

    def running(
        self, net: nn.Module, name: str, affinity: Affinity, edit: Edit
    ) -> AbstractContextManager[None]:
        """Return a context in which what nodes gather in a layer is edited."""
        block, run = block_and_run(name)

        def product(args: tuple[Any, ...], output: Tensor) -> RunningProduct:
            logits, values, edges = args
            weights = cache(lambda: edge_softmax(logits.to(precise(logits)), edges[1], len(values)))

            def rows(index: Tensor) -> Tensor:
                index = index.to(edges.device)
                into = edges[1][:, None] == index[None]
                edge, at = into.nonzero(as_tuple=True)
                found = weights().new_zeros(weights().shape[1], len(index), len(values))
                of_heads = torch.arange(len(found), device=edges.device)[:, None]
                place = (of_heads, at[None], edges[0, edge][None])
                return found.index_put_(place, weights()[edge].mT, accumulate=True)

            by_head = values.transpose(0, 1)
            return tokens_product(rows, by_head, output.transpose(0, 1), len(values))

        return edited_output(self.blocks(net)[block].attend, product, edit, run=run)

    def features(
        self, name: str, block: GraphAttention, calls: Mapping[str, Call]
    ) -> Float[Tensor, "channels 1 1 nodes"]:
        """Return the features of the nodes that entered the layer."""
        x: Tensor = calls[name].args[0]
        return x.mT[:, None, None]


_SIGNS = ("attention.a_source", "attention.of_source.weight", "classify.2.weight")


class GraphNetworkLayout:
    """Keys are those of ``networks.graph_attention.GraphNetwork``."""

    flags: Mapping[str, str] = MappingProxyType({})

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        if all(sign in checkpoint.tensors for sign in _SIGNS):
            return "a layer of graph attention, attention.a_source"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network; every name stays.

        Raises:
            WeightsMismatch: when the shapes make no such network.
        """
        shapes = {key: tuple(x.shape) for key, x in checkpoint.tensors.items()}
        wanted = {"embed.0.weight": 2, "attention.a_source": 2, "classify.2.weight": 2}
        if any(len(shapes.get(key, ())) != n for key, n in wanted.items()):
            raise WeightsMismatch(
                f"{checkpoint.path.name} has the layer of a graph network, without the maps of "
                "single nodes around it; take the whole network's weights"
            )
        form: Form = "gat" if "attention.a_target" in shapes else "gatv2"
        hidden, channels = shapes["embed.0.weight"]
        classes, heads = shapes["classify.2.weight"][0], shapes["attention.a_source"][0]

        def build() -> nn.Module:
            return GraphNetwork(channels, classes, hidden=hidden, heads=heads, form=form)

        label = {"gat": "GAT", "gatv2": "GATv2"}[form]
        return Reading(
            architecture=f"one layer of {label} with {heads} heads",
            build=build,
            names={key: key for key in checkpoint.tensors},
            blocks=(Block("attention", hidden, hidden // heads, _PAIRWISE[form]),),
            flags={"form": Flag(form, "key", "GATv2 has a matrix for each end of an edge")},
            input_spec=InputSpec(),
            input_note=f"a graph whose nodes have {channels} features each",
        )


_PAIRWISE: dict[Form, str] = {"gat": "graph_attention", "gatv2": "graph_attention_v2"}


def _card(name: str, trained_for: str, paper: str) -> ModelCard:
    return ModelCard(
        name=name,
        family="graph-attention",
        weights=f"{name}.safetensors",
        trained_for=trained_for,
        licence="Apache-2.0",
        paper=paper,
        labels="",
        input="a graph: nlviz.read_graph",
        takes=("graph",),
    )


_GAT, _GATV2 = "arXiv 1710.10903", "arXiv 2105.14491"

FAMILY = Family(
    name="graph-attention",
    row=TableRow(
        source="`nlviz.networks.graph_attention`",
        networks="`gat.*`, `gatv2.*`",
        live="nlviz's own layers of graph attention",
        recognised_by="`attention.a_source`",
        parity="rows",
        health="–",
    ),
    blocks=GraphAttentionAdapter(),
    checkpoint=GraphNetworkLayout(),
    cards=(
        _card("gat.priority", "taking the mark of the neighbour of highest rank", _GAT),
        _card("gat.lookup", "looking words up in a dictionary, which GAT cannot", _GAT),
        _card("gatv2.lookup", "looking words up in a dictionary", _GATV2),
    ),
)
