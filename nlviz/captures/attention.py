"""What a forward pass showed of attention: every product, laid on the picture, or refused."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.receipt import Receipt
from nlviz.captures.reading import Readings
from nlviz.captures.sharing import units
from nlviz.errors import BlockRefused, NlvizError
from nlviz.families.reading.adapter import AnyAdapter, Prepared
from nlviz.families.reading.product_affinity import product_affinity
from nlviz.families.reading.token_layout import NoLayout, TokenLayout, token_layout
from nlviz.networks.acting_hooks import with_hooks
from nlviz.networks.attention.out_of_sight import out_of_sight
from nlviz.networks.attention.places import Factors, places_of_products
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.watch import PART, Seen
from nlviz.networks.calls import block_and_run
from nlviz.networks.followed import NotFollowed

_KNOWN: weakref.WeakKeyDictionary[nn.Module, dict[Any, Factors | str]] = weakref.WeakKeyDictionary()
OF_A_LAYER = (
    "its weights come from no product of queries and keys (from a layer of their own, or a "
    "distance), so which pixel a row is about is not known"
)
APART = 0.05  # frames and pixels within which a weight and what it weighs lie at one place
_MOST = 32  # input shapes of one network that are remembered


def factors_of(net: nn.Module, prepared: Prepared, acting: set[int], key: Any) -> Factors | str:
    """Return where the tokens of all products lie, found before or now; or why that is not known.

    Args:
        net: the network; the caller holds it.
        prepared: its input.
        acting: the numbers of the hooks that take part in what the network computes.
        key: of what else tells one network from another: its settings, for instance.
    """
    known = _KNOWN.setdefault(net, {})
    own = (tuple(prepared.tensor.shape), prepared.order, frozenset(acting), key)
    if own not in known:
        if len(known) >= _MOST:
            known.clear()

        def forward(x: Tensor) -> Any:
            return prepared.call(net, x)

        try:
            with with_hooks(net, acting):
                known[own] = places_of_products(net, forward, prepared.tensor)
        except NotFollowed as error:
            known[own] = str(error)
    return known[own]


def read_attention(
    adapter: AnyAdapter, net: nn.Module, seen: Seen, factors: Factors | str, prepared: Prepared
) -> Readings:
    """Read every attention product that a pass showed.

    Args:
        adapter: of the network's family.
        net: the network.
        seen: what was seen of the pass.
        factors: where its tokens lie, or why that is not known.
        prepared: the network's input.

    Raises:
        NlvizError: when no product was seen.
        BlockRefused: when none can be shown.
    """
    found = Readings()
    modules = dict(net.named_modules())
    names = adapter.token_names(net)
    tensor = prepared.tensor
    frames = tensor.shape[2] if tensor.dim() == 5 else len(tensor)
    size = (int(frames), int(tensor.shape[-2]), int(tensor.shape[-1]))
    called = _called(names)

    def part(product: AttentionProduct) -> TokenLayout:
        return _layout(product, factors, seen.order, size, alone=False)

    whole = units(seen.products, part, prepared, token_names=names, prefix_name=called)
    of_names = named([unit.product for unit in whole])
    for unit, (name, product) in zip(whole, of_names.items(), strict=True):
        try:
            if product.fault:
                raise BlockRefused(f"{name} is not shown: {product.fault}")
            if unit.affinity is not None:
                affinity: Affinity = replace(unit.affinity, name=name)
            else:
                layout = _layout(product, factors, seen.order, size)
                affinity = product_affinity(
                    name, product, layout, prepared, token_names=names, prefix_name=called
                )
            last = affinity.queries.centre(affinity.queries.size - 1)[0]
            if last > prepared.clip_shape[0] - 0.5:
                raise NoLayout(f"its tokens lie on frame {last:g} of {prepared.clip_shape[0]}")
            receipt = _receipt(name, product, affinity.heads)
            if receipt is not None and not receipt.holds:
                raise BlockRefused(receipt.refusal)
        except NoLayout as error:
            found.refused[name] = f"{name} is not shown: {error}"
        except NlvizError as error:
            found.refused[name] = str(error)
        else:
            if receipt is not None:
                found.receipts[name] = receipt
            found.affinities[name] = affinity
            found.blocks[name] = modules[block_and_run(product.module)[0]]
    for module, why in seen.unread.items():
        name = _free(module or "network", found)
        found.refused[name] = f"{name} is not shown: it computes {why}"
    for module, why in out_of_sight(net).items():
        found.refused[_free(module, found)] = f"{module} is not shown: {why}"
    if not found.affinities:
        if not found.refused:
            raise NlvizError(
                "a network must compute attention in a form that can be seen to be shown; no "
                "product of queries and keys was seen in this forward pass"
            )
        raise BlockRefused(_reasons(found.refused))
    return found


def named(products: list[AttentionProduct]) -> dict[str, AttentionProduct]:
    """Return products by name: of the run of their module, numbered where there are several.

    >>> one, two = (AttentionProduct(n, "layer#2", None, None) for n in (1, 2))
    >>> list(named([one, two]))
    ['layer#2', 'layer#2/2']
    """
    count: Counter[str] = Counter()
    found: dict[str, AttentionProduct] = {}
    for product in products:
        module = product.module or "network"
        count[module] += 1
        number = count[module]
        found[module if number == 1 else f"{module}{PART}{number}"] = product
    return found


def _free(module: str, found: Readings) -> str:
    """Return a name for one more attention of a module."""
    taken = found.affinities.keys() | found.refused.keys()
    names = (module, *(f"{module}{PART}{n}" for n in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def wanted(blocks: Container[str] | None) -> set[str] | None:
    """Return the modules that hold the blocks which are asked for; None for all."""
    if blocks is None:
        return None
    return {name.partition(PART)[0] for name in blocks}  # type: ignore[attr-defined]


def _layout(
    product: AttentionProduct,
    factors: Factors | str,
    order: Sequence[str],
    size: tuple[int, int, int],
    *,
    alone: bool = True,
) -> TokenLayout:
    """Return where the tokens of a product lie; it is found once for a shape.

    ``alone`` is whether its keys are all that its queries reach.

    Raises:
        NoLayout: when that is not known, or they are no map.
    """
    if isinstance(factors, str):
        raise NoLayout(f"where its tokens lie could not be followed ({factors})")
    n = product.number
    ran = n + 1 if n >= 0 else -n  # how many products and softmaxes there were by then
    if n not in factors.of or factors.order[:ran] != tuple(order[:ran]):
        raise NoLayout(OF_A_LAYER if n < 0 else "where its tokens lie could not be followed to it")
    if n < 0 and not of_its_own_places(factors, n):
        raise NoLayout(OF_A_LAYER)
    kept = n, product.swapped, alone
    if kept not in factors.read:
        q, k = factors.of[n]
        q, k = (k, q) if product.swapped else (q, k)
        try:
            factors.read[kept] = token_layout(q, k, size, factors.values.get(n), alone=alone)
        except NoLayout as error:
            factors.read[kept] = str(error)
    found = factors.read[kept]
    if isinstance(found, str):
        raise NoLayout(found)
    assert isinstance(found, TokenLayout)
    return found


def of_its_own_places(factors: Factors, number: int) -> bool:
    """Check whether weights that come from no product say each something of its own key alone.

    A softmax over a picture is so, as of a global context; a layer that gives a query the weights
    of all keys is not.
    """
    own, values = factors.of[number][1], factors.values.get(number)
    if values is None or own.at.shape != values.at.shape:
        return False
    off = np.abs(own.at - values.at)
    return bool((off <= APART).all())


def _receipt(name: str, product: AttentionProduct, heads: int) -> Receipt | None:
    if product.error != product.error and product.note:
        return None  # dropout was left on: there is nothing to compare with
    return Receipt(
        name,
        product.error,
        product.tolerance,
        product.queries,
        heads,
        precision=product.precision,
    )


def _called(names: tuple[str, ...]) -> str:
    if names == ("cls",):
        return "the class token"
    if any(name.startswith("registers") for name in names):
        return "class token and registers"
    if any(name.startswith("object") for name in names):
        return "object queries"
    return "tokens without a place"


def _reasons(refused: Mapping[str, str]) -> str:
    first = next(iter(refused.values()))
    more = len(refused) - 1
    return first + (f" (and {more} more block{'s' if more > 1 else ''})" if more else "")
