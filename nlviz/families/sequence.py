"""MUSE and its plain twin over sequences of symbols, ``networks.sequence.transduction``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache, partial
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.branches import Branches
from nlviz.affinity.causal import Causal
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import ALL_KEYS, Support
from nlviz.affinity.token_line import TokenLine
from nlviz.clips.clip import Clip
from nlviz.clips.point import Shape
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import Adapter, Branch, InputKind, InputSpec, Prepared
from nlviz.families.reading.checkpoint import Checkpoint
from nlviz.families.reading.flags import Flags
from nlviz.families.reading.layout import Block, Origin, Reading
from nlviz.families.reading.prepared_text import prepared_text
from nlviz.families.reading.running import edited_output, edited_sums
from nlviz.families.reading.symbol_lines import BEYOND, read_symbols, symbol_card
from nlviz.networks.attention.running import Edit, RunningProduct, tokens_product
from nlviz.networks.calls import block_and_run
from nlviz.networks.hooks import Call, replaced
from nlviz.networks.sequence.layers import (
    KERNELS,
    Attend,
    DynamicConvolution,
    Layer,
    SelfAttention,
    banded,
)
from nlviz.networks.sequence.tasks import TASKS, TaskName
from nlviz.networks.sequence.transduction import Kind, Size, Transduction


class SequenceAdapter(Adapter[nn.Module]):
    """Reads attention and the bands of dynamic convolutions, each with the branches of its layer.

    ``encoder.0.global`` is the attention of a layer, ``encoder.0.band3`` and ``encoder.0.band15``
    its dynamic convolutions, ``decoder.0.cross`` the attention of the target to the source. The
    text is source, separator and target in one line: queries and keys lie where their symbols do.
    """

    scores_of = "place"
    traces = False  # the line tells the places

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return what has an affinity, in forward order."""
        found: dict[str, nn.Module] = {}
        for name, layer in _layers(net).items():
            found[f"{name}.global"] = layer.attention.attend
            for conv in layer.attention.convolutions:
                found[f"{name}.band{conv.kernel}"] = conv
            if layer.decoder:
                found[f"{name}.cross"] = layer.cross.attend
        return found

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks, what enters each layer, and its branches."""
        found = self.blocks(net)
        for name, layer in _layers(net).items():
            found[f"{name}.norm"] = layer.norm
            if layer.parallel:
                found |= {f"{name}.{branch}": module for branch, module in _branches(layer).items()}
                found[f"{name}.self"] = layer.attention
        return found

    def inputs(self, net: nn.Module) -> tuple[InputKind, ...]:
        """Return that it takes a text."""
        return ("text",)

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return the line of a text: its source, the separator, and what the network writes.

        What the text itself has behind a separator is the beginning of the target, of recall the
        letters that are asked for.
        """
        net = cast(Transduction, net)
        symbols = read_symbols(net.task, clip)
        task, source = net.task, net.task.ids(symbols.source)
        behind = task.ids(symbols.begun)
        if not (task.asks and behind):
            given = task.ids(symbols.asked) if task.asks else behind
            behind = net.written(source, given, most=len(source) + BEYOND)
        line = symbols.line([task.tokens[i] for i in behind])
        wrote = [task.tokens[i] for i in (behind[1::2] if task.asks else behind)]
        ids = torch.tensor([[*source, task.separator, *behind]])
        return prepared_text(
            line, (ids,), notes=(symbols.judged("The network", wrote), *symbols.notes)
        )

    def read(
        self, name: str, block: nn.Module, calls: Mapping[str, Call], prepared: Prepared
    ) -> Affinity:
        """Return an attention from its q and k, a band from the kernels of its convolution."""
        assert prepared.text is not None
        layer, _, kind = name.rpartition(".")
        cut = prepared.text.tokens.index("|")
        source = TokenLine.part_of(prepared.text, count=cut)
        target = TokenLine.part_of(prepared.text, first=cut)
        queries = target if layer.startswith("decoder") else source
        call = calls[name]
        branches = _told(layer, calls) if kind != "cross" and f"{layer}.w_2" in calls else None
        if isinstance(block, DynamicConvolution):
            return _band(name, block, call, queries, prepared.clip_shape, branches)
        q, k, v = (x[0] for x in call.args)
        return EmbeddedAffinity(
            name=name,
            pairwise=Pairwise("embedded_gaussian", q.shape[-1] ** -0.5),
            theta=q.contiguous(),
            phi=k.contiguous(),
            queries=queries,
            keys=source if kind == "cross" else queries,
            support=Causal() if cast(Attend, block).causal else ALL_KEYS,
            values=v,
            output=call.output[0],
            clip_shape=prepared.clip_shape,
            branches=branches,
            note=_note(layer, kind, branches),
        )

    def features(self, name: str, block: nn.Module, calls: Mapping[str, Call]) -> Tensor | None:
        """Return what enters the branches of a layer; nothing for attention between two lines."""
        layer, _, kind = name.rpartition(".")
        if kind == "cross":
            return None
        return cast(Tensor, calls[f"{layer}.norm"].output)[0].mT[:, None, None]

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which an attention, or a convolution, gathers nothing."""
        block, run = block_and_run(name)
        return replaced(self.blocks(net)[block], lambda args, y: torch.zeros_like(y), run=run)

    def running(
        self, net: nn.Module, name: str, affinity: Affinity, edit: Edit
    ) -> AbstractContextManager[None]:
        """Return a context in which the product of an attention is edited, or a band's taps."""
        block, run = block_and_run(name)
        module = self.blocks(net)[block]
        if isinstance(module, DynamicConvolution):
            return edited_output(module, partial(_taps, module), edit, run=run)
        f, causal = affinity.pairwise, cast(Attend, module).causal
        return edited_sums(module, lambda args: f, edit, run=run, causal=causal)

    def branch(self, net: nn.Module, name: str) -> Branch | None:
        """Return where to see what attention adds; of a band alone no module shows it."""
        layer, _, kind = block_and_run(name)[0].rpartition(".")
        found = _layers(net)[layer]
        if kind == "global":
            return Branch(found.norm, found.attention.w_1, with_input=False)
        return Branch(found.cross_norm, found.cross, with_input=False) if kind == "cross" else None


def _layers(net: nn.Module) -> dict[str, Layer]:
    if not isinstance(net, Transduction):
        return {}
    stacks = {"encoder": net.encoder, "decoder": net.decoder}
    return {
        f"{name}.{i}": cast(Layer, layer)
        for name, stack in stacks.items()
        for i, layer in enumerate(stack)
    }


def _branches(layer: Layer) -> dict[str, nn.Module]:
    return {"w_1": layer.attention.w_1, "w_2": layer.attention.w_2, "feed": layer.feed}


_NAMES = MappingProxyType(
    {"w_1": "W_1 attention", "w_2": "W_2 convolutions", "feed": "feed-forward"}
)


def _told(layer: str, calls: Mapping[str, Call]) -> Branches:
    """Return how much each branch of a layer of MUSE adds at each of its places."""
    norms = {
        said: cast(Tensor, calls[f"{layer}.{key}"].output)[0].float().norm(dim=-1).cpu()
        for key, said in _NAMES.items()
    }
    with torch.no_grad():
        alphas = cast(SelfAttention, calls[f"{layer}.self"].module).mixing().tolist()
    mixing = {f"band{k}": a for k, a in zip(KERNELS, alphas, strict=True)}
    return Branches(tuple(norms), torch.stack(list(norms.values())), MappingProxyType(mixing))


def _band(
    name: str,
    conv: DynamicConvolution,
    call: Call,
    line: TokenLine,
    clip_shape: Shape,
    branches: Branches | None,
) -> StoredAffinity:
    """Return a dynamic convolution as the matrix that does the same, row by row."""
    v: Tensor = call.args[0]
    with torch.no_grad():
        weights = conv.weights(v)[0]  # (heads, n, taps)
    n, taps = weights.shape[1], conv.kernel
    keys = torch.arange(n)[:, None] + torch.arange(taps) - conv.before
    keys = keys.where((keys >= 0) & (keys < n), -1)
    weights = weights * (keys >= 0)  # what falls on no symbol gathers zeros
    reach = f"{taps - 1} symbols before it" if conv.causal else f"{taps // 2} symbols to each side"
    support: Support = Causal(nearest=taps)
    if not conv.causal:
        first = keys.where(keys >= 0, n).amin(1)
        runs = tuple(zip(first.tolist(), (keys >= 0).sum(1).tolist(), strict=True))
        support = KeySets(tuple(range(n)), runs, f"A query reaches itself and up to {reach}.")
    return StoredAffinity(
        name=name,
        pairwise=Pairwise("effective_operator"),
        weights=weights.transpose(0, 1)[:, :, None].contiguous(),
        group_of=torch.arange(n),
        place_of=torch.zeros(n, dtype=torch.long),
        key_of=keys,
        queries=line,
        keys=line,
        support=support,
        values=v[0],
        output=call.output[0],
        clip_shape=clip_shape,
        branches=branches,
        note=_note(name.rpartition(".")[0], f"band{taps}", branches),
    )


def _taps(conv: DynamicConvolution, args: tuple[Any, ...], output: Tensor) -> RunningProduct:
    """Return a dynamic convolution as the product that does the same."""
    v: Tensor = args[0]
    rows = cache(lambda: banded(conv.weights(v), conv.before).flatten(0, -3))
    return tokens_product(lambda index: rows()[:, index], v, output, v.shape[-2])


def _note(layer: str, kind: str, branches: Branches | None) -> str:
    told = []
    if kind.startswith("band"):
        told.append(
            "Effective operator: a row holds the taps of the query's own kernel, which comes from "
            "the value at the query alone; they are no weights of an attention and pass W_2 where "
            "attention passes W_1, so the two are not to be added. Taps beyond an end of the line "
            "fall on no symbol."
        )
    if layer.startswith("decoder"):
        told.append("The row of a symbol is what the next one was written from.")
    if branches is not None:
        told.append(branches.sentence())
    return " ".join(told)


_SIGNS = ("symbols.weight", "places.weight", "encoder.0.attention.qkv.weight")


class SequenceLayout:
    """Keys are those of ``networks.sequence.transduction``."""

    flags: Mapping[str, str] = MappingProxyType(
        {"task": "whose alphabet it reads: " + ", ".join(TASKS), "heads": "heads of attention"}
    )

    def recognise(self, checkpoint: Checkpoint) -> str | None:
        """Return by what the file was recognised, or None."""
        if all(sign in checkpoint.tensors for sign in _SIGNS):
            return "an encoder and decoder over symbols"
        return None

    def read(self, checkpoint: Checkpoint, overrides: Mapping[str, object]) -> Reading:
        """Return how the file becomes a network; every name stays."""
        tensors = checkpoint.tensors
        flags = Flags(overrides, known=self.flags)
        told = str(checkpoint.meta.get("task", "copy"))
        origin: Origin = "config" if "task" in checkpoint.meta else "preset"
        task = cast(TaskName, flags.choice("task", told, origin, choices=TASKS))
        muse = "encoder.0.attention.alpha" in tensors
        kind: Kind = "muse" if muse else "transformer"
        own = tensors["encoder.0.attention.convolutions.0.taps.bias"] if muse else None
        heads = Size().heads if own is None else len(own) // KERNELS[0]
        heads = flags.number("heads", heads, "preset" if own is None else "shape")
        depth = {s: _depth(tensors, s) for s in ("encoder", "decoder")}
        size = Size(
            channels=tensors["symbols.weight"].shape[1],
            heads=heads,
            encoder=depth["encoder"],
            decoder=depth["decoder"],
            inner=tensors["encoder.0.feed.0.weight"].shape[0],
        )
        blocks = [
            Block(f"{stack}.{i}.{part}", size.channels, size.channels // heads, f)
            for stack, count in depth.items()
            for i in range(count)
            for part, f in _parts(muse, stack)
        ]
        said = TASKS[task].said
        what = "MUSE" if muse else "Transformer"
        return Reading(
            architecture=f"{what}, {depth['encoder']} layers of encoder and {depth['decoder']} of "
            "decoder",
            build=lambda: Transduction(task, kind, size),
            names={key: key for key in tensors},
            blocks=tuple(blocks),
            flags=flags.found,
            input_spec=InputSpec(),
            input_note="a text; each character is a symbol: " + " ".join(TASKS[task].symbols),
            trained_for=f"trained to write {said}",
        )


def _parts(muse: bool, stack: str) -> list[tuple[str, str]]:
    found = [("global", "embedded_gaussian")]
    found += [(f"band{k}", "effective_operator") for k in KERNELS if muse]
    return found + ([("cross", "embedded_gaussian")] if stack == "decoder" else [])


def _depth(tensors: Mapping[str, Tensor], stack: str) -> int:
    return len({key.split(".")[1] for key in tensors if key.startswith(f"{stack}.")})


FAMILY = Family(
    name="sequence",
    row=TableRow(
        source="`nlviz.networks.sequence`",
        networks="MUSE and a plain Transformer of each task",
        live="the same networks: attention and the bands of dynamic convolutions",
        recognised_by="`symbols`, `places`, `encoder.0.attention.qkv`",
        not_told="the task (in the file's metadata), heads of the Transformer",
        parity="rows",
        health="rows",
    ),
    blocks=SequenceAdapter(),
    checkpoint=SequenceLayout(),
    needs="nlviz.networks.sequence.transduction",
    cards=tuple(
        symbol_card("sequence", kind, paper, task)
        for kind, paper in (("muse", "arXiv 1911.09483"), ("transformer", "arXiv 1706.03762"))
        for task in TASKS
    ),
)
