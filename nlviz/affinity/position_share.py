"""Content and position where a bias enters the logits: each alone, and how much varies with it.

    logit_ij = s theta_i . phi_j + b_ij

Content alone leaves b out, position alone leaves theta . phi out; both are softmaxes of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from nlviz.affinity.base import Affinity
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.errors import NlvizError

SAMPLE = 32  # queries by which shares are taken


class Terms(NamedTuple):
    """An affinity with only one term of its logits.

    Attributes:
        content: without what is added for positions.
        position: without what queries and keys say.
    """

    content: EmbeddedAffinity
    position: EmbeddedAffinity


def has_terms(affinity: Affinity) -> bool:
    """Check whether logits have a term of content and one of position."""
    return (
        isinstance(affinity, EmbeddedAffinity)
        and affinity.bias is not None
        and affinity.pairwise.softmax
    )


def terms(affinity: Affinity) -> Terms:
    """Return rows of content alone and of position alone.

    Raises:
        NlvizError: when nothing is added to the logits, or rows are no softmax.

    >>> import torch
    >>> from nlviz.affinity.bias import KeyBias
    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.affinity.pairwise import Pairwise
    >>> line, ones = TokenGrid((1, 1, 2)), torch.ones(1, 2, 3)
    >>> bias = KeyBias(torch.tensor([[0.0, 1.0]]))
    >>> a = EmbeddedAffinity("b", Pairwise("gaussian"), ones, ones, line, line, bias=bias)
    >>> content, position = terms(a)
    >>> content.rows([0]), bool((position.rows([0]) == bias.values.softmax(-1)).all())
    (tensor([[[0.5000, 0.5000]]]), True)
    """
    if not (isinstance(affinity, EmbeddedAffinity) and has_terms(affinity)):
        raise NlvizError(
            "content and position are apart where something is added to the logits of a softmax; "
            f"nothing is in {affinity.name}"
        )
    alone = replace(affinity, values=None, output=None, token_names=(), apart_bias=None)
    zeros = (x.new_zeros(*x.shape[:2], 1) for x in (affinity.theta, affinity.phi))
    theta, phi = zeros
    return Terms(replace(alone, bias=None), replace(alone, theta=theta, phi=phi))


def position_share(affinity: Affinity) -> float | None:
    """Return how much of what varies within a row's logits is position, in [0, 1].

    The variance of the position term over the keys that a query reaches, in relation to that and
    the variance of the content term; both summed over heads and over queries spread evenly. None
    where there is no such term.
    """
    if not has_terms(affinity):
        return None
    index = affinity.evenly(SAMPLE).to(affinity.device)
    content, position = (_spread(one.logits(index).double()) for one in terms(affinity))
    whole = content + position
    return position / whole if whole > 0 else None


def _spread(logits: Tensor) -> float:
    there = logits.isfinite()
    count = there.sum(-1, keepdim=True).clamp(min=1)
    kept = logits.where(there, 0.0)
    away = (kept - kept.sum(-1, keepdim=True) / count).where(there, 0.0)
    return float((away.square().sum(-1, keepdim=True) / count).sum())
