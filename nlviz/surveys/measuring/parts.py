"""How much of sampled rows is the part that all queries of the clip share.

Of the exact split of a softmax row into a pairwise and a unary part (``nlviz.split``; Yin et al.
2020, arXiv 2006.06668) the unary row u is the same for every query of a group, and

    unary = 1 - JSD(p, u) / ln 2
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.bias import KeyBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.split import can_split
from nlviz.surveys.measuring.many import Many
from nlviz.surveys.measuring.rows import Asked


def unary_shares(asked: Asked, many: Many) -> Float[Tensor, "heads n"] | None:
    """Return the likeness of each sampled row to its unary part; None where there is no split.

    Args:
        asked: the sampled rows.
        many: which group each of them belongs to.
    """
    affinity = asked.affinity
    if not (isinstance(affinity, EmbeddedAffinity) and can_split(affinity)):
        return None
    prefix, wide = affinity.queries.prefix, asked.rows.dtype
    theta = affinity.theta[:, prefix:]
    of_query = affinity.query_groups
    chosen = torch.unique(of_query[asked.index])
    if len(chosen) == 1 and int(of_query.min()) == int(of_query.max()):
        means = theta.mean(1, keepdim=True, dtype=wide)
    else:
        means = torch.stack(
            [theta[:, (of_query == one).nonzero()[:, 0]].mean(1, dtype=wide) for one in chosen], 1
        )
    logits = affinity.pairwise.scale * means @ affinity.phi.to(wide).mT
    if isinstance(affinity.bias, KeyBias):  # one by offset is about the query
        logits = logits + affinity.bias.tensor.to(wide)
    if asked.reach is None:
        unary = logits.softmax(-1)
        if unary.shape[1] > 1:
            unary = unary[:, many.groups]
        apart = _divergence(asked.rows, unary, _p_log_p(unary))
    else:
        unary = logits[:, many.groups].masked_fill(~asked.reach, -torch.inf).softmax(-1)
        apart = _divergence(asked.rows, unary, _p_log_p(unary))
    return 1 - apart / math.log(2)


def _divergence(
    p: Float[Tensor, "heads n k"],
    q: Float[Tensor, "heads n_or_1 k"],
    of_q: Float[Tensor, "heads n_or_1"],
) -> Float[Tensor, "heads n"]:
    """Jensen-Shannon divergence in nats, as ``health.divergence`` in the rows' own precision.

    Twice it is sum p log p + sum q log q - sum s log s + sum s log 2, s = p + q.
    """
    both = p + q
    found: Tensor = _p_log_p(p) + of_q - _p_log_p(both) + both.sum(-1) * math.log(2)
    return (found / 2).clamp(min=0)


def _p_log_p(p: Float[Tensor, "*n k"]) -> Float[Tensor, "*n"]:
    least = torch.finfo(p.dtype).tiny
    found: Tensor = p.clamp(min=least).log_().mul_(p).sum(-1)
    return found
