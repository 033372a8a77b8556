"""How like the query the keys are that a row looks at, by the features that enter the block.

``likeness`` is sum_j p_j r_j / sum_j p_j over the keys that the query reaches but its own: r_j is
the share of the other keys whose features are less like the query's than those of key j, by their
cosine (of equal ones the mean). It is the probability that a key drawn by the row is more like the
query than one drawn evenly (Mann and Whitney 1947): 1/2 where the row goes by anything else, 1
where all of it lies on the key that is most alike. A rank correlation over all keys, as
``features``, says little of a row that looks at three keys of a thousand; this does.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nlviz.captures.capture import Capture
from nlviz.clips.text import prompt_of
from nlviz.surveys.measuring.ranks import ranks
from nlviz.surveys.measuring.rows import Asked


def likeness(capture: Capture, asked: Asked, block: str) -> Float[Tensor, "heads n"] | None:
    """Return the likeness of the keys of each row; None without features on the queries' grid.

    Args:
        capture: of the clip.
        asked: the sampled rows.
        block: name of the block.
    """
    queries, keys = asked.affinity.queries, asked.affinity.keys
    x = capture.features.get(block)
    if x is None or {queries.kind, keys.kind} != {"grid"} or tuple(x.shape[1:]) != queries.shape:
        return None
    if prompt_of(capture.clip) is not None or not bool(x.isfinite().all()):
        return None
    unit = F.normalize(x.float(), dim=0)
    phi = unit if keys.shape == queries.shape else F.adaptive_max_pool3d(unit[None], keys.shape)[0]
    cosine = unit.flatten(1)[:, asked.index.to(unit.device)].mT @ phi.flatten(1)
    rows = asked.rows[..., asked.prefix :].abs()
    kept = torch.ones_like(rows[:1], dtype=torch.bool)
    if asked.reach is not None:
        kept = asked.reach[..., asked.prefix :].clone()
    if asked.own is not None:
        own = (asked.own - asked.prefix).expand(len(kept), -1)[..., None]
        kept.scatter_(-1, own, False)
    shares = rank_shares(cosine[None].to(rows.device), kept)
    weights = rows * kept
    total = weights.sum(-1)
    return (weights * shares).sum(-1) / total.where(total > 0, torch.nan)


def rank_shares(values: Float[Tensor, "*more n"], kept: Tensor) -> Float[Tensor, "*more n"]:
    """Return which share of the other numbers along the last axis is less; equal ones count half.

    Args:
        values: numbers.
        kept: which of them count; the others get 0.

    >>> values, kept = torch.tensor([3.0, 1.0, 1.0, 9.0]), torch.tensor([True, True, True, False])
    >>> rank_shares(values, kept)
    tensor([1.0000, 0.2500, 0.2500, 0.0000])
    """
    every = None if bool(kept.all()) else kept.cpu().numpy()
    found = torch.from_numpy(ranks(values.cpu().numpy(), every)).to(values)
    others = kept.sum(-1, keepdim=True) - 1
    return (found / others.clamp(min=1)).where(kept, 0.0)
