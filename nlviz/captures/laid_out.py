"""Where the tokens of the attention products of a pass lie: found once for a shape, remembered."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from nlviz.families.reading.adapter import Prepared
from nlviz.families.reading.heads_in_rows import heads_in_rows, places_again, places_apart
from nlviz.families.reading.lines_of_tokens import Batch
from nlviz.families.reading.token_layout import (
    NoLayout,
    TokenLayout,
    line_side,
    token_layout,
    where_output_goes,
)
from nlviz.networks.acting_hooks import with_hooks
from nlviz.networks.attention.places import Factors, places_of_products
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.followed import NotFollowed
from nlviz.networks.random_numbers import RandomNumbers

_KNOWN: weakref.WeakKeyDictionary[nn.Module, dict[Any, Factors | str]] = weakref.WeakKeyDictionary()
GOES = (
    "Its queries are handed to several sets of keys; a query is shown at the place that what is "
    "computed for it is added to."
)
COUNTED = (
    "Where its tokens come from could not be followed: there are as many as boxes, and they are "
    "shown as these, in their order."
)
APART = 0.05  # frames and pixels within which a weight and what it weighs lie at one place
_MOST = 32  # input shapes of one network that are remembered


def factors_of(
    net: nn.Module,
    prepared: Prepared,
    acting: set[int],
    key: Any,
    drawn: RandomNumbers | None = None,
) -> Factors | str:
    """Return where the tokens of all products lie, found before or now; or why that is not known.

    Args:
        net: the network; the caller holds it.
        prepared: its input.
        acting: the numbers of the hooks that take part in what the network computes.
        key: of what else tells one network from another: its settings, for instance.
        drawn: what the pass drew at random, where it did: tokens may lie elsewhere in the next one,
            so where they lie in this one is not remembered.
    """
    if drawn is not None:
        return _found(net, prepared, acting, drawn)
    known = _KNOWN.setdefault(net, {})
    shape = tuple(prepared.tensor.shape)
    own = (shape, prepared.order, prepared.key, frozenset(acting), key)
    if own not in known:
        if len(known) >= _MOST:
            known.clear()
        known[own] = _found(net, prepared, acting, None)
    return known[own]


def _found(
    net: nn.Module, prepared: Prepared, acting: set[int], drawn: RandomNumbers | None
) -> Factors | str:
    def forward(x: Tensor) -> Any:
        if drawn is None:
            return prepared.call(net, x)
        with drawn.again():
            return prepared.call(net, x)

    try:
        with with_hooks(net, acting):
            return places_of_products(net, forward, prepared.tensor, ramp_of=prepared.laid)
    except NotFollowed as error:
        return str(error)


def layout_of(
    product: AttentionProduct,
    factors: Factors | str,
    order: Sequence[str],
    size: tuple[int, int, int],
    *,
    alone: bool = True,
    heads: int = 0,
    boxes: int = 0,
) -> TokenLayout:
    """Return where the tokens of a product lie; it is found once for a shape.

    ``alone`` is whether its keys are all that its queries reach; ``heads`` how many the module that
    it ran in has, where that says it; ``boxes`` how many the network was asked about.

    Raises:
        NoLayout: when that is not known, or they are no map.
    """
    n = product.number
    try:
        check_followed(n, factors, order)
    except NoLayout:
        if not (product.softmax and product.size[1] == product.size[2] == boxes):
            raise
        return _among_boxes(Batch(product.batch, heads), product.size[0], boxes, size[0])
    assert not isinstance(factors, str)
    kept = n, product.swapped, alone, boxes
    if kept not in factors.read:
        q, k = factors.of[n]
        q, k = (k, q) if product.swapped else (q, k)
        goes = None
        if n in factors.shared and n in factors.lands:
            goes = where_output_goes(q, factors.lands[n])
        values, in_rows = factors.values.get(n), heads_of(product, factors)
        if in_rows > 1 and goes is None:
            q, k = places_apart(q, in_rows), places_again(k, in_rows)
            values = None if values is None else places_again(values, in_rows)
        rows = n >= 0 and product.operator < 0 and product.softmax  # else nothing is a line
        batch = Batch(product.batch, heads) if rows else None
        try:
            layout = token_layout(goes or q, k, size, values, alone=alone, batch=batch, boxes=boxes)
            factors.read[kept] = layout if goes is None else replace(layout, note=GOES)
        except NoLayout as error:
            factors.read[kept] = str(error)
    found = factors.read[kept]
    if isinstance(found, str):
        raise NoLayout(found)
    assert isinstance(found, TokenLayout)
    return found


def _among_boxes(batch: Batch, entries: int, boxes: int, frames: int) -> TokenLayout:
    """Return the layout of attention among as many tokens as there are boxes."""
    groups = batch.groups(entries, frames)
    side = line_side(np.full((len(groups), boxes, 3), np.nan), None)
    return TokenLayout(groups, side, side, note=COUNTED)


def heads_of(product: AttentionProduct, factors: Factors | str) -> int:
    """Return how many heads the rows of a product hold; it is found once for a shape."""
    n = product.number
    if isinstance(factors, str) or n < 0 or n not in factors.of or product.operator >= 0:
        return 1
    if n in factors.shared:
        return 1
    kept = "heads", n, product.swapped
    if kept not in factors.read:
        q, k = factors.of[n]
        factors.read[kept] = heads_in_rows((k if product.swapped else q).at)
    found: int = factors.read[kept]
    return found


def check_followed(n: int, factors: Factors | str, order: Sequence[str]) -> None:
    """Refuse a product that the passes on positions did not come to.

    Raises:
        NoLayout: when they did not.
    """
    if isinstance(factors, str):
        raise NoLayout(f"where its tokens lie could not be followed ({factors})")
    ran = n + 1 if n >= 0 else -n  # how many products and softmaxes there were by then
    if n not in factors.of or factors.order[:ran] != tuple(order[:ran]):
        raise NoLayout("where its tokens lie could not be followed to it")


def of_a_picture(product: AttentionProduct, factors: Factors | str) -> bool:
    """Check whether weights are a softmax over a picture, the same for every query."""
    if isinstance(factors, str) or product.number not in factors.of:
        return False
    lands = factors.lands.get(product.operator)
    if lands is not None and not np.isnan(lands.at).any():
        group = lands.slots // product.size[1]
        rows = np.unique(np.stack([group, lands.at[:, 0]], 1), axis=0)
        if len(np.unique(rows[:, 1])) < len(rows):  # several rows in a frame, each for its places
            return False
    return of_its_own_places(factors, product.number)


def of_its_own_places(factors: Factors, number: int) -> bool:
    """Check whether weights that come from no product say each something of its own key alone.

    A softmax over a picture is so, as of a global context; a layer that gives a query the weights
    of all keys is not.
    """
    own, values = factors.of[number][1], factors.values.get(number)
    if values is None or own.at.shape != values.at.shape:
        return False
    off = np.abs(own.at - values.at)
    if not (off <= APART).all():
        return False
    # Weights of what lies around each place are a query's: their sets of keys overlap.
    sets = np.unique(own.at.round(2).reshape(len(own.at), -1), axis=0).reshape(-1, 3)
    return len(np.unique(sets, axis=0)) == len(sets)
