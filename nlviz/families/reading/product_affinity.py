"""The affinity of an attention product that was seen, laid on the grids of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.key_sets import KeySets
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.reach import CONTEXT
from nlviz.affinity.stored import StoredAffinity
from nlviz.affinity.support import Everything, FrameGroups, Support
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.affinity.token_line import TokenLine
from nlviz.affinity.token_names import PADDING
from nlviz.families.reading.causal_masks import causal_reach, causal_support
from nlviz.families.reading.prepared import Prepared
from nlviz.families.reading.term_tables import Terms, terms_of
from nlviz.families.reading.token_layout import NoLayout, Side, TokenLayout
from nlviz.networks.attention.products import KEPT, AttentionProduct, of_entries
from nlviz.networks.attention.receipts import WHOLE

CHECKED = 8  # queries whose rows are compared with those of the product
MOST_SETS = 1 << 26  # numbers of a table of sets and keys
LAYOUT_ERROR = 1e-4  # of the largest weight of a row


def product_affinity(
    name: str,
    product: AttentionProduct,
    layout: TokenLayout,
    prepared: Prepared,
    *,
    token_names: Sequence[str] = (),
    prefix_name: str = "tokens without a place",
    boxes: TokenBoxes | None = None,
) -> EmbeddedAffinity | StoredAffinity:
    """Return the affinity of a product.

    Args:
        name: of the block.
        product: as it was seen.
        layout: where its tokens lie.
        prepared: the network's input.
        token_names: names of a group's tokens without a place, in their order; more are numbered.
        prefix_name: what they are called together.
        boxes: that the network was asked about or predicted; as many tokens on a line are these.

    Raises:
        NoLayout: when what was added to its logits fits into no table, or the rows that result are
            not those of the product.
    """
    queries, keys = (
        in_line(side, token_names, boxes) if side.line else side.grid(prepared)
        for side in (layout.queries, layout.keys)
    )
    before = causal_support(product, layout)
    if before is not None:
        terms = Terms()
    else:
        product, terms = _with_terms(product, layout)
    if product.number < 0 and layout.queries.cells is None:
        token_names = (CONTEXT,)
    if layout.queries.cells is None:
        said = _placeless(product, layout, token_names)
        product = replace(product, note=" ".join(n for n in (product.note, said) if n))
    support = before or _support(layout, terms.reach, queries, keys)
    names = names_of(layout.queries, token_names)
    if layout.keys.padding:
        prefix_name = "padding beyond the picture"
    if product.weights is not None:
        return _stored(name, product, layout, queries, keys, support, prepared, names, prefix_name)
    assert product.q is not None
    assert product.k is not None
    theta = gathered(product.q, layout, layout.queries)
    phi = gathered(product.k, layout, layout.keys)
    theta = _scaled(theta, product, layout)
    if layout.queries.cells is None:  # cells that stand for the picture, or for each frame
        theta = torch.cat([theta, theta[:, list(layout.queries.stand_in)]], 1)
    values, output = _sums(product, layout)
    bias = terms.bias
    found = EmbeddedAffinity(
        name=name,
        pairwise=Pairwise("embedded_gaussian" if product.softmax else "dot_product", product.scale),
        theta=theta,
        phi=phi,
        queries=queries,
        keys=keys,
        support=support,
        bias=bias,
        values=values,
        output=output,
        clip_shape=prepared.clip_shape,
        note=product.note,
        prefix_name=prefix_name,
        token_names=names,
        apart_bias=terms.apart,
    )
    if not product.softmax:
        # Rows here are logits over the number of keys; in the product that is a part of the scale.
        counts = support.counts(queries, keys)
        if int(counts.min()) != int(counts.max()):
            raise NoLayout(
                "its queries reach unequal numbers of keys, and no softmax evens that out"
            )
        scale = product.scale * int(counts[0])
        found = replace(found, pairwise=Pairwise("dot_product", scale))
    found = found.in_full()
    # Where nothing was added, all but numbers follows from the layout, for which it was shown once.
    follows = not product.terms and not product.causal and product.scales is None
    if follows and product.softmax in layout.shown:
        return found
    _check(found, product, layout)
    if follows:
        layout.shown.add(product.softmax)
    return found


def in_line(side: Side, names: Sequence[str], boxes: TokenBoxes | None) -> TokenGrid:
    """Return the tokens of a line: the boxes that they stand for, or words.

    Args:
        side: its tokens, group by group.
        names: of a group's tokens, where they are known otherwise.
        boxes: where there are as many as tokens, the tokens are these.
    """
    if boxes is not None and boxes.size == side.size:
        return boxes
    groups, tokens = side.cell.shape
    words = []
    for g in range(groups):
        own = list((side.names or ())[g * tokens : (g + 1) * tokens]) or [""] * tokens
        if len(names) == tokens and not any(own):
            own = list(names)
        if tokens > 1:  # of one parameter, many tokens
            own = [f"{n}.{i}" if n and own.count(n) > 1 else n for i, n in enumerate(own)]
        own = [n or f"query {i}" for i, n in enumerate(own)]
        frame = "" if side.frames is None else f" of frame {side.frames[g]:g}"
        words += [f"{n}{frame}" for n in own]
    return TokenLine.of(words)


def _placeless(product: AttentionProduct, layout: TokenLayout, names: Sequence[str]) -> str:
    """Return what to tell of queries none of which has a place, as of class attention."""
    one = len(layout.queries.stand_in) == 1
    where = "wherever you point" if one else "wherever you point in a frame"
    if product.number < 0:
        rows = "the row is the same" if one else "the row is that of the frame"
        return (
            f"Its weights are one softmax over all places and the same for every query, a global "
            f"context: {where}, {rows}."
        )
    first = names_of(layout.queries, names)[layout.queries.stand_in[0]]
    whose = first if one else f"its {first}"
    return (
        f"Its queries have no place in the picture: {where}, the row is that of {whose}; token= "
        "asks for the others by name."
    )


def _with_terms(product: AttentionProduct, layout: TokenLayout) -> tuple[AttentionProduct, Terms]:
    """Return a product and what was added to its logits; with its weights where no table holds it.

    Raises:
        NoLayout: when its weights are too many to keep.
    """
    if product.weights is not None:
        return product, Terms()
    try:
        return product, terms_of(product, layout)
    except NoLayout as error:
        entries, queries, keys = product.size
        if 2 * entries * queries * keys > KEPT:
            raise
        why = str(error)
    every = torch.arange(queries)
    whole = entries * queries * keys <= WHOLE
    kept = [product.rows(torch.tensor([e]), every) for e in range(entries)]
    rows = [row if whole else row.half() for row in kept]
    note = f"Its weights are kept {'as they are' if whole else 'in half precision'}: {why}."
    return replace(
        product, q=None, k=None, scales=None, terms=(), weights=torch.cat(rows), note=note
    ), Terms()


def gathered(x: Tensor, layout: TokenLayout, side: Side) -> Tensor:
    """Return (heads, tokens, d) in the order of an affinity, from (entries, tokens, d)."""
    group, token = side.order
    one = len(layout.entries) == 1
    if one and len(token) == x.shape[1] and bool((token == np.arange(len(token))).all()):
        return of_entries(x, torch.from_numpy(layout.entries[0]).to(x.device))
    entries = torch.from_numpy(layout.entries[group].T.copy()).to(x.device)
    return x[entries, torch.from_numpy(token).to(x.device)[None]]


def _scaled(theta: Tensor, product: AttentionProduct, layout: TokenLayout) -> Tensor:
    """Return theta with the factor of each head in it, where heads have one."""
    if product.scales is None:
        return theta
    each = product.scales.cpu()[torch.from_numpy(layout.entries)]  # (groups, heads)
    if bool((each - each[:1]).abs().max() > 1e-6 * each.abs().max()):
        raise NoLayout("its logits are scaled by another factor for each of its groups")
    kind = torch.float64 if theta.dtype == torch.float64 else torch.float32
    return theta.to(kind) * each[0].to(theta.device, kind)[:, None, None]


def _support(
    layout: TokenLayout, reach: Tensor | None, queries: TokenGrid, keys: TokenGrid
) -> Support:
    """Return which keys a query reaches: of its group, and of these what no mask hides."""
    groups = len(layout.entries)
    if groups == 1 and reach is None:
        return Everything()
    if reach is None and _by_frame(layout):
        return FrameGroups(1, own_prefix=keys.prefix > 0)
    before = None if reach is None else causal_reach(reach, layout)
    if before is not None:
        return before
    cell_q, cell_k = layout.queries.cell, layout.keys.cell
    all_queries = queries.size + queries.prefix
    sets: dict[bytes, int] = {}
    rows: list[npt.NDArray[np.bool_]] = []
    set_of = np.zeros(all_queries, np.int64)
    whole = np.ones((1, cell_k.shape[1]), bool), np.zeros(cell_q.shape[1], np.int64)
    masks = None if reach is None else reach.cpu().numpy()
    known: dict[bytes, tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]] = {}
    for g in range(groups):
        tables, of = whole
        if masks is not None:
            key = masks[g].tobytes()
            if key not in known:
                known[key] = _distinct_rows(masks[g])
            tables, of = known[key]
        numbers = []
        for table in tables:
            row = np.zeros(layout.keys.size, bool)
            row[cell_k[g][table]] = True
            number = sets.setdefault(row.tobytes(), len(rows))
            if number == len(rows):
                rows.append(row)
            numbers.append(number)
        if len(rows) * layout.keys.size > MOST_SETS:
            raise NoLayout("every query reaches keys of its own, which are too many to hold")
        set_of[cell_q[g]] = np.array(numbers)[of]
    if layout.queries.cells is None:
        stand_in = list(layout.queries.stand_in)
        set_of[-len(stand_in) :] = set_of[stand_in]
    if len(rows) == 1 and rows[0].all():
        return Everything()
    reached = torch.from_numpy(np.stack(rows))
    return KeySets.of(torch.from_numpy(set_of), reached, said_of(reached, keys))


def _distinct_rows(
    mask: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return the rows of a mask, each once, and which of them each row is."""
    numbers: dict[bytes, int] = {}
    of = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in mask])
    first = np.array([int(np.argmax(of == i)) for i in range(len(numbers))])
    return mask[first], of


def _by_frame(layout: TokenLayout) -> bool:
    """Check whether the groups are the frames, in their order, each with its own prefix."""
    groups = len(layout.entries)
    for side in (layout.queries, layout.keys):
        if side.shape[0] != groups or side.prefix % groups or side.cells is None:
            return False
        each, frame = side.prefix // groups, side.shape[1] * side.shape[2]
        for g, cells in enumerate(side.cell):
            placed = cells[cells >= side.prefix] - side.prefix
            apart = cells[cells < side.prefix]
            if len(apart) != each or (placed // frame != g).any() or (apart // each != g).any():
                return False
    return layout.queries.prefix in (0, layout.keys.prefix)


def said_of(reach: Tensor, keys: TokenGrid) -> str:
    """Return what a query reaches as a sentence, from the sets of keys themselves."""
    if keys.names:
        least, most = int(reach.sum(1).min()), int(reach.sum(1).max())
        many = f"{most}" if least == most else f"{least} to {most}"
        return f"A query reaches {many} of {reach.shape[1]} keys."
    sizes, steps, regular = [], [], True
    for row in reach[:: max(len(reach) // 64, 1)]:
        index = row[keys.prefix :].nonzero()[:, 0]
        if not len(index):
            continue
        _, h, w = keys.shape
        axes = [torch.unique(a) for a in (index // (h * w), index // w % h, index % w)]
        box = int(np.prod([len(a) for a in axes])) == len(index)
        gaps = tuple(int(a.diff().min()) if len(a) > 1 else 1 for a in axes)
        even = all(len(a) < 2 or int(a.diff().max()) == g for a, g in zip(axes, gaps, strict=True))
        if box and even:
            sizes.append(tuple(len(a) for a in axes))
            steps.append(gaps)
        else:
            regular = False
    if not sizes or not regular:
        least, most = int(reach.sum(1).min()), int(reach.sum(1).max())
        many = f"{most}" if least == most else f"{least} to {most}"
        return f"A query reaches {many} of {reach.shape[1]} keys."
    t, h, w = max(sizes)
    step = steps[sizes.index(max(sizes))]
    frames, rows, columns = keys.shape
    if (h, w) == (1, 1) and t == frames:
        return f"A query reaches the keys of its own place in all {frames} frames."
    times = "" if frames == 1 else (f" in {t} frames" if t > 1 else " in its own frame")
    if 1 in (h, w) and (h, w) in ((1, columns), (rows, 1)) and rows > 1 and columns > 1:
        line = f"row of {w}" if h == 1 else f"column of {h}"
        return f"A query reaches its {line} keys{times}."
    if (h, w) == (rows, columns):
        return f"A query reaches all keys{times}."
    apart = max(step[1:])
    if apart > 1:
        return f"A query reaches a grid of {h} x {w} keys, {apart} cells apart{times}."
    cut = "" if len(set(sizes)) == 1 else ", or what the border, or a shift, leaves of one"
    return f"A query reaches a window of {h} x {w} keys{times}{cut}."


def names_of(side: Side, given: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each token without a place, the same in every group."""
    names = [""] * side.prefix
    for cells in side.cell:
        own = cells[cells < side.prefix]
        padding, means = (np.isin(own, list(kind)) for kind in (side.padding, side.means))
        for cell in own[means]:
            names[cell] = "mean"
        for i, cell in enumerate(own[~padding & ~means]):
            if side.names is not None:
                names[cell] = side.names[cell] or f"token.{i}"
            else:
                names[cell] = given[i] if i < len(given) else f"token.{i}"
        of_group = [names[cell] for cell in own]
        for name in {n for n in of_group if of_group.count(n) > 1}:  # one parameter, many tokens
            for i, cell in enumerate(c for c in own if names[c] == name):
                names[cell] = f"{name}.{i}"
        for i, cell in enumerate(own[padding]):
            names[cell] = f"{PADDING}{i}"
    return tuple(names)


def _stored(
    name: str,
    product: AttentionProduct,
    layout: TokenLayout,
    queries: TokenGrid,
    keys: TokenGrid,
    support: Support,
    prepared: Prepared,
    names: tuple[str, ...],
    prefix_name: str,
) -> StoredAffinity:
    assert product.weights is not None
    size = layout.queries.size
    group_of, place_of = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for g, cells in enumerate(layout.queries.cell):
        group_of[cells], place_of[cells] = g, np.arange(len(cells))
    if layout.queries.cells is None:
        stand_in = list(layout.queries.stand_in)
        for places in (group_of, place_of):
            places[-len(stand_in) :] = places[stand_in]
    values, output = _sums(product, layout)
    found = StoredAffinity(
        name=name,
        pairwise=Pairwise("embedded_gaussian" if product.softmax else "dot_product"),
        weights=product.weights[torch.from_numpy(layout.entries)],
        group_of=torch.from_numpy(group_of),
        place_of=torch.from_numpy(place_of),
        key_of=torch.from_numpy(layout.keys.cell),
        queries=queries,
        keys=keys,
        support=support,
        clip_shape=prepared.clip_shape,
        note=product.note,
        prefix_name=prefix_name,
        token_names=names,
        values=values,
        output=output,
    )
    _check(found, product, layout)
    return found


def _sums(product: AttentionProduct, layout: TokenLayout) -> tuple[Tensor | None, Tensor | None]:
    """Return values and what was computed of them, where they were kept."""
    if product.v is None or product.y is None or product.operator >= 0:
        return None, None
    values = gathered(product.v, layout, layout.keys)
    output = gathered(product.y, layout, layout.queries)
    if layout.queries.cells is None:
        output = torch.cat([output, output[:, list(layout.queries.stand_in)]], 1)
    return values, output


def _check(found: Affinity, product: AttentionProduct, layout: TokenLayout) -> None:
    """Compare rows of an affinity with those of its product, laid out one by one.

    Raises:
        NoLayout: when they differ by more than rounding.
    """
    groups, queries = layout.queries.cell.shape
    generator = torch.Generator().manual_seed(0)
    picked = torch.randperm(groups * queries, generator=generator)[:CHECKED].tolist()
    prefix = layout.queries.prefix
    cells = [int(layout.queries.cell[divmod(index, queries)]) for index in picked]
    placed = found.rows([cell - prefix for cell in cells if cell >= prefix])
    apart = found.token_rows() if min(cells) < prefix else None
    at = 0
    own = _rows_of(product, layout, picked)
    for index, cell in zip(picked, cells, strict=True):
        g = index // queries
        theirs = own[index]
        wanted = theirs.new_zeros(len(theirs), layout.keys.size)
        wanted[:, torch.from_numpy(layout.keys.cell[g])] = theirs
        if cell < prefix and apart is not None:
            ours = apart[:, cell]
        else:
            ours, at = placed[:, at], at + 1
        largest = float(wanted.abs().max().clamp(min=1e-30))
        error = float((ours.to(wanted) - wanted).abs().max()) / largest
        if not error <= LAYOUT_ERROR:
            raise NoLayout(
                f"rows laid on the picture must be those that the network computed, they are off "
                f"by {error:.1g} of their largest weight"
            )


def _rows_of(
    product: AttentionProduct, layout: TokenLayout, picked: Sequence[int]
) -> dict[int, Tensor]:
    """Return rows of a product, (heads, keys of a group), by group and query in one number."""
    queries = layout.queries.cell.shape[1]
    found: dict[int, Tensor] = {}
    for g in sorted({index // queries for index in picked}):
        numbers = [index for index in picked if index // queries == g]
        entries = torch.from_numpy(layout.entries[g])
        rows = product.rows(entries, torch.tensor(numbers) % queries)
        found.update(zip(numbers, rows.unbind(1), strict=True))
    return found
