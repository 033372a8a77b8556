"""First stage of the recipe: theta and phi learn to find the same point in other frames.

With c_ij = theta_i . phi_j, both of unit length, there are three objectives:

- *correspondence*, where the truth is known, on sharp rows restricted to the *other* frames,
  r_ij = softmax_j(35 c_ij): with m_i = sum of r_ij over keys j within 1.5 cells of the true place,
  in every frame where it is seen, and o_i = sum over the keys of the same object, minimise
  -log m_i + 20 (1 - m_i) - log o_i (the last for objects alone);
- *spread*, on the same queries and rows as they are in use, over all frames and with the learned
  temperature: with m_if the mass near the true place in frame f, the own frame included, minimise
  minus the mean of 4 log m_if over the frames where the point is seen. Without it the own cell,
  which is always the best match, takes nearly the whole row;
- *copying*, on footage, on the sharp restricted rows: with v the standardised clean features,
  y_i = sum_j r_ij v_j must equal v_i; minimise 20 (1 - cos(y_i, v_i)). It is non-local means with a
  learned f (cf. Vondrick et al. 2018, arXiv 1806.09594).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.networks.block import NonLocalBlock
from nlviz.recipes.feature_bank import Sample

REACH = 1.5  # cells
SHARP = 35.0  # factor of the logits of restricted rows in training
SURE, OBJECT, SPREAD = 20.0, 1.0, 4.0  # weights of (1 - m), of -log o and of spread
DEGRADED = 0.65  # part of the clips that are shown degraded
Embed = Callable[[Tensor], tuple[Tensor, Tensor]]


def initialise(block: NonLocalBlock, samples: Sequence[Sample]) -> None:
    """Start theta and phi as one map that whitens what degradation does to the features.

    With S the covariance of clean features and N the second moment of (degraded - clean), theta(x)
    = phi(x) = (N + S / 10)^(-1/2) (x - mean): directions that noise shakes count less, and the
    cosine is that of centred features otherwise.
    """
    clean = torch.cat([_cells(s.clean)[::7] for s in samples])
    seen = torch.cat([_cells(s.seen)[::7] for s in samples])
    mean = (clean.mean(0) + seen.mean(0)) / 2
    shaken = (seen - clean).T @ (seen - clean) / len(clean)
    values, vectors = torch.linalg.eigh(shaken + 0.1 * torch.cov(clean.T))
    whiten = vectors @ torch.diag(values.clamp_min(1e-6).rsqrt()) @ vectors.T
    whiten = whiten / ((clean - mean) @ whiten.T).norm(dim=1).mean()
    with torch.no_grad():
        for conv in (cast(nn.Conv3d, block.theta), cast(nn.Conv3d, block.phi)):
            conv.weight.copy_(whiten.view_as(conv.weight))
            cast(Tensor, conv.bias).copy_(-whiten @ mean)
        cast(Tensor, block.log_scale).fill_(math.log(12.0))


def correspondence_loss(
    block: NonLocalBlock, sample: Sample, rng: np.random.Generator, *, queries: int
) -> Tensor:
    """Return the loss of the truth of a composed clip over some queries drawn at random.

    Objects are drawn three times as often as the background.
    """
    truth, labels = cast(Tensor, sample.truth), cast(Tensor, sample.labels)
    x = sample.seen if rng.random() < DEGRADED else sample.clean
    t, _, h, w = x.shape
    odds = np.where(labels.numpy().reshape(-1) > 0, 3.0, 1.0)
    chosen = rng.choice(t * h * w, min(queries, t * h * w), replace=False, p=odds / odds.sum())
    query = torch.from_numpy(chosen)
    right = hits(truth, query, h, w).to(_device(block))
    known = right.any(1)
    query, right = query[known.cpu()], right[known]
    cosines, own = _cosines(block, x, query)
    if len(query) == 0:
        return cosines.sum() * 0.0
    rows = (SHARP * cosines).masked_fill(own, -math.inf).softmax(1)
    mass = (rows * right).sum(1)
    loss = (SURE * (1 - mass) - (mass + 1e-6).log()).mean()
    near = hits(truth, query, h, w, own=True).to(right.device)
    loss = loss + SPREAD * _spread(cosines * block.logit_scale(), near, t)
    flat = labels.reshape(-1)
    on_object = flat[query] > 0
    if not on_object.any():
        return loss
    same = (flat[query[on_object]][:, None] == flat).to(rows.device)
    whole = (rows[on_object.to(rows.device)] * same).sum(1)
    return loss - OBJECT * (whole + 1e-6).log().mean()


def copying_loss(
    block: NonLocalBlock, sample: Sample, rng: np.random.Generator, *, queries: int
) -> Tensor:
    """Return how far the copies of some queries are from what they should copy."""
    x = sample.seen if rng.random() < DEGRADED else sample.clean
    device = _device(block)
    values = _cells(sample.clean).to(device)
    values = (values - values.mean(0)) / values.std(0).clamp_min(1e-6)
    cells = len(values)
    query = torch.from_numpy(rng.choice(cells, min(queries, cells), replace=False))
    cosines, own = _cosines(block, x, query)
    copies = (SHARP * cosines).masked_fill(own, -math.inf).softmax(1) @ values
    return SURE * (1 - F.cosine_similarity(copies, values[query.to(device)], dim=1)).mean()


def hits(truth: Tensor, query: Tensor, h: int, w: int, *, own: bool = False) -> Tensor:
    """Return (queries, T * h * w) bool: keys of other frames within 1.5 cells of the true place.

    Args:
        truth: see `Sample`.
        query: (queries,) flat indices, t-major.
        h: cells of a column.
        w: cells of a row.
        own: count keys of the query's own frame as well.
    """
    t, cells = truth.shape[0], h * w
    place = truth[query // cells, :, query % cells].float()
    if not own:
        place[torch.arange(len(query)), query // cells] = math.nan
    key = torch.arange(cells)
    dy = key // w - place[..., :1]
    dx = key % w - place[..., 1:]
    return (dy.square() + dx.square() <= REACH**2).reshape(len(query), t * cells)


def _cosines(block: NonLocalBlock, x: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosines of some queries with all keys, and which keys are of the query's own frame."""
    device = _device(block)
    theta, phi, _ = block.embed(x.float().to(device).transpose(0, 1)[None])
    cells = x.shape[2] * x.shape[3]
    own = query[:, None] // cells == torch.arange(x.shape[0] * cells) // cells
    return theta[0, 0, query.to(device)] @ phi[0, 0].T, own.to(device)


def _spread(logits: Tensor, near: Tensor, frames: int) -> Tensor:
    """Return minus the mean log mass near the true place, over the frames where it is seen."""
    by_frame = (len(logits), frames, -1)
    mass = (logits.softmax(1) * near).reshape(by_frame).sum(2)
    seen = near.reshape(by_frame).any(2)
    return torch.mean(-((mass + 1e-6).log() * seen).sum(1) / seen.sum(1))


def measure(
    embed: Embed,
    samples: Sequence[Sample],
    *,
    degraded: bool,
    scale: float = SHARP,
    queries: int = 48,
    seed: int = 0,
) -> dict[str, float]:
    """Return how well links into other frames find the true point, over all samples.

    Args:
        embed: (T, C, h, w) features to theta and phi, both (T * h * w, d).
        samples: composed clips; the queries lie on their objects.
        degraded: look at the degraded frames.
        scale: factor of the logits.
        queries: most queries per sample.
        seed: which queries.

    Returns:
        ``top1`` and ``top20``: part of the strongest links that end within 1.5 cells of the truth;
        ``mass``: the part of the row there.
    """
    found: list[Tensor] = []
    for sample in samples:
        truth, labels = cast(Tensor, sample.truth), cast(Tensor, sample.labels)
        x = sample.seen if degraded else sample.clean
        t, _, h, w = x.shape
        on_objects = np.flatnonzero(labels.numpy().reshape(-1))
        rng = np.random.default_rng(seed)
        query = torch.from_numpy(rng.permutation(on_objects)[:queries].astype(np.int64))
        right = hits(truth, query, h, w)
        query, right = query[right.any(1)], right[right.any(1)]
        theta, phi = embed(x.float())
        own = query[:, None] // (h * w) == torch.arange(t * h * w) // (h * w)
        rows = (theta[query] @ phi.T * scale).masked_fill(own, -math.inf).softmax(1)
        top = right.gather(1, rows.topk(20, dim=1).indices).float()
        found.append(torch.stack([top[:, 0], top.mean(1), (rows * right).sum(1)], dim=1))
    mean = torch.cat(found).mean(0).tolist()
    return dict(zip(("top1", "top20", "mass"), mean, strict=True))


def cosine(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return raw features at unit length for theta and phi: the rival of every learned f."""
    unit = F.normalize(_cells(x), dim=1)
    return unit, unit


def learned(block: NonLocalBlock) -> Embed:
    """Return the block's theta and phi as a function of (T, C, h, w) features, on the CPU."""

    @torch.no_grad()
    def embed(x: Tensor) -> tuple[Tensor, Tensor]:
        theta, phi, _ = block.embed(x.to(_device(block)).transpose(0, 1)[None])
        return theta[0, 0].cpu(), phi[0, 0].cpu()

    return embed


def _device(block: NonLocalBlock) -> torch.device:
    return next(block.parameters()).device


def _cells(x: Tensor) -> Tensor:
    """(T, C, h, w) to (T * h * w, C) float32."""
    return x.float().permute(0, 2, 3, 1).flatten(0, 2)
