"""Numbers about rows: what one query does, and whether a block's rows differ at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.attention_map import AttentionMap, effective_number
from nlviz.affinity.base import Affinity, spread_evenly
from nlviz.captures.model import Capture

FEW = 8  # queries of a group, at least, that are compared with each other
SAMPLE = 512  # queries, spread evenly, over which a block is judged

Masses = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RowStatistics:
    """What one query's row does.

    Attributes:
        effective: effective number of cells, or None for rows that are no distributions.
        cells: number of reachable keys.
        own_frame: share of the mass in the query's own frame.
        pixels, seconds: mean distance from the query.
        per_frame: (t,) mass of each frame of the key grid.
        frame_times: (t,) seconds of those frames.
        left_out: mass that was left out before renormalising.
        moved: of a row minus the mean row, the share of a row's weight that lies elsewhere than the
            mean row's; ``per_frame`` and ``own_frame`` are then gains and losses. None of others.
    """

    effective: float | None
    cells: int
    own_frame: float
    pixels: float
    seconds: float
    per_frame: npt.NDArray[np.float64]
    frame_times: npt.NDArray[np.float64]
    left_out: float
    moved: float | None = None


def row_statistics(attention: AttentionMap, times: npt.NDArray[np.float64]) -> RowStatistics:
    """Describe one query's row.

    Args:
        attention: the row.
        times: (T,) seconds of the clip's frames.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> weights = np.full((2, 3, 4), 1 / 24, np.float32)
    >>> row = AttentionMap(weights, (0, 0, 0), TokenGrid((2, 3, 4)))
    >>> s = row_statistics(row, np.array([0, 0.5]))
    >>> round(s.effective), s.own_frame, round(s.seconds, 2)
    (24, 0.5, 0.25)
    """
    mass, frames = _by_frame(attention)
    own = int(np.abs(frames - attention.keys.centre(attention.own).frame).argmin())
    total = float(np.abs(mass).sum()) or 1.0
    at = np.interp(frames, np.arange(len(times)), times)
    here = np.interp(attention.query[0], np.arange(len(times)), times)
    pixels, _ = attention.mean_distance()
    balanced = attention.balanced
    return RowStatistics(
        effective=attention.effective() if attention.normalised else None,
        # What goes off the grid counts as one more, as in the entropy.
        cells=round(1 / attention.uniform) + (attention.off_grid > 0),
        own_frame=float(mass[own] if balanced else np.abs(mass[own]) / total),
        pixels=pixels,
        seconds=float((np.abs(mass) * np.abs(at - here)).sum() / total),
        per_frame=mass,
        frame_times=at,
        left_out=attention.left_out,
        moved=moved(attention) if balanced else None,
    )


def _by_frame(attention: AttentionMap) -> tuple[Masses, Masses]:
    """Return the mass of each frame that keys lie on, and these frames."""
    of_keys, _, _ = attention.keys.centres()
    if attention.keys.kind != "boxes":
        return attention.per_frame(), of_keys[:, 0, 0]
    frames, of_box = np.unique(of_keys[0, 0], return_inverse=True)
    mass = np.bincount(of_box, attention.weights.ravel()).astype(np.float64)
    return mass, frames


def moved(attention: AttentionMap) -> float:
    """Return the share of its weight that a query puts elsewhere than the mean query does.

    Of a row minus the mean row: all that is gained, which is all that is lost.

    >>> from nlviz.affinity.grid import TokenGrid
    >>> weights = np.array([[[0.03, -0.05, 0.02]]], np.float32)
    >>> round(moved(AttentionMap(weights, (0, 0, 0), TokenGrid((1, 1, 3)))), 3)
    0.05
    """
    gains = float(np.maximum(attention.weights, 0).sum(dtype=np.float64))
    return gains + max(attention.off_grid, 0.0)


def average_distance(
    vectors: Float[Tensor, "n d"], groups: Int[Tensor, " n"] | None = None
) -> float:
    """Return the mean cosine distance (1 - cos) / 2 over all pairs, i = j included.

    With u_i = v_i / |v_i| it is (1 - |mean_i u_i|^2) / 2, in O(n d). 0 means that all vectors point
    the same way. Source: Cao et al., "GCNet", arXiv 1904.11492, section 3.

    Args:
        vectors: (n, d).
        groups: group of each vector, from 0; pairs are then those within a group, and the mean is
            over groups, weighted by their number of vectors.

    >>> average_distance(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    0.25
    """
    unit = F.normalize(vectors.double(), dim=-1)
    if groups is None:
        return float((1 - unit.mean(0).square().sum()) / 2)
    of_groups = [unit[groups == g] for g in set(groups.tolist())]
    each = [float((1 - own.mean(0).square().sum()) / 2) * len(own) for own in of_groups]
    return sum(each) / len(unit)


@dataclass(frozen=True)
class BlockStatistics:
    """Whether to believe a block's maps.

    Where queries see only their own group of frames, they are compared within it.

    Attributes:
        queries: how many queries were looked at, spread evenly.
        distance_input: average distance of what enters the block; None where that was not kept.
        distance_rows: average distance of the rows; near 0, every query has the same map.
        shared: mean mass that a row has in common with the mean row, in [0, 1].
        uniform: mean mass that a row has in common with the uniform row.
        effective: mean effective number of cells, or None for rows that are no distributions.
        parity: error of the block's receipt: rows times values against its own output, relative to
            the size of what is summed; None where the adapter keeps no values.
    """

    queries: int
    distance_input: float | None
    distance_rows: float
    shared: float
    uniform: float
    effective: float | None
    parity: float | None


def block_statistics(
    capture: Capture, block: str, *, affinity: Affinity | None = None
) -> BlockStatistics:
    """Judge one block on one clip.

    Args:
        capture: of the clip.
        block: its name.
        affinity: judge this one, a control for instance, in place of the block's own.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> s = block_statistics(nlviz.load_model("lite-nl").capture(clip), "stage4")
    >>> s.parity < 1e-4, 0 <= s.shared <= 1
    (True, True)
    """
    checked = capture.receipts.get(block) if affinity in (None, capture.affinities[block]) else None
    affinity = affinity or capture.affinities[block]
    index = compared_queries(affinity, SAMPLE)
    rows = torch.cat([affinity.rows(part).float().mean(0) for part in torch.split(index, 64)])
    groups = affinity.query_groups.to(index.device)[index].to(rows.device)
    magnitude = rows.abs() / rows.abs().sum(-1, keepdim=True).clamp(min=1e-30)
    counts = affinity.support.counts(affinity.queries, affinity.keys).to(rows.device)
    most = 1 / counts[index.to(rows.device)].clamp(min=1).to(rows)[:, None]
    mean = torch.empty_like(magnitude)
    for g in set(groups.tolist()):
        mean[groups == g] = magnitude[groups == g].mean(0)
    return BlockStatistics(
        queries=len(index),
        distance_input=_input_distance(capture, block),
        distance_rows=average_distance(rows, groups),
        shared=float(torch.minimum(magnitude, mean).sum(-1).mean()),
        uniform=float(torch.minimum(magnitude, most).sum(-1).mean()),
        effective=float(effective_number(rows).mean()) if affinity.distributes else None,
        parity=checked.error if checked is not None else affinity.parity_error(),
    )


def compared_queries(affinity: Affinity, most: int) -> Int[Tensor, " n"]:
    """Return queries that can be compared: spread evenly, several of each group that is looked at.

    Where there are many groups, windows for instance, some of them are looked at as a whole.

    Args:
        affinity: whose queries.
        most: how many, about.
    """
    group = affinity.query_groups.cpu()
    groups = int(group.max()) + 1
    size = max(len(group) // groups, 1)
    if groups == 1 or most // groups >= min(size, FEW) or size == 1:
        return affinity.evenly(most)
    taken = max(most // min(size, 4 * FEW), 1)
    chosen = [(group == int(g)).nonzero()[:, 0] for g in spread_evenly(groups, taken)]
    each = max(most // len(chosen), FEW)
    return torch.cat([own[spread_evenly(len(own), each)] for own in chosen])


def _input_distance(capture: Capture, block: str) -> float | None:
    if block not in capture.features:
        return None
    x = capture.features[block].flatten(1).mT
    groups = capture.affinities[block].query_groups.to(x.device)
    return average_distance(x, groups if len(groups) == len(x) else None)
