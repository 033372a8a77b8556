"""Blocks with the parts and names of other people's, each computing formula (1) in plain steps.

Names and sizes are those of the originals' modules; what they compute is written out from the
paper's formulas, with the whole matrix of rows, which ``rows`` keeps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.families.references import noise

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
KERNEL: dict[int, Any] = {1: 2, 2: (2, 2), 3: (1, 2, 2)}


def shaken(net: nn.Module, seed: int = 0) -> Any:
    """Give every parameter and statistic another value than the one it starts with."""
    state = net.state_dict()
    for i, (key, value) in enumerate(state.items()):
        if value.is_floating_point():
            other = noise(*value.shape, seed=seed + i) * 0.3
            # w_f positive and theta and phi around 1, so that not all f of a row are 0
            state[key] = other.abs() + 0.5 if key.endswith("running_var") else other
            if "concat_project" in key or "W_f" in key:
                state[key] = other.abs()
            elif key.startswith(("theta", "phi")) and key.endswith("bias"):
                state[key] = other + 1
    net.load_state_dict(state)
    return net.eval()


def rows_of(mode: str, theta: Tensor, phi: Tensor, scale: float, w: Any = None) -> Tensor:
    """Return (batch, queries, keys) rows of theta and phi, (batch, d, cells)."""
    if mode == "concatenation":
        weight, bias = w.weight.flatten(), 0.0 if w.bias is None else w.bias
        d = theta.shape[1]
        a = torch.einsum("c,bcq->bq", weight[:d], theta)
        b = torch.einsum("c,bck->bk", weight[d:], phi)
        return (a[:, :, None] + b[:, None] + bias).clamp(min=0) / phi.shape[2]
    logits = torch.einsum("bcq,bck->bqk", theta, phi)
    if mode == "dot_product":
        return logits / phi.shape[2]
    return (scale * logits).softmax(2)


class _NonLocalBlockND(nn.Module):
    """AlexHex7: keys pooled behind their convolutions, one file for each mode."""

    def __init__(
        self, c: int, n: int, mode: str, *, pool: bool = True, norm: bool = True, scale: float = 1
    ) -> None:
        super().__init__()
        self.asked, self.factor, d = mode, scale, c // 2
        pooling = POOL[n](KERNEL[n])
        self.g = CONV[n](c, d, 1)
        out = CONV[n](d, c, 1)
        self.W = nn.Sequential(out, NORM[n](c)) if norm else out
        if mode != "gaussian":
            self.theta, self.phi = CONV[n](c, d, 1), CONV[n](c, d, 1)
        if mode == "concatenation":
            self.concat_project = nn.Sequential(nn.Conv2d(2 * d, 1, 1, bias=False), nn.ReLU())
        if pool:
            self.g = nn.Sequential(self.g, pooling)
            self.phi = pooling if mode == "gaussian" else nn.Sequential(self.phi, pooling)

    def forward(self, x: Tensor, return_nl_map: bool = False) -> Any:
        theta = x if self.asked == "gaussian" else self.theta(x)
        phi = self.phi(x) if hasattr(self, "phi") else x
        w = self.concat_project[0] if self.asked == "concatenation" else None
        self.rows = rows_of(self.asked, theta.flatten(2), phi.flatten(2), self.factor, w)
        y = self.g(x).flatten(2) @ self.rows.mT
        z = self.W(y.reshape(len(x), -1, *x.shape[2:])) + x
        return (z, self.rows) if return_nl_map else z


class NONLocalBlock3D(_NonLocalBlockND):
    def __init__(self, c: int, mode: str = "embedded_gaussian", **options: Any) -> None:
        super().__init__(c, 3, mode, **options)


class _ConvModule(nn.Module):
    """mmcv: a convolution, and its normalisation where it has one."""

    def __init__(self, c: int, d: int, n: int, *, norm: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.conv = CONV[n](c, d, 1, bias=bias and not norm)
        self.with_norm = norm
        if norm:
            self.bn = NORM[n](d)

    @property
    def norm(self) -> nn.Module:
        return self.bn

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.bn(x) if self.with_norm else x


class _NonLocalNd(nn.Module):
    """mmcv: as AlexHex7's, with a scale that can be left out, and one class for all modes."""

    def __init__(
        self,
        c: int,
        n: int,
        mode: str,
        *,
        use_scale: bool = True,
        pool: bool = True,
        norm: bool = True,
        inverted: bool = False,
    ) -> None:
        super().__init__()
        self.mode, self.use_scale, self.inverted, d = mode, use_scale, inverted, c // 2
        pooling = POOL[n](KERNEL[n])
        self.g: nn.Module = _ConvModule(c, d, n)
        self.conv_out = _ConvModule(d, c, n, norm=norm)
        if mode != "gaussian":
            self.theta, self.phi = _ConvModule(c, d, n), _ConvModule(c, d, n)
        if mode == "concatenation":
            self.concat_project = _ConvModule(2 * d, 1, 2, bias=False)
        if pool:
            self.g = nn.Sequential(self.g, pooling)
            self.phi = pooling if mode == "gaussian" else nn.Sequential(self.phi, pooling)

    def forward(self, x: Tensor) -> Tensor:
        theta = x if self.mode == "gaussian" else self.theta(x)
        phi = self.phi(x) if hasattr(self, "phi") else x
        scale = 1.0
        if self.mode == "embedded_gaussian" and self.use_scale:
            scale = theta.shape[1] ** (0.5 if self.inverted else -0.5)
        w = self.concat_project.conv if self.mode == "concatenation" else None
        self.rows = rows_of(self.mode, theta.flatten(2), phi.flatten(2), scale, w)
        y = self.g(x).flatten(2) @ self.rows.mT
        return x + self.conv_out(y.reshape(len(x), -1, *x.shape[2:]))


class NonLocal(nn.Module):
    """PyTorchVideo: features pooled before the convolutions of keys."""

    def __init__(self, c: int, mode: str, *, pool: Any = None, norm: bool = True) -> None:
        super().__init__()
        d = c // 2
        self.instantiation = mode
        self.conv_theta, self.conv_phi, self.conv_g = (nn.Conv3d(c, d, 1) for _ in range(3))
        self.conv_out = nn.Conv3d(d, c, 1)
        self.pool = None if pool is None else nn.MaxPool3d(pool, pool)
        self.norm = nn.BatchNorm3d(c) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        key = x if self.pool is None else self.pool(x)
        theta, phi, g = self.conv_theta(x), self.conv_phi(key), self.conv_g(key)
        mode = "embedded_gaussian" if self.instantiation == "softmax" else "dot_product"
        self.rows = rows_of(mode, theta.flatten(2), phi.flatten(2), theta.shape[1] ** -0.5)
        z = self.conv_out((g.flatten(2) @ self.rows.mT).reshape(theta.shape))
        return x + (z if self.norm is None else self.norm(z))


class Nonlocal(NonLocal):
    """SlowFast: the same, with ``bn`` for ``norm``, and no ``pool`` at all where there is none."""

    def __init__(self, c: int, mode: str, *, pool: Any = None) -> None:
        super().__init__(c, mode, pool=pool, norm=False)
        self.bn = nn.BatchNorm3d(c)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn(super().forward(x) - x)


def gluoncv(c: int, n: int, *, embed: bool = True, norm: bool = True) -> nn.Module:
    """GluonCV: its class is called ``NonLocal``, too."""

    class NonLocal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            d = c // 2 if embed else c
            self.nonlocal_type, self.embed, self.embed_dim = "gaussian", embed, d
            self.sub_sample = False
            if embed:
                self.theta, self.phi, self.g = (CONV[n](c, d, 1) for _ in range(3))
            self.W = CONV[n](d, c, 1)
            if norm:
                self.bn = NORM[n](c)
                self.W_bn = nn.Sequential(self.W, self.bn)

        def forward(self, x: Tensor) -> Tensor:
            parts = (self.theta(x), self.phi(x), self.g(x)) if embed else (x, x, x)
            theta, phi, g = (part.flatten(2) for part in parts)
            self.rows = rows_of("embedded_gaussian", theta, phi, self.embed_dim**-0.5)
            y = (g @ self.rows.mT).reshape(len(x), -1, *x.shape[2:])
            return x + (self.W_bn(y) if norm else self.W(y))

    return NonLocal()


class NLBlockND(nn.Module):
    """tea1528: no pooling, no scale, a bias in w_f."""

    def __init__(self, c: int, n: int, mode: str, *, norm: bool = True) -> None:
        super().__init__()
        self.mode, d = mode, c // 2
        self.g, out = CONV[n](c, d, 1), CONV[n](d, c, 1)
        self.W_z = nn.Sequential(out, NORM[n](c)) if norm else out
        if mode != "gaussian":
            self.theta, self.phi = CONV[n](c, d, 1), CONV[n](c, d, 1)
        if mode == "concatenate":
            self.W_f = nn.Sequential(nn.Conv2d(2 * d, 1, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        ours = {"embedded": "embedded_gaussian", "dot": "dot_product"}
        mode = ours.get(self.mode, "concatenation" if self.mode == "concatenate" else self.mode)
        theta, phi = (x, x) if mode == "gaussian" else (self.theta(x), self.phi(x))
        w = self.W_f[0] if mode == "concatenation" else None
        self.rows = rows_of(mode, theta.flatten(2), phi.flatten(2), 1.0, w)
        y = (self.g(x).flatten(2) @ self.rows.mT).reshape(len(x), -1, *x.shape[2:])
        return x + self.W_z(y)


class Around(nn.Module):
    """A small network with a stem before a block: stride 4, odd grids."""

    def __init__(self, block: nn.Module, n: int, c: int = 6, **call: Any) -> None:
        super().__init__()
        self.n, self.call = n, call
        self.stem = (
            nn.Conv3d(3, c, (3, 5, 5), stride=(1, 4, 4), padding=(1, 2, 2))
            if n == 3
            else nn.Conv2d(3, c, 5, stride=4, padding=2)
        )
        self.trunk = nn.ModuleDict({"nl": block})
        self.head = nn.Linear(c, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        if self.n == 1:  # time alone: each frame is one mean
            x = x.mean((2, 3)).T[None]
        z = self.trunk["nl"](x, **self.call)
        z = z[0] if isinstance(z, tuple) else z
        self.added = z - x
        return self.head(z.mean(tuple(range(2, z.dim()))))


class Segments(nn.Module):
    """Frames in groups of a few, each group one clip of a block in three dimensions, as in TSM."""

    def __init__(self, block: nn.Module, frames: int, c: int = 6) -> None:
        super().__init__()
        self.stem, self.nl, self.frames = nn.Conv2d(3, c, 5, stride=4, padding=2), block, frames

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        clips = x.unflatten(0, (-1, self.frames)).transpose(1, 2)
        return self.nl(clips).transpose(1, 2).flatten(0, 1)
