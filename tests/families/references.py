"""Video networks in plain tensor operations, fed with a file's own keys.

Nothing here goes through the project's modules or its tables of names: a test says how its family
calls each kernel, and the arithmetic is written out from the papers' formulas. Weights take the
type of what goes through them: in float64 both sides agree to rounding on any processor.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity.pairwise import Pairwise

WIDTHS = {2: 256, 3: 512, 4: 1024, 5: 2048}
SIZES = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
I3D = {2: (3, 3, 3), 3: (3, 1, 3, 1), 4: (3, 1, 3, 1, 3, 1), 5: (1, 3, 1)}
SLOW_ONLY = {4: (3,) * 6, 5: (3,) * 3}
Places = tuple[tuple[int, int], ...]


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Weights:
    """Random tensors that keep the size of what goes through a network."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=self.generator) * scale

    def kernel(self, out: int, into: int, *kernel: int) -> Tensor:
        fan = into
        for k in kernel:
            fan *= k
        return self.normal(out, into, *kernel, scale=(2 / fan) ** 0.5)

    def linear(self, out: int, into: int, *kernel: int) -> Tensor:
        """A kernel without a rectifier behind it."""
        return self.kernel(out, into, *kernel) * 0.5**0.5

    def norm(self, channels: int, *, last: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scale, offset, mean and variance; the last of a residual block is small."""
        around = 0.3 if last else 1.0
        return (
            around + self.normal(channels, scale=0.1),
            self.normal(channels, scale=0.1),
            self.normal(channels, scale=0.1),
            torch.rand(channels, generator=self.generator) + 0.5,
        )


def convolved(x: Tensor, kernel: Tensor, stride: tuple[int, int, int] = (1, 1, 1)) -> Tensor:
    """Convolve with half the kernel as padding; a kernel of 4 axes has no time."""
    if kernel.dim() == 4:
        kernel = kernel[:, :, None]
    return F.conv3d(x, kernel.to(x), stride=stride, padding=tuple(k // 2 for k in kernel.shape[2:]))


def normalised(
    x: Tensor, scale: Tensor, offset: Tensor, mean: Tensor, variance: Tensor, eps: float = 1e-5
) -> Tensor:
    """Return (x - mean) / sqrt(variance + eps) * scale + offset, per channel."""
    s, b, m, v = (t.to(x).view(-1, *[1] * (x.dim() - 2)) for t in (scale, offset, mean, variance))
    return (x - m) / (v + eps).sqrt() * s + b


@dataclass
class Block:
    """One non-local block as formula (1) and its instantiations (2) to (5) of the paper.

    Kernels have any number of trailing 1s; a bias may be None.
    """

    theta: tuple[Tensor, Tensor | None] | None
    phi: tuple[Tensor, Tensor | None] | None
    g: tuple[Tensor, Tensor | None]
    out: tuple[Tensor, Tensor | None]
    norm: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    mode: str = "embedded_gaussian"
    scale: bool = True
    pool: tuple[int, ...] | None = (1, 2, 2)
    pool_first: bool = True
    group: int | None = None
    w_f: Tensor | None = None
    w_f_bias: Tensor | None = None
    eps: float = 1e-5
    rows: list[Tensor] = field(default_factory=list)

    def __call__(self, x: Tensor) -> Tensor:
        """Return z; the affinity (batch or groups, queries, keys) is kept in ``rows``."""
        if self.group is None or self.group >= x.shape[2]:
            return self._together(x)
        parts = [self._together(part) for part in x.split(self.group, dim=2)]
        return torch.cat(parts, dim=2)

    def _together(self, x: Tensor) -> Tensor:
        pooled = x
        if self.pool is not None and self.pool_first:
            pooled = _pooled(x, self.pool)
        after = self.pool if not self.pool_first else None
        theta = _flat(x if self.theta is None else _pointwise(x, *self.theta))
        if self.phi is None:
            phi = _flat(_pooled(x, self.pool) if self.pool else x)
        else:
            phi = _flat(_pooled_or_not(_pointwise(pooled, *self.phi), after))
        g = _flat(_pooled_or_not(_pointwise(pooled, *self.g), after))
        if self.mode == "concatenation":
            assert self.w_f is not None
            w = self.w_f.flatten().to(x)
            d = theta.shape[1]
            n_q, n_k = theta.shape[2], phi.shape[2]
            pairs = torch.cat(
                (
                    theta[:, :, :, None].expand(-1, -1, -1, n_k),
                    phi[:, :, None, :].expand(-1, -1, n_q, -1),
                ),
                dim=1,
            )
            f = torch.einsum("c,bcqk->bqk", w, pairs)
            assert len(w) == 2 * d
            if self.w_f_bias is not None:
                f = f + self.w_f_bias
            rows = f.relu() / n_k
        else:
            f = theta.transpose(1, 2) @ phi
            if self.mode == "dot_product":
                rows = f / f.shape[-1]
            else:
                rows = (f * (theta.shape[1] ** -0.5 if self.scale else 1.0)).softmax(-1)
        self.rows.append(rows)
        y = (g @ rows.transpose(1, 2)).reshape(x.shape[0], -1, *x.shape[2:])
        w_y = _pointwise(y, *self.out)
        return x + (w_y if self.norm is None else normalised(w_y, *self.norm, eps=self.eps))


def _pointwise(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    y = torch.einsum("oc,bc...->bo...", kernel.flatten(1).to(x), x)
    return y if bias is None else y + bias.view(-1, *[1] * (x.dim() - 2))


def _pooled(x: Tensor, kernel: tuple[int, ...]) -> Tensor:
    return {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}[x.dim()](x, kernel)


def _pooled_or_not(x: Tensor, kernel: tuple[int, ...] | None) -> Tensor:
    return x if kernel is None else _pooled(x, kernel)


def _flat(x: Tensor) -> Tensor:
    return x.flatten(2)


@dataclass
class Net:
    """A residual video network by the names that a test gives to its parts.

    A part is ``stem``, ``4.5.a`` (stage res4, residual block 5, first kernel) or ``4.0.shortcut``.

    Attributes:
        depth: 50 or 101, or 18 and 34 with two kernels to a residual block.
        conv: part -> kernel.
        norm: (x, part) -> normalised x.
        head: weight and bias.
        blocks: (stage, index) -> block that stands behind it.
        stem_stride, pool1, pool2: in time; pool1 is (kernel, stride), pool2 is both.
        pad: of the first pooling in space.
        shift: how far channels are shifted in time: eighths of them (TSM), or None.
    """

    depth: int
    conv: Callable[[str], Tensor]
    norm: Callable[[Tensor, str], Tensor]
    head: tuple[Tensor, Tensor]
    blocks: Mapping[tuple[int, int], Callable[[Tensor], Tensor]] = field(default_factory=dict)
    stem_stride: int = 1
    pool1: tuple[int, int] = (1, 1)
    pool2: int | None = None
    pad: int = 1
    shift: int | None = None

    def logits(self, x: Tensor) -> Tensor:
        """Return logits of (batch, 3, t, h, w)."""
        return self.pooled_logits(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage, count in zip((2, 3, 4, 5), SIZES[self.depth], strict=True):
            for i in range(count):
                x = self.residual(x, stage, i)
            if stage == 2 and self.pool2 is not None:
                x = F.max_pool3d(x, (self.pool2, 1, 1))
        return x

    def pooled_logits(self, x: Tensor) -> Tensor:
        weight, bias = self.head
        return x.mean((2, 3, 4)) @ weight.flatten(1).T.to(x) + bias

    def stem(self, x: Tensor) -> Tensor:
        x = convolved(x, self.conv("stem"), (self.stem_stride, 2, 2))
        x = self.norm(x, "stem").relu()
        kernel, stride = self.pool1
        if self.pad:
            x = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
        return F.max_pool3d(x, (kernel, 3, 3), (stride, 2, 2))

    def residual(self, x: Tensor, stage: int, i: int) -> Tensor:
        stride = 2 if i == 0 and stage > 2 else 1
        at = f"{stage}.{i}"
        y = x if self.shift is None else shifted(x, self.shift)
        if self.depth < 50:
            y = self.norm(convolved(y, self.conv(f"{at}.a"), (1, stride, stride)), f"{at}.a").relu()
            y = self.norm(convolved(y, self.conv(f"{at}.b")), f"{at}.b")
        else:
            y = self.norm(convolved(y, self.conv(f"{at}.a")), f"{at}.a").relu()
            y = self.norm(convolved(y, self.conv(f"{at}.b"), (1, stride, stride)), f"{at}.b").relu()
            y = self.norm(convolved(y, self.conv(f"{at}.c")), f"{at}.c")
        if i == 0 and (stage > 2 or self.depth >= 50):
            part = f"{at}.shortcut"
            x = self.norm(convolved(x, self.conv(part), (1, stride, stride)), part)
        x = (x + y).relu()
        return self.blocks[stage, i](x) if (stage, i) in self.blocks else x


def shifted(x: Tensor, eighths: int) -> Tensor:
    """Return x with one part of its channels from the next frame and one from the frame before."""
    fold = x.shape[1] // eighths
    y = torch.zeros_like(x)
    y[:, :fold, :-1] = x[:, :fold, 1:]
    y[:, fold : 2 * fold, 1:] = x[:, fold : 2 * fold, :-1]
    y[:, 2 * fold :] = x[:, 2 * fold :]
    return y


def shapes_of(
    depth: int,
    temporal: Mapping[int, tuple[int, ...]],
    *,
    stem_kernel: int = 1,
    flat: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Return part -> shape of its kernel in a ResNet with its usual widths.

    Args:
        depth: of the ResNet.
        temporal: stage -> temporal kernel of each first convolution; 1 where left out.
        stem_kernel: temporal.
        flat: kernels without time.
    """
    bottleneck = depth >= 50
    found: dict[str, tuple[int, ...]] = {"stem": (64, 3, stem_kernel, 7, 7)}
    into = 64
    for stage, count in zip((2, 3, 4, 5), SIZES[depth], strict=True):
        width = WIDTHS[stage] if bottleneck else WIDTHS[stage] // 4
        inner = WIDTHS[stage] // 4
        for i in range(count):
            t = temporal.get(stage, (1,) * count)[i] if temporal.get(stage) else 1
            at = f"{stage}.{i}"
            if bottleneck:
                found[f"{at}.a"] = (inner, into, t, 1, 1)
                found[f"{at}.b"] = (inner, inner, 1, 3, 3)
                found[f"{at}.c"] = (width, inner, 1, 1, 1)
            else:
                found[f"{at}.a"] = (inner, into, t, 3, 3)
                found[f"{at}.b"] = (inner, inner, 1, 3, 3)
            if i == 0 and (stage > 2 or bottleneck):
                found[f"{at}.shortcut"] = (width, into, 1, 1, 1)
            into = width
    return {k: (s[:2] + s[3:] if flat else s) for k, s in found.items()}


def is_last(part: str, depth: int) -> bool:
    """Return whether a part ends a residual branch, where large values would add up."""
    return part.endswith(".c" if depth >= 50 else ".b")


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Differences are 1e-5 of the largest value, or of 1 where that is more; 1e-7 in float64."""
    size = max(1.0, float(expected.abs().max()))
    least = 1e-7 if found.dtype == expected.dtype == torch.float64 else 1e-5
    torch.testing.assert_close(found / size, expected / size, rtol=0, atol=least)


def assert_same(net: torch.nn.Module, ours: Net, x: Tensor) -> None:
    """Logits and the rows of every block are those of the reference, both in float64."""
    net, x = copy.deepcopy(net).double(), x.double()
    for block in ours.blocks.values():
        getattr(block, "rows", []).clear()
    logits, rows = attended(net, x)
    assert_close(logits, ours.logits(x))
    assert list(rows) == [f"res{s}.{i}" for s, i in ours.blocks]
    for (stage, index), block in ours.blocks.items():
        assert_close(rows[f"res{stage}.{index}"], torch.cat(block.rows))  # type: ignore[attr-defined]


def differs(net: torch.nn.Module, ours: Net, x: Tensor) -> bool:
    """Whether the comparison notices a difference."""
    try:
        assert_same(net, ours, x)
    except AssertionError:
        return True
    return False


def attended(net: torch.nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a network of the project; return its output and each block's rows by ``res4.5``."""
    rows: dict[str, Tensor] = {}

    def keep(name: str, pairwise: str) -> Callable[..., None]:
        def hook(module: torch.nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            theta, phi, _, scale = args
            f = Pairwise(pairwise, float(scale))  # type: ignore[arg-type]
            rows[name] = f.normalise(f.logits(theta[:, 0], phi[:, 0]))

        return hook

    handles = [
        module.attend.register_forward_hook(
            keep(name.removesuffix(".nl").removeprefix("slow."), str(module.pairwise))
        )
        for name, module in net.named_modules()
        if hasattr(module, "attend")
    ]
    with torch.no_grad():
        output = net(x)
    for handle in handles:
        handle.remove()
    return output, rows
