"""What convolution, pooling, interpolation and padding do to lines of cells, axis by axis.

    convolution, pooling  cell o takes the place s o + d (k - 1) / 2 - p of its input's line
    its transpose         (o + p - d (k - 1) / 2) / s
    interpolation         (o + 1/2) n / m - 1/2
    padding               o - p

Lines go on beyond their ends. Tensors of positions are mostly one row seen many times; it is
computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

Rule = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def alike(found: Sequence[Tensor], dim: int) -> bool:
    """Return whether all tensors are one row seen many times along an axis.

    >>> alike([torch.zeros(1, 5).expand(3, 5)], 0), alike([torch.zeros(3, 5)], 0)
    (True, False)
    """
    return all(x.dim() > dim and x.shape[dim] > 1 and x.stride(dim) == 0 for x in found)


def one_row(x: Tensor, dim: int) -> bool:
    """Return whether a tensor is the same all along an axis, whether or not it is stored so.

    >>> one_row(torch.ones(3, 5), 0), one_row(torch.arange(3.0), 0)
    (True, False)
    """
    if x.shape[dim] < 2 or alike([x], dim):
        return x.shape[dim] > 1
    return bool((x == x.narrow(dim, 0, 1)).all())


def thin(x: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the first row along some axes, whose size becomes 1.

    >>> thin(torch.zeros(3, 5, 7), [0, 2]).shape
    torch.Size([1, 5, 1])
    """
    for dim in dims:
        x = x.narrow(dim, 0, 1)
    return x


def on_meta(func: Any, args: Any, kwargs: Any) -> Any:
    """Return what a function gives for tensors without data: its shapes.

    >>> on_meta(torch.nn.functional.avg_pool1d, (torch.zeros(2, 3, 9), 2), {}).shape
    torch.Size([2, 3, 4])
    """

    def bare(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        if x.dim() == 0 and not x.is_floating_point() and x.device.type != "meta":
            return x.item()  # a size
        kept = torch.float32 if x.is_floating_point() else x.dtype
        return torch.empty(x.shape, dtype=kept, device="meta")

    return func(*tree_map(bare, args), **tree_map(bare, kwargs))


def resampled(x: Tensor, dim: int, step: float, first: float, count: int) -> Tensor:
    """Return the line of cells at ``first + step o`` along an axis; it goes on beyond its ends.

    >>> resampled(torch.tensor([10.0, 12.0, 14.0]), 0, 2.0, -1.0, 3)
    tensor([ 8., 12., 16.])
    """
    dim %= x.dim()
    n = x.shape[dim]
    shape = [count if d == dim else size for d, size in enumerate(x.shape)]
    if n == count and step == 1 and first == 0:
        return x
    x = thin(x, [d for d in range(x.dim()) if alike([x], d)])
    if x.shape[dim] == 1:
        return x.expand(shape)
    at = first + step * torch.arange(count, dtype=torch.float64, device=x.device)
    below = at.floor().long().clamp(0, n - 2)
    share = (at - below).to(x.dtype).reshape([count if d == dim else 1 for d in range(x.dim())])
    lower, upper = x.index_select(dim, below), x.index_select(dim, below + 1)
    return (lower + (upper - lower) * share).expand(shape)


def _lines(
    x: Tensor, shape: Sequence[int], lines: Sequence[tuple[float, float]], *, mix: bool = False
) -> Tensor:
    """Return positions of this shape, whose last axes take these (step, first) of ``x``'s.

    Args:
        x: (..., channels, *axes).
        shape: of the output.
        lines: for each of the last axes.
        mix: whether channels are mixed, as a convolution does.
    """
    n = len(lines)
    channel = x.dim() - n - 1
    if channel >= 0 and (mix or (x.shape[channel] > 1 and x.stride(channel) == 0)):
        narrow = x.mean(channel, keepdim=True) if mix and x.stride(channel) else x
        x = narrow.narrow(channel, 0, 1)
    for i, (step, first) in enumerate(lines):
        x = resampled(x, x.dim() - n + i, step, first, shape[len(shape) - n + i])
    own = thin(x, [d for d in range(x.dim()) if alike([x], d)]).clone()
    return own.expand(tuple(shape))


def _named(func: Any, names: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**dict(zip(names.split(), args, strict=False)), **kwargs}


def _each(value: Any, n: int) -> list[int]:
    if isinstance(value, (tuple, list, torch.Size)):
        return [int(v) for v in value] * (n if len(value) == 1 else 1)
    return [int(value)] * n


def _convolution(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = _named(func, "input weight bias stride padding dilation groups", args, kwargs)
    x, weight = given["input"], given["weight"]
    n = weight.dim() - 2
    shape = on_meta(func, args, kwargs).shape
    s, d = (_each(given.get(key, 1), n) for key in ("stride", "dilation"))
    kernel = weight.shape[2:]
    padding = given.get("padding", 0)
    if padding == "same":
        p = [d[i] * (kernel[i] - 1) // 2 for i in range(n)]
    else:
        p = [0] * n if padding == "valid" else _each(padding, n)
    lines = [(s[i], d[i] * (kernel[i] - 1) / 2 - p[i]) for i in range(n)]
    return _lines(x, shape, lines, mix=True)


def _transposed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    names = "input weight bias stride padding output_padding groups dilation"
    given = _named(func, names, args, kwargs)
    x, weight = given["input"], given["weight"]
    n = weight.dim() - 2
    shape = on_meta(func, args, kwargs).shape
    s, p, d = (
        _each(given.get(k, v), n) for k, v in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    lines = [(1 / s[i], (p[i] - d[i] * (weight.shape[2 + i] - 1) / 2) / s[i]) for i in range(n)]
    return _lines(x, shape, lines, mix=True)


def _pooling(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = func.__name__.strip("_")
    average, power = name.startswith("avg"), name.startswith("lp")
    names = "input kernel_size stride padding dilation"
    if average:
        names = "input kernel_size stride padding"
    if power:
        names = "input norm_type kernel_size stride"
    given = _named(func, names, args, kwargs)
    x = given["input"]
    n = int(next(c for c in name if c in "123"))
    found = on_meta(func, args, kwargs)
    shape = (found[0] if isinstance(found, tuple) else found).shape
    k = _each(given["kernel_size"], n)
    stride = given.get("stride")
    s = _each(stride, n) if stride is not None and stride != () and stride != [] else k
    p, d = (_each(given.get(key, v), n) for key, v in (("padding", 0), ("dilation", 1)))
    y = _lines(x, shape, [(s[i], d[i] * (k[i] - 1) / 2 - p[i]) for i in range(n)])
    return (y, torch.zeros(shape, dtype=torch.long)) if isinstance(found, tuple) else y


def _adaptive(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Adaptive pooling, and interpolation by areas: cells share an axis evenly."""
    x = args[0] if args else kwargs["input"]
    found = on_meta(func, args, kwargs)
    shape = (found[0] if isinstance(found, tuple) else found).shape
    n = int(next((c for c in func.__name__ if c in "123"), x.dim() - 2))
    y = _lines(x, shape, [_even(x.shape[i - n], shape[i - n]) for i in range(n)])
    return (y, torch.zeros(shape, dtype=torch.long)) if isinstance(found, tuple) else y


def _even(size: int, count: int) -> tuple[float, float]:
    return size / count, (size / count - 1) / 2


def _interpolation(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = _named(func, "input size scale_factor mode align_corners", args, kwargs)
    x, mode = given["input"], given.get("mode", "nearest")
    shape = on_meta(func, args, kwargs).shape
    lines = []
    for size, count in zip(x.shape[2:], shape[2:], strict=True):
        if given.get("align_corners") and count > 1:
            lines.append(((size - 1) / (count - 1), 0.0))
        elif mode == "nearest":  # takes cell floor(o p / q): on the average (q - 1) / 2q before
            q = count // math.gcd(size, count)
            lines.append((size / count, -(q - 1) / (2 * q)))
        else:
            lines.append(_even(size, count))
    return _lines(x, shape, lines)


def _padding(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = _named(func, "input pad mode value", args, kwargs)
    x, pad = given["input"], [int(p) for p in given["pad"]]
    n = len(pad) // 2
    shape = list(x.shape)
    lines, bent = [], []
    for i in range(n):
        before, after = pad[2 * (n - 1 - i) : 2 * (n - 1 - i) + 2]
        dim = x.dim() - n + i
        if max(before, after) > 0 and not _straight(x, dim):
            bent.append((dim, before, x.shape[dim]))
        shape[dim] += before + after
        lines.append((1.0, -float(before)))
    if n >= x.dim() - 1 and x.dim() > 2 and not _channels_last(x):  # channels, too: no place
        inside = pad[: 2 * (x.dim() - 2)]
        y = _padding(func, (x, inside), {}) if any(inside) else x
        return torch.nn.functional.pad(y, [0] * len(inside) + pad[len(inside) :])
    found = _lines(x, shape, lines)
    for dim, before, count in bent:  # what is filled up there has no place
        at = torch.arange(found.shape[dim], device=found.device) - before
        kept = ((at >= 0) & (at < count)).to(found.dtype)
        found = found * kept.reshape([-1 if d == dim else 1 for d in range(found.dim())])
    return found


class SameInAllPasses:
    """Answers to questions that one pass on positions cannot answer by itself, in their order.

    A pass in which every pixel has a number of its own is asked; the others are told.
    """

    def __init__(self) -> None:
        self.answers: list[bool] = []
        self._at = 0

    @contextmanager
    def one_pass(self) -> Iterator[None]:
        """Answer as before, from the first question on, while the ``with`` block runs."""
        self._at = 0
        before = _ASKED.set(self)
        try:
            yield
        finally:
            _ASKED.reset(before)

    @property
    def answered(self) -> bool:
        """Whether the next question was answered in an earlier pass."""
        return self._at < len(self.answers)

    def answer(self, now: bool) -> bool:
        """Return the answer to the next question: that of the first pass, or now's."""
        if self._at == len(self.answers):
            self.answers.append(now)
        self._at += 1
        return self.answers[self._at - 1]


_ASKED: ContextVar[SameInAllPasses | None] = ContextVar("asked", default=None)


def _channels_last(x: Tensor) -> bool:
    """Whether channels come last, where all axes but the first are padded: they lie alike."""
    asked = _ASKED.get()
    if asked is not None and asked.answered:
        return asked.answer(False)
    now = one_row(x, x.dim() - 1) and not one_row(x, 1)
    return now if asked is None else asked.answer(now)


def _straight(x: Tensor, dim: int) -> bool:
    """Whether places go on along an axis as they went; not where a roll joined its ends."""
    asked = _ASKED.get()
    if asked is not None and asked.answered:
        return asked.answer(False)
    steps = thin(x, [d for d in range(x.dim()) if d != dim and alike([x], d)]).diff(dim=dim)
    limit = 1e-6 * float(steps.abs().max()) if steps.numel() else 0.0
    now = steps.numel() == 0 or float((steps - steps.narrow(dim, 0, 1)).abs().max()) <= limit
    return now if asked is None else asked.answer(now)


def _patches(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``F.unfold``, a patch's pixels side by side as channels, or the method, a view."""
    if getattr(func, "__objclass__", None) is not None:
        return func(*args, **kwargs)
    given = _named(func, "input kernel_size dilation padding stride", args, kwargs)
    p = _each(given.get("padding", 0), 2)
    x = _padding(func, (given["input"], [p[1], p[1], p[0], p[0]]), {})
    return torch.nn.functional.unfold(
        x.contiguous(), given["kernel_size"], given.get("dilation", 1), 0, given.get("stride", 1)
    )


def _folded(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``F.fold``: a cell lies where the pixels lie on the average that it is the sum of."""
    x = (args[0] if args else kwargs["input"]).contiguous()
    rest = args[1:]
    given = {k: v for k, v in kwargs.items() if k != "input"}
    fold = torch.nn.functional.fold
    return fold(x, *rest, **given) / fold(torch.ones_like(x), *rest, **given).clamp(min=1)


AXIS_RULES: dict[str, Rule] = {
    "fold": _folded,
    **dict.fromkeys([f"conv{n}d" for n in "123"], _convolution),
    **dict.fromkeys([f"conv_transpose{n}d" for n in "123"], _transposed),
    **dict.fromkeys(
        [f"{kind}_pool{n}d" for kind in ("max", "avg", "lp") for n in "123"]
        + [f"max_pool{n}d_with_indices" for n in "123"],
        _pooling,
    ),
    **dict.fromkeys(
        [f"adaptive_{kind}_pool{n}d" for kind in ("max", "avg") for n in "123"]
        + [f"adaptive_max_pool{n}d_with_indices" for n in "123"],
        _adaptive,
    ),
    **dict.fromkeys(
        ("interpolate", "upsample", "upsample_nearest", "upsample_bilinear"), _interpolation
    ),
    "pad": _padding,
    "unfold": _patches,
}
