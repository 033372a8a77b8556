"""Numbers about rows: what one query does, and whether a block's rows differ at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity import Affinity, EmbeddedAffinity
from nlviz.attention_map import AttentionMap
from nlviz.model import Capture

SAMPLE = 512  # queries, spread evenly, over which a block is judged


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
    """

    effective: float | None
    cells: int
    own_frame: float
    pixels: float
    seconds: float
    per_frame: npt.NDArray[np.float64]
    frame_times: npt.NDArray[np.float64]
    left_out: float


def row_statistics(attention: AttentionMap, times: npt.NDArray[np.float64]) -> RowStatistics:
    """Describe one query's row.

    Args:
        attention: the row.
        times: (T,) seconds of the clip's frames.

    >>> from nlviz.geometry import TokenGrid
    >>> weights = np.full((2, 3, 4), 1 / 24, np.float32)
    >>> row = AttentionMap(weights, (0, 0, 0), TokenGrid((2, 3, 4)))
    >>> s = row_statistics(row, np.array([0, 0.5]))
    >>> round(s.effective), s.own_frame, round(s.seconds, 2)
    (24, 0.5, 0.25)
    """
    mass = attention.per_frame()
    own, _, _ = attention.keys.unravel(attention.own)
    total = float(np.abs(mass).sum()) or 1.0
    st, ot = attention.keys.stride[0], attention.keys.origin[0]
    at = np.interp(ot + st * np.arange(len(mass)), np.arange(len(times)), times)
    here = np.interp(attention.query[0], np.arange(len(times)), times)
    pixels, _ = attention.mean_distance()
    return RowStatistics(
        effective=attention.effective() if attention.normalised else None,
        cells=round(1 / attention.uniform),
        own_frame=float(np.abs(mass[own]) / total),
        pixels=pixels,
        seconds=float((np.abs(mass) * np.abs(at - here)).sum() / total),
        per_frame=mass,
        frame_times=at,
        left_out=attention.left_out,
    )


def average_distance(vectors: Float[Tensor, "n d"]) -> float:
    """Return the mean cosine distance (1 - cos) / 2 over all pairs, i = j included.

    With u_i = v_i / |v_i| it is (1 - |mean_i u_i|^2) / 2, in O(n d). 0 means that all vectors point
    the same way. Source: Cao et al., "GCNet", arXiv 1904.11492, section 3.

    >>> average_distance(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    0.25
    """
    mean = F.normalize(vectors.double(), dim=-1).mean(0)
    return float((1 - mean.square().sum()) / 2)


@dataclass(frozen=True)
class BlockStatistics:
    """Whether to believe a block's maps.

    Attributes:
        queries: how many queries were looked at, spread evenly.
        distance_input: average distance of what enters the block.
        distance_rows: average distance of the rows; near 0, every query has the same map.
        shared: mean mass that a row has in common with the mean row, in [0, 1].
        uniform: mean mass that a row has in common with the uniform row.
        effective: mean effective number of cells, or None for rows that are no distributions.
        parity: largest error of rows times values against the block's own output, relative to its
            largest value; None where the adapter keeps no values.
    """

    queries: int
    distance_input: float
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
    affinity = affinity or capture.affinities[block]
    n = min(SAMPLE, affinity.queries.size)
    index = torch.linspace(0, affinity.queries.size - 1, n).round().long()
    rows = torch.cat([affinity.rows(part).float().mean(0) for part in torch.split(index, 64)])
    magnitude = rows.abs() / rows.abs().sum(-1, keepdim=True).clamp(min=1e-30)
    mean = magnitude.mean(0)
    return BlockStatistics(
        queries=n,
        distance_input=average_distance(capture.features[block].flatten(1).mT),
        distance_rows=average_distance(rows),
        shared=float(torch.minimum(magnitude, mean).sum(-1).mean()),
        uniform=float(magnitude.clamp(max=1 / magnitude.shape[-1]).sum(-1).mean()),
        effective=(
            float(torch.special.entr(rows).sum(-1).exp().mean())
            if affinity.pairwise.softmax
            else None
        ),
        parity=affinity.parity_error() if isinstance(affinity, EmbeddedAffinity) else None,
    )
