"""Where the vision tokens lie that enter a language model: found by running what sees on positions.

A vision tower merges patches, pools, drops its class token and puts ends of rows between; then its
features take the places of one repeated token among the words. On positions in place of pixels
(``nlviz.families.reading.pixel_ramps``) what enters the language model says of each token which
pixels of the clip it is the mean of, whatever the tower does; a word is of none.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from nlviz.affinity.grid import TokenGrid
from nlviz.errors import NlvizError
from nlviz.families.reading.prepared import Prepared
from nlviz.families.reading.token_layout import NoLayout, queries_on_grid
from nlviz.networks.calls import Calls
from nlviz.networks.followed import NotFollowed
from nlviz.networks.places import Array
from nlviz.networks.where_cells_lie import Walk

_KNOWN: weakref.WeakKeyDictionary[nn.Module, dict[Any, TokenPlaces]] = weakref.WeakKeyDictionary()
_MOST = 32  # kinds of input of one network that are remembered
OFF = 0.2  # of a stride, by which a token may lie beside its place on the grid
_COARSER = 1.3  # times as wide as others are the tokens of an overview, or more


class Enough(Exception):
    """The language model was reached: what it computes is not asked for."""


@dataclass(frozen=True, eq=False)
class TokenPlaces:
    """Where tokens lie in the clip.

    Attributes:
        at: (tokens, 3) frame, row and column; NaN for what has no place.
        spread: (tokens,) deviation of the pixels that each is made of.
    """

    at: Array
    spread: Array


@dataclass(frozen=True, eq=False)
class VisionGrid:
    """The vision tokens of a sequence as a grid of the clip.

    Attributes:
        grid: the grid.
        of: number in the sequence of each of its tokens, in their order.
        overview: numbers of those that show the whole picture once more, coarser.
        apart: numbers of those that come from no pixel: ends of rows, or of the clip.
    """

    grid: TokenGrid
    of: npt.NDArray[np.int64]
    overview: npt.NDArray[np.int64]
    apart: npt.NDArray[np.int64]


def vision_places(
    net: nn.Module,
    model: nn.Module,
    forward: Callable[[Tensor], Any],
    tensor: Tensor,
    ramp_of: Mapping[str, Tensor],
    key: Any,
    vision: npt.NDArray[np.bool_],
) -> TokenPlaces:
    """Return where the vision tokens lie, in the order of the sequence; remembered by ``key``.

    Args:
        net: the network; the caller holds it.
        model: its language model.
        forward: runs it on other pixels.
        tensor: the pixels.
        ramp_of: pixels that say where they lie.
        key: of all that the places depend on.
        vision: which tokens of the sequence stand for the clip.

    Raises:
        NlvizError: when they could not be followed.
    """
    known = _KNOWN.setdefault(net, {})
    if key not in known:
        if len(known) >= _MOST:
            known.clear()
        known[key] = _found(net, model, forward, tensor, ramp_of, vision)
    return known[key]


def _found(
    net: nn.Module,
    model: nn.Module,
    forward: Callable[[Tensor], Any],
    tensor: Tensor,
    ramp_of: Mapping[str, Tensor],
    vision: npt.NDArray[np.bool_],
) -> TokenPlaces:
    try:
        walk = Walk(net, forward, tensor, {"words": model}, ramp_of=ramp_of)
        found = walk.places(_entering)
    except NotFollowed as error:
        raise NlvizError(
            f"where the vision tokens of {type(net).__name__} lie could not be followed ({error}); "
            "its own prepare= and the part that sees can still be captured"
        ) from None
    at = np.stack([found.t, found.y, found.x], -1)
    if len(at) != len(vision):
        raise NlvizError(
            f"the language model of {type(net).__name__} is given {len(at)} tokens where its "
            f"processor made {len(vision)}: which of them is which is not known"
        )
    if not np.isnan(at[~vision]).all():
        raise NlvizError(f"pixels enter the words of {type(net).__name__}, not its vision tokens")
    if np.isnan(at[vision]).all():
        raise NlvizError(
            f"none of the {int(vision.sum())} vision tokens of {type(net).__name__} has a place: "
            "they are made by queries of its own that look at the whole picture"
        )
    return TokenPlaces(at[vision], found.spread[vision])


def stopping(model: nn.Module, run: Callable[[], Any]) -> Any:
    """Run a network up to its language model; what the library notes of the call is forgotten.

    Raises:
        Enough: when it came there.
    """

    def stop(module: nn.Module, args: Any) -> None:
        raise Enough

    handle = model.register_forward_pre_hook(stop)
    try:
        # In a context of its own: the library's collectors of hidden states are not taken back.
        return copy_context().run(run)
    finally:
        handle.remove()


def _entering(calls: Calls) -> Tensor:
    """Return what entered the language model, (channels, tokens)."""
    for x in calls["words"].args:
        if isinstance(x, Tensor) and x.dim() == 3 and x.is_floating_point():
            return x[0].mT
    raise NotFollowed("its language model is given no vectors")


def vision_grid(
    places: TokenPlaces, numbers: npt.NDArray[np.int64], prepared: Prepared, *, name: str
) -> VisionGrid:
    """Return vision tokens on their grid.

    Where the picture is given in tiles and once more as a whole, the tiles make the grid.

    Args:
        places: of the vision tokens.
        numbers: of them in the sequence.
        prepared: the network's input, whose pixels have the places of the clip.
        name: of the network, for a refusal.

    Raises:
        NlvizError: when they fill no grid.
    """
    placed = ~np.isnan(places.at[:, 0])
    why = ""
    for coarse in _overviews(places, placed):
        some = placed & ~coarse
        try:
            side = queries_on_grid(places.at[some][None], prepared.clip_shape, "vision tokens")
        except NoLayout as error:
            why = why or str(error)
            continue
        grid = side.grid(prepared)
        if any(o > OFF * abs(s) for o, s in zip(grid.off, grid.stride, strict=True)):
            why = why or "its vision tokens lie on no even lines"
            continue
        order = np.argsort(side.cell[0])
        return VisionGrid(grid, numbers[some][order], numbers[placed & coarse], numbers[~placed])
    raise NlvizError(f"the language model of {name} is not shown: {why}")


def _overviews(
    places: TokenPlaces, placed: npt.NDArray[np.bool_]
) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield which tokens may show the picture once more as a whole: none, then coarse ones."""
    yield np.zeros_like(placed)
    sizes = np.unique(places.spread[placed].round(3))
    steps = sizes[1:] / np.maximum(sizes[:-1], 1e-3)
    if len(steps) and float(steps.max()) >= _COARSER:
        limit = sizes[int(steps.argmax())] * 1.01 + 1e-3
        yield placed & (places.spread > limit)
    # Tokens at the edge of padding are finer than the others; then their order tells.
    steps = np.diff(places.at[placed][:, 1])
    back = np.flatnonzero(steps < -0.5 * np.abs(steps).max(initial=0.0)) + 1
    if len(back):
        for first, end in ((0, int(back[0])), (int(back[-1]), int(placed.sum()))):
            found = np.zeros_like(placed)
            found[np.flatnonzero(placed)[first:end]] = True
            yield found


def key_of(inputs: Mapping[str, Any], tokens: int) -> Any:
    """Return what the places of vision tokens depend on, beside the shape of the pixels.

    Args:
        inputs: of the network, by name.
        tokens: how many of them there are.
    """
    sizes = {
        n: (tuple(v.shape), tuple(v.flatten().tolist()) if v.numel() < 4096 else None)
        for n, v in inputs.items()
        if isinstance(v, Tensor) and not v.is_floating_point() and _of_pictures(n)
    }
    return tokens, tuple(sorted(sizes.items()))


def _of_pictures(name: str) -> bool:
    return "grid" in name or "image" in name or "video" in name or "pixel" in name
