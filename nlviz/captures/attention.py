"""What a forward pass showed of attention: every product, laid on the picture, or refused."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from nlviz.affinity.receipt import Receipt
from nlviz.captures.reading import Readings, distinct
from nlviz.captures.sharing import units
from nlviz.captures.walked_attention import together
from nlviz.errors import BlockRefused, NlvizError
from nlviz.families.reading.adapter import Prepared
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.families.reading.heads_in_rows import (
    heads_apart,
    heads_in_rows,
    places_again,
    places_apart,
)
from nlviz.families.reading.operators import is_operator, operator_affinity, placed_operator
from nlviz.families.reading.product_affinity import product_affinity
from nlviz.families.reading.token_layout import (
    NoLayout,
    TokenLayout,
    token_layout,
    where_output_goes,
)
from nlviz.networks.acting_hooks import with_hooks
from nlviz.networks.attention.gates import said_of_gates
from nlviz.networks.attention.out_of_sight import out_of_sight
from nlviz.networks.attention.places import Factors, places_of_products
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.watch import PART, Seen, watched
from nlviz.networks.calls import RUN, Calls, block_and_run
from nlviz.networks.followed import NotFollowed
from nlviz.networks.hooks import recorded
from nlviz.networks.places import Places
from nlviz.networks.random_numbers import RandomNumbers

_KNOWN: weakref.WeakKeyDictionary[nn.Module, dict[Any, Factors | str]] = weakref.WeakKeyDictionary()
GOES = (
    "Its queries are handed to several sets of keys; a query is shown at the place that what is "
    "computed for it is added to."
)
HANDED = (
    "What is gathered so is handed on by another product, with weights of each query: no row here "
    "is all that a query's output is made of."
)
APART = 0.05  # frames and pixels within which a weight and what it weighs lie at one place
_MOST = 32  # input shapes of one network that are remembered


@contextmanager
def seen_in(
    adapter: AttentionAdapter, net: nn.Module, blocks: Sequence[str] | None = None
) -> Iterator[tuple[Seen, Calls]]:
    """See the attention of a network while the ``with`` block runs.

    Args:
        adapter: of its family, which says what is kept beside queries and keys.
        net: the network.
        blocks: names of those that are kept; None for all.
    """
    keep = wanted(blocks, adapter.block_names(net))
    entered = {
        name: module
        for name, module in (distinct(adapter.blocks(net)) if adapter.keeps else {}).items()
        if blocks is None or any(block_and_run(asked)[0] == name for asked in blocks)
    }
    with (
        recorded(net, entered, outputs=False) as calls,
        watched(net, keep=keep, sums=adapter.keeps) as watch,
    ):
        yield watch.seen, calls


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
    own = (tuple(prepared.tensor.shape), prepared.order, frozenset(acting), key)
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
            return places_of_products(net, forward, prepared.tensor)
    except NotFollowed as error:
        return str(error)


def read_attention(
    adapter: AttentionAdapter,
    net: nn.Module,
    seen: Seen,
    factors: Factors | str,
    prepared: Prepared,
    calls: Calls,
) -> Readings:
    """Read every attention product that a pass showed.

    Args:
        adapter: of the network's family.
        net: the network.
        seen: what was seen of the pass.
        factors: where its tokens lie, or why that is not known.
        prepared: the network's input.
        calls: of the blocks, where the adapter keeps what entered them.

    Raises:
        NlvizError: when no product was seen.
        BlockRefused: when none can be shown.
    """
    found = Readings()
    modules = dict(net.named_modules())
    names = adapter.token_names(net)
    blocks = adapter.block_names(net)
    told = adapter.note(prepared)
    tensor = prepared.tensor
    frames = tensor.shape[2] if tensor.dim() == 5 else len(tensor)
    size = (int(frames), int(tensor.shape[-2]), int(tensor.shape[-1]))
    called = _called(names)
    products = [p for p in seen.products if p.sure or is_operator(p, factors)]
    products, factors = together(products, factors, seen.order)
    products = [heads_apart(p, _heads_in_rows(p, factors)) for p in products]

    def part(product: AttentionProduct) -> TokenLayout:
        return _layout(product, factors, seen.order, size, alone=False)

    whole = units(products, part, prepared, token_names=names, prefix_name=called)
    runs = Counter(block_and_run(m)[0] for m in {unit.product.module for unit in whole})
    of_names = named([unit.product for unit in whole])
    for unit, (own, product) in zip(whole, of_names.items(), strict=True):
        name = renamed(own, blocks)
        try:
            if product.fault:
                raise BlockRefused(f"{name} is not shown: {product.fault}")
            if unit.affinity is not None:
                affinity = replace(unit.affinity, name=name)
            elif product.operator >= 0 and not _of_a_picture(product, factors):
                _followed(product.operator, factors, seen.order)
                assert not isinstance(factors, str)
                placed = placed_operator(product, factors, size)
                affinity, product = operator_affinity(name, product, placed, prepared)
            else:
                if product.operator >= 0 and product.weights is not None:
                    flat = product.weights.flatten(0, 1)[:, None]  # each query by itself
                    product = replace(product, weights=flat)
                    if not isinstance(factors, str) and product.operator in factors.handed:
                        product = replace(product, note=f"{product.note} {HANDED}")
                layout = _layout(product, factors, seen.order, size)
                product = replace(product, note=f"{product.note} {layout.note}".strip())
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
        except (LookupError, ValueError, RuntimeError) as error:  # nothing of it is shown
            found.refused[name] = (
                f"{name} is not shown: its tokens could not be laid out "
                f"({type(error).__name__}: {error})"
            )
        else:
            if receipt is not None:
                found.receipts[name] = receipt
            note = " ".join(n for n in (affinity.note, _run(product, runs), told) if n)
            found.affinities[name] = replace(affinity, note=note)
            found.blocks[name] = modules[block_and_run(product.module)[0]]
            if adapter.keeps and own == product.module:
                features = _features(adapter, name, found.blocks[name], product, calls, factors)
                if features is not None:
                    found.features[name] = features
    for module, why in seen.unread.items():
        name = _free(renamed(module, blocks) or "network", found)
        found.refused[name] = f"{name} is not shown: it computes {why}"
    for module, why in out_of_sight(net).items():
        name = _free(renamed(module, blocks), found)
        found.refused[name] = f"{name} is not shown: {why}"
    if not found.affinities:
        if not found.refused:
            raise NlvizError(
                "a network must compute attention in a form that can be seen to be shown; no "
                "product of queries and keys was seen in this forward pass"
                + "".join(f"; {said.removesuffix('.')}" for said in gates_in(factors))
            )
        raise BlockRefused(_reasons(found.refused))
    return found


def _run(product: AttentionProduct, runs: Mapping[str, int]) -> str:
    """Return which run of its block an attention is of; nothing where there was one."""
    block, run = block_and_run(product.module)
    if runs[block] < 2:
        return ""
    return f"The block ran {runs[block]} times in this forward pass; this is run {run or 1}."


def gates_in(factors: Factors | str) -> list[str]:
    """Return a sentence for each kind of gates that the passes on positions met."""
    return [] if isinstance(factors, str) else said_of_gates(factors.gates)


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


def renamed(name: str, names: Mapping[str, str]) -> str:
    """Return a name of a run or a product with its module's name exchanged.

    >>> renamed("layer.attn#2/3", {"layer.attn": "layer"}), renamed("head", {"layer": "block"})
    ('layer#2/3', 'head')
    """
    run, part, number = name.partition(PART)
    module, mark, which = run.partition(RUN)
    return f"{names.get(module, module)}{mark}{which}{part}{number}"


def _features(
    adapter: AttentionAdapter,
    name: str,
    module: nn.Module,
    product: AttentionProduct,
    calls: Calls,
    factors: Factors | str,
) -> Tensor | None:
    """Return what entered a block, laid on the picture; None where that is not known."""
    block, run = block_and_run(name)
    runs = calls.runs(block)
    if isinstance(factors, str) or len(runs) < (run or 1):
        return None
    call = runs[(run or 1) - 1]
    if product.runs > 1:
        whole = calls.together(block)
        if whole is None:
            return None
        call = whole[block]
    queries = factors.of[product.number][int(product.swapped)].at
    batch = len(call.args[0]) if call.args and isinstance(call.args[0], Tensor) else 0
    if not batch or len(queries) % batch:
        return None
    kept = product.number, "of its input"
    if kept not in factors.read:
        t, y, x = queries[:: len(queries) // batch].transpose(2, 0, 1)  # heads are side by side
        factors.read[kept] = Places(t, y, x, np.zeros(y.shape))
    call = replace(call, places=factors.read[kept])
    try:
        return adapter.features(block, module, Calls({block: [call]}))
    except NlvizError:
        return None


def _free(module: str, found: Readings) -> str:
    """Return a name for one more attention of a module."""
    taken = found.affinities.keys() | found.refused.keys()
    names = (module, *(f"{module}{PART}{n}" for n in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def wanted(blocks: Iterable[str] | None, names: Mapping[str, str]) -> set[str] | None:
    """Return the modules that hold the blocks which are asked for; None for all.

    Args:
        blocks: their names.
        names: of the blocks by those of their modules.
    """
    if blocks is None:
        return None
    modules = {name: module for module, name in names.items()}
    return {renamed(name.partition(PART)[0], modules) for name in blocks}


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
    n = product.number
    _followed(n, factors, order)
    assert not isinstance(factors, str)
    kept = n, product.swapped, alone
    if kept not in factors.read:
        q, k = factors.of[n]
        q, k = (k, q) if product.swapped else (q, k)
        goes = None
        if n in factors.shared and n in factors.lands:
            goes = where_output_goes(q, factors.lands[n])
        values, heads = factors.values.get(n), _heads_in_rows(product, factors)
        if heads > 1 and goes is None:
            q, k = places_apart(q, heads), places_again(k, heads)
            values = None if values is None else places_again(values, heads)
        try:
            layout = token_layout(goes or q, k, size, values, alone=alone)
            factors.read[kept] = layout if goes is None else replace(layout, note=GOES)
        except NoLayout as error:
            factors.read[kept] = str(error)
    found = factors.read[kept]
    if isinstance(found, str):
        raise NoLayout(found)
    assert isinstance(found, TokenLayout)
    return found


def _heads_in_rows(product: AttentionProduct, factors: Factors | str) -> int:
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


def _followed(n: int, factors: Factors | str, order: Sequence[str]) -> None:
    """Refuse a product that the passes on positions did not come to.

    Raises:
        NoLayout: when they did not.
    """
    if isinstance(factors, str):
        raise NoLayout(f"where its tokens lie could not be followed ({factors})")
    ran = n + 1 if n >= 0 else -n  # how many products and softmaxes there were by then
    if n not in factors.of or factors.order[:ran] != tuple(order[:ran]):
        raise NoLayout("where its tokens lie could not be followed to it")


def _of_a_picture(product: AttentionProduct, factors: Factors | str) -> bool:
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
