"""The maps that a query's map is held against where cells are taken out of the clip.

    map         the row of the query, on the cells of its keys; of signed rows the size
    shifted     the map itself, moved over the cells as over a torus: as smooth, elsewhere
    random      a random number for each cell
    position    nearer in the picture is more (``affinity.variants``)
    features    Gaussian of the features that enter the block, of this query
    nl_means    non-local means of the pixels, of this query
    grad-cam, legrad, integrated-gradients, occlusion   attribution of the answer

Random ones must be beside any other: usual measures do not tell many methods from them (Wu et al.
2024, "On the Faithfulness of Vision Transformer Explanations", arXiv 2404.01415).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from nlviz.affinity.asked import place_of, rows_at
from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.variants import FEATURES, PIXELS, POSITION, Variant
from nlviz.analysis.attribution import METHODS, Method, attribution
from nlviz.analysis.common_grid import laid_on
from nlviz.analysis.controls import variant_affinity, variants
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.errors import NlvizError, did_you_mean
from nlviz.progress import Progress

Numbers = npt.NDArray[np.float64]
OWN, SHIFTED, RANDOM = "map", "shifted", "random"
BY_CHANCE = (SHIFTED, RANDOM)
_VARIANTS: dict[str, Variant] = {v.key: v for v in (POSITION, FEATURES, PIXELS)}
NAMES = (OWN, *BY_CHANCE, *_VARIANTS, *METHODS)
DEFAULT = (OWN, *BY_CHANCE, *_VARIANTS, "grad-cam")


@dataclass(frozen=True, eq=False)
class ComparedMap:
    """A map over the cells of the keys.

    Attributes:
        name: one of ``NAMES``.
        values: (t, h, w); the larger, the more it points there.
        seed: of one that is drawn; None for all others.
    """

    name: str
    values: Numbers
    seed: int | None = None

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """Flat indices of the cells, the most pointed at first; equal ones in a random order."""
        flat = self.values.ravel()
        mixed = np.random.default_rng(self.seed or 0).permutation(flat.size)
        return mixed[np.argsort(-flat[mixed], kind="stable")]


def compared_maps(
    model: Model,
    capture: Capture,
    block: str,
    number: int,
    *,
    names: Sequence[str] | None = None,
    seeds: int = 5,
    head: int | None = None,
    target: int | None = None,
    progress: Progress,
) -> tuple[list[ComparedMap], dict[str, str]]:
    """Return the maps on the grid of a block's keys, and why some are not there.

    Args:
        model: the network, for attribution.
        capture: of the clip.
        block: its name.
        number: of the query, those without a place first.
        names: of the maps, of ``NAMES``; by default all that there are but the slow attributions.
        seeds: how many random and shifted ones.
        head: of the block's row; None for the mean over heads.
        target: the class that attribution is of.
        progress: hears of what takes passes.

    Raises:
        NlvizError: for another name, or when a map that was asked for by name is not there.
    """
    affinity = capture.affinities[block]
    wanted = DEFAULT if names is None else tuple(dict.fromkeys((OWN, *names)))
    for name in wanted:
        if name not in NAMES:
            raise NlvizError(
                f"a map is one of {', '.join(NAMES)}, got {name!r}{did_you_mean(name, NAMES)}"
            )
    check_cells(affinity)
    own = own_map(affinity, number, head)
    found, missing = [], {}
    for name in wanted:
        if name == OWN:
            found.append(ComparedMap(OWN, own))
        elif name in BY_CHANCE:
            found += [drawn(name, own, seed) for seed in range(seeds)]
        else:
            try:
                values = _other(model, capture, block, number, name, target, progress)
                found.append(ComparedMap(name, values))
            except NlvizError as error:
                if names is not None:
                    raise
                missing[name] = str(error)
    return found, missing


def check_cells(affinity: Affinity) -> None:
    """Check that keys are cells of pictures.

    Raises:
        NlvizError: when they are words, boxes or nodes, or too few.
    """
    if affinity.keys.kind != "grid":
        raise NlvizError(
            f"cells can be taken out where keys are cells of a clip, the keys of {affinity.name} "
            "are words, boxes or nodes; cut edges to them instead"
        )
    if affinity.keys.size < 4:
        raise NlvizError(
            f"at least 4 cells can be taken out one after another, {affinity.name} has "
            f"{affinity.keys.size}; take a larger clip or another block"
        )


def own_map(affinity: Affinity, number: int, head: int | None) -> Numbers:
    """Return the size of a query's weights on the cells of its keys, (t, h, w)."""
    rows = rows_at(affinity, [number])[:, 0, affinity.keys.prefix :].double().abs()
    if head is not None and not 0 <= head < len(rows):
        raise NlvizError(f"a head is between 0 and {len(rows) - 1} in {affinity.name}, got {head}")
    row = rows.mean(0) if head is None else rows[head]
    return np.asarray(row.cpu().numpy().reshape(affinity.keys.shape), np.float64)


def drawn(name: str, own: Numbers, seed: int) -> ComparedMap:
    """Return a random map, or the map itself shifted by a random way, never by none."""
    rng = np.random.default_rng([seed, BY_CHANCE.index(name)])
    if name == RANDOM:
        return ComparedMap(name, rng.random(own.shape), seed)
    flat = int(rng.integers(1, own.size))
    shift = tuple(int(n) for n in np.unravel_index(flat, own.shape))
    return ComparedMap(name, np.roll(own, shift, (0, 1, 2)), seed)


def _other(
    model: Model,
    capture: Capture,
    block: str,
    number: int,
    name: str,
    target: int | None,
    progress: Progress,
) -> Numbers:
    affinity = capture.affinities[block]
    if name in METHODS:
        method: Method = next(m for m in METHODS if m == name)
        found = attribution(
            model, capture, method=method, block=block, target=target, progress=progress
        )
        return on_cells(found.values.astype(np.float64), found.grid, affinity.keys)
    variant = _VARIANTS[name]
    if variant not in variants(capture, block):
        why = "the features that enter it were not kept" if variant is FEATURES else "it has none"
        raise NlvizError(f"{block} has no map by {variant.label.lower()}: {why}")
    place = place_of(affinity, number)
    if place is None:
        raise NlvizError(f"a query without a place has no map by {variant.label.lower()}")
    other = variant_affinity(variant, capture, block)
    frame, y, x = place
    at = other.queries.nearest(frame=frame, y=y, x=x) + other.queries.prefix
    row = rows_at(other, [at])[:, 0, other.keys.prefix :].double().mean(0)
    values = torch.as_tensor(row).cpu().numpy().reshape(other.keys.shape)
    return on_cells(np.asarray(values, np.float64), other.keys, affinity.keys)


def on_cells(values: Numbers, grid: TokenGrid, onto: TokenGrid) -> Numbers:
    """Return a map as means over the cells of another grid."""
    grid, onto = (replace(g, prefix=0, line=None) for g in (grid, onto))
    sums = laid_on(values, grid, onto)
    shares = laid_on(np.ones(grid.shape), grid, onto)
    return np.asarray(sums / np.maximum(shares, 1e-12), np.float64)
