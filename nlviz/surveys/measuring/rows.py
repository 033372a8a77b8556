"""What the rows of the sampled queries do, all heads and queries at once.

They are what ``nlviz.row_statistics`` says of one row of one head; p is the row, d_j the distance
in the picture and t_j the time of key j, c the time of the query:

figure          definition
``effective``   exp(H), keys without a place as one more key together; of distributions alone
``spread``      exp(H) over the number of such keys
``uniform``     sum_j min(|p_j| / sum |p|, 1 / n) over the n keys that the query reaches
``own_frame``   |P_f| / sum_t |P_t|, P_t the sum of the row over frame t, f the query's own frame
``cross_frame`` the rest of it
``own_cell``    |p_i| / sum_j |p_j|, i the key at the query's own cell
``off_grid``    the share of keys without a place in sum_j |p_j|
``seconds``     sum_t |P_t| |t_t - c| / sum_t |P_t|
``pixels``      sum_j |p_j| d_j / sum_j |p_j| over the keys that have a place

Not a number stands for what cannot be told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.maps import SUMS_TO_ONE
from nlviz.analysis.key_places import KeyPlaces

Figures = dict[str, Float[Tensor, "heads n"]]


@dataclass(frozen=True, eq=False)
class Asked:
    """The rows of some queries of a block.

    Attributes:
        affinity: of the block.
        index: flat numbers of the queries on their grid.
        rows: their rows, keys without a place first.
        reach: which keys they reach; None for all. One for all heads, or one for each.
        own: number among all keys of the key at each query's own cell; None where none is.
    """

    affinity: Affinity
    index: Int[Tensor, " n"]
    rows: Float[Tensor, "heads n all_keys"]
    reach: Bool[Tensor, "heads_or_1 n all_keys"] | None
    own: Int[Tensor, " n"] | None

    @classmethod
    def of(cls, affinity: Affinity, numbers: npt.NDArray[np.int64]) -> Asked:
        """Return the rows of some queries.

        Args:
            affinity: of the block.
            numbers: flat numbers of the queries on their grid.
        """
        index = torch.from_numpy(numbers).to(affinity.device)
        rows, reach = rows_and_reach(affinity, index)
        return cls(affinity, index, rows, reach, own_keys(affinity, numbers))

    @property
    def prefix(self) -> int:
        """Number of keys without a place."""
        return self.affinity.keys.prefix

    @property
    def counts(self) -> Int[Tensor, "heads_or_1 n"]:
        """How many keys each query reaches, those without a place included."""
        if self.reach is None:
            return torch.full((1, len(self.index)), self.rows.shape[-1], device=self.index.device)
        return self.reach.sum(-1)


def rows_and_reach(
    affinity: Affinity, index: Int[Tensor, " n"]
) -> tuple[Float[Tensor, "heads n all_keys"], Bool[Tensor, "heads_or_1 n all_keys"] | None]:
    """Return rows in single or double precision, and which keys they reach; None for all."""
    bias = affinity.bias if isinstance(affinity, EmbeddedAffinity) else None
    if bias is not None and bool(bias.tensor.isneginf().any()):
        # What is added to logits hides keys, too, which the support does not tell.
        logits = affinity.logits(index)
        hidden = logits.isneginf()
        rows = affinity.pairwise.normalise(logits)
        return _wide(rows), ~hidden
    rows = affinity.rows(index)
    mask = affinity.support.mask_all(affinity.queries, affinity.keys, index)
    return _wide(rows), None if mask is None else mask[None].to(rows.device)


def all_finite(values: Tensor) -> bool:
    """Return whether no number is infinite or none; one pass that writes nothing."""
    if not values.numel():
        return True
    low, high = values.aminmax()  # what is not a number is both
    return bool(low.isfinite() & high.isfinite())


def _wide(rows: Tensor) -> Tensor:
    rows = rows.detach()
    return rows if rows.dtype == torch.float64 else rows.float()


def own_keys(affinity: Affinity, numbers: npt.NDArray[np.int64]) -> Int[Tensor, " n"] | None:
    """Return the key that is each query itself, among all keys; None where none is.

    Args:
        affinity: whose queries.
        numbers: flat numbers of the queries on their grid.
    """
    queries, keys = affinity.queries, affinity.keys
    if queries.kind != keys.kind or (queries.kind != "grid" and queries != keys):
        return None
    if queries.kind != "grid":
        return torch.from_numpy(numbers + keys.prefix).to(affinity.device)
    at = np.unravel_index(numbers, queries.shape)
    cells = (
        axis.nearest(own.centres(n)[where], count)
        for axis, own, n, where, count in zip(
            keys.axes, queries.axes, queries.shape, at, keys.shape, strict=True
        )
    )
    flat = np.ravel_multi_index(tuple(cells), keys.shape)
    return torch.from_numpy(flat + keys.prefix).to(affinity.device)


def row_figures(asked: Asked, times: npt.NDArray[np.float64]) -> Figures:
    """Return what each row does; see the module.

    Args:
        asked: the rows.
        times: (T,) seconds of the clip's frames.

    >>> from nlviz import Pairwise, TokenGrid
    >>> grid = TokenGrid((2, 3, 4), (1, 8, 8))
    >>> theta, phi = torch.zeros(2, 1, 24, 5)
    >>> a = EmbeddedAffinity("block", Pairwise("gaussian"), theta, phi, grid, grid)
    >>> found = row_figures(Asked.of(a, np.array([7])), np.array([0.0, 0.5]))
    >>> {name: round(float(of[0, 0]), 2) for name, of in found.items()}
    {'effective': 24.0, 'spread': 1.0, 'uniform': 1.0, 'own_frame': 0.5, 'cross_frame': 0.5, \
'own_cell': 0.04, 'off_grid': 0.0, 'pixels': 14.42, 'seconds': 0.25}
    """
    affinity, rows, prefix = asked.affinity, asked.rows, asked.prefix
    places = KeyPlaces.of(affinity)
    size = rows.abs() if affinity.pairwise.signed else rows
    off, on = size[..., :prefix].sum(-1), size[..., prefix:]
    placed = on.sum(-1)
    total = placed + off
    by_frame = _by_frame(rows[..., prefix:], places).abs()
    frames_sum = _or_nan(by_frame.sum(-1))
    own = places.own[asked.index]
    own_frame = by_frame.gather(-1, own.expand(len(rows), -1)[..., None])[..., 0] / frames_sum
    found: Figures = _of_distribution(asked, off, total)
    even = total / asked.counts.clamp(min=1).to(size)
    found["uniform"] = torch.minimum(size, even[..., None]).sum(-1) / _or_nan(total)
    found["own_frame"], found["cross_frame"] = own_frame, 1 - own_frame
    nothing = torch.full_like(total, torch.nan)
    found["own_cell"] = nothing
    if asked.own is not None:
        at = asked.own.expand(len(rows), -1)[..., None]
        found["own_cell"] = size.gather(-1, at)[..., 0] / _or_nan(total)
    found["off_grid"] = off / _or_nan(total)
    found["pixels"], found["seconds"] = nothing, nothing
    if _in_space(affinity):
        away = places.distances(asked.index).to(size)
        cells = _folded(on, places)
        found["pixels"] = (cells * away).sum(-1) / _or_nan(placed)
        seconds = _times(affinity, places, asked.index, times).to(size)
        found["seconds"] = (by_frame * seconds).sum(-1) / frames_sum
    else:  # words and boxes in one line lie on no frame
        found["own_frame"] = found["cross_frame"] = nothing
    return found


def _in_space(affinity: Affinity) -> bool:
    """Return whether queries and keys lie in the clip, so that there is a distance."""
    return {affinity.queries.kind, affinity.keys.kind} <= {"grid", "boxes"}


def _of_distribution(asked: Asked, off: Tensor, total: Tensor) -> Figures:
    """Return effective keys and spread; not a number where a row does not sum to 1."""
    nothing = torch.full_like(total, torch.nan)
    if not asked.affinity.distributes:
        return {"effective": nothing, "spread": nothing}
    on, prefix = asked.rows[..., asked.prefix :], asked.prefix
    least = torch.finfo(on.dtype).tiny
    of_on = on.clamp(min=least).log_().mul_(on).sum(-1)
    nats = -of_on - off * off.clamp(min=least).log()
    effective = torch.where((total - 1).abs() < SUMS_TO_ONE, nats.exp().clamp(min=1.0), nothing)
    keys = asked.counts
    if prefix:
        apart = asked.reach[..., :prefix].sum(-1) if asked.reach is not None else prefix
        keys = keys - apart + (off > 0)
    return {"effective": effective, "spread": effective / keys.clamp(min=1)}


def _or_nan(size: Tensor) -> Tensor:
    """Return what is divided by, not a number where there is nothing."""
    return size.where(size > 0, torch.nan)


def _by_frame(on: Float[Tensor, "heads n keys"], places: KeyPlaces) -> Tensor:
    frames = len(places.frames)
    if places.cells:
        return on.reshape(*on.shape[:-1], frames, places.cells).sum(-1)
    one_hot = (places.frame_of[:, None] == torch.arange(frames, device=on.device)).to(on)
    return on @ one_hot


def _folded(on: Float[Tensor, "heads n keys"], places: KeyPlaces) -> Tensor:
    if places.cells:
        return on.reshape(*on.shape[:-1], len(places.frames), places.cells).sum(-2)
    return on


def _times(
    affinity: Affinity, places: KeyPlaces, index: Tensor, times: npt.NDArray[np.float64]
) -> Float[Tensor, "n frames"]:
    """Return the time from each query to each frame of the keys, in seconds."""
    counted = np.arange(len(times))
    at = np.interp(places.frames.cpu().numpy(), counted, times)
    frame = np.broadcast_to(affinity.queries.centres()[0], affinity.queries.shape).ravel()
    here = np.interp(frame[index.cpu().numpy()], counted, times)
    return torch.from_numpy(np.abs(here[:, None] - at)).to(index.device)
