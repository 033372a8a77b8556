"""The pairwise function f and its normalisation C.

Equations (2) to (5) of Wang, Girshick, Gupta and He, "Non-local Neural Networks", CVPR 2018,
arXiv 1711.07971, and non-local means, which has the same form
(Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005).

    name                 f(x_i, x_j)                      C(x)       row
    gaussian             exp(s x_i . x_j)                 sum_j f    sums to 1
    embedded_gaussian    exp(s theta_i . phi_j)           sum_j f    sums to 1
    dot_product          s theta_i . phi_j                keys       signed
    concatenation        relu(w_f . [theta_i ; phi_j])    keys       non-negative
    nl_means             exp(-distance_ij / h^2)          sum_j f    sums to 1
    bilateral            the same, of pixels, times exp(-|i - j|^2 / 2 spatial^2)
    effective_operator   A_ij, as a layer made it of the query alone or of a wider part of the
                         picture; C is a part of it, rows sum to what they sum to
    cosine               x_i . x_j, both of unit length   1          in [-1, 1]
    graph_attention      exp(LeakyReLU(a1 . W h_i + a2 . W h_j)), over the edges into i; sums to 1
    graph_attention_v2   exp(a . LeakyReLU(W1 h_i + W2 h_j)), likewise; neither has embeddings here:
                         its weights are kept

code                paper
``theta``, ``phi``  theta(x_i), phi(x_j); x itself in ``gaussian``
``logits``          the argument of exp, or f before its relu and its division by C
row                 f / C over all keys j of one query i
``scale``           s; 1 in the paper, d^-1/2 in many codes, 1/temperature at unit length

w_f . [theta_i ; phi_j] is the sum of two numbers, a_i = w_theta . theta_i and b_j = w_phi . phi_j.
Here ``concatenation`` takes theta = a and phi = b with d = 1: two vectors hold the whole affinity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.errors import NlvizError

PairwiseName = Literal[
    "gaussian",
    "embedded_gaussian",
    "dot_product",
    "concatenation",
    "nl_means",
    "bilateral",
    "cosine",
    "effective_operator",
    "graph_attention",
    "graph_attention_v2",
]
PAIRWISE_NAMES: tuple[PairwiseName, ...] = get_args(PairwiseName)
# Those of a non-local block, section 3.2 of Wang et al. 2018.
OF_BLOCKS: tuple[PairwiseName, ...] = PAIRWISE_NAMES[:4]
OF_GRAPHS: tuple[PairwiseName, ...] = PAIRWISE_NAMES[-2:]
SOFTMAX_NAMES = frozenset({"gaussian", "embedded_gaussian", "nl_means", "bilateral", *OF_GRAPHS})


@dataclass(frozen=True)
class Pairwise:
    """A pairwise function with its normalisation.

    Attributes:
        name: one of ``PAIRWISE_NAMES``.
        scale: factor of the inner product.

    >>> theta, phi = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> f = Pairwise("dot_product")
    >>> f.normalise(f.logits(theta, phi))
    tensor([[0., 1.]])
    """

    name: PairwiseName
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in PAIRWISE_NAMES:
            raise NlvizError(
                f"a pairwise function is one of {', '.join(PAIRWISE_NAMES)}; got {self.name!r}"
            )

    @property
    def signed(self) -> bool:
        """Whether rows may be negative."""
        return self.name in ("dot_product", "cosine", "effective_operator")

    @property
    def similarity(self) -> bool:
        """Whether a row is f itself, C = 1: how alike two are, which nothing is shared out of."""
        return self.name == "cosine"

    @property
    def softmax(self) -> bool:
        """Whether C is the sum of f over the keys, so that a row sums to 1."""
        return self.name in SOFTMAX_NAMES

    def logits(
        self, theta: Float[Tensor, "*heads queries d"], phi: Float[Tensor, "*heads keys d"]
    ) -> Float[Tensor, "*heads queries keys"]:
        """Return the logits of every query and key given.

        Non-local means has no embeddings; its logits come from ``PatchAffinity``.
        """
        if self.name == "concatenation":
            return theta + phi.mT
        logits = theta @ phi.mT
        return logits if self.scale == 1.0 else logits.mul_(self.scale)

    def normalise(
        self, logits: Float[Tensor, "*heads queries keys"]
    ) -> Float[Tensor, "*heads queries keys"]:
        """Return rows f / C from the logits; -inf marks a key that the query may not reach."""
        if self.softmax:
            rows = logits.softmax(-1)
            # A query that reaches no key has a row of zeros. Its first logit gives it away, so that
            # the usual case costs no second pass, and a NaN of the network stays a NaN.
            if bool(logits[..., :1].isneginf().any()):
                rows = rows.masked_fill(logits.isneginf().all(-1, keepdim=True), 0.0)
            return rows
        reachable = ~logits.isneginf()
        f = self.numerator(torch.where(reachable, logits, 0.0))
        if self.similarity:
            return f
        return f / reachable.sum(-1, keepdim=True).clamp(min=1)

    def numerator(self, logits: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Return f of equation (1) from the logits."""
        if self.softmax:
            return logits.exp()
        if self.similarity:  # of vectors of unit length, up to rounding
            return logits.clamp(-1, 1)
        return logits.relu() if self.name == "concatenation" else logits
