"""The non-local block of Wang et al. 2018 as a module.

z_i = W_z y_i + x_i with y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j), equations (1) to (6) of Wang et al.
2018, arXiv 1711.07971; original code https://github.com/facebookresearch/video-nonlocal-net
(CC-BY-NC; not used here). The affinity is never built where an exact way without it exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from nlviz.affinity.pairwise import OF_BLOCKS, PairwiseName
from nlviz.errors import NlvizError
from nlviz.networks.products import (
    concatenation_product,
    dot_product_product,
    max_pool,
    softmax_product,
)

_CONV: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORM: dict[int, Callable[..., nn.Module]] = {
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}


class Attend(nn.Module):
    """y = f g / C from theta, phi and g, without parameters and without the matrix.

    It is a module of its own so that a hook on it sees theta, phi, g and y as they are.
    """

    def __init__(self, pairwise: PairwiseName) -> None:
        super().__init__()
        if pairwise not in OF_BLOCKS:
            raise NlvizError(
                "a non-local block's pairwise function is gaussian, embedded_gaussian, "
                f"dot_product or concatenation; got {pairwise!r}"
            )
        self.pairwise = pairwise

    def forward(self, theta: Tensor, phi: Tensor, g: Tensor, scale: float | Tensor) -> Tensor:
        """Return y, (batch, heads, queries, dv)."""
        if self.pairwise == "concatenation":
            return concatenation_product(theta, phi, g)
        if self.pairwise == "dot_product":
            return dot_product_product(theta, phi, g, scale=scale)
        return softmax_product(theta, phi, g, scale=scale)


class NonLocalBlock(nn.Module):
    """A non-local block for features of 1, 2 or 3 dimensions; the identity when fresh.

    Args:
        channels: channels of the features, C.
        dimension: 1 (time), 2 (space) or 3 (space-time).
        pairwise: ``gaussian``, ``embedded_gaussian``, ``dot_product`` or ``concatenation``.
        inner: channels of theta, phi and g; half of C by default (the paper's bottleneck).
        pool: side of the max-pooling of keys in space (not in time); 1 pools nothing.
        pool_first: pool the features before the 1x1 convolutions of phi and g, or after them.
        scale: factor of the logits: a number, True for d^-1/2, or False for 1 (the paper's).
        unit_length: scale theta and phi to length 1; then a learned temperature replaces ``scale``.
        norm: batch normalisation behind W_z.
        frames_per_group: fold time into groups of this many frames that see only each other; None
            lets every frame see every other. Only in three dimensions.
        concat_bias: in ``concatenation``, a bias inside the ReLU.

    >>> block = NonLocalBlock(6, dimension=2, pool=2).eval()
    >>> x = torch.randn(1, 6, 5, 7)
    >>> torch.equal(block(x), x)
    True
    """

    log_scale: nn.Parameter | None
    w_f_bias: nn.Parameter | None
    place: str = ""  # the layer that ``insert`` put it behind

    def __init__(
        self,
        channels: int,
        *,
        dimension: Literal[1, 2, 3] = 3,
        pairwise: PairwiseName = "embedded_gaussian",
        inner: int | None = None,
        pool: int = 1,
        pool_first: bool = True,
        scale: float | bool = False,
        unit_length: bool = False,
        norm: bool = True,
        frames_per_group: int | None = None,
        concat_bias: bool = False,
    ) -> None:
        super().__init__()
        if frames_per_group is not None and (dimension != 3 or frames_per_group < 1):
            raise NlvizError(
                "groups are of one or more frames of features (batch, channels, t, h, w); got "
                f"frames_per_group={frames_per_group} in {dimension} dimensions"
            )
        if unit_length and pairwise == "concatenation":
            raise NlvizError(
                "unit_length scales the factors of an inner product, concatenation has none; take "
                "embedded_gaussian, gaussian or dot_product"
            )
        inner = max(channels // 2, 1) if inner is None else inner
        conv = _CONV[dimension]
        self.attend = Attend(pairwise)
        self.channels, self.dimension, self.pairwise = channels, dimension, pairwise
        self.pool, self.pool_first, self.unit_length = pool, pool_first, unit_length
        self.frames_per_group = frames_per_group
        width = channels if pairwise == "gaussian" else inner
        self.scale = (width**-0.5 if scale else 1.0) if isinstance(scale, bool) else float(scale)
        if pairwise != "gaussian":
            self.theta = conv(channels, inner, 1)
            self.phi = conv(channels, inner, 1)
        if pairwise == "concatenation":
            self.w_f = nn.Parameter(torch.randn(2 * inner) * (2 * inner) ** -0.5)
        biased = pairwise == "concatenation" and concat_bias
        self.w_f_bias = nn.Parameter(torch.zeros(())) if biased else None
        self.log_scale = nn.Parameter(torch.tensor(2.3)) if unit_length else None
        self.g = conv(channels, inner, 1)
        self.out = conv(inner, channels, 1)
        self.bn = _NORM[dimension](channels) if norm else nn.Identity()
        # Zero output: a network is unchanged when the block is put into it.
        last = self.bn if norm else self.out
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    @property
    def key_kernel(self) -> tuple[int, ...]:
        """Kernel of the pooling of keys: space only, unless time is the only dimension."""
        return (1, self.pool, self.pool) if self.dimension == 3 else (self.pool,) * self.dimension

    def embed(
        self, x: Float[Tensor, "batch channels *grid"]
    ) -> tuple[
        Float[Tensor, "batch 1 queries d"],
        Float[Tensor, "batch 1 keys d"],
        Float[Tensor, "batch 1 keys dv"],
    ]:
        """Return theta, phi and g as they enter the product.

        In ``concatenation`` theta and phi are the two vectors of d = 1 (see ``pairwise``).
        """
        pooled = self._pooled(x) if self.pool_first else x

        def of_keys(conv: nn.Module) -> Tensor:
            if self.pool == 1 or self.pool_first:
                return _projected(conv, pooled)
            return _tokens(self._pooled(conv(x)))

        g = of_keys(self.g)
        if self.pairwise == "gaussian":
            theta, phi = _tokens(x), _tokens(self._pooled(x))
        else:
            theta, phi = _projected(self.theta, x), of_keys(self.phi)
        if self.pairwise == "concatenation":
            d = theta.shape[-1]
            theta, phi = theta @ self.w_f[:d, None], phi @ self.w_f[d:, None]
            if self.w_f_bias is not None:
                theta = theta + self.w_f_bias
        elif self.unit_length:
            theta, phi = F.normalize(theta, dim=-1), F.normalize(phi, dim=-1)
        return theta, phi, g

    def logit_scale(self) -> float | Tensor:
        """Return the factor of the logits, 1/temperature where embeddings have unit length."""
        return self.scale if self.log_scale is None else self.log_scale.exp()

    def forward(self, x: Float[Tensor, "batch channels *grid"]) -> Tensor:
        """Return z = W_z y + x, of the shape of x."""
        if x.shape[1] != self.channels or x.dim() != self.dimension + 2:
            raise NlvizError(
                f"this block takes features (batch, {self.channels}, "
                f"{', '.join('thw'[-self.dimension :])}), got {tuple(x.shape)}"
            )
        z = self.branch(x)
        fits = z.dtype == x.dtype and z.stride() == x.stride()  # else x's layout in memory is lost
        return z.add_(x) if fits and not self.training else x + z

    def branch(self, x: Float[Tensor, "batch channels *grid"]) -> Tensor:
        """Return W_z y, normalised, of the shape of x: what the block adds to its input."""
        inside = self._grouped(x)
        y = self.attend(*self.embed(inside), self.logit_scale())[:, 0]
        z = self._out(y, inside.shape[2:])
        if inside is x:
            return z
        folded = z.reshape(x.shape[0], -1, *z.shape[1:])
        return folded.transpose(1, 2).flatten(2, 3)

    def _out(self, y: Float[Tensor, "batch queries dv"], grid: torch.Size) -> Tensor:
        """Return W_z y, normalised; in evaluation the normalisation is a part of W_z."""
        norm = self.bn
        if not self.is_plain:
            return cast(Tensor, norm(self.out(y.mT.reshape(len(y), -1, *grid))))
        weight, bias = _weights(self.out)
        if not isinstance(norm, _BatchNorm) or norm.training:
            return cast(Tensor, norm(_mapped(y, weight, bias, grid)))
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        factor = norm.weight * (variance + norm.eps).rsqrt()
        weight, bias = weight * factor[:, None], (bias - mean) * factor + norm.bias
        return _mapped(y, weight, bias, grid)

    @property
    def is_plain(self) -> bool:
        """Whether W_z and its normalisation are no more than their weights: no hook, no wrapper."""
        norm = self.bn
        usual = isinstance(norm, nn.Identity) or (
            isinstance(norm, _BatchNorm) and norm.affine and norm.running_mean is not None
        )
        return _is_plain(self.out) and usual and not _has_hooks(norm)

    def _grouped(self, x: Tensor) -> Tensor:
        """Return groups of frames as a batch: (batch x groups, channels, frames, h, w)."""
        n = self.frames_per_group
        if n is None or x.shape[2] == n:
            return x
        if x.shape[2] % n:
            raise NlvizError(
                f"this block takes a multiple of {n} frames of features, got {x.shape[2]}; take a "
                "clip with more or fewer frames"
            )
        groups = x.reshape(*x.shape[:2], -1, n, *x.shape[3:])
        return groups.transpose(1, 2).flatten(0, 1)

    def _pooled(self, x: Tensor) -> Tensor:
        return x if self.pool == 1 else max_pool(x, self.key_kernel)


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(2).mT[:, None]


def _weights(conv: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the matrix and the bias of a 1x1 convolution."""
    return cast(Tensor, conv.weight).flatten(1), cast(Tensor, conv.bias)


def _is_plain(conv: nn.Module) -> bool:
    """Return whether a convolution is no more than its weights.

    What stands in its place (LoRA, a quantised one), a parametrization or a hook must be called.
    """
    return type(conv) in (nn.Conv1d, nn.Conv2d, nn.Conv3d) and not _has_hooks(conv)


def _has_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _projected(conv: nn.Module, x: Tensor) -> Tensor:
    """Return the tokens of a 1x1 convolution's output; as a product they need no copy of it."""
    if not _is_plain(conv):
        return _tokens(cast(Tensor, conv(x)))
    weight, bias = _weights(conv)
    return torch.baddbmm(bias, x.flatten(2).mT, weight.mT.expand(len(x), -1, -1))[:, None]


def _mapped(y: Tensor, weight: Tensor, bias: Tensor, grid: torch.Size) -> Tensor:
    """Return tokens under a matrix, as features (batch, channels, *grid)."""
    z = torch.bmm(weight.expand(len(y), -1, -1), y.mT).add_(bias[:, None])
    return z.view(len(y), len(weight), *grid)
