"""Whether a block does anything: dead, untrained or alive, and whether its map is about the query.

A non-local block starts as the identity, and some stay it: after training the scale of the last
normalisation is still 0, a checkpoint lacked the block's keys, or rows never left the uniform one.
The rules, with their numbers, are the constants below; these are not published thresholds.

number            definition
``size``          |z - x| / |x|, Frobenius norms of the branch BN(W_z y) and of the block's input
``gamma``         mean |gamma| of the last normalisation
``effect``        what the network says without the block
``distance_*``    average cosine distance (1 - cos) / 2 over all pairs of queries, i = j included,
                  of input x, rows and output y: (1 - |mean_i u_i|^2) / 2 with u_i of unit length
                  (Cao et al. 2019, "GCNet", arXiv 1904.11492; its "output" is the branch z - x,
                  which a dead block does not have)
``unary_share``   1 - JSD(row, unary row) / ln 2 of the exact split (``decomposition``)
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.pairwise import SOFTMAX_NAMES, PairwiseName
from nlviz.affinity.split import can_split, split
from nlviz.analysis.statistics import (
    SAMPLE,
    average_distance,
    block_statistics,
    compared_queries,
)
from nlviz.captures.model import Capture
from nlviz.families import last_norm
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.calls import RUN, block_and_run, run_name
from nlviz.networks.hooks import recorded

if TYPE_CHECKING:
    from nlviz.captures.model import Model

DEAD_SIZE = 1e-4  # |branch| / |input| below which a block adds nothing
DEAD_EFFECT = 1e-6  # relative change of the logits below which it does, where its size is unknown
UNIFORM = 0.98  # mass in common with the uniform row from which softmax rows have chosen nothing
SAME_MAP = 0.9  # mass in common with the mean row from which all queries have the same map
MUCH = 0.75  # in common with the mean row, or alike to the unary part, from which that is told
LITTLE = 0.01  # change of a probability below which bypassing a block changes little
EXACT_PAIRS = 1 << 24  # query-key pairs up to which distances are over all rows, not a sample
CHUNK = 1 << 22  # query-key pairs that are in memory at once

State = Literal["dead", "untrained", "alive"]


@dataclass(frozen=True)
class Effect:
    """What changes in the network's answer when a block is bypassed.

    Attributes:
        probability: largest change of a class's probability, in [0, 1].
        top1: whether another class becomes the most probable one.
        logits: |changed logits - logits| / |logits|.
    """

    probability: float
    top1: bool
    logits: float


@dataclass(frozen=True)
class BlockHealth:
    """Whether a block is alive, on one clip.

    Numbers of rows are per head, and their mean over heads. Where queries see only their own group
    of frames, they are compared within it.

    Attributes:
        size: size of what the block adds against its input, or None where it is not known.
        gamma: mean |gamma| of the last normalisation, or None where a block lacks it.
        initial_norm: whether that normalisation has the values it starts with (all gammas alike and
            not 0, all shifts 0).
        effect: what bypassing it changes, or None where that was not tried or there are no logits.
        distance_input, distance_output: average distance over all queries of what enters the block
            and of y; the latter None where y was not kept.
        distance_rows: average distance of the rows.
        rows: number of queries over which it is, all of them or evenly spread ones.
        queries: number of queries, evenly spread, that the shares below are over.
        shared: mean mass that a row has in common with the mean row.
        uniform: mean mass that a row has in common with the uniform row.
        unary_share: how much of the rows the unary part alone gives, in [0, 1]; None where rows are
            no softmax.
        pairwise: name of the pairwise function.
        distance_reach: average distance that rows would have which are uniform over what each
            query reaches: above 0 where queries that are compared reach different keys, as in
            causal attention.
    """

    size: float | None
    gamma: float | None
    initial_norm: bool
    effect: Effect | None
    distance_input: float | None
    distance_rows: float
    distance_output: float | None
    rows: int
    queries: int
    shared: float
    uniform: float
    unary_share: float | None
    pairwise: PairwiseName
    distance_reach: float = 0.0

    @property
    def state(self) -> State:
        """Whether the block is dead, looks untrained, or is alive; the rules are the constants."""
        nothing = self.effect is not None and self.effect.logits < DEAD_EFFECT
        if self.size < DEAD_SIZE if self.size is not None else nothing:
            return "dead"
        chose_nothing = self.pairwise in SOFTMAX_NAMES and self.uniform > UNIFORM
        return "untrained" if self.initial_norm or chose_nothing else "alive"

    @property
    def same_map(self) -> bool:
        """Whether the map is nearly the same for every query."""
        return self.shared > SAME_MAP

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.state == "dead":
            what = "nothing" if not self.size else f"only {self.size:.0e} of its input's size"
            return f"The block is dead: it adds {what}, so its map changes nothing."
        if self.state == "untrained":
            why = (
                "its last normalisation still has the values it starts with"
                if self.initial_norm
                else f"its rows are {100 * self.uniform:.0f} % uniform"
            )
            return f"The block looks untrained: {why}."
        little = self.effect and not self.effect.top1 and self.effect.probability < LITTLE
        alive = "alive, but the network says nearly the same without it" if little else "alive"
        if self.rows < 2:
            return (
                f"The block is {alive}; with one query alone, no map is there to compare it with."
            )
        common = max(self.shared, self.unary_share or 0.0)
        if common > SAME_MAP:
            return f"The block is {alive}; its map is nearly the same for every query."
        if common > MUCH:
            return f"The block is {alive}; much of its map is the same for every query."
        return f"The block is {alive}; its map depends on the query."

    def probed(self, model: Model, capture: Capture, block: str) -> BlockHealth:
        """Return this health with what takes forward passes.

        One pass without the block, for its effect on the logits, if there are any; and, if the
        block's size is not known from the capture (attention of a transformer), one with it.

        Raises:
            OutOfMemory: when the device's memory does not suffice.
        """
        size = _residual_size(model, capture, block) if self.size is None else self.size
        return replace(self, size=size, effect=bypass_effect(model, capture, block))


def block_health(model: Model | None, capture: Capture, block: str) -> BlockHealth:
    """Return whether a block does anything on this clip, and whether its map is about the query.

    Args:
        model: the network that the capture is of; bypassing the block takes one forward pass. None
            leaves that out.
        capture: of the clip.
        block: its name.

    Raises:
        UnknownBlock: when there is no such block.
        OutOfMemory: when the device's memory does not suffice.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> model = nlviz.load_model("lite-nl")
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> health = block_health(model, model.capture(clip), "stage4")
    >>> health.state, health.same_map
    ('alive', False)
    """
    affinity = capture.affinities[block]
    statistics = block_statistics(capture, block)
    module = capture.blocks.get(block)  # None in a capture out of a file
    scale = None if module is None else last_scale(module)
    distance, counted = _row_distance(affinity)
    found = BlockHealth(
        size=_size(module, affinity, capture.features.get(block)),
        gamma=None if scale is None else float(scale[0].abs().mean()),
        initial_norm=scale is not None and _initial(*scale),
        effect=None,
        distance_input=statistics.distance_input,
        distance_rows=distance,
        distance_output=_output_distance(affinity),
        rows=counted,
        queries=statistics.queries,
        shared=statistics.shared,
        uniform=statistics.uniform,
        unary_share=unary_share(affinity),
        pairwise=affinity.pairwise.name,
        distance_reach=_reach_distance(affinity),
    )
    return found if model is None else found.probed(model, capture, block)


def bypass_effect(model: Model, capture: Capture, block: str) -> Effect | None:
    """Return what changes in the network's answer without the block; None without logits.

    One forward pass.
    """
    if capture.logits is None:
        return None
    before = capture.logits.double()
    # The first of several runs is left out alone, as its map is of that run alone.
    runs = run_name(block, 2) in capture.affinities or run_name(block, 2) in capture.refused
    without = f"{block}{RUN}1" if runs else block
    after = model.logits(capture.clip, bypass=without).double().cpu()
    change = (after.softmax(-1) - before.softmax(-1)).abs().max()
    return Effect(
        probability=float(change),
        top1=int(after.argmax()) != int(before.argmax()),
        logits=float((after - before).norm() / before.norm().clamp(min=1e-30)),
    )


def unary_share(affinity: Affinity) -> float | None:
    """Return how much of the rows the unary part alone gives: 1 - JSD / ln 2, in [0, 1].

    The mean over at most 512 queries, evenly spread, and over heads; 1 means that every row is the
    one that all queries share. None where rows are no softmax of inner products.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> grids = TokenGrid((1, 3, 4)), TokenGrid((1, 2, 3))
    >>> theta, phi = torch.ones(1, 12, 5), torch.randn(1, 6, 5)
    >>> same = EmbeddedAffinity("block", Pairwise("gaussian"), theta, phi, *grids)
    >>> round(unary_share(same), 5)
    1.0
    """
    if not can_split(affinity):
        return None
    unary = split(affinity).unary
    parts = torch.split(affinity.evenly(SAMPLE), 64)
    each = [divergence(affinity.rows(part), unary.rows(part)).flatten() for part in parts]
    return float((1 - torch.cat(each) / math.log(2)).mean())


def divergence(p: Float[Tensor, "*n k"], q: Float[Tensor, "*n k"]) -> Float[Tensor, "*n"]:
    """Jensen-Shannon divergence in nats: entropy of the mean minus the mean of the entropies."""
    p, q = p.double(), q.double()
    entropy = torch.special.entr((p + q) / 2) - (torch.special.entr(p) + torch.special.entr(q)) / 2
    divergence: Tensor = entropy.sum(-1)
    return divergence.clamp(min=0)


def last_scale(module: nn.Module) -> tuple[Tensor, Tensor | None] | None:
    """Return gamma and beta of the normalisation behind a block's output projection, or None.

    >>> gamma, beta = last_scale(NonLocalBlock(6))
    >>> gamma.shape, bool(gamma.any())
    (torch.Size([6]), False)
    >>> last_scale(NonLocalBlock(6, norm=False)) is None
    True
    """
    norm = last_norm(module)
    if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.weight is not None:
        return norm.weight.detach(), None if norm.bias is None else norm.bias.detach()
    return None


def _initial(gamma: Tensor, beta: Tensor | None) -> bool:
    first = gamma.flatten()[0]
    alike = bool((gamma == first).all()) and float(first) != 0
    return alike and (beta is None or not bool(beta.any()))


def _size(
    module: nn.Module | None, affinity: Affinity, x: Float[Tensor, "channels t h w"] | None
) -> float | None:
    """Return |z - x| / |x| of a block of this project from the y that it computed."""
    # One that adds something else, or through more than its weights, is measured (see ``probed``).
    if type(module) is not NonLocalBlock or not module.is_plain or x is None:
        return None
    if not isinstance(affinity, EmbeddedAffinity) or affinity.output is None:
        return None
    # The projection and its normalisation work on each position alone; queries lie along one axis.
    project = nn.Sequential(copy.deepcopy(module.out), copy.deepcopy(module.bn)).eval().float()
    weight = next(project.parameters())
    y = affinity.output[0, affinity.queries.prefix :].to(weight).mT[None]
    with torch.no_grad():
        branch = project(y.reshape(*y.shape, *(1,) * (module.dimension - 1)))
    return float(branch.norm() / x.float().norm().clamp(min=1e-30))


def _residual_size(model: Model, capture: Capture, block: str) -> float | None:
    """Measure |added| / |x| over all tokens in one forward pass; None where it cannot be seen.

    The adapter knows which modules show it: of a block that returns z = x + W_z y it is
    |z - x| / |x|; of attention, x is what enters the transformer's whole block.
    """
    branch = model.adapter.branch(model.net, block)
    if branch is None:
        return None
    prepared = model.prepared(capture.clip)
    with (
        model.exclusive(capture.clip),
        torch.no_grad(),
        recorded(model.net, {"whole": branch.whole, "added": branch.added}) as calls,
    ):
        model.run(prepared)
    pairs = list(zip(calls.runs("whole"), calls.runs("added"), strict=False))
    run = block_and_run(block)[1] or 1
    if run_name(block, 2) in capture.affinities or run > 1:
        pairs = pairs[run - 1 : run]
    sizes = []
    for whole, part in pairs:
        x, added = whole.args[0].float(), part.output
        if not isinstance(added, Tensor) or (branch.with_input and added.shape != x.shape):
            return None
        added = added.float() - x if branch.with_input else added.float()
        sizes.append((added.norm(), x.norm()))
    if not sizes:
        return None
    norms = torch.tensor(sizes).norm(dim=0)
    return float(norms[0] / norms[1].clamp(min=1e-30))


def _row_distance(affinity: Affinity) -> tuple[float, int]:
    """Return the average distance of rows and over how many it is: all, or evenly spread ones."""
    keys = affinity.heads * (affinity.keys.size + affinity.keys.prefix)
    n = affinity.queries.size
    whole = n * keys <= EXACT_PAIRS
    index = affinity.evenly(n) if whole else compared_queries(affinity, SAMPLE)
    group = affinity.query_groups.to(index.device)[index]
    total = 0.0
    for g in set(group.tolist()):
        own = index[group == g]
        parts = torch.split(own, max(CHUNK // keys, 16))
        units = (F.normalize(affinity.rows(part).double(), dim=-1).sum(1) for part in parts)
        mean = torch.stack(list(units)).sum(0) / len(own)  # (heads, keys)
        total += float(((1 - mean.square().sum(-1)) / 2).mean()) * len(own)
    return total / len(index), len(index)


def _reach_distance(affinity: Affinity) -> float:
    """Return the average distance of rows that are uniform over what each query reaches."""
    index = compared_queries(affinity, SAMPLE)
    mask = affinity.support.mask_all(affinity.queries, affinity.keys, index.cpu())
    if mask is None:
        return 0.0
    return average_distance(mask.float(), affinity.query_groups.cpu()[index.cpu()])


def _output_distance(affinity: Affinity) -> float | None:
    """Return the average distance of y over all queries, heads side by side as they are used."""
    if not isinstance(affinity, EmbeddedAffinity) or affinity.output is None:
        return None
    y = affinity.output[:, affinity.queries.prefix :].transpose(0, 1).flatten(1)
    return average_distance(y, affinity.query_groups.to(y.device))
