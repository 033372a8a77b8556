"""Where the tokens of every attention product lie: the network runs on positions in their place.

q and k as they enter a product have gone through all that moves tokens: windows, shifts, pooling,
merging, class tokens put before or behind. On positions (``nlviz.networks.followed``) each then
says where its token lies, and the same positions in all of its channels; where channels lie apart
and rows do not, the product is one of channels, which is no map of places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from nlviz.networks.attention.gates import Kind
from nlviz.networks.attention.landing import Landed, Landings, Way, landed
from nlviz.networks.attention.landing import Seen as Met
from nlviz.networks.attention.token_names import (
    TokenParameter,
    marked_parameters,
    marks_in,
    named_by_marks,
)
from nlviz.networks.attention.watch import Seen, watched
from nlviz.networks.followed import NotFollowed, Placed, on_positions
from nlviz.networks.followed_axes import SameInAllPasses, alike, thin
from nlviz.networks.places import Array
from nlviz.networks.where_cells_lie import all_apart, ramps

APART = 1e-6  # positions of one token in two channels differ by less, in frames and pixels


@dataclass(frozen=True, eq=False)
class TokenPlaces:
    """Where the tokens of one factor lie.

    Attributes:
        at: (entries, tokens, 3) frame, row and column of the input; NaN for what has no place.
        means: (entries, tokens) which are the mean of all others, and so have no place.
        names: (entries, tokens) of what has no place, as parameters are called; empty for others.
            None where that was not asked for.
        spread: pixels over which a token is a mean, at most.
        of_channels: whether the axis of its tokens is one of channels.
    """

    at: Array
    spread: float = 0.0
    of_channels: bool = False
    means: npt.NDArray[np.bool_] | None = None
    names: tuple[tuple[str, ...], ...] | None = None


@dataclass(frozen=True, eq=False)
class Factors:
    """Where the tokens of all products of a pass lie, by their numbers.

    Attributes:
        of: queries and keys of each product.
        values: what each attention sums; missing where no product with values was seen.
        order: which function computed each product in which module.
        lands: where what each attention computes goes, where that could be followed.
        shared: numbers of those whose queries are handed to several groups of keys.
        handed: numbers of those whose output another product hands on.
        gates: by module, what is scaled there by one number each.
        read: what was made of them, by number, where somebody keeps it.
    """

    of: Mapping[int, tuple[TokenPlaces, TokenPlaces]]
    values: Mapping[int, TokenPlaces]
    order: tuple[str, ...] = ()
    lands: Mapping[int, Landed] = field(default_factory=dict)
    shared: frozenset[int] = frozenset()
    handed: frozenset[int] = frozenset()
    gates: Mapping[str, Kind] = field(default_factory=dict)
    read: dict[Any, Any] = field(default_factory=dict)


def places_of_products(
    net: nn.Module,
    forward: Callable[[Tensor], Any],
    tensor: Tensor,
    *,
    ramp_of: Mapping[str, Tensor] | None = None,
) -> Factors:
    """Return where the tokens of q and k of each product lie, by the number of the product.

    Args:
        net: the network; it is left as it was.
        forward: runs it on another picture.
        tensor: the picture, (1, channels, T, H, W) or (T, channels, H, W).
        ramp_of: pictures that say where their pixels lie, where ``tensor`` has other axes; see
            ``nlviz.networks.where_cells_lie.ramps``.

    Raises:
        NotFollowed: when an operation's effect on positions is not known before any product.

    >>> import torch
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.patch = nn.Conv2d(3, 8, 4, 4)
    ...     def forward(self, x):
    ...         x = self.patch(x).flatten(2).mT
    ...         return (x @ x.mT).softmax(-1) @ x
    >>> net = Net()
    >>> q, k = places_of_products(net, net, torch.zeros(1, 3, 8, 12)).of[0]
    >>> q.at[0, :, 2]
    array([1.5, 5.5, 9.5, 1.5, 5.5, 9.5])
    """
    ramp_of = ramps(tensor) if ramp_of is None else ramp_of
    # Which products are of channels is seen where all places differ, and told to the other passes.
    of_channels: set[int] = set()
    landings: Landings | None = None
    went: list[Mapping[int, Met]] = []
    summed_by: dict[int, Way] = {}
    asked = SameInAllPasses()
    seen = Seen()

    def one_pass(picture: Tensor, *, first: bool = False) -> dict[int, tuple[Tensor, ...]]:
        nonlocal seen, landings
        with (
            on_positions(net),
            asked.one_pass(),
            watched(net, positions=True) as watch,
        ):
            watch.of_channels = of_channels
            watch.landings = Landings(landings)
            landings = landings or watch.landings
            watch.by_channel = _by_channel if first else None
            try:
                forward(picture)
            except Exception as error:
                if not watch.seen.factors:
                    if isinstance(error, NotFollowed):
                        raise
                    raise NotFollowed(f"{type(error).__name__}: {error}") from None
        went.append(watch.landings.found)
        summed_by.update(watch.landings.summed)
        seen = watch.seen
        return {
            number: (*pair, *((seen.values[number],) if number in seen.values else ()))
            for number, pair in seen.factors.items()
        }

    one_pass(all_apart(ramp_of), first=True)
    gates = seen.gates
    went.clear()
    passes = {name: one_pass(ramp) for name, ramp in ramp_of.items()}
    order = tuple(seen.order)
    assert landings is not None
    lands = _lands(dict(zip(passes, went, strict=True)), landings.groups, summed_by)
    numbers = sorted(set.intersection(*(set(found) for found in passes.values())))

    def part(number: int, which: int) -> TokenPlaces:
        each = {name: found[number][which] for name, found in passes.items()}
        return _placed(each, number in of_channels)

    pairs = {n: (part(n, 0), part(n, 1)) for n in numbers}
    tokens = marked_parameters(net)
    if _ambiguous(tokens, pairs.values()):
        nothing = (ramp_of["mass"].as_subclass(Tensor) * 0).as_subclass(Placed)
        mass: dict[int, tuple[Tensor, ...]] = {}
        marks: dict[int, tuple[Tensor, ...]] = {}
        with suppress(NotFollowed):  # then tokens have numbers for names, which is no block's end
            with marks_in(tokens, nothing.dtype, alike=True):
                mass = one_pass(nothing)
            with marks_in(tokens, nothing.dtype):
                marks = one_pass(nothing)
        pairs = {n: _named(pairs[n], marks.get(n, ()), mass.get(n, ()), tokens) for n in pairs}
    summed = [n for n in numbers if all(len(found[n]) == 3 for found in passes.values())]
    return Factors(
        pairs,
        {n: part(n, 2) for n in summed},
        order,
        lands,
        shared=frozenset(landings.shared),
        handed=frozenset(landings.handed),
        gates=gates,
    )


def _lands(
    went: Mapping[str, Mapping[int, Met]],
    groups: Mapping[int, npt.NDArray[np.int64]],
    summed: Mapping[int, Way],
) -> dict[int, Landed]:
    """Return where what each attention computes goes, by its number, as all passes say."""
    met = set.intersection(*(set(of) for of in went.values()))
    found = {}
    for n in met | set(summed):
        of = {name: of[n] for name, of in went.items()} if n in met else {}
        to = landed(of, groups[n], summed.get(n))
        if to is not None:
            found[n] = to
    return found


def _ambiguous(
    tokens: Sequence[TokenParameter], pairs: Iterable[tuple[TokenPlaces, TokenPlaces]]
) -> bool:
    """Check whether it is open which token without a place is which."""
    names = sum(len(token.names) for token in tokens)
    counts = (np.isnan(side.at[..., 0]).sum(1) for pair in pairs for side in pair)
    return names > 0 and any(bool((count > (names == 1)).any()) for count in counts)


def _named(
    pair: tuple[TokenPlaces, TokenPlaces],
    marks: tuple[Tensor, ...],
    mass: tuple[Tensor, ...],
    tokens: Sequence[TokenParameter],
) -> tuple[TokenPlaces, TokenPlaces]:
    """Return queries and keys with the names that their marks stand for."""
    found = []
    for side, x, ones in zip_longest(pair, marks[:2], mass[:2]):
        count = side.at.shape[:2]
        placed = isinstance(x, Placed) and isinstance(ones, Placed)
        at, of = (_mean(p.as_subclass(Tensor)) if placed else np.zeros(count) for p in (x, ones))
        if at.size != count[0] * count[1] or of.size != at.size:
            at = of = np.zeros(count)
        with np.errstate(divide="ignore", invalid="ignore"):
            number = np.where(np.abs(of) > 1e-9, at / of, 0.0).reshape(count)
        found.append(replace(side, names=named_by_marks(number, tokens)))
    return found[0], found[1]


def _placed(found: Mapping[str, Tensor], of_channels: bool) -> TokenPlaces:
    """Return where the tokens of a factor lie, (..., tokens, channels) on each ramp."""
    shape = found["mass"].shape
    count = int(np.prod(shape[:-2]))
    if not all(isinstance(x, Placed) for x in found.values()):
        return TokenPlaces(np.full((count, shape[-2], 3), np.nan))
    kept = {name: x.as_subclass(Tensor) for name, x in found.items()}
    mass = _mean(kept["mass"])
    with np.errstate(divide="ignore", invalid="ignore"):
        there = np.where(np.abs(mass) > 1e-9, 1.0, np.nan) / mass
        t, y, x, yy, xx = (_mean(kept[name]) * there for name in ("t", "y", "x", "yy", "xx"))
    spread = np.sqrt(np.clip(yy - y * y, 0, None) + np.clip(xx - x * x, 0, None))
    at = np.stack([t, y, x], -1).reshape(count, shape[-2], 3)
    means = _means(
        np.concatenate([at, yy.reshape(*at.shape[:2], 1), xx.reshape(*at.shape[:2], 1)], -1)
    )
    at[means] = np.nan
    finite = spread.reshape(means.shape)[~means]
    finite = finite[~np.isnan(finite)]
    return TokenPlaces(at, float(finite.max()) if finite.size else 0.0, of_channels, means)


def _means(moments: Array) -> npt.NDArray[np.bool_]:
    """Return which tokens are the mean of all others, (entries, tokens).

    Only a mean over the whole has the second moments of the whole, too: a token in the middle does
    not, and one in padding, whose moments are continued lines, varies less than the others lie
    apart.

    Args:
        moments: (entries, tokens, 5) first and second moments; NaN where a token has no place.
    """
    placed = np.array(~np.isnan(moments).any(-1))
    count = placed.sum(1)[:, None]
    known = np.where(placed[..., None], moments, 0.0)

    def of_others(x: Array) -> Array:
        rest = x.sum(1, keepdims=True) - x
        mean: Array = rest / np.maximum(count - 1, 1)[..., None]
        return mean

    others = of_others(known)
    near = np.abs(known - others).max(-1) < 1e-5 * (1 + np.abs(others).max(-1))
    apart = (of_others(known[..., 1:3] ** 2) - others[..., 1:3] ** 2).sum(-1)
    own = (known[..., 3:] - known[..., 1:3] ** 2).sum(-1)
    found = near & placed & (count > 3) & (apart > 1e-3) & (own > 0.99 * apart)
    return np.array(found & (found.sum(1, keepdims=True) == 1))


def _mean(x: Tensor) -> Array:
    """Return the mean over channels, (..., tokens), in double precision."""
    x = thin(x, [x.dim() - 1]) if alike([x], x.dim() - 1) else x.mean(-1, keepdim=True)
    found: Array = x[..., 0].double().cpu().numpy()
    return found


def _by_channel(x: Tensor) -> bool:
    """Check whether the channels of a token lie apart while the tokens do not."""
    if not isinstance(x, Placed):
        return False
    x = x.as_subclass(Tensor)
    last = x.dim() - 1
    if x.shape[last] == 1 or alike([x], last):
        return False
    thinned = thin(x, [d for d in range(last) if alike([x], d)]).double()
    apart = float((thinned.amax(last) - thinned.amin(last)).max())
    tokens = thinned.mean(last)
    between = float((tokens.amax(-1) - tokens.amin(-1)).max()) if tokens.shape[-1] > 1 else 0.0
    return apart > APART and between < apart / 2
