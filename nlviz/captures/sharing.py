"""Products that share a softmax as one block, where they lie on the same grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.stored import StoredAffinity
from nlviz.captures.sites import joined_site
from nlviz.families.reading.joined_affinity import joined_affinity
from nlviz.families.reading.prepared import Prepared
from nlviz.families.reading.token_layout import NoLayout, TokenLayout
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.sites import Site


@dataclass(frozen=True, eq=False)
class Unit:
    """What is shown as one block: a product, or several that share a softmax.

    Attributes:
        product: the only one, or of several that whose check came out worst.
        affinity: of several products; None for a product that is still to be read.
        site: where the rows of several are computed.
    """

    product: AttentionProduct
    affinity: EmbeddedAffinity | StoredAffinity | None = None
    site: Site | None = None


def units(
    products: Sequence[AttentionProduct],
    layout: Callable[[AttentionProduct], TokenLayout],
    prepared: Prepared,
    *,
    token_names: Sequence[str] = (),
    prefix_name: str = "tokens without a place",
    heads_in_rows: Mapping[int, int] | None = None,
) -> list[Unit]:
    """Return the blocks that products are, in the order in which their first ones ended.

    Args:
        products: of one forward pass.
        layout: returns where the tokens of one of several products lie, or raises ``NoLayout``.
        prepared: the network's input.
        token_names: names of a group's tokens without a place, in their order.
        prefix_name: what they are called together.
        heads_in_rows: how many heads the rows of a product held, by its number.
    """
    found: list[Unit] = []
    for group in _sharing(products):
        if len(group) == 1:
            found.append(Unit(group[0]))
            continue
        try:
            layouts = [layout(product) for product in group]
            affinity = joined_affinity(
                "",
                group,
                layouts,
                prepared,
                token_names=token_names,
                prefix_name=prefix_name,
            )
        except NoLayout as error:
            said = (
                f"It shares its softmax with {len(group) - 1} more, and {error}, so each is shown "
                "by itself: its rows sum to less than 1."
            )
            found += [Unit(replace(p, note=f"{p.note} {said}".strip())) for p in group]
        else:
            worst = max(group, key=lambda p: p.error / max(p.tolerance, 1e-12))
            found.append(Unit(worst, affinity, joined_site(group, layouts, heads_in_rows or {})))
    return found


def _sharing(products: Sequence[AttentionProduct]) -> list[list[AttentionProduct]]:
    """Return products with those that share their softmax, where all of them were seen."""
    groups: dict[int, list[AttentionProduct]] = {}
    order: list[list[AttentionProduct]] = []
    for product in products:
        share = product.share
        known = None if share is None else groups.get(id(share.whole))
        if known is not None:
            known.append(product)
            continue
        order.append([product])
        if share is not None:
            groups[id(share.whole)] = order[-1]
    found: list[list[AttentionProduct]] = []
    for group in order:
        share = group[0].share
        numbers = {product.number for product in group}
        whole = share is not None and len(numbers) == len(group) == share.of
        if whole and all(product.weights is not None and not product.fault for product in group):
            found.append(group)
        else:
            found += [[product] for product in group]
    return found
