"""y = f g / C without the queries x keys matrix, exactly.

softmax        fused attention (FlashAttention, Dao et al. 2022, arXiv 2205.14135, through torch)
dot_product    theta (phi^T g) / M: associativity, O((N + M) d^2) instead of O(N M d)
concatenation  sum_j relu(a_i + b_j) g_j is piecewise linear in a_i with knots t_j = -b_j:
               with t ascending, G_k = sum_{j<=k} g_j, Y_1 = 0,
               Y_{k+1} = Y_k + (t_{k+1} - t_k) G_k, and k(i) = #{j: t_j < a_i},
               M y_i = Y_k + (a_i - t_k) G_k, or 0 where k = 0. O((N + M) d + M log M);
               every multiplier is non-negative and free of a common offset, so nothing cancels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Theta = Float[Tensor, "batch heads queries d"]
Phi = Float[Tensor, "batch heads keys d"]
G = Float[Tensor, "batch heads keys dv"]
Y = Float[Tensor, "batch heads queries dv"]


def softmax_product(theta: Theta, phi: Phi, g: G, *, scale: float | Tensor) -> Y:
    """Return softmax(scale theta phi^T) g without its matrix.

    The inputs are made contiguous and padded to one width: otherwise fused attention on a CPU
    falls back to the form that builds the matrix.

    >>> theta = phi = g = torch.eye(3)[None, None]
    >>> softmax_product(theta, phi, g, scale=0.0)[0, 0, 0]
    tensor([0.3333, 0.3333, 0.3333])
    """
    if isinstance(scale, Tensor):
        theta, scale = theta * scale, 1.0
    d, dv = theta.shape[-1], g.shape[-1]
    if d < dv:
        theta, phi = F.pad(theta, (0, dv - d)), F.pad(phi, (0, dv - d))
    elif dv < d:
        g = F.pad(g, (0, d - dv))
    y = F.scaled_dot_product_attention(
        theta.contiguous(), phi.contiguous(), g.contiguous(), scale=scale
    )
    return y[..., :dv]


def dot_product_product(theta: Theta, phi: Phi, g: G, *, scale: float | Tensor) -> Y:
    """Return scale theta (phi^T g) / keys.

    >>> theta, phi, g = torch.ones(1, 1, 2, 3), torch.ones(1, 1, 5, 3), torch.ones(1, 1, 5, 1)
    >>> dot_product_product(theta, phi, g, scale=1.0)[0, 0, :, 0]
    tensor([3., 3.])
    """
    return theta @ ((phi.mT @ g) * (scale / phi.shape[-2]))


def concatenation_product(
    a: Float[Tensor, "batch heads queries 1"], b: Float[Tensor, "batch heads keys 1"], g: G
) -> Y:
    """Return y_i = 1/M sum_j relu(a_i + b_j) g_j from the two vectors.

    >>> a, b = torch.tensor([[[[1.0], [-9.0]]]]), torch.tensor([[[[2.0], [-5.0]]]])
    >>> concatenation_product(a, b, torch.ones(1, 1, 2, 1))[0, 0, :, 0]
    tensor([1.5000, 0.0000])
    """
    t, order = (-b[..., 0]).sort(-1)
    # Channels first: the sums over keys then run along memory, which is what the time goes into.
    g = g.gather(-2, order[..., None].expand_as(g)).mT.contiguous()
    sums = g.cumsum(-1)
    steps = t.diff(dim=-1)[..., None, :] * sums[..., :-1]
    at_knots = F.pad(steps.cumsum(-1), (1, 0))
    a = a[..., 0]
    below = torch.searchsorted(t.detach(), a.detach().contiguous())
    last = (below - 1).clamp(min=0)
    # Without a knot below a_i no key is reached: then Y_1 = 0, and the rest is 0 too.
    rest = torch.where(below > 0, a - t.gather(-1, last), 0.0)
    wide = last[..., None, :].expand(*last.shape[:-1], g.shape[-2], last.shape[-1])
    y = at_knots.gather(-1, wide) + rest[..., None, :] * sums.gather(-1, wide)
    return y.mT / b.shape[-2]
