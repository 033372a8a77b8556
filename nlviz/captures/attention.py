"""What a forward pass showed of attention: every product, laid on the picture, or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from nlviz.affinity.receipt import Receipt
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.captures.laid_out import check_followed, heads_of, layout_of, of_a_picture
from nlviz.captures.reading import Readings, distinct
from nlviz.captures.sharing import units
from nlviz.captures.sites import operator_site, site_of
from nlviz.captures.walked_attention import together
from nlviz.captures.windows import windows_affinity, windows_site, windows_together
from nlviz.errors import BlockRefused, NlvizError
from nlviz.families.reading.adapter import Prepared
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.families.reading.heads_in_rows import (
    heads_apart,
)
from nlviz.families.reading.operators import is_operator, operator_affinity, placed_operator
from nlviz.families.reading.product_affinity import product_affinity
from nlviz.families.reading.token_layout import (
    NoLayout,
    TokenLayout,
)
from nlviz.networks.attention.chosen import Choose, ChosenRows
from nlviz.networks.attention.gates import said_of_gates
from nlviz.networks.attention.out_of_sight import out_of_sight
from nlviz.networks.attention.places import Factors
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.sites import Site
from nlviz.networks.attention.watch import PART, Seen, watched
from nlviz.networks.calls import RUN, Calls, block_and_run
from nlviz.networks.hooks import recorded
from nlviz.networks.places import Places

_HEADS = ("num_heads", "num_attention_heads", "n_heads", "nheads", "heads")
HANDED = (
    "What is gathered so is handed on by another product, with weights of each query: no row here "
    "is all that a query's output is made of."
)


@contextmanager
def seen_in(
    adapter: AttentionAdapter,
    net: nn.Module,
    blocks: Sequence[str] | None = None,
    *,
    choose: Choose | None = None,
) -> Iterator[tuple[Seen, Calls]]:
    """See the attention of a network while the ``with`` block runs.

    Args:
        adapter: of its family, which says what is kept beside queries and keys.
        net: the network.
        blocks: names of those that are kept; None for all.
        choose: which of their queries are; None for all.
    """
    keep = wanted(blocks, adapter.block_names(net))
    entered = {
        name: module
        for name, module in (distinct(adapter.blocks(net)) if adapter.keeps else {}).items()
        if blocks is None or any(block_and_run(asked)[0] == name for asked in blocks)
    }
    with (
        recorded(net, entered, outputs=False) as calls,
        watched(net, keep=keep, sums=adapter.keeps, choose=choose) as watch,
    ):
        yield watch.seen, calls


def read_attention(
    adapter: AttentionAdapter,
    net: nn.Module,
    seen: Seen,
    factors: Factors | str,
    prepared: Prepared,
    calls: Calls,
    boxes: TokenBoxes | None = None,
) -> Readings:
    """Read every attention product that a pass showed.

    Args:
        adapter: of the network's family.
        net: the network.
        seen: what was seen of the pass.
        factors: where its tokens lie, or why that is not known.
        prepared: the network's input.
        calls: of the blocks, where the adapter keeps what entered them.
        boxes: that the network was asked about, or predicted.

    Raises:
        NlvizError: when no product was seen.
        BlockRefused: when none can be shown.
    """
    found = Readings()
    modules = dict(net.named_modules())
    names = adapter.token_names(net)
    blocks = adapter.block_names(net)
    told = adapter.note(prepared)
    size = prepared.size
    called = _called(names)
    products = [p for p in seen.products if p.sure or is_operator(p, factors)]
    products, factors = together(products, factors, seen.order)
    products, windows = windows_together(products, factors, seen.order)
    in_rows = {p.number: heads_of(p, factors) for p in products}
    products = [heads_apart(p, in_rows[p.number]) for p in products]

    def part(product: AttentionProduct) -> TokenLayout:
        return layout_of(product, factors, seen.order, size, alone=False)

    # Of predicted ones each frame has its own; all that were asked about are queries together.
    each = 0 if boxes is None else boxes.size
    if boxes is not None and prepared.boxes is None:
        each //= len({box[0] for box in boxes.boxes})

    whole = units(
        products, part, prepared, token_names=names, prefix_name=called, heads_in_rows=in_rows
    )
    runs = Counter(block_and_run(m)[0] for m in {unit.product.module for unit in whole})
    of_names = named([unit.product for unit in whole])
    for unit, (own, product) in zip(whole, of_names.items(), strict=True):
        name = renamed(own, blocks)
        site: Site | None = None
        try:
            if product.fault:
                raise BlockRefused(f"{name} is not shown: {product.fault}")
            given = adapter.affinity_of(net, name, product, prepared)
            if given is not None:
                affinity, site = given, adapter.site_of(net, product, prepared)
            elif product.number in windows:
                assert not isinstance(factors, str)
                parts = windows[product.number]
                affinity = windows_affinity(name, parts, factors, size, prepared)
                site = windows_site(parts, factors, size)
            elif unit.affinity is not None:
                affinity, site = replace(unit.affinity, name=name), unit.site
            elif product.operator >= 0 and not of_a_picture(product, factors):
                check_followed(product.operator, factors, seen.order)
                assert not isinstance(factors, str)
                placed = placed_operator(product, factors, size)
                site = operator_site(product, placed)
                affinity, product = operator_affinity(name, product, placed, prepared)
            else:
                apart = 1
                if product.operator >= 0 and product.weights is not None:
                    apart = product.size[1]
                    flat = product.weights.flatten(0, 1)[:, None]  # each query by itself
                    product = replace(product, weights=flat)
                    if not isinstance(factors, str) and product.operator in factors.handed:
                        product = replace(product, note=f"{product.note} {HANDED}")
                layout = layout_of(
                    product,
                    factors,
                    seen.order,
                    size,
                    heads=_heads(modules.get(block_and_run(product.module)[0])),
                    boxes=each,
                )
                product = replace(product, note=f"{product.note} {layout.note}".strip())
                apart *= in_rows[product.number]
                site = site_of(product, layout, heads_in_rows=apart)
                affinity = product_affinity(
                    name,
                    product,
                    layout,
                    prepared,
                    token_names=names,
                    prefix_name=called,
                    boxes=boxes,
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
            if site is not None:
                found.sites[name] = site
            if adapter.keeps and own == product.module and product.number not in windows:
                features = _features(adapter, name, found.blocks[name], product, calls, factors)
                if features is not None:
                    found.features[name] = features
    for rows in seen.chosen:
        _add_chosen(found, adapter, net, rows, prepared, modules)
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


def _add_chosen(
    found: Readings,
    adapter: AttentionAdapter,
    net: nn.Module,
    rows: ChosenRows,
    prepared: Prepared,
    modules: Mapping[str, nn.Module],
) -> None:
    """Add the affinity of chosen queries, or why it is not shown."""
    name = renamed(rows.module, adapter.block_names(net))
    checked = Receipt(
        name,
        rows.error,
        rows.tolerance,
        len(rows.numbers),
        len(rows.q),
        precision=rows.precision,
    )
    try:
        affinity = adapter.affinity_of(net, name, rows, prepared)
        assert affinity is not None  # who chooses queries knows what they are
        if not checked.holds:
            raise BlockRefused(checked.refusal)
    except NoLayout as error:
        found.refused[name] = f"{name} is not shown: {error}"
    except NlvizError as error:
        found.refused[name] = str(error)
    else:
        found.affinities[name] = affinity
        found.receipts[name] = checked
        site = adapter.site_of(net, rows, prepared)
        if site is not None:
            found.sites[name] = site
        found.blocks[name] = modules[block_and_run(rows.module)[0]]


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


def _heads(module: nn.Module | None) -> int:
    """Return how many heads a module says that it has; 0 where it says nothing."""
    said = (getattr(module, name, None) for name in _HEADS)
    return next((n for n in said if isinstance(n, int) and not isinstance(n, bool) and n > 0), 0)


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
