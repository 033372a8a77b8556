"""y = f g / C without the queries x keys matrix, exactly; and max-pooling axis by axis.

softmax        fused attention (FlashAttention, Dao et al. 2022, arXiv 2205.14135, through torch)
dot_product    theta (phi^T g) / M: associativity, O((N + M) d^2) instead of O(N M d)
concatenation  sum_j relu(a_i + b_j) g_j is piecewise linear in a_i with knots t_j = -b_j:
               with t ascending, G_k = sum_{j<=k} g_j, Y_1 = 0,
               Y_{k+1} = Y_k + (t_{k+1} - t_k) G_k, and k(i) = #{j: t_j < a_i},
               M y_i = Y_k + (a_i - t_k) G_k, or 0 where k = 0. O((N + M) d + M log M);
               every multiplier is non-negative and free of a common offset, so nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nlviz.errors import NlvizError

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


_MAX_POOL: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def max_pool(
    x: Float[Tensor, "batch channels *grid"],
    kernel: Sequence[int],
    stride: Sequence[int] | None = None,
    pad: Sequence[int] | None = None,
) -> Float[Tensor, "batch channels *smaller"]:
    """Return the maximum over windows, as torch's max-pooling of 1, 2 or 3 dimensions.

    A maximum over a box is one along each axis in turn; on a CPU that is several times faster than
    torch's kernels, which also look for the place of each maximum. Where a gradient will want those
    places, and on other devices, torch's own runs.

    Args:
        x: features.
        kernel: of the window, one number for each axis of the grid.
        stride: of the window; the kernel by default.
        pad: how far windows reach beyond the grid at both ends; at most half of the kernel.

    >>> x = torch.arange(10.0).reshape(1, 1, 2, 5)
    >>> max_pool(x, (1, 3), (1, 2), (0, 1))
    tensor([[[[1., 3., 4.],
              [6., 8., 9.]]]])
    """
    stride = kernel if stride is None else stride
    pad = (0,) * len(kernel) if pad is None else pad
    if max(*kernel, *stride) == 1:
        return x
    if (
        x.requires_grad
        or x.device.type != "cpu"
        or any(2 * p >= k for p, k in zip(pad, kernel, strict=True))
    ):
        return _MAX_POOL[len(kernel)](x, tuple(kernel), tuple(stride), tuple(pad))
    for axis, (k, s, p) in enumerate(zip(kernel, stride, pad, strict=True), 2):
        if (k, s) != (1, 1):
            x = _max_along(x, axis, k, s, p)
    return x


def _max_along(x: Tensor, axis: int, kernel: int, stride: int, pad: int) -> Tensor:
    n = x.shape[axis]
    count = (n + 2 * pad - kernel) // stride + 1
    if count < 1:
        raise NlvizError(f"windows of {kernel} do not fit into {n} cells; take a larger clip")
    every = (slice(None),) * axis

    def picked(offset: int, first: int, last: int) -> Tensor:
        """Return cells at ``stride * j + offset`` for j in [first, last)."""
        start = stride * first + offset
        return x[(*every, slice(start, start + stride * (last - first - 1) + 1, stride))]

    found = picked(0, 0, count).clone()
    for offset in range(-pad, kernel - pad):
        first = max(-(offset // stride), 0)  # the first window whose cell is inside
        last = min((n - 1 - offset) // stride + 1, count)
        if offset and last > first:
            part = found[(*every, slice(first, last))]
            torch.maximum(part, picked(offset, first, last), out=part)
    return found
