"""Norms of tokens, layer by layer: where a network has tokens that are far longer than others.

Darcet et al. 2024, "Vision Transformers Need Registers" (arXiv 2309.16588): in some large networks
a few patches of little content have a norm far above all others and hold what is of the whole
picture. How far is theirs to say for each network; no threshold is put up here, the histogram shows
whether there is a second hump.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.grid import TokenGrid
from nlviz.captures.layer_features import Look, layer_named
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.graph import Graph
from nlviz.clips.text import Text
from nlviz.errors import NlvizError, UnknownBlock, did_you_mean
from nlviz.networks.acting_hooks import acting_hooks
from nlviz.networks.calls import block_and_run
from nlviz.networks.layer_calls import kept_of
from nlviz.networks.places import Array
from nlviz.progress import Listener, Progress

BINS = 24


@dataclass(frozen=True, eq=False)
class LayerNorms:
    """The norms of the tokens that leave one layer.

    Attributes:
        layer: its name.
        grid: where the tokens lie.
        norms: L2 norm over the channels of each token that has a place, (t, h, w).
        apart: of those without a place, class token and registers, (tokens,).
        names: of these, one for each; empty where they are not known.
        note: a sentence on what a reader must know, or empty.
    """

    layer: str
    grid: TokenGrid
    norms: Float[Tensor, "t h w"]
    apart: Float[Tensor, " tokens"]
    names: tuple[str, ...] = ()
    note: str = ""

    @property
    def median(self) -> float:
        """Median norm of the tokens that have a place."""
        return float(self.norms.flatten().quantile(0.5))

    @property
    def largest(self) -> float:
        """Largest norm of a token that has a place, over the median."""
        return float(self.norms.max()) / max(self.median, 1e-30)

    def top(self, k: int) -> list[tuple[int, float]]:
        """Return the k longest tokens that have a place: flat index and norm, longest first."""
        values, index = self.norms.flatten().topk(min(k, self.norms.numel()))
        return [(int(i), float(v)) for i, v in zip(index, values, strict=True)]

    def histogram(self, bins: int = BINS) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return edges, evenly apart in the logarithm, and how many tokens lie between them."""
        norms = self.norms.flatten().double().clamp(min=1e-30).numpy()
        low, high = float(norms.min()), float(norms.max())
        edges = np.geomspace(low, max(high, low * (1 + 1e-9)), bins + 1)
        edges[0], edges[-1] = low * (1 - 1e-9), edges[-1] * (1 + 1e-9)
        count, _ = np.histogram(norms, edges)
        return edges, count.astype(np.int64)


@dataclass(frozen=True, eq=False)
class TokenNorms(Mapping[str, LayerNorms]):
    """Norms of tokens of a network's layers on one clip, by layer, in forward order.

    Attributes:
        clip: the clip.
        layers: of each layer.
        refused: layers whose tokens could not be laid on the clip, and why.
    """

    clip: Clip
    layers: Mapping[str, LayerNorms]
    refused: Mapping[str, str]

    def __getitem__(self, layer: str) -> LayerNorms:
        if layer in self.refused:
            raise NlvizError(self.refused[layer])
        if layer not in self.layers:
            raise UnknownBlock(f"no layer is called {layer!r}{did_you_mean(layer, self.layers)}")
        return self.layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def table(self) -> list[dict[str, Any]]:
        """Return a record for each layer: median, largest over median, where, and tokens apart."""
        found = []
        for name, of in self.layers.items():
            ((index, norm),) = of.top(1)
            frame, y, x = of.grid.centre(index)
            longest = float(of.apart.max()) / max(of.median, 1e-30) if len(of.apart) else None
            found.append(
                {
                    "layer": name,
                    "median": of.median,
                    "largest": norm,
                    "ratio": of.largest,
                    "frame": frame,
                    "y": y,
                    "x": x,
                    "apart": longest,
                }
            )
        return found

    def __repr__(self) -> str:
        return "\n".join(
            f"{r['layer']}: median {r['median']:.3g}, largest {r['ratio']:.1f}x"
            for r in self.table()
        )


def token_norms(
    model: Model,
    clip: Clip,
    *,
    layers: Sequence[str] | None = None,
    progress: Listener | None = None,
) -> TokenNorms:
    """Measure how long the tokens are that leave each layer, in one forward pass.

    Where tokens lie is followed through the network once for all layers of one kind and size.

    Args:
        model: the network.
        clip: the input.
        layers: dotted names of modules; by default the layers that hold the network's blocks.
        progress: called with a sentence and a share in [0, 1]; what it raises stops the work.

    Raises:
        UnknownBlock: when there is no such layer.
        NlvizError: when the tokens of none can be laid on the clip.
        OutOfMemory: when the device's memory does not suffice.

    >>> import nlviz
    >>> clip = Clip.from_frames(np.random.default_rng(0).integers(0, 255, (1, 64, 96, 3), np.uint8))
    >>> found = token_norms(nlviz.load_model("lite-nl"), clip)
    >>> list(found), found["stage4"].norms.shape
    (['stage3', 'stage4'], torch.Size([1, 14, 21]))
    """
    if isinstance(clip, (Text, Graph)):
        raise NlvizError(
            f"norms of tokens are laid on a clip, {clip.name} is none; give a network of clips one"
        )
    tell = Progress.of(progress)
    names = [layer_named(model.net, n)[0] for n in layers] if layers else layers_of(model)
    if not names:
        raise NlvizError(
            f"{model.about.name} has no layers around its blocks that are known by name; say which "
            "with layers="
        )
    tell("Preparing the input", 0.0)
    clip = model.long_enough(clip)
    prepared = model.prepared(clip)
    model.check_memory(prepared)
    looks = [_Shared(model, prepared, name, "output", None) for name in dict.fromkeys(names)]
    found: dict[str, LayerNorms] = {}
    refused: dict[str, str] = {}
    with model.exclusive(clip), torch.no_grad():
        tell("Running the network for its layers", 0.1)
        with acting_hooks(model.net) as acting, ExitStack() as stack:
            kept = [stack.enter_context(kept_of(k.layer, "output", k.pick)) for k in looks]
            model.run(prepared)
        placed: dict[Any, _Shared] = {}
        for i, (look, tensors) in enumerate(zip(looks, kept, strict=True)):
            tell(f"Following where the tokens of {look.name} lie", 0.3 + 0.7 * i / len(looks))
            look.acting, look.tensors = acting, tensors
            kind = type(look.layer), tuple(tuple(x.shape) for x in tensors)
            look.like = placed.get(kind)
            try:
                found[look.name] = _norms(look, clip)
                placed.setdefault(kind, look)
            except NlvizError as error:
                refused[look.name] = str(error)
    if not found:
        raise NlvizError(next(iter(refused.values())))
    return TokenNorms(clip, found, refused)


class _Shared(Look):
    """A look at a layer whose tokens lie as those of another one of its kind do."""

    like: Look | None = None

    def places(self, side: Any, pick: Any, count: int) -> list[Array]:
        """Return where the elements lie: as in the other layer, where there is one."""
        if self.like is not None and side == "output":
            return self.like.places(side, self.like.pick, count)
        return super().places(side, pick, count)


def _norms(look: _Shared, clip: Clip) -> LayerNorms:
    if not look.tensors:
        raise NlvizError(f"{look.name} must run to have tokens, it was not called in this pass")
    features = look.features(clip, None)
    apart = features.apart
    return LayerNorms(
        layer=look.name,
        grid=features.grid,
        norms=features.values.float().norm(dim=0).cpu(),
        apart=torch.zeros(0) if apart is None else apart.float().norm(dim=-1).cpu(),
        names=features.token_names,
        note=features.note,
    )


def layers_of(model: Model) -> list[str]:
    """Return the layers that hold a network's blocks: those of a list or a sequence of modules.

    >>> import nlviz
    >>> layers_of(nlviz.load_model("transformer.copy"))
    ['encoder.0', 'encoder.1', 'decoder.0']
    """
    net = model.net
    modules = dict(net.named_modules())
    own = {id(module): name for name, module in reversed(modules.items())}
    known = model.adapter.blocks(net)
    found: list[str] = []
    for block in model.blocks:
        name = block_and_run(block.partition("/")[0])[0]
        if name in known:
            name = own.get(id(known[name]), name)
        found.append(_around(modules, name))
    return [name for name in dict.fromkeys(found) if name]


def _around(modules: Mapping[str, nn.Module], name: str) -> str:
    """Return the innermost module around one that is an item of a list or a sequence."""
    whole = name if name in modules else ""
    while name:
        before = name.rpartition(".")[0]
        if isinstance(modules.get(before), (nn.ModuleList, nn.Sequential)) and name in modules:
            return name
        name = before
    return whole
