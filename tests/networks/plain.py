"""Residual video networks in plain tensor operations, from a state by its names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
State = Mapping[str, Tensor]
Place = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """What the keys of a non-local block do not tell."""

    mode: str = "embedded_gaussian"
    pool: int = 2
    pool_first: bool = True
    scale: bool = True
    group: int | None = None


@dataclass(frozen=True)
class Plain:
    """What the keys of a network do not tell: ``pool1`` and ``pool2`` are temporal strides and
    kernels, ``pad`` the padding of the first pooling in space."""

    depth: int = 18
    stem_stride: int = 1
    pool1: tuple[int, int] = (1, 1)
    pad: int = 1
    pool2: int = 1
    shift: bool = False
    blocks: Mapping[Place, Block] = field(default_factory=dict)

    def features(self, state: State, clip: Tensor, prefix: str = "") -> Tensor:
        """Return the output of res5."""
        x = self.stage(state, 2, self.stem(state, clip, prefix), prefix)
        x = F.max_pool3d(x, (self.pool2, 1, 1))
        for number in (3, 4, 5):
            x = self.stage(state, number, x, prefix)
        return x

    def logits(self, state: State, clip: Tensor) -> Tensor:
        mean = self.features(state, clip).flatten(2).mean(-1)
        return mean @ state["head.weight"].T + state["head.bias"]

    def stem(self, state: State, clip: Tensor, prefix: str = "") -> Tensor:
        kernel = state[f"{prefix}stem.conv.weight"]
        k = kernel.shape[2]
        x = F.conv3d(clip, kernel, stride=(self.stem_stride, 2, 2), padding=(k // 2, 3, 3))
        x = norm(state, f"{prefix}stem.bn", x).clamp(min=0)
        x = F.pad(x, (self.pad,) * 4, value=-torch.inf)
        kernel_t, stride_t = self.pool1
        return F.max_pool3d(x, (kernel_t, 3, 3), (stride_t, 2, 2))

    def stage(self, state: State, number: int, x: Tensor, prefix: str = "") -> Tensor:
        for i in range(COUNTS[self.depth][number - 2]):
            at = f"{prefix}res{number}.{i}"
            stride = (1, 2, 2) if i == 0 and number > 2 else (1, 1, 1)
            x = self.residual(state, at, x, stride, shift=self.shift)
            if (number, i) in self.blocks:
                x = non_local(state, f"{at}.nl", x, self.blocks[number, i])
        return x

    def residual(
        self, state: State, at: str, x: Tensor, stride: tuple[int, int, int], *, shift: bool
    ) -> Tensor:
        three = f"{at}.c.weight" in state
        a, b = state[f"{at}.a.weight"], state[f"{at}.b.weight"]
        y = tsm(x) if shift else x
        pads = tuple(k // 2 for k in a.shape[2:])
        y = norm(state, f"{at}.a_bn", F.conv3d(y, a, None, (1, 1, 1) if three else stride, pads))
        y = F.conv3d(y.clamp(min=0), b, None, stride if three else (1, 1, 1), (0, 1, 1))
        y = norm(state, f"{at}.b_bn", y)
        if three:
            y = norm(state, f"{at}.c_bn", F.conv3d(y.clamp(min=0), state[f"{at}.c.weight"]))
        if f"{at}.shortcut.weight" in state:
            short = F.conv3d(x, state[f"{at}.shortcut.weight"], None, stride)
            x = norm(state, f"{at}.shortcut_bn", short)
        return (x + y).clamp(min=0)


def norm(state: State, at: str, x: Tensor) -> Tensor:
    scale, offset, mean, variance = (
        state[f"{at}.{name}"].view(-1, 1, 1, 1)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * scale + offset


def tsm(x: Tensor) -> Tensor:
    """Return x with an eighth of its channels one frame earlier and an eighth one frame later."""
    n, empty = x.shape[1] // 8, torch.zeros_like(x[:, :, :1])
    earlier = torch.cat([x[:, :, 1:], empty], 2)
    later = torch.cat([empty, x[:, :, :-1]], 2)
    return torch.cat([earlier[:, :n], later[:, n : 2 * n], x[:, 2 * n :]], 1)


def non_local(state: State, at: str, x: Tensor, options: Block) -> Tensor:
    """Return z, one group of frames after the other."""
    step = options.group or x.shape[2]
    return torch.cat([_one(state, at, part, options) for part in x.split(step, 2)], 2)


def _one(state: State, at: str, x: Tensor, options: Block) -> Tensor:
    def mapped(name: str, x: Tensor) -> Tensor:
        kernel = state[f"{at}.{name}.weight"].flatten(1)
        return torch.einsum("oc,bcthw->bothw", kernel, x) + state[f"{at}.{name}.bias"].view(
            -1, 1, 1, 1
        )

    def pooled(x: Tensor) -> Tensor:
        return F.max_pool3d(x, (1, options.pool, options.pool))

    def keys(name: str) -> Tensor:
        return mapped(name, pooled(x)) if options.pool_first else pooled(mapped(name, x))

    theta, phi = (x, pooled(x)) if options.mode == "gaussian" else (mapped("theta", x), keys("phi"))
    theta, phi, g = (t.flatten(2) for t in (theta, phi, keys("g")))
    f = torch.einsum("bci,bcj->bij", theta, phi)
    if options.scale:
        f = f / theta.shape[1] ** 0.5
    if options.mode == "dot_product":
        rows = f / f.shape[-1]
    else:
        rows = (f - f.amax(-1)[..., None]).exp()
        rows = rows / rows.sum(-1)[..., None]
    y = torch.einsum("bij,bcj->bci", rows, g)
    return x + norm(state, f"{at}.bn", mapped("out", y.reshape(*y.shape[:2], *x.shape[2:])))
